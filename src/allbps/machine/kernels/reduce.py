"""Sums whose order is fixed, whatever the number of threads."""

from __future__ import annotations

from ..words import Int, Reals, kernel, lanes


@kernel
def sum_rows(out: Reals, X: Reals, ld: Int, N: Int, lo: Int, hi: Int) -> None:
    """out[n] = Σ_r X[r, n] over rows lo..hi, first row first: δb of a bias, one partial result."""
    for n in lanes(N):
        out[n] = 0.0
    for r in range(lo, hi):
        for n in lanes(N):
            out[n] += X[r * ld + n]


@kernel
def combine(out: Reals, partials: Reals, stride: Int, count: Int, lo: Int, hi: Int) -> None:
    """out[i] = Σ_p partials[p, i], first p first, for i in lo..hi; partials are ``stride`` apart."""
    for i in lanes(lo, hi):
        out[i] = partials[i]
    for p in range(1, count):
        for i in lanes(lo, hi):
            out[i] += partials[p * stride + i]


@kernel(reorder=True)
def sum_all(X: Reals, n: Int) -> float:
    """Σ X[i], in lanes: for one piece of a longer sum."""
    total = 0.0
    for i in lanes(n, interleave=4):
        total += X[i]
    return total
