"""Convolution in all its forms: two strides and paddings, gaps in the kernel, groups of channels.

J[n, i, j, o] = Σ I[n, s·i + d·l - p, t·j + e·m - q, c] · K[l, m, c, o] over l, m and the channels
c of o's group. Each window row is a batch-reduce GEMM whose batch is the columns of the kernel.
Where every channel is a group of its own, channels are vector lanes and there is no product.

Arguments after the arrays, in this order: H, W, C, O and the kernel's h, w; strides sh, sw,
padding ph, pw, distances dh, dw of the kernel's cells; how many groups; images lo to hi.
"""

# ruff: noqa: E741 - I, J, K, O and l, m are the letters of the formulas.

from __future__ import annotations

from allbps.machine.kernels.conv import pad_image
from allbps.machine.kernels.pool import end_of_window, start_of_window, windows
from allbps.machine.language.words import BIAS, RELU, Int, Reals, brgemm, kernel, lanes


@kernel
def turn_weights(F: Reals, K: Reals, c: Int, O: Int, taps: Int) -> None:
    """F (taps, O, c) = K (taps, c, O), for grouped_input."""
    for t in range(taps):
        for o in range(O):
            for k in range(c):
                F[(t * O + o) * c + k] = K[(t * c + k) * O + o]


@kernel
def grouped_forward(
    J: Reals, I: Reals, K: Reals, bias: Reals, flags: Int, scratch: Reals,
    H: Int, W: Int, C: Int, O: Int, h: Int, w: Int, sh: Int, sw: Int, ph: Int, pw: Int,
    dh: Int, dw: Int, groups: Int, lo: Int, hi: Int,
) -> None:  # fmt: skip
    """(N, H, W, C) * (h, w, C/groups, O) -> (N, oh, ow, O); flags as the microkernel's.

    scratch: one padded image.
    """
    oh, ow = windows(H, h, sh, ph, dh), windows(W, w, sw, pw, dw)
    PW, c, o = W + 2 * pw, C // groups, O // groups
    for n in range(lo, hi):
        pad_image(scratch, I + n * H * W * C, H, W, C, ph, pw, H + 2 * ph, PW)
        for i in range(oh):
            for g in range(groups):
                to = J + (n * oh + i) * ow * O + g * o
                for l in range(h):
                    own = (1 if l > 0 else 0) + (flags if l == h - 1 else 0)
                    row = scratch + (i * sh + l * dh) * PW * C + g * c
                    brgemm(
                        to, O, row, sw * C, 1, dw * C, K + l * w * c * O + g * o, O, c * O,
                        ow, o, c, w, own, bias + g * o,
                    )  # fmt: skip


@kernel
def grouped_input(
    D: Reals, G: Reals, F: Reals, scratch: Reals,
    H: Int, W: Int, C: Int, O: Int, h: Int, w: Int, sh: Int, sw: Int, ph: Int, pw: Int,
    dh: Int, dw: Int, groups: Int, lo: Int, hi: Int,
) -> None:  # fmt: skip
    """δI: every δJ handed back through its window; F is turn_weights' result.

    scratch: one padded image.
    """
    oh, ow = windows(H, h, sh, ph, dh), windows(W, w, sw, pw, dw)
    PH, PW, c, o = H + 2 * ph, W + 2 * pw, C // groups, O // groups
    for n in range(lo, hi):
        for k in lanes(PH * PW * C):
            scratch[k] = 0.0
        for i in range(oh):
            delta = G + (n * oh + i) * ow * O
            for g in range(groups):
                for l in range(h):
                    for m in range(w):
                        to = scratch + ((i * sh + l * dh) * PW + m * dw) * C + g * c
                        brgemm(
                            to, sw * C, delta + g * o, O, 1, 0, F + ((l * w + m) * O + g * o) * c,
                            c, 0, ow, c, o, 1, 1, D,
                        )  # fmt: skip
        for i in range(H):
            row, inside = D + (n * H + i) * W * C, scratch + ((i + ph) * PW + pw) * C
            for k in lanes(W * C):
                row[k] = inside[k]


@kernel
def grouped_weights(
    D: Reals, G: Reals, I: Reals, scratch: Reals,
    H: Int, W: Int, C: Int, O: Int, h: Int, w: Int, sh: Int, sw: Int, ph: Int, pw: Int,
    dh: Int, dw: Int, groups: Int, lo: Int, hi: Int,
) -> None:  # fmt: skip
    """δK over images lo..hi, one partial result; scratch: one padded image."""
    oh, ow = windows(H, h, sh, ph, dh), windows(W, w, sw, pw, dw)
    PW, c, o = W + 2 * pw, C // groups, O // groups
    for n in range(lo, hi):
        pad_image(scratch, I + n * H * W * C, H, W, C, ph, pw, H + 2 * ph, PW)
        for g in range(groups):
            for l in range(h):
                for m in range(w):
                    brgemm(
                        D + (l * w + m) * c * O + g * o, O,
                        scratch + (l * dh * PW + m * dw) * C + g * c, 1, sw * C, sh * PW * C,
                        G + n * oh * ow * O + g * o, O, ow * O, c, o, ow, oh,
                        1 if n > lo else 0, D,
                    )  # fmt: skip


# ---- every channel a group of its own


@kernel
def depthwise_forward(
    J: Reals, I: Reals, K: Reals, bias: Reals, flags: Int,
    H: Int, W: Int, C: Int, h: Int, w: Int, sh: Int, sw: Int, ph: Int, pw: Int,
    dh: Int, dw: Int, lo: Int, hi: Int,
) -> None:  # fmt: skip
    """(N, H, W, C) * (h, w, C) -> (N, oh, ow, C), each channel by itself."""
    oh, ow = windows(H, h, sh, ph, dh), windows(W, w, sw, pw, dw)
    for n in range(lo, hi):
        for i in range(oh):
            for j in range(ow):
                to = J + ((n * oh + i) * ow + j) * C
                i0, j0 = i * sh - ph, j * sw - pw
                for c in lanes(C):
                    to[c] = 0.0
                if flags & BIAS != 0:
                    for c in lanes(C):
                        to[c] = bias[c]
                for l in range(start_of_window(i0, dh), end_of_window(i0, H, h, dh)):
                    for m in range(start_of_window(j0, dw), end_of_window(j0, W, w, dw)):
                        cell = I + ((n * H + i0 + l * dh) * W + j0 + m * dw) * C
                        tap = K + (l * w + m) * C
                        for c in lanes(C):
                            to[c] += cell[c] * tap[c]
                if flags & RELU != 0:
                    for c in lanes(C):
                        to[c] = max(to[c], 0.0)


@kernel
def depthwise_input(
    D: Reals, G: Reals, K: Reals,
    H: Int, W: Int, C: Int, h: Int, w: Int, sh: Int, sw: Int, ph: Int, pw: Int,
    dh: Int, dw: Int, lo: Int, hi: Int,
) -> None:  # fmt: skip
    """δI, each channel by itself."""
    oh, ow = windows(H, h, sh, ph, dh), windows(W, w, sw, pw, dw)
    for n in range(lo, hi):
        image = D + n * H * W * C
        for k in lanes(H * W * C):
            image[k] = 0.0
        for i in range(oh):
            for j in range(ow):
                g = G + ((n * oh + i) * ow + j) * C
                i0, j0 = i * sh - ph, j * sw - pw
                for l in range(start_of_window(i0, dh), end_of_window(i0, H, h, dh)):
                    for m in range(start_of_window(j0, dw), end_of_window(j0, W, w, dw)):
                        cell = image + ((i0 + l * dh) * W + j0 + m * dw) * C
                        tap = K + (l * w + m) * C
                        for c in lanes(C):
                            cell[c] += g[c] * tap[c]


@kernel
def depthwise_weights(
    D: Reals, G: Reals, I: Reals,
    H: Int, W: Int, C: Int, h: Int, w: Int, sh: Int, sw: Int, ph: Int, pw: Int,
    dh: Int, dw: Int, lo: Int, hi: Int,
) -> None:  # fmt: skip
    """δK over images lo..hi, one partial result, each channel by itself."""
    oh, ow = windows(H, h, sh, ph, dh), windows(W, w, sw, pw, dw)
    for k in lanes(h * w * C):
        D[k] = 0.0
    for n in range(lo, hi):
        for i in range(oh):
            for j in range(ow):
                g = G + ((n * oh + i) * ow + j) * C
                i0, j0 = i * sh - ph, j * sw - pw
                for l in range(start_of_window(i0, dh), end_of_window(i0, H, h, dh)):
                    for m in range(start_of_window(j0, dw), end_of_window(j0, W, w, dw)):
                        cell = I + ((n * H + i0 + l * dh) * W + j0 + m * dw) * C
                        tap = D + (l * w + m) * C
                        for c in lanes(C):
                            tap[c] += cell[c] * g[c]
