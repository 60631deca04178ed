"""Before anything is timed: does every peer compute the same?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.bench.module_work import ModuleWork
from allbps.bench.peer import PEERS, Runner
from allbps.bench.work import Work

STEPS = 20
BOUND = 1e-3
"""Largest relative deviation of a loss on the way, in single precision."""


def reference_losses(
    work: Work | ModuleWork, runners: Mapping[str, Runner]
) -> tuple[str, NDArray[Any]]:
    """(who says so, losses): PyTorch in double precision, or else the first of the runners."""
    if isinstance(work, ModuleWork):
        from allbps.bench import by_answers, by_module

        own = by_module.reference if work.learns else by_answers.reference
        return "torch in float64", own(work).run(STEPS)
    if PEERS["torch"].version:
        from allbps.bench.by_torch import reference

        return "torch in float64", reference(work).run(STEPS)
    first = next(iter(runners))
    return first, runners[first].run(STEPS)


def deviation(losses: NDArray[Any], expected: NDArray[Any]) -> float:
    """The largest relative difference along two trajectories; NaN counts as infinite.

    >>> deviation(np.array([2.0, 1.0]), np.array([2.0, 2.0]))
    0.5
    >>> deviation(np.array([np.nan]), np.array([1.0]))
    inf
    """
    if losses.shape != expected.shape or not np.isfinite(losses).all():
        return float("inf")
    return float(np.max(np.abs(losses - expected) / np.abs(expected)))
