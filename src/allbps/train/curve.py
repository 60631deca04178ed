"""The curve: loss and accuracy over the epochs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from allbps.train.figures import drawing, write_figure
from allbps.train.moment import EpochRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# blue and vermilion of Okabe & Ito, which differ for colour-blind eyes; the dashes, for all
TRAIN = {"color": "#0072B2", "linestyle": "-"}
HELD = {"color": "#D55E00", "linestyle": "--"}


def draw_curve(path: Path, title: str, history: Sequence[EpochRow], held: str) -> tuple[Path, Path]:
    """Write ``path`` as PNG and SVG.

    Args:
        path: without ending.
        title: above the figure.
        history: the log, at least one row.
        held: what the held-out images are called, "held out" or "validation".

    Raises:
        MissingExtraError: matplotlib is not installed.
        UserFileError: the place cannot be written.

    """
    epochs = [row.epoch for row in history]
    with drawing(9, 3.6) as figure:
        figure.suptitle(title)
        left, right = figure.subplots(1, 2)
        _lines(left, epochs, [r.loss for r in history], [r.held_loss for r in history], held)
        left.set_ylabel("loss (cross-entropy)")
        left.set_ylim(bottom=0)
        _lines(
            right,
            epochs,
            [100 * row.accuracy for row in history],
            [100 * row.held_accuracy for row in history],
            f"{held}, finally {history[-1].held_accuracy:.1%}",
        )
        right.set_ylabel("accuracy in %")
        right.set_ylim(top=100.5)
        return write_figure(figure, path)


def _lines(axes: Axes, epochs: list[int], train: list[float], held: list[float], name: str) -> None:
    marker = "o" if len(epochs) < 20 else ""
    axes.plot(epochs, train, marker=marker, markersize=3, label="training", **TRAIN)  # type: ignore[arg-type]
    axes.plot(epochs, held, marker=marker, markersize=3, label=name, **HELD)  # type: ignore[arg-type]
    axes.set_xlabel("epoch")
    axes.locator_params(axis="x", integer=True)
    axes.legend(frameon=False)
