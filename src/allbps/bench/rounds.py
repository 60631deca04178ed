"""Interleaved timing: every peer has its turn in every round, so that all see the same machine."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping

from allbps.bench.peer import Runner

TURN = 0.3
"""About how many seconds a turn takes; a slow step takes what it takes."""
REST = 0.02
"""A pause before each turn: threads of the peer before stop spinning."""
SLOW = 20
"""Whoever needs so many times as long as the fastest, and more than a turn, for one step has …"""
FEW = 2
"""… so many turns only, of a step each: it decides nothing and would take most of the time."""


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


def interleaved(
    runners: Mapping[str, Runner], rounds: int, told: Callable[[str], None]
) -> dict[str, list[float]]:
    """Seconds a step of each runner, one number a round; of slow ones for the first rounds only.

    Every other round goes backwards, so that nobody always follows the same.
    """
    paces = {name: pace(runner) for name, runner in runners.items()}
    limit = max(TURN, SLOW * min(paces.values(), default=0.0))
    steps = {name: max(1, round(TURN / paces[name])) for name in runners}
    turns = {name: min(rounds, FEW) if paces[name] > limit else rounds for name in runners}
    for name, runner in runners.items():
        if steps[name] > 1:
            runner.run(steps[name])  # in the shape that will be timed
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for number in range(rounds):
        told(f"round {number + 1} of {rounds}")
        for name in list(runners)[:: -1 if number % 2 else 1]:
            if number < turns[name]:
                seconds[name].append(_turn(runners[name], steps[name]))
    return seconds


def _turn(runner: Runner, steps: int) -> float:
    time.sleep(REST)
    if steps > 1:
        runner.run(max(1, steps // 10))  # caches are one's own again
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
