"""Matrix products on the microkernel: A@B, Aᵀ@B and, after a transposition, A@Bᵀ."""

from __future__ import annotations

from dataclasses import dataclass

from allbps.machine.kernels.activation import mask
from allbps.machine.language.words import (
    ADD_TO,
    BIAS,
    LANES,
    LINE,
    RELU,
    Int,
    Reals,
    brgemm,
    inline,
    kernel,
    lanes,
    transpose_square,
)

#: Rows of B multiplied at a time: 512 rows of one panel (64 float32) stay in a 256 KB cache.
DEPTH = 512


@kernel
def gemm(
    C: Reals, ldc: Int, A: Reals, sar: Int, sak: Int, B: Reals, ldb: Int,
    N: Int, K: Int, flags: Int, bias: Reals, lo: Int, hi: Int,
) -> None:  # fmt: skip
    """Rows lo..hi of (M, K) · (K, N) -> (M, N); A[r, k] is at r*sar + k*sak.

    Aᵀ@B is sar = 1, sak = the row length of the array that holds A. ``flags`` are the
    microkernel's: accumulate into C, add bias[N], ReLU.
    """
    k = 0
    while k < K or k == 0:  # K = 0 still has to write C
        depth = min(DEPTH, K - k)
        first = flags & ADD_TO if k == 0 else 1
        last = flags & (BIAS | RELU) if k + depth >= K else 0
        brgemm(
            C + lo * ldc, ldc, A + (lo * sar + k * sak), sar, sak, 0, B + k * ldb, ldb, 0,
            hi - lo, N, depth, 1, first | last, bias,
        )  # fmt: skip
        k += DEPTH


@kernel
def batched_gemm(
    C: Reals, scb: Int, ldc: Int, A: Reals, sab: Int, sar: Int, sak: Int,
    B: Reals, sbb: Int, ldb: Int, M: Int, N: Int, K: Int, flags: Int, lo: Int, hi: Int,
) -> None:  # fmt: skip
    """Products lo..hi of (b, M, K) · (b, K, N) -> (b, M, N), each apart scb, sab and sbb."""
    for b in range(lo, hi):
        gemm(C + b * scb, ldc, A + b * sab, sar, sak, B + b * sbb, ldb, N, K, flags, C, 0, M)


@kernel
def transpose(T: Reals, ldt: Int, A: Reals, lda: Int, rows: Int, lo: Int, hi: Int) -> None:
    """Rows lo..hi of T[j, i] = A[i, j], i < rows: the (K, N) operand that A@Bᵀ needs.

    In squares as wide as a vector, one beside the other until they fill whole lines of T, and one
    by one where no square fits.
    """
    for line in range(0, rows, LINE):
        for j0 in range(lo, hi, LANES):
            for i0 in range(line, min(line + LINE, rows), LANES):
                if i0 + LANES <= rows and j0 + LANES <= hi:
                    transpose_square(T + (j0 * ldt + i0), ldt, A + (i0 * lda + j0), lda)
                else:
                    for j in range(j0, min(j0 + LANES, hi)):
                        for i in range(i0, min(i0 + LANES, rows)):
                            T[j * ldt + i] = A[i * lda + j]


@dataclass(frozen=True)
class Blocks:
    """Into how many pieces a product is cut, along M, N and K.

    With ``depth`` > 1 every piece along K writes an (M, N) partial result of its own, and
    ``finish_product`` adds them and applies the epilogue.
    """

    rows: int
    columns: int
    depth: int

    @property
    def pieces(self) -> int:
        """All pieces."""
        return self.rows * self.columns * self.depth


def cut_product(M: int, N: int, K: int, panel: int = 64) -> Blocks:
    """Pieces for (M, K) · (K, N): a function of the shapes only, so that no bit depends on threads.

    Columns are cut into panels that keep K·panel numbers of B in the second cache, rows into
    blocks of some 48 or more, and only where that leaves too few pieces, a long K as well.
    """
    columns = max(1, -(-N // panel)) if K * N > 1 << 16 else 1
    rows = max(1, min(M // 48, -(-24 // columns)))
    depth = max(1, min(K // 512, -(-16 // (rows * columns)))) if rows * columns < 8 else 1
    return Blocks(rows, columns, depth)


@inline
def columns_of(c: int, columns: int, N: int) -> tuple[int, int]:
    """Where block c of so many begins and ends: whole panels of 64 columns."""
    panels = (N + 63) // 64
    return c * panels // columns * 64, min(N, (c + 1) * panels // columns * 64)


@kernel
def product_piece(
    C: Reals, ldc: Int, A: Reals, sar: Int, sak: Int, B: Reals, ldb: Int, M: Int, N: Int, K: Int,
    flags: Int, bias: Reals, rows: Int, columns: Int, depth: Int, piece: Int,
) -> None:  # fmt: skip
    """One piece of a product cut into rows × columns × depth.

    C is the result, or with depth > 1 the partial results (depth, M, N), ldc = N, flags = 0.
    """
    d, rest = piece // (rows * columns), piece % (rows * columns)
    r, c = rest // columns, rest % columns
    left, right = columns_of(c, columns, N)
    k, end = d * K // depth, (d + 1) * K // depth
    gemm(
        C + (d * M * N + left), ldc, A + k * sak, sar, sak, B + (k * ldb + left), ldb,
        right - left, end - k, flags, bias + left, r * M // rows, (r + 1) * M // rows,
    )  # fmt: skip


@kernel
def mask_piece(
    D: Reals, Y: Reals, M: Int, N: Int, rows: Int, columns: Int, piece: Int
) -> None:  # fmt: skip
    """δ through a ReLU whose result is Y, for a piece that product_piece has just made; depth 1."""
    r, c = piece // columns, piece % columns
    left, right = columns_of(c, columns, N)
    mask(D, Y, N, r * M // rows, (r + 1) * M // rows, left, right)


@kernel
def packed_product_piece(
    C: Reals, ldc: Int, A: Reals, sak: Int, B: Reals, ldb: Int, M: Int, N: Int, K: Int,
    flags: Int, bias: Reals, rows: Int, columns: Int, scratch: Reals, piece: Int,
) -> None:  # fmt: skip
    """One piece of Aᵀ@B, cut into rows × columns, where the rows that hold A collide in the cache.

    Rows a multiple of half a page apart share a few sets of the first cache. So the piece's part
    of A is copied to ``scratch`` (see packed_scratch), DEPTH rows at a time.
    """
    r, c = piece // columns, piece % columns
    left, right = columns_of(c, columns, N)
    lo, hi = r * M // rows, (r + 1) * M // rows
    width = hi - lo
    for k0 in range(0, max(K, 1), DEPTH):
        depth = min(DEPTH, K - k0)
        for k in range(depth):
            a = A + ((k0 + k) * sak + lo)
            for i in lanes(width):
                scratch[k * width + i] = a[i]
        first = flags & ADD_TO if k0 == 0 else 1
        last = flags & (BIAS | RELU) if k0 + depth >= K else 0
        brgemm(
            C + (lo * ldc + left), ldc, scratch, 1, width, 0, B + (k0 * ldb + left), ldb, 0,
            width, right - left, depth, 1, first | last, bias + left,
        )  # fmt: skip


HALF_PAGE = 2048
"""Bytes: rows a multiple of it apart compete for a few sets of the first cache."""


def collides(sar: int, sak: int, M: int, K: int, itemsize: int) -> bool:
    """Do the rows of an A that is read down its columns push each other out of the cache?"""
    return sar == 1 and M > 1 and K > 64 and sak * itemsize % HALF_PAGE == 0


def packed_scratch(M: int, K: int, cut: Blocks) -> int:
    """Numbers of scratch memory that packed_product_piece needs."""
    return min(K, DEPTH) * -(-M // cut.rows)


@kernel
def finish_product(
    C: Reals, ldc: Int, partials: Reals, count: Int, M: Int, N: Int, flags: Int, bias: Reals,
    lo: Int, hi: Int,
) -> None:  # fmt: skip
    """Rows lo..hi of C (+)= Σ_d partials[d], d in order, then the microkernel's epilogue."""
    for r in range(lo, hi):
        if not flags & ADD_TO:
            for n in lanes(N):
                C[r * ldc + n] = 0.0
        for d in range(count):
            for n in lanes(N):
                C[r * ldc + n] += partials[(d * M + r) * N + n]
        if flags & BIAS:
            for n in lanes(N):
                C[r * ldc + n] += bias[n]
        if flags & RELU:
            for n in lanes(N):
                C[r * ldc + n] = max(C[r * ldc + n], 0.0)
