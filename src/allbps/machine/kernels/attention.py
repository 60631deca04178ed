"""Attention of one head, forward and δ, in blocks of query rows.

    Z = scale·Q Kᵀ + B,   P = softmax(Z) row by row,   Y = P V

with, if causal, only keys j <= i for query i. A block of rows at a time is in scratch memory, so a
thread holds block × S numbers and the batch's T × S matrices never exist. Of the softmax the
forward keeps two numbers a row, the largest Z and 1/Σ e^(Z - largest); the δ recompute P from them
(Dao et al., "FlashAttention", arXiv:2205.14135, whose δ formulas these are):

    δV = Pᵀ δY,   δP = δY Vᵀ,   δZ = P ⊙ (δP - Σ δY ⊙ Y),   δQ = scale·δZ K,   δK = scale·δZᵀ Q.

They are two and not one, largest + ln Σ, since a largest of -10³⁸, as of a row that masks hide,
would swallow the logarithm.

Q has T rows of E numbers (one head's width), K has S of E, V has S of F, Y has T of F: rows ``ldq``
apart, ``ldk`` and so on, so that heads can live side by side in one array. B, what is ``added``, is
(T, S) or, with ldb = 0, one row for all queries. Where it ``hides``, -∞ in it means that the query
does not see the key, whatever is there; one that sees none has zeros for weights. A piece is one
(sequence, head) pair.
"""

from __future__ import annotations

from allbps.machine.kernels.functions import INFINITY, exp
from allbps.machine.kernels.gemm import transpose
from allbps.machine.kernels.loss import dot, exponentials, largest
from allbps.machine.language.words import (
    PANEL,
    Int,
    Real,
    Reals,
    brgemm,
    inline,
    kernel,
    lanes,
    select,
)

APART = 16
"""Numbers left free behind each row of S: powers of two would share a few sets of the caches."""


@inline
def attention_scratch(S: int, E: int, F: int, block: int) -> int:
    """Numbers of scratch memory that a thread needs for attention and attention_delta."""
    return (E + F + 2 * block) * (S + APART) + block


@inline
def _keys(end: int, S: int, causal: bool) -> int:
    """How many keys are multiplied with the queries before ``end``: whole panels of them."""
    return min(S, (end + PANEL - 1) // PANEL * PANEL) if causal else S


@kernel
def attention(
    Y: Reals, ldy: Int, P: Reals, Q: Reals, ldq: Int, K: Reals, ldk: Int, V: Reals, ldv: Int,
    B: Reals, ldb: Int, scratch: Reals, T: Int, S: Int, E: Int, F: Int, scale: Real, causal: bool,
    added: bool, hides: bool, block: Int,
) -> None:  # fmt: skip
    """One head: (T, E), (S, E), (S, F) -> (T, F), and P (2, T): largest scores, then 1/Σ."""
    lds = S + APART
    KT, Z = scratch, scratch + E * lds
    factor = 1.0 if added else scale
    transpose(KT, lds, K, ldk, S, 0, E)
    for r0 in range(0, T, block):
        rows = min(block, T - r0)
        keys, y = _keys(r0 + rows, S, causal), Y + r0 * ldy
        tops, shares = P + r0, P + (T + r0)
        brgemm(Z, lds, Q + r0 * ldq, ldq, 1, 0, KT, lds, 0, rows, keys, E, 1, 0, Z)
        for r in range(rows):
            z = Z + r * lds
            _complete(z, B + (r0 + r) * ldb, scale, r0 + r, causal, added, hides, keys)
            top = largest(z, keys)
            top = select(hides and top == -INFINITY, 0.0, top)
            shares[r] = exponentials(z, z, top, factor, keys)
            tops[r] = factor * top
        brgemm(y, ldy, Z, lds, 1, 0, V, ldv, 0, rows, F, keys, 1, 0, Y)
        _share(y, ldy, shares, F, rows)


@kernel
def _complete(
    z: Reals, b: Reals, scale: Real, row: Int, causal: bool, added: bool, hides: bool, keys: Int
) -> None:
    """The scores of one query from its row of Q Kᵀ, not scaled yet where nothing is added.

    The keys that a query does not see, up to the end of its block, have -∞: e^-∞ = 0, and the row
    can be worked on in whole vectors.
    """
    if hides:
        for j in lanes(keys):
            z[j] = select(b[j] == -INFINITY, -INFINITY, scale * z[j] + b[j])
    elif added:
        for j in lanes(keys):
            z[j] = scale * z[j] + b[j]
    if causal:
        for j in range(row + 1, keys):
            z[j] = -INFINITY


@kernel
def _share(Y: Reals, ldy: Int, shares: Reals, F: Int, rows: Int) -> None:
    """Σ becomes 1/Σ and Y /= Σ, row by row: what is left of a softmax whose e^Z were multiplied.

    A row that is hidden has Σ = 0, and zeros for numbers.
    """
    for r in lanes(rows):
        shares[r] = 1.0 / select(shares[r] == 0.0, 1.0, shares[r])
    for r in range(rows):
        y, share = Y + r * ldy, shares[r]
        for f in lanes(F):
            y[f] *= share


@kernel
def attention_delta(
    DQ: Reals, lddq: Int, DK: Reals, lddk: Int, DV: Reals, lddv: Int, DZ: Reals, G: Reals, ldg: Int,
    Y: Reals, ldy: Int, P: Reals, Q: Reals, ldq: Int, K: Reals, ldk: Int, V: Reals, ldv: Int,
    B: Reals, ldb: Int, scratch: Reals, T: Int, S: Int, E: Int, F: Int, scale: Real, causal: bool,
    added: bool, hides: bool, wanted: bool, block: Int,
) -> None:  # fmt: skip
    """One head: δQ, δK, δV from G = δY and what the forward made; δZ (T, S) if that is ``wanted``.

    With causal, numbers of δZ behind a block of queries are not written.
    """
    lds = S + APART
    KT, VT = scratch, scratch + E * lds
    Z, D = scratch + (E + F) * lds, scratch + (E + F + block) * lds
    factor = 1.0 if added else scale
    transpose(KT, lds, K, ldk, S, 0, E)
    transpose(VT, lds, V, ldv, S, 0, F)
    for j in range(S):
        for e in lanes(E):
            DK[j * lddk + e] = 0.0
        for f in lanes(F):
            DV[j * lddv + f] = 0.0
    for r0 in range(0, T, block):
        rows = min(block, T - r0)
        keys = _keys(r0 + rows, S, causal)
        q, g = Q + r0 * ldq, G + r0 * ldg
        brgemm(Z, lds, q, ldq, 1, 0, KT, lds, 0, rows, keys, E, 1, 0, Z)
        brgemm(D, lds, g, ldg, 1, 0, VT, lds, 0, rows, keys, F, 1, 0, D)
        for i in range(r0, r0 + rows):
            z, d = Z + (i - r0) * lds, D + (i - r0) * lds
            _complete(z, B + i * ldb, scale, i, causal, added, hides, keys)
            along = dot(G + i * ldg, Y + i * ldy, F)
            _delta_row(z, d, factor, P[i], P[T + i], along, 1.0 if wanted else scale, keys)
            if wanted:
                _note(DZ + i * S, d, scale, keys)
        brgemm(DV, lddv, Z, 1, lds, 0, g, ldg, 0, keys, F, rows, 1, 1, DV)
        brgemm(DK, lddk, D, 1, lds, 0, q, ldq, 0, keys, E, rows, 1, 1, DK)
        brgemm(DQ + r0 * lddq, lddq, D, lds, 1, 0, K, ldk, 0, rows, E, keys, 1, 0, DQ)


@kernel
def _delta_row(
    z: Reals, d: Reals, factor: Real, top: Real, share: Real, along: Real, times: Real, keys: Int
) -> None:
    """Make z = P and d = δZ of one row, so many ``times``, from its scores and d = δP."""
    for j in lanes(keys):
        p = exp(factor * z[j] - top) * share
        z[j] = p
        d[j] = p * (d[j] - along) * times


@kernel
def _note(DZ: Reals, d: Reals, scale: Real, keys: Int) -> None:
    """Keep a row of δZ, and make it that of Q Kᵀ."""
    for j in lanes(keys):
        DZ[j] = d[j]
        d[j] *= scale
