"""How fast this machine is, and whether it was left alone while it was timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from allbps.machine.language.peak import peak_loop
from allbps.machine.language.target import host

ROUNDS = 8


@dataclass(frozen=True)
class Timing:
    """Seconds of each part of something, and whether no other program took the CPU meanwhile."""

    seconds: tuple[float, ...]
    alone: bool


def timed(run: Callable[[], Sequence[float]], repeats: int) -> Timing:
    """Medians over those of ``repeats`` runs during which no thread of ours had to wait for a CPU.

    Over all of them, and not ``alone``, where that leaves less than half. ``run`` says how long
    its parts took.
    """
    run()  # helper threads wake up
    runs, before = [], _interruptions()
    for _ in range(repeats):
        found = run()
        after = _interruptions()
        runs.append((found, after == before))
        before = after
    quiet = [found for found, was_quiet in runs if was_quiet]
    alone = 2 * len(quiet) >= len(runs)
    kept = quiet if alone else [found for found, _ in runs]
    return Timing(tuple(float(x) for x in np.median(kept, axis=0)), alone)


def _interruptions() -> int:
    """How often the system took a CPU from this process; always 0 where it does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


@cache
def peak(dtype: str, threads: int) -> float:
    """Operations a second of so many threads that multiply and add in registers.

    Each counts its own time, so that other programs do not slow it down.
    """
    from concurrent.futures import ThreadPoolExecutor

    run, operations = peak_loop(host(), single=dtype == "float32")

    def least(_: int) -> float:
        run()
        return min(_own_seconds(run) for _ in range(ROUNDS))

    with ThreadPoolExecutor(threads) as pool:
        return sum(operations / seconds for seconds in pool.map(least, range(threads)))


def _own_seconds(run: Callable[[], None]) -> float:
    start = time.thread_time_ns()
    run()
    return max(time.thread_time_ns() - start, 1) * 1e-9
