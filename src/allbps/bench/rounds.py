"""Interleaved timing: every peer has its turn in every round, so that all see the same machine."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping

from allbps.bench.deadline import Deadline
from allbps.bench.peer import Runner

TURN = 0.3
"""About how many seconds a turn takes; a slow step takes what it takes."""
REST = 0.02
"""A pause before each turn: threads of the peer before stop spinning."""
SLOW = 20
"""Who needs so many times as long for a step as the fastest, and more than a turn, is stopped after
one step: it decides nothing and would take most of the time."""
FEWEST = 2
"""Rounds that are made though the time is over."""


def pace(runner: Runner, turn: float = TURN) -> float:
    """Seconds a step, from runs four times as long until they take a good part of a turn.

    A run that seems long enough is repeated: the first of a length may have compiled something.
    """
    steps = 1
    while True:
        seconds = _timed(runner, steps)
        if seconds > turn / 4:
            seconds = min(seconds, _timed(runner, steps))
        if seconds > turn / 4 or steps >= 1 << 20:
            return seconds / steps
        steps *= 4


def too_slow(paces: Mapping[str, float]) -> set[str]:
    """Who is stopped after one step, from seconds a step.

    >>> sorted(too_slow({"a": 0.1, "b": 1.0, "c": 3.0}))
    ['c']
    """
    limit = max(TURN, SLOW * min(paces.values(), default=0.0))
    return {name for name, seconds in paces.items() if seconds > limit}


def interleaved(
    runners: Mapping[str, Runner],
    rounds: int,
    told: Callable[[str], None],
    deadline: Deadline,
) -> Iterator[tuple[str, float]]:
    """(runner, seconds a step), one for each turn.

    Every other round goes backwards, so that nobody always follows the same.
    """
    steps = {name: max(1, round(TURN / pace(runner))) for name, runner in runners.items()}
    for name, runner in runners.items():
        if steps[name] > 1:
            runner.run(steps[name])  # in the shape that will be timed
    for number in range(rounds):
        if number >= FEWEST and deadline.over:
            return
        told(f"round {number + 1} of {rounds}")
        for name in list(runners)[:: -1 if number % 2 else 1]:
            yield name, _turn(runners[name], steps[name])


def _turn(runner: Runner, steps: int) -> float:
    time.sleep(REST)
    if steps > 1:
        runner.run(max(1, steps // 10))  # warm this peer's caches
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _timed(runner, steps) / steps
    finally:
        if collecting:
            gc.enable()


def _timed(runner: Runner, steps: int) -> float:
    started = time.perf_counter()
    runner.run(steps)
    return time.perf_counter() - started
