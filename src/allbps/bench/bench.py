"""A whole benchmark: agree, time, try in processes of their own, report."""

from __future__ import annotations

import platform
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from allbps.bench.agree import BOUND, STEPS, deviation, reference_losses
from allbps.bench.peer import PEERS, Peer, Runner, cores, peer_named
from allbps.bench.report import BenchReport, Entry, RowResult
from allbps.bench.rounds import SLOW, interleaved
from allbps.bench.trial import cold_and_warm, steps_for
from allbps.bench.work import ROWS, Work, work_for
from allbps.errors import unknown_name
from allbps.optim import require


@dataclass(frozen=True)
class BenchOptions:
    """What to measure.

    Attributes:
        rows: names of rows; all if empty.
        peers: names of peers; all but ``numpy``, which is slow, if empty.
        rounds: how often everyone has a turn.
        trials: measure compile time and memory too, in processes of their own.

    """

    rows: Sequence[str] = ()
    peers: Sequence[str] = ()
    rounds: int = 7
    trials: bool = True

    def __post_init__(self) -> None:
        require("--rounds", self.rounds, at_least=1)
        for row in self.rows:
            if row not in ROWS:
                raise unknown_name(row, list(ROWS), "row")
        for peer in self.peers:
            peer_named(peer)

    @property
    def asked(self) -> list[Peer]:
        """The peers asked for, in the order of the list."""
        wanted = self.peers or [name for name in PEERS if name != "numpy"]
        return [peer for peer in PEERS.values() if peer.name in wanted]


def bench(options: BenchOptions, told: Callable[[str], None] = lambda text: None) -> BenchReport:
    """Measure.

    Args:
        options: what.
        told: is told what is happening.

    Raises:
        MissingExtraError: the digits are not installed.

    """
    present = [peer for peer in options.asked if peer.version]
    missing = [peer.name for peer in options.asked if not peer.version]
    rows = []
    for row in options.rows or ROWS:
        able = [peer for peer in present if not peer.rows or row in peer.rows]
        rows.append(_row(row, able, options, told))
    versions = {peer.library: peer.version for peer in present if peer.library}
    return BenchReport(_machine(), versions, missing, rows)


def _row(
    row: str, peers: list[Peer], options: BenchOptions, told: Callable[[str], None]
) -> RowResult:
    work = work_for(row)

    def say(text: str) -> None:
        told(f"{row}: {text}")

    entries = {peer.name: Entry(peer.name) for peer in peers}
    runners = {}
    for peer in peers:
        say(f"{peer.name} gets ready")
        if runner := _start(peer, work, entries[peer.name]):
            runners[peer.name] = runner
    reference = _compare(work, runners, entries, say)
    timed = {name: runner for name, runner in runners.items() if entries[name].agrees}
    for name, seconds in interleaved(timed, options.rounds, say).items():
        entries[name].seconds = seconds
        if len(seconds) < options.rounds:
            entries[name].add(f"{len(seconds)} rounds only: over {SLOW} times the fastest's time")
    for peer in peers if options.trials else []:
        say(f"{peer.name} in a process of its own, twice")
        _try(row, entries[peer.name])
    return RowResult(row, work.title, reference, list(entries.values()))


def _start(peer: Peer, work: Work, entry: Entry) -> Runner | None:
    """Prepare a peer; what it says about falling back becomes a note, an error too."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            runner = peer.load()(work)
        except Exception as error:
            # one peer that fails must not take the measurements of the others with it
            entry.add(f"failed: {_first_line(error)}")
            return None
    ours = [str(w.message) for w in caught if w.category.__name__ == "FallbackWarning"]
    entry.add(*ours)
    return runner


def _compare(
    work: Work,
    runners: dict[str, Runner],
    entries: dict[str, Entry],
    told: Callable[[str], None],
) -> str:
    """Fill in the deviations; who was the reference."""
    if not runners:
        return ""
    reference, expected = reference_losses(work, runners)
    for name, runner in runners.items():
        if name == reference:
            entries[name].deviation = 0.0
            continue
        told(f"does {name} agree?")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                entries[name].deviation = deviation(runner.run(STEPS), expected)
            except Exception as error:
                entries[name].add(f"failed: {_first_line(error)}")
                continue
        if not entries[name].agrees:
            entries[name].add(f"not timed: its losses differ by more than {BOUND:g}")
    return reference


def _try(row: str, entry: Entry) -> None:
    if entry.median is None:
        return
    found = cold_and_warm(row, entry.peer, steps_for(entry.median))
    if "error" in found:
        entry.add(found["error"])
        return
    entry.cold, entry.warm, entry.memory = found["cold"], found["warm"], found["memory"]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _machine() -> dict[str, Any]:
    return {
        "cpu": _cpu() or platform.processor() or platform.machine(),
        "cores": f"{cores()} cores, all of them for everyone",
        "python": f"Python {sys.version.split()[0]}",
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")
