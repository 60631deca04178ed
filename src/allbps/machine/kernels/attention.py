"""Attention of one head, forward and δ, in blocks of query rows.

    S = scale·Q Kᵀ,   P = softmax(S) row by row,   Y = P V

with, if causal, only keys j <= i for query i. A block of rows at a time is in scratch memory, so a
thread holds block × T numbers and the batch's T × T matrices never exist. Of the softmax the
forward keeps one number a row, L = ln Σ e^S; the δ recompute P = e^(S - L) (Dao et al.,
"FlashAttention", arXiv:2205.14135, whose δ formulas these are):

    δV = Pᵀ δY,   δP = δY Vᵀ,   δS = P ⊙ (δP - Σ δY ⊙ Y)·scale,   δQ = δS K,   δK = δSᵀ Q.

Q, K, V have rows of E numbers (one head's width) ``ld`` apart, their δ ``ldd``, Y and δY ``ldy``,
so that heads can live side by side in one array. A piece is one (sequence, head) pair.
"""

from __future__ import annotations

from allbps.machine.kernels.functions import INFINITY, exp, log
from allbps.machine.kernels.gemm import transpose
from allbps.machine.kernels.loss import dot, exponentials, largest
from allbps.machine.language.words import PANEL, Int, Real, Reals, brgemm, inline, kernel, lanes

APART = 16
"""Numbers left free behind each row of T: powers of two would share a few sets of the caches."""


@inline
def attention_scratch(T: int, E: int, block: int) -> int:
    """Numbers of scratch memory that a thread needs for attention and attention_delta."""
    return (2 * E + 2 * block) * (T + APART) + block


@inline
def _keys(end: int, T: int, causal: bool) -> int:
    """How many keys are multiplied with the queries before ``end``: whole panels of them."""
    return min(T, (end + PANEL - 1) // PANEL * PANEL) if causal else T


@kernel
def attention(
    Y: Reals, ldy: Int, L: Reals, Q: Reals, K: Reals, V: Reals, ld: Int, scratch: Reals,
    T: Int, E: Int, scale: Real, causal: bool, block: Int,
) -> None:  # fmt: skip
    """One head: (T, E), (T, E), (T, E) -> (T, E), and L (T);."""
    lds = T + APART
    KT, S = scratch, scratch + E * lds
    sums = S + block * lds
    transpose(KT, lds, K, ld, T, 0, E)
    for r0 in range(0, T, block):
        rows = min(block, T - r0)
        keys, logs, y = _keys(r0 + rows, T, causal), L + r0, Y + r0 * ldy
        brgemm(S, lds, Q + r0 * ld, ld, 1, 0, KT, lds, 0, rows, keys, E, 1, 0, S)
        for r in range(rows):
            s = S + r * lds
            _hide(s, r0 + r + 1 if causal else T, keys)
            top = largest(s, keys)
            sums[r] = exponentials(s, s, top, scale, keys)
            logs[r] = scale * top
        brgemm(y, ldy, S, lds, 1, 0, V, ld, 0, rows, E, keys, 1, 0, Y)
        _share(y, ldy, logs, sums, E, rows)


@inline
def _hide(s: Reals, seen: int, keys: int) -> None:
    """The scores of keys that a query does not see, up to the end of its block: e^-∞ = 0.

    The row can then be worked on in whole vectors.
    """
    for j in range(seen, keys):
        s[j] = -INFINITY


@kernel
def _share(Y: Reals, ldy: Int, L: Reals, sums: Reals, E: Int, rows: Int) -> None:
    """Y /= Σ, row by row, and L += ln Σ: what is left of a softmax whose e^S were multiplied."""
    for r in lanes(rows):
        L[r] += log(sums[r])
        sums[r] = 1.0 / sums[r]
    for r in range(rows):
        y, share = Y + r * ldy, sums[r]
        for e in lanes(E):
            y[e] *= share


@kernel
def attention_delta(
    DQ: Reals, DK: Reals, DV: Reals, ldd: Int, G: Reals, Y: Reals, ldy: Int, L: Reals,
    Q: Reals, K: Reals, V: Reals, ld: Int, scratch: Reals,
    T: Int, E: Int, scale: Real, causal: bool, block: Int,
) -> None:  # fmt: skip
    """One head: δQ, δK, δV (T, E), rows ldd apart, from G = δY and what the forward made."""
    lds = T + APART
    KT, VT = scratch, scratch + E * lds
    S, D = scratch + 2 * E * lds, scratch + (2 * E + block) * lds
    transpose(KT, lds, K, ld, T, 0, E)
    transpose(VT, lds, V, ld, T, 0, E)
    for j in range(T):
        for e in lanes(E):
            DK[j * ldd + e] = 0.0
            DV[j * ldd + e] = 0.0
    for r0 in range(0, T, block):
        rows = min(block, T - r0)
        keys = _keys(r0 + rows, T, causal)
        q, g = Q + r0 * ld, G + r0 * ldy
        brgemm(S, lds, q, ld, 1, 0, KT, lds, 0, rows, keys, E, 1, 0, S)
        brgemm(D, lds, g, ldy, 1, 0, VT, lds, 0, rows, keys, E, 1, 0, D)
        for r in range(rows):
            _hide(S + r * lds, r0 + r + 1 if causal else T, keys)
            along = dot(g + r * ldy, Y + (r0 + r) * ldy, E)
            _delta_row(S + r * lds, D + r * lds, L[r0 + r], along, scale, keys)
        brgemm(DV, ldd, S, 1, lds, 0, g, ldy, 0, keys, E, rows, 1, 1, DV)
        brgemm(DK, ldd, D, 1, lds, 0, q, ld, 0, keys, E, rows, 1, 1, DK)
        brgemm(DQ + r0 * ldd, ldd, D, lds, 1, 0, K, ld, 0, rows, E, keys, 1, 0, DQ)


@kernel
def _delta_row(s: Reals, d: Reals, log_sum: Real, along: Real, scale: Real, keys: Int) -> None:
    """Make s = P and d = δS of one row, from s = Q Kᵀ and d = δP."""
    for j in lanes(keys):
        p = exp(scale * s[j] - log_sum)
        s[j] = p
        d[j] = p * (d[j] - along) * scale
