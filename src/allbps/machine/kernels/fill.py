"""One number everywhere, or the numbers of another array."""

from __future__ import annotations

from allbps.machine.language.words import Int, Real, Reals, kernel, lanes


@kernel
def fill(X: Reals, value: Real, lo: Int, hi: Int) -> None:
    """X[lo:hi] = value."""
    for i in lanes(lo, hi):
        X[i] = value


@kernel
def move(Y: Reals, X: Reals, lo: Int, hi: Int) -> None:
    """Y[lo:hi] = X[lo:hi]."""
    for i in lanes(lo, hi):
        Y[i] = X[i]
