"""Matrix products on the microkernel: A@B, Aᵀ@B and, after a transposition, A@Bᵀ."""

from __future__ import annotations

from ..words import Int, Reals, brgemm, kernel, lanes

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
        first = flags & 1 if k == 0 else 1
        last = flags & 6 if k + depth >= K else 0
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

    In squares of 16, whose lines of both arrays fit the first cache.
    """
    for j0 in range(lo, hi, 16):
        for i0 in range(0, rows, 16):
            for j in range(j0, min(j0 + 16, hi)):
                for i in lanes(i0, min(i0 + 16, rows)):
                    T[j * ldt + i] = A[i * lda + j]
