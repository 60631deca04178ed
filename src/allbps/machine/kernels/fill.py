"""One number everywhere."""

from __future__ import annotations

from ..words import Int, Real, Reals, kernel, lanes


@kernel
def fill(X: Reals, value: Real, lo: Int, hi: Int) -> None:
    """X[lo:hi] = value."""
    for i in lanes(lo, hi):
        X[i] = value
