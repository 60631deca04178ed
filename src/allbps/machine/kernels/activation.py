"""ReLU and its δ, for kernels that end with one; other activations are formulas of loops."""

from __future__ import annotations

from allbps.machine.language.words import Int, Reals, inline, kernel, lanes, select


@inline
def passed(g: float, y: float) -> float:
    """δ through a ReLU whose result is y; ReLU′(0) = 0."""
    return select(y <= 0.0, 0.0, g)


@kernel
def relu(Y: Reals, X: Reals, lo: Int, hi: Int) -> None:
    """Y = X where not X < 0, else 0; NaN stays."""
    for i in lanes(lo, hi):
        Y[i] = max(X[i], 0.0)


@kernel
def mask(D: Reals, Y: Reals, ld: Int, lo: Int, hi: Int, left: Int, right: Int) -> None:
    """δ through a ReLU whose result is Y, where it stands: rows lo..hi, columns left..right."""
    for r in range(lo, hi):
        d, y = D + r * ld, Y + r * ld
        for n in lanes(left, right):
            d[n] = select(y[n] > 0.0, d[n], 0.0)
