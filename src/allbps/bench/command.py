"""``allbps bench``: arguments only."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from allbps.bench.bench import BenchOptions, begun
from allbps.bench.bench import bench as measure
from allbps.bench.held import begin_again
from allbps.bench.module_work import MODULES
from allbps.bench.peer import PEERS
from allbps.bench.report import BenchReport, RowResult
from allbps.bench.work import ROWS
from allbps.exits import FAILED, INTERRUPTED
from allbps.extras import needs


def bench(
    rows: Annotated[
        str,
        typer.Option(
            help=f"Rows: {', '.join(ROWS)}, by default; of PyTorch modules: {', '.join(MODULES)}."
        ),
    ] = "",
    peers: Annotated[
        str,
        typer.Option(
            help=f"Peers: {', '.join(PEERS)}; by default all that are installed except numpy."
        ),
    ] = "",
    rounds: Annotated[int, typer.Option(help="How many turns each has.")] = (BenchOptions.rounds),
    trials: Annotated[
        bool, typer.Option(help="Measure compile time and memory too, in new processes.")
    ] = BenchOptions.trials,
    minutes: Annotated[float, typer.Option(help="Time limit of the whole run.")] = (
        BenchOptions.minutes
    ),
    width: Annotated[
        int, typer.Option(help="Bytes in vectors: 64, 32 (peers too) or 16; else the CPU's own.")
    ] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for bench.json, .md and a plot.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Time training steps against other frameworks, once all compute the same.

    Each row is printed when it is done. Ctrl-C ends the run and keeps what was measured.
    """
    options = BenchOptions(_names(rows), _names(peers), rounds, trials, minutes, width)
    if width:
        with needs("llvmlite", extra="machine", purpose="allbps bench --width"):
            begin_again(width)
    if not as_json:
        typer.echo(begun(options)[0].head)
    shown: list[RowResult] = []

    def show(row: RowResult) -> None:
        shown.append(row)
        if not as_json:
            typer.echo(f"\n{row}")

    report = measure(options, _say if sys.stderr.isatty() else lambda text: None, show)
    for row in report.rows[len(shown) :]:  # the one that was interrupted
        show(row)
    text = json.dumps(report.to_json(), indent=2)
    if as_json:
        typer.echo(text)
    if out is not None:
        _write(out, report, text)
    if report.interrupted:
        typer.echo("interrupted: what was measured so far is kept", err=True)
        raise typer.Exit(INTERRUPTED)
    if not report.agrees:
        raise typer.Exit(FAILED)


def _write(folder: Path, report: BenchReport, text: str) -> None:
    """The report as files: for programs, for people, and as a plot."""
    from allbps.bench.plot import draw_report
    from allbps.files import write_text

    write_text(folder / "bench.json", text + "\n")
    write_text(folder / "bench.md", report.to_markdown())
    if any(row.fastest_peer for row in report.rows):
        draw_report(folder / "bench", report)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _say(text: str) -> None:
    typer.echo(text, err=True)
