"""Whole numbers: quotients, what is cut off a Real, places in arrays, extremes."""

from __future__ import annotations

from allbps.machine.language.words import (
    Int,
    Ints,
    Real,
    double,
    inline,
    integer,
    kernel,
    select,
)

LEAST_64, LEAST_32 = -(2**63), -(2**31)


@inline
def quotient(x: Int, y: Int) -> Int:
    """X / y rounded down; by 0 it is 0, and −2⁶³ / −1 wraps around: NumPy's ``//``."""
    safe = select((y == 0) | (y == -1), 1, y)
    return select(y == 0, 0, select(y == -1, -x, x // safe))


@inline
def remainder_of(x: Int, y: Int) -> Int:
    """What is left of x after whole y, with the sign of y; 0 where y is 0: NumPy's ``%``."""
    return x % select((y == 0) | (y == -1), 1, y)


@inline
def cut_to_64(x: Real) -> Int:
    """X toward zero; what 64 bits do not hold is −2⁶³, as CPUs of x86 have it."""
    wide = double(x)
    inside = (wide >= -9223372036854775808.0) & (wide < 9223372036854775808.0)
    return select(inside, integer(select(inside, wide, 0.0)), LEAST_64)


@inline
def cut_to_32(x: Real) -> Int:
    """The same for 32 bits."""
    wide = double(x)
    inside = (wide > -2147483649.0) & (wide < 2147483648.0)
    return select(inside, integer(select(inside, wide, 0.0)), LEAST_32)


@inline
def at_place(index: Int, length: Int) -> Int:
    """A place in an axis, counted from the end where it is negative; never outside of it."""
    place = select(index < 0, index + length, index)
    return min(max(place, 0), length - 1)


# ---- rows, as in ``kernels.rows``


@kernel
def row_max(Y: Ints, X: Ints, N: Int, lo: Int, hi: Int) -> None:
    """The largest of each row."""
    for r in range(lo, hi):
        x = X + r * N
        Y[r] = x[_largest(x, N)]


@kernel
def row_min(Y: Ints, X: Ints, N: Int, lo: Int, hi: Int) -> None:
    """The smallest of each row."""
    for r in range(lo, hi):
        x = X + r * N
        Y[r] = x[_smallest(x, N)]


@kernel
def row_argmax(Y: Ints, X: Ints, N: Int, lo: Int, hi: Int) -> None:
    """The place of the first largest of each row."""
    for r in range(lo, hi):
        Y[r] = _largest(X + r * N, N)


@kernel
def row_argmin(Y: Ints, X: Ints, N: Int, lo: Int, hi: Int) -> None:
    """The place of the first smallest of each row."""
    for r in range(lo, hi):
        Y[r] = _smallest(X + r * N, N)


@kernel
def row_prod(Y: Ints, X: Ints, N: Int, lo: Int, hi: Int) -> None:
    """The product of each row."""
    for r in range(lo, hi):
        x = X + r * N
        total = 1
        for n in range(N):
            total = total * x[n]
        Y[r] = total


@kernel
def _largest(x: Ints, n: Int) -> Int:
    """The first i with the largest x[i]."""
    best = 0
    for i in range(1, n):
        if x[i] > x[best]:
            best = i
    return best


@kernel
def _smallest(x: Ints, n: Int) -> Int:
    """The first i with the smallest x[i]."""
    best = 0
    for i in range(1, n):
        if x[i] < x[best]:
            best = i
    return best
