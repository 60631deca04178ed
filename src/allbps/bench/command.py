"""``allbps bench``: arguments only."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from allbps.bench.bench import BenchOptions
from allbps.bench.bench import bench as measure
from allbps.bench.peer import PEERS
from allbps.bench.work import ROWS

DISAGREED = 1


def bench(
    rows: Annotated[str, typer.Option(help=f"Rows: {', '.join(ROWS)}; all if left out.")] = "",
    peers: Annotated[
        str,
        typer.Option(
            help=f"Peers: {', '.join(PEERS)}; all that are installed, but numpy, if left out."
        ),
    ] = "",
    rounds: Annotated[int, typer.Option(help="How often everyone has a turn.")] = (
        BenchOptions.rounds
    ),
    trials: Annotated[
        bool, typer.Option(help="Measure compile time and memory too, in new processes.")
    ] = BenchOptions.trials,
    out: Annotated[Path | None, typer.Option(help="Folder for bench.json, .md and a plot.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report for a program to read.")
    ] = False,
) -> None:
    """Measure training steps beside other frameworks, once all compute the same."""
    options = BenchOptions(_names(rows), _names(peers), rounds, trials)
    report = measure(options, _say if sys.stderr.isatty() else lambda text: None)
    text = json.dumps(report.to_json(), indent=2)
    typer.echo(text if as_json else str(report))
    if out is not None:
        from allbps.bench.plot import draw_report
        from allbps.files import write_text

        write_text(out / "bench.json", text + "\n")
        write_text(out / "bench.md", report.to_markdown())
        if any(row.fastest_peer for row in report.rows):
            draw_report(out / "bench", report)
    if not report.agrees:
        raise typer.Exit(DISAGREED)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _say(text: str) -> None:
    typer.echo(text, err=True)
