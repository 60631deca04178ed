"""The report as bars: how many times as fast as the fastest peer."""

from __future__ import annotations

from pathlib import Path

from allbps.bench.peer import OURS
from allbps.bench.report import BenchReport, times
from allbps.train.figures import drawing, write_figure

OUR_COLOUR, THEIR_COLOUR = "#0072B2", "#BBBBBB"


def draw_report(path: Path, report: BenchReport) -> tuple[Path, Path]:
    """Write ``path`` as PNG and SVG.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UserFileError: the place cannot be written.

    """
    rows = [row for row in report.rows if row.fastest_peer is not None]
    if not rows:
        raise ValueError("nothing to draw: no peer was timed")
    with drawing(8, 1 + 1.8 * len(rows)) as figure:
        figure.suptitle("speed of a training step, fastest peer = 1 (logarithmic)")
        grid = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
        for axes, row in zip(grid, rows, strict=True):
            timed = [e for e in row.entries if e.seconds][::-1]
            ratios = [row.ratio(e) or 0.0 for e in timed]
            colours = [OUR_COLOUR if e.peer in OURS else THEIR_COLOUR for e in timed]
            bars = axes.barh([e.peer for e in timed], ratios, color=colours)
            white = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
            axes.bar_label(bars, [times(r) for r in ratios], padding=4, fontsize=8, bbox=white)
            axes.set_xscale("log")
            axes.set_xlim(min(ratios) / 1.5, max(ratios) * 2.5)
            axes.axvline(1, color="#444444", linewidth=0.8)
            axes.set_title(row.title, loc="left", fontsize=9)
            axes.tick_params(labelsize=8)
        return write_figure(figure, path)
