"""Convolution, its δ and products for nets so small that a call of the microkernel would show.

Plain loops, one number after the other. Meant for programs that are pasted together
(``Program(paste=True)``): there every shape is a constant, LLVM writes the inner loops out, and a
sample of the lecture's net takes less time than one function call of Python.
"""

# ruff: noqa: E741 - I, J, K, O and l, m are the letters of the formulas.

from __future__ import annotations

from allbps.machine.language.words import Int, Reals, kernel


@kernel
def small_conv_forward(
    J: Reals, I: Reals, K: Reals, H: Int, W: Int, C: Int, O: Int, h: Int, w: Int
) -> None:
    """One image: (H, W, C) * (h, w, C, O) -> (H-h+1, W-w+1, O)."""
    ow = W - w + 1
    for i in range(H - h + 1):
        for j in range(ow):
            for o in range(O):
                total = 0.0
                for l in range(h):
                    for k in range(w * C):
                        total += I[((i + l) * W + j) * C + k] * K[(l * w * C + k) * O + o]
                J[(i * ow + j) * O + o] = total


@kernel
def small_conv_weights(
    D: Reals, G: Reals, I: Reals, H: Int, W: Int, C: Int, O: Int, h: Int, w: Int
) -> None:
    """δK = I * δJ of one image: (H, W, C) * (oh, ow, O) -> (h, w, C, O)."""
    oh, ow = H - h + 1, W - w + 1
    for l in range(h):
        for k in range(w * C):
            for o in range(O):
                total = 0.0
                for i in range(oh):
                    for j in range(ow):
                        total += I[((i + l) * W + j) * C + k] * G[(i * ow + j) * O + o]
                D[(l * w * C + k) * O + o] = total


@kernel
def small_conv_input(
    D: Reals, G: Reals, K: Reals, H: Int, W: Int, C: Int, O: Int, h: Int, w: Int
) -> None:
    """δI = pad(δJ) * flip(K) of one image, as each δJ handed back through its window."""
    oh, ow = H - h + 1, W - w + 1
    for i in range(H * W * C):
        D[i] = 0.0
    for i in range(oh):
        for j in range(ow):
            for o in range(O):
                g = G[(i * ow + j) * O + o]
                for l in range(h):
                    for k in range(w * C):
                        D[((i + l) * W + j) * C + k] += g * K[(l * w * C + k) * O + o]


@kernel
def small_product(
    C: Reals, A: Reals, sar: Int, sak: Int, B: Reals, sbk: Int, sbn: Int, M: Int, N: Int, K: Int
) -> None:
    """(M, K) · (K, N) -> (M, N), any strides of A and B."""
    for r in range(M):
        for n in range(N):
            total = 0.0
            for k in range(K):
                total += A[r * sar + k * sak] * B[k * sbk + n * sbn]
            C[r * N + n] = total
