"""The order in which an epoch visits its examples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EPOCH_STREAM = 2
"""Keeps the shuffling apart from the split (0) and the initial parameters (1)."""


def batch_order(count: int, size: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """Indices of each mini-batch of one epoch: every example once, in random order.

    The order depends on seed and epoch only, so that a run can be taken up anywhere. The last
    batch holds what is left.

    >>> [len(batch) for batch in batch_order(10, 4, seed=0, epoch=0)]
    [4, 4, 2]
    """
    order = np.random.default_rng([seed, EPOCH_STREAM, epoch]).permutation(count)
    return [order[start : start + size] for start in range(0, count, size)]
