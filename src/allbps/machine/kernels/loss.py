"""Softmax, and cross-entropy from logits with its δ."""

from __future__ import annotations

from allbps.machine.kernels.functions import exp, log
from allbps.machine.language.words import (
    Int,
    Ints,
    Real,
    Reals,
    double,
    kernel,
    lanes,
    maximum,
    real,
)


@kernel(reorder=True)
def largest(x: Reals, n: Int) -> Real:
    """The largest x[i]; NaN if some x[i] is."""
    best = x[0]
    for i in lanes(n):
        best = maximum(best, x[i])
    return best


@kernel(reorder=True)
def exponentials(y: Reals, x: Reals, top: Real, scale: Real, n: Int) -> Real:
    """Write y[i] = e^(scale·(x[i] - top)); their sum."""
    total = 0.0
    for i in lanes(n):
        e = exp(scale * (x[i] - top))
        y[i] = e
        total += e
    return total


@kernel(reorder=True)
def dot(x: Reals, y: Reals, n: Int) -> Real:
    """Σ x[i]·y[i]."""
    total = 0.0
    for i in lanes(n):
        total += x[i] * y[i]
    return total


@kernel
def softmax(Y: Reals, X: Reals, N: Int, lo: Int, hi: Int) -> None:
    """Rows lo..hi of Y (M, N) = e^X / Σ e^X."""
    for r in range(lo, hi):
        x, y = X + r * N, Y + r * N
        share = 1.0 / exponentials(y, x, largest(x, N), 1.0, N)
        for n in lanes(N):
            y[n] *= share


@kernel
def cross_entropy(
    L: Reals, D: Reals, X: Reals, labels: Ints, scale: Real, N: Int, lo: Int, hi: Int
) -> None:
    """L (1) = Σ over rows lo..hi of scale·(ln Σ e^x - x[label]); δX = scale·(softmax(x) - onehot).

    scale = 1/M for the mean over M rows. The labels must be in 0..N-1.
    """
    total = double(0.0)
    for r in range(lo, hi):
        x, d = X + r * N, D + r * N
        top, label = largest(x, N), labels[r]
        below = top - x[label]  # read before D is written, which may be where X is
        s = exponentials(d, x, top, 1.0, N)
        total += double(scale * (log(s) + below))
        share = scale / s
        for n in lanes(N):
            d[n] *= share
        d[label] -= scale
    L[0] = real(total)
