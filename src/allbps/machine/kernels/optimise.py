"""Updates of parameters lo..hi, by torch.optim's formulas and in its order of operations.

Every update reads the gradient times ``clip``, 1 or the factor that shortens it (see
:func:`.reduce.clip_factor`). Rates are arguments, so that a schedule needs no new code.
"""

from __future__ import annotations

from allbps.machine.language.words import Int, Real, Reals, kernel, lanes, select, sqrt


@kernel
def sgd(P: Reals, G: Reals, clip: Real, lr: Real, decay: Real, lo: Int, hi: Int) -> None:
    """P -= lr·(G + decay·P)."""
    for i in lanes(lo, hi):
        P[i] -= lr * (G[i] * clip + decay * P[i])


@kernel
def momentum(
    P: Reals, G: Reals, V: Reals, clip: Real, lr: Real, decay: Real, rate: Real, damping: Real,
    nesterov: bool, first: Real, lo: Int, hi: Int,
) -> None:  # fmt: skip
    """V = rate·V + (1 - damping)·g, in the first step V = g; P -= lr·V, or lr·(g + rate·V)."""
    for i in lanes(lo, hi):
        g = G[i] * clip + decay * P[i]
        v = select(first != 0.0, g, rate * V[i] + (1.0 - damping) * g)
        V[i] = v
        P[i] -= lr * select(nesterov, g + rate * v, v)


@kernel
def adam(
    P: Reals, G: Reals, M: Reals, V: Reals, clip: Real, lr: Real, decay: Real, decoupled: bool,
    beta1: Real, beta2: Real, eps: Real, correction1: Real, correction2: Real, lo: Int, hi: Int,
) -> None:  # fmt: skip
    """Adam, and with ``decoupled`` decay AdamW (arXiv:1412.6980, arXiv:1711.05101).

    correction1 = 1 - beta1ᵗ and correction2 = √(1 - beta2ᵗ) in step t = 1, 2, ...
    """
    step = lr / correction1
    for i in lanes(lo, hi):
        p = select(decoupled, P[i] * (1.0 - lr * decay), P[i])
        g = select(decoupled, G[i] * clip, G[i] * clip + decay * p)
        m = M[i] + (1.0 - beta1) * (g - M[i])
        v = beta2 * V[i] + (1.0 - beta2) * g * g
        M[i] = m
        V[i] = v
        P[i] = p - step * (m / (sqrt(v) / correction2 + eps))


@kernel
def rmsprop(
    P: Reals, G: Reals, V: Reals, A: Reals, B: Reals, clip: Real, lr: Real, decay: Real,
    alpha: Real, eps: Real, rate: Real, centered: bool, lo: Int, hi: Int,
) -> None:  # fmt: skip
    """V: mean square of g; A: mean of g, used if centered; B: momentum of the step, rate > 0."""
    if centered:
        for i in lanes(lo, hi):
            A[i] += (1.0 - alpha) * (G[i] * clip + decay * P[i] - A[i])
    for i in lanes(lo, hi):
        g = G[i] * clip + decay * P[i]
        v = alpha * V[i] + (1.0 - alpha) * g * g
        V[i] = v
        a = select(centered, A[i], 0.0)
        step = g / (sqrt(v - a * a) + eps)
        b = rate * B[i] + step
        B[i] = b
        P[i] -= lr * b
