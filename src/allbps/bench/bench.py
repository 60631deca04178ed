"""A whole benchmark: agree, time, try in processes of their own, report."""

from __future__ import annotations

import contextlib
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.bench.agree import BOUND, STEPS, deviation, reference_losses
from allbps.bench.deadline import OVER, Deadline
from allbps.bench.held import AVX2, in_words, obeyed
from allbps.bench.module_work import ModuleWork
from allbps.bench.peer import OURS, PEERS, Peer, Runner, cores, peer_named
from allbps.bench.report import BenchReport, Entry, RowResult
from allbps.bench.rounds import SLOW, interleaved, too_slow
from allbps.bench.row import known, work_for
from allbps.bench.trial import cold_and_warm, steps_for
from allbps.bench.work import ROWS, Work
from allbps.optim import require


@dataclass(frozen=True)
class BenchOptions:
    """What to measure.

    Attributes:
        rows: names of rows; all but those of PyTorch modules if empty.
        peers: names of peers; all but ``numpy``, which is slow, if empty.
        rounds: how often everyone has a turn.
        trials: measure compile time and memory too, in processes of their own.
        minutes: how long all of it may take. Rows share the time; what there is no time for is
            left out, and said to be.
        width: bytes in everyone's vectors, to which this process is held; 0 where nobody is.

    """

    rows: Sequence[str] = ()
    peers: Sequence[str] = ()
    rounds: int = 7
    trials: bool = True
    minutes: float = 8.0
    width: int = 0

    def __post_init__(self) -> None:
        require("--rounds", self.rounds, at_least=1)
        require("--minutes", self.minutes, at_least=0.1)
        for row in self.rows:
            known(row)
        for peer in self.peers:
            peer_named(peer)

    @property
    def asked(self) -> list[Peer]:
        """The peers asked for, in the order of the list."""
        wanted = self.peers or [name for name in PEERS if name != "numpy"]
        return [peer for peer in PEERS.values() if peer.name in wanted]


def bench(
    options: BenchOptions,
    told: Callable[[str], None] = lambda text: None,
    done: Callable[[RowResult], None] = lambda row: None,
) -> BenchReport:
    """Measure.

    An interrupt (Ctrl-C) ends it with what was measured so far.

    Args:
        options: what.
        told: is told what is happening.
        done: is given each row when it is done.

    Raises:
        MissingExtraError: the digits are not installed.

    """
    report, present = begun(options)
    names, whole = options.rows or list(ROWS), Deadline(60 * options.minutes)
    try:
        for k, name in enumerate(names):
            able = [peer for peer in present if peer.takes(name)]
            work = work_for(name)
            row = RowResult(name, work.title, "", [Entry(peer.name) for peer in able])
            report.rows.append(row)
            _Race(row, work, able, whole.share(len(names) - k), told).run(options)
            done(row)
    except KeyboardInterrupt:
        report.interrupted = True
        report.rows = [row for row in report.rows if any(e.seconds for e in row.entries)]
    return report


def begun(options: BenchOptions) -> tuple[BenchReport, list[Peer]]:
    """A report without rows, and the peers that are here."""
    present = [peer for peer in options.asked if peer.version]
    missing = [peer.name for peer in options.asked if not peer.version]
    versions = {peer.library: peer.version for peer in present if peer.library}
    where = _machine() | ({"peers": in_words(obeyed())} if options.width == AVX2 else {})
    return BenchReport(where, versions, missing, []), present


def _leaders(paces: Mapping[str, float]) -> set[str]:
    """Ours, and the fastest of the others: they are compared and timed, however late it is."""
    others = [name for name in paces if name not in OURS]
    return set(paces) - set(others) | set(sorted(others, key=lambda name: paces[name])[:1])


class _Race:
    """One row: who computes the same, and how fast."""

    def __init__(
        self,
        row: RowResult,
        work: Work | ModuleWork,
        peers: list[Peer],
        deadline: Deadline,
        told: Callable[[str], None],
    ) -> None:
        self.row, self.work, self.peers, self.deadline = row, work, peers, deadline
        self.entries = {entry.peer: entry for entry in row.entries}
        self._told = told

    def say(self, text: str) -> None:
        self._told(f"{self.row.row}: {text}")

    def run(self, options: BenchOptions) -> None:
        """Fill in the row."""
        runners = dict(self._started())
        self.row.reference, timed = self._agreeing(runners)
        self._time(timed, options.rounds)
        for entry in self.row.entries if options.trials else []:
            if entry.median is not None and not entry.slow:
                self._try(entry)

    def _started(self) -> Iterator[tuple[str, Runner]]:
        others = 0  # one is begun, however late it is: a row without anyone beside us says nothing
        for peer in self.peers:
            if others and self.deadline.over:
                self.entries[peer.name].add(f"left out: {OVER}")
                continue
            self.say(f"{peer.name} gets ready")
            if runner := _start(peer, self.work, self.entries[peer.name]):
                others += peer.name not in OURS
                yield peer.name, runner

    def _agreeing(self, runners: dict[str, Runner]) -> tuple[str, dict[str, Runner]]:
        """Who is the reference, and those whose losses are the same."""
        if not runners:
            return "", {}
        reference, expected = reference_losses(self.work, runners)
        rest = {name: runner for name, runner in runners.items() if name != reference}
        first = {name: found for name in rest if (found := self._first_steps(name, rest[name]))}
        paces = {name: seconds for name, (_, seconds) in first.items()}
        slow, spared = too_slow(paces), _leaders(paces)
        for name in sorted(first, key=lambda name: paces[name]):
            late = name not in spared and STEPS * paces[name] > self.deadline.left
            stopped = f"over {SLOW} times the fastest's time" if name in slow else OVER * late
            self._compare(name, runners[name], *first[name], expected, stopped)
        if reference in self.entries:
            self.entries[reference].deviation = 0.0
        return reference, {name: r for name, r in runners.items() if self._is_timed(name)}

    def _is_timed(self, name: str) -> bool:
        return self.entries[name].agrees and not self.entries[name].slow

    def _first_steps(self, name: str, runner: Runner) -> tuple[list[Any], float] | None:
        """The losses of two steps, and the seconds of the second; the first may have compiled."""
        self.say(f"does {name} agree?")
        with _failures(self.entries[name]):
            losses = [runner.run(1)]
            started = time.perf_counter()
            losses.append(runner.run(1))
            return losses, time.perf_counter() - started
        return None

    def _compare(
        self,
        name: str,
        runner: Runner,
        losses: list[Any],
        seconds: float,
        expected: NDArray[Any],
        stopped: str,
    ) -> None:
        """Fill in the deviation; of who is stopped from two steps, and the second is its time."""
        entry = self.entries[name]
        with _failures(entry):
            if not stopped:
                losses.append(runner.run(STEPS - len(losses)))
            found = np.concatenate(losses)
            entry.deviation = deviation(found, expected[: len(found)])
        if entry.deviation is not None and not entry.agrees:
            entry.add(f"not timed: its losses differ by more than {BOUND:g}")
        elif entry.agrees and stopped:
            entry.slow, entry.seconds = True, [seconds]
            entry.add(f"one step only: {stopped}")

    def _time(self, runners: dict[str, Runner], rounds: int) -> None:
        for name, seconds in interleaved(runners, rounds, self.say, self.deadline):
            self.entries[name].seconds.append(seconds)
        for name in runners:
            if len(self.entries[name].seconds) < rounds:
                self.entries[name].add(f"{len(self.entries[name].seconds)} rounds: {OVER}")

    def _try(self, entry: Entry) -> None:
        if self.deadline.over:
            entry.add(f"compile time and memory not measured: {OVER}")
            return
        self.say(f"{entry.peer} in a process of its own, twice")
        steps = steps_for(entry.median or 0.0)
        found = cold_and_warm(self.row.row, entry.peer, steps, self.deadline)
        if "error" in found:
            entry.add(found["error"])
            return
        entry.cold, entry.warm, entry.memory = found["cold"], found["warm"], found["memory"]


@contextlib.contextmanager
def _failures(entry: Entry) -> Iterator[None]:
    """A peer that fails must not take the measurements of the others with it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except Exception as error:
            entry.add(f"failed: {_first_line(error)}")


def _start(peer: Peer, work: Work | ModuleWork, entry: Entry) -> Runner | None:
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


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _machine() -> dict[str, Any]:
    return {
        "cpu": _cpu() or platform.processor() or platform.machine(),
        "vectors": _vectors(),
        "cores": f"{cores()} cores, all of them for everyone",
        "python": f"Python {sys.version.split()[0]}",
    }


def _vectors() -> str:
    """The width of the vectors that our code uses."""
    try:
        from allbps.machine.language.target import host
    except ImportError:
        return ""
    return f"vectors of {host().vector_bytes} bytes"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")
