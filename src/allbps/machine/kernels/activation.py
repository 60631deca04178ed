"""ReLU and GELU over n numbers, and their δ; other activations are formulas of generated loops."""

from __future__ import annotations

from ..words import Int, Reals, inline, kernel, lanes, select
from . import functions


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
def relu_delta(D: Reals, G: Reals, Y: Reals, lo: Int, hi: Int) -> None:
    """δX = δY where Y > 0, else 0; Y may also be the ReLU's input."""
    for i in lanes(lo, hi):
        D[i] = passed(G[i], Y[i])


@kernel
def gelu(Y: Reals, X: Reals, lo: Int, hi: Int) -> None:
    """Y = X·Φ(X)."""
    for i in lanes(lo, hi):
        Y[i] = functions.gelu(X[i])


@kernel
def gelu_delta(D: Reals, G: Reals, X: Reals, lo: Int, hi: Int) -> None:
    """δX = δY·gelu′(X)."""
    for i in lanes(lo, hi):
        D[i] = G[i] * functions.gelu_delta(X[i])


@kernel
def gelu_tanh(Y: Reals, X: Reals, lo: Int, hi: Int) -> None:
    """GELU in its form by tanh."""
    for i in lanes(lo, hi):
        Y[i] = functions.gelu_tanh(X[i])


@kernel
def gelu_tanh_delta(D: Reals, G: Reals, X: Reals, lo: Int, hi: Int) -> None:
    """δX = δY·gelu_tanh′(X)."""
    for i in lanes(lo, hi):
        D[i] = G[i] * functions.gelu_tanh_delta(X[i])
