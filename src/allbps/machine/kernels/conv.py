"""Convolution, δK and δI, directly: each is a batch-reduce GEMM with other strides.

J[n, i, j, o] = Σ_{l,m,c} I[n, s·i+l-p, s·j+m-p, c] · K[l, m, c, o]   with stride s and padding p.

For one output row, a window row's (m, c) run is contiguous in I and in K, so the sum over l is the
batch, the run of w·C numbers is k, and output columns are rows of the product, s·C apart. Padding
is given to a copy of the image in scratch memory, one image at a time.
"""

# ruff: noqa: E741 - I, J, K, O and l, m are the letters of the formulas.

from __future__ import annotations

from allbps.machine.kernels.gemm import transpose
from allbps.machine.language.words import Int, Reals, brgemm, kernel, lanes


@kernel
def pad_image(
    P: Reals, I: Reals, H: Int, W: Int, C: Int, top: Int, left: Int, PH: Int, PW: Int
) -> None:
    """P (PH, PW, C) = I (H, W, C) at row ``top``, column ``left``, zeros around it."""
    for i in range(PH):
        row = P + i * PW * C
        if top <= i < top + H:
            image, run = I + (i - top) * W * C, row + left * C
            for c in lanes(left * C):
                row[c] = 0.0
            for c in lanes(W * C):
                run[c] = image[c]
            for c in lanes((left + W) * C, PW * C):
                row[c] = 0.0
        else:
            for c in lanes(PW * C):
                row[c] = 0.0


@kernel
def cut_patch(
    P: Reals, I: Reals, H: Int, W: Int, C: Int, i0: Int, j0: Int, rows: Int, columns: Int
) -> None:
    """P (rows, columns, C) = the patch of I (H, W, C) from (i0, j0) on, zeros outside I."""
    left, right = max(0, -j0), min(columns, W - j0)
    for i in range(rows):
        to = P + i * columns * C
        if i0 + i < 0 or i0 + i >= H or left >= right:
            for c in lanes(columns * C):
                to[c] = 0.0
            continue
        image = I + ((i0 + i) * W + j0) * C
        for c in lanes(left * C):
            to[c] = 0.0
        for c in lanes(left * C, right * C):
            to[c] = image[c]
        for c in lanes(right * C, columns * C):
            to[c] = 0.0


@kernel
def conv_forward(
    J: Reals, I: Reals, K: Reals, bias: Reals, flags: Int, scratch: Reals,
    H: Int, W: Int, C: Int, O: Int, h: Int, w: Int, s: Int, p: Int, lo: Int, hi: Int,
) -> None:  # fmt: skip
    """Images lo..hi of (N, H, W, C) * (h, w, C, O) -> (N, oh, ow, O); flags as the microkernel's.

    scratch: (H+2p)·(W+2p)·C numbers, unused where p = 0.
    """
    oh, ow = (H + 2 * p - h) // s + 1, (W + 2 * p - w) // s + 1
    PW = W + 2 * p
    for n in range(lo, hi):
        image = I + n * H * W * C
        if p > 0:
            pad_image(scratch, image, H, W, C, p, p, H + 2 * p, PW)
            image = scratch
        for i in range(oh):
            brgemm(
                J + (n * oh + i) * ow * O, O, image + i * s * PW * C, s * C, 1, PW * C,
                K, O, w * C * O, ow, O, w * C, h, flags, bias,
            )  # fmt: skip


@kernel
def conv_weights(
    D: Reals, G: Reals, I: Reals, scratch: Reals, flags: Int,
    H: Int, W: Int, C: Int, O: Int, h: Int, w: Int, s: Int, p: Int, lo: Int, hi: Int,
) -> None:  # fmt: skip
    """δK = I * δJ over images lo..hi, one partial result.

    (N, H, W, C) * (N, oh, ow, O) -> (h, w, C, O). For one window row l, the (m, c) run is a row
    index of step 1 in I, output columns are k, and output rows the batch. flags = 1 adds to what
    D holds. scratch as in conv_forward.
    """
    oh, ow = (H + 2 * p - h) // s + 1, (W + 2 * p - w) // s + 1
    PW = W + 2 * p
    add = flags
    for n in range(lo, hi):
        image = I + n * H * W * C
        if p > 0:
            pad_image(scratch, image, H, W, C, p, p, H + 2 * p, PW)
            image = scratch
        for l in range(h):
            brgemm(
                D + l * w * C * O, O, image + l * PW * C, 1, s * C, s * PW * C,
                G + n * oh * ow * O, O, ow * O, w * C, O, ow, oh, add, D,
            )  # fmt: skip
        add = 1


@kernel
def flip_weights(
    F: Reals, K: Reals, C: Int, O: Int, h: Int, w: Int, s: Int, lo: Int, hi: Int
) -> None:
    """Weights for conv_input: taps (a+s·t, b+s·u) of each phase (a, b) together, flipped, (O, C).

    F holds h·w·O·C numbers: phase by phase, in each (t, u) from last to first. Inputs lo..hi of
    each tap.
    """
    at = 0
    for a in range(min(s, h)):
        for b in range(min(s, w)):
            rows, columns = (h - a + s - 1) // s, (w - b + s - 1) // s
            for t in range(rows):
                for u in range(columns):
                    l, m = a + s * (rows - 1 - t), b + s * (columns - 1 - u)
                    tap = K + ((l * w + m) * C + lo) * O
                    transpose(F + (at + lo), C, tap, O, hi - lo, 0, O)
                    at += O * C


@kernel
def conv_input(
    D: Reals, G: Reals, F: Reals,
    H: Int, W: Int, C: Int, O: Int, h: Int, w: Int, s: Int, p: Int, lo: Int, hi: Int,
) -> None:  # fmt: skip
    """δI = pad(δJ) * flip(K), images lo..hi: (N, oh, ow, O) * (h, w, O, C) -> (N, H, W, C).

    No zeros of the padding are multiplied: column m of the window sends a row of δJ to the pixels
    s·j+m-p, and the rows of the window that meet pixel row i are one batch. With stride s, pixels
    (i, j) of one phase, i+p ≡ a and j+p ≡ b modulo s, meet only the taps of that phase. F is
    flip_weights' result.
    """
    oh, ow = (H + 2 * p - h) // s + 1, (W + 2 * p - w) // s + 1
    for n in range(lo, hi):
        d, g = D + n * H * W * C, G + n * oh * ow * O
        for c in lanes(H * W * C):
            d[c] = 0.0
        at = 0
        for a in range(min(s, h)):
            for b in range(min(s, w)):
                rows, columns = (h - a + s - 1) // s, (w - b + s - 1) // s
                for i in range((a - p) % s, H, s):
                    q = (i + p - a) // s  # the row of δJ that tap a sends here; tap a+s·t: q-t
                    t0, t1 = max(0, q - oh + 1), min(rows, q + 1)
                    for u in range(columns):
                        m = b + s * u - p
                        j0, j1 = (max(0, -m) + s - 1) // s, min(ow, (W - 1 - m + s) // s)
                        if t0 < t1 and j0 < j1:
                            brgemm(
                                d + (i * W + s * j0 + m) * C, s * C,
                                g + ((q - t1 + 1) * ow + j0) * O, O, 1, ow * O,
                                F + at + ((rows - t1) * columns + columns - 1 - u) * O * C,
                                C, columns * O * C, j1 - j0, C, O, t1 - t0, 1, D,
                            )  # fmt: skip
                at += rows * columns * O * C
