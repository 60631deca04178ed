"""Sums whose order is fixed, whatever the number of threads."""

from __future__ import annotations

from allbps.machine.language.words import (
    Double,
    Doubles,
    Int,
    Reals,
    double,
    inline,
    kernel,
    lanes,
    real,
    sqrt,
)

#: Rows added in registers before the sum goes to memory.
ROWS = 8


@inline
def _sum_of_rows(X: Reals, at: int, ld: int) -> float:
    """Σ of ROWS numbers ld apart, in pairs."""
    a = X[at] + X[at + ld]
    b = X[at + 2 * ld] + X[at + 3 * ld]
    c = X[at + 4 * ld] + X[at + 5 * ld]
    d = X[at + 6 * ld] + X[at + 7 * ld]
    return (a + b) + (c + d)


@kernel
def sum_rows(out: Reals, X: Reals, ld: Int, N: Int, lo: Int, hi: Int) -> None:
    """Write out[n] = Σ_r X[r, n] over rows lo..hi: δb of a bias, one partial result."""
    for n in lanes(N):
        out[n] = 0.0
    whole = lo + (hi - lo) // ROWS * ROWS
    for r in range(lo, whole, ROWS):
        for n in lanes(N):
            out[n] += _sum_of_rows(X, r * ld + n, ld)
    for r in range(whole, hi):
        for n in lanes(N):
            out[n] += X[r * ld + n]


@kernel
def combine(out: Reals, partials: Reals, stride: Int, count: Int, lo: Int, hi: Int) -> None:
    """Write out[i] = Σ_p partials[p, i], p in order, i in lo..hi; partials ``stride`` apart."""
    for i in lanes(lo, hi):
        out[i] = partials[i]
    for p in range(1, count):
        for i in lanes(lo, hi):
            out[i] += partials[p * stride + i]


@kernel(reorder=True)
def sum_of_squares(S: Doubles, X: Reals, lo: Int, hi: Int) -> None:
    """S (1) = Σ X[i]² over lo..hi, in float64: one piece of a gradient's norm."""
    total = double(0.0)
    for i in lanes(lo, hi, interleave=2):
        x = double(X[i])
        total += x * x
    S[0] = total


@kernel
def clip_factor(clip: Reals, squares: Doubles, count: Int, largest: Double) -> None:
    """Write clip (1): what makes gradients of the norm √Σ squares at most ``largest`` long.

    PyTorch's clip_grad_norm_: largest / (norm + 1e-6), at most 1.
    """
    total = double(0.0)
    for p in range(count):
        total += squares[p]
    clip[0] = real(min(largest / (sqrt(total) + 1e-6), 1.0))
