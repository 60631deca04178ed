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


def steps_in_a_turn(runner: Runner, turn: float = TURN) -> int:
    """How many steps fill a turn: doubled until they take a good part of it."""
    steps = 1
    while True:
        seconds = _timed(runner, steps)
        if seconds > turn / 4 or steps >= 1 << 20:
            return max(1, round(steps * turn / seconds))
        steps *= 4


def interleaved(
    runners: Mapping[str, Runner], rounds: int, told: Callable[[str], None]
) -> dict[str, list[float]]:
    """Seconds a step of each runner, one number a round.

    Every other round goes backwards, so that nobody always follows the same.
    """
    steps = {name: steps_in_a_turn(runner) for name, runner in runners.items()}
    for name, runner in runners.items():
        runner.run(steps[name])  # in the shape that will be timed
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for number in range(rounds):
        told(f"round {number + 1} of {rounds}")
        for name in list(runners)[:: -1 if number % 2 else 1]:
            seconds[name].append(_turn(runners[name], steps[name]))
    return seconds


def _turn(runner: Runner, steps: int) -> float:
    time.sleep(REST)
    runner.run(min(steps, max(1, steps // 10)) if steps > 1 else 1)  # caches are one's own again
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
