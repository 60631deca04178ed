"""Rows of a table by index, and the δ of the table, in which repeated indices add up."""

from __future__ import annotations

from allbps.machine.language.words import Int, Ints, Reals, kernel, lanes


@kernel
def embedding(Y: Reals, E: Reals, index: Ints, C: Int, lo: Int, hi: Int) -> None:
    """Rows lo..hi of Y (M, C) = E[index]; the indices must be rows of E."""
    for r in range(lo, hi):
        y, e = Y + r * C, E + index[r] * C
        for c in lanes(C):
            y[c] = e[c]


@kernel
def embedding_delta(
    D: Reals, G: Reals, index: Ints, V: Int, M: Int, C: Int, add: bool, lo: Int, hi: Int
) -> None:
    """Columns lo..hi of δE (V, C) (+)= Σ_r δY[r] at row index[r], r in order.

    Pieces are columns, not rows: every piece has the same work, and no two meet.
    """
    if not add:
        for v in range(V):
            for c in lanes(lo, hi):
                D[v * C + c] = 0.0
    for r in range(M):
        d, g = D + index[r] * C, G + r * C
        for c in lanes(lo, hi):
            d[c] += g[c]
