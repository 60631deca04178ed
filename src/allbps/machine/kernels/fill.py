"""One number everywhere, or the numbers of another array."""

from __future__ import annotations

from allbps.machine.language.words import Bytes, Int, Ints, Real, Reals, kernel, lanes


@kernel
def fill(X: Reals, value: Real, lo: Int, hi: Int) -> None:
    """X[lo:hi] = value."""
    for i in lanes(lo, hi):
        X[i] = value


@kernel
def fill_integers(X: Ints, value: Int, lo: Int, hi: Int) -> None:
    """The same for integers."""
    for i in lanes(lo, hi):
        X[i] = value


@kernel
def fill_bytes(X: Bytes, value: Int, lo: Int, hi: Int) -> None:
    """The same for truth values."""
    for i in lanes(lo, hi):
        X[i] = value


@kernel
def move(Y: Reals, X: Reals, lo: Int, hi: Int) -> None:
    """Y[lo:hi] = X[lo:hi]."""
    for i in lanes(lo, hi):
        Y[i] = X[i]


@kernel
def move_integers(Y: Ints, X: Ints, lo: Int, hi: Int) -> None:
    """The same for integers."""
    for i in lanes(lo, hi):
        Y[i] = X[i]


@kernel
def move_bytes(Y: Bytes, X: Bytes, lo: Int, hi: Int) -> None:
    """The same for truth values."""
    for i in lanes(lo, hi):
        Y[i] = X[i]
