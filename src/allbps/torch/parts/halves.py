"""Matrices that are given by one half."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.transforms import stop_gradient


def mirrored(a: Any, *, upper: bool = False, even: bool = True) -> Any:
    """The symmetric matrix of which ``a`` (…, n, n) holds the lower half, or the upper one.

    PyTorch reads one half in ``cholesky`` and ``eigh``, and spreads δ evenly over both; in ``pinv``
    it reads one half and hands δ back as it is.
    """
    passed = (a + np.swapaxes(a, -1, -2)) / 2 if even else a
    half, rest = (np.triu(a), np.triu(a, 1)) if upper else (np.tril(a), np.tril(a, -1))
    return passed + stop_gradient(half + np.swapaxes(rest, -1, -2) - passed)
