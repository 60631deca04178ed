"""What the window of a convolution sees at each pixel, as a matrix, and its δ handed back."""

# ruff: noqa: E741 - I is the letter of the formulas.

from __future__ import annotations

from allbps.machine.language.words import Int, Ints, Reals, kernel, lanes


@kernel
def windows(
    P: Reals, I: Reals, at: Ints, C: Int, pixels: Int, each: Int, scratch: Reals, lo: Int, hi: Int
) -> None:
    """Channels lo..hi of P (C, each) = the pixels that ``at`` names, of all images (pixels, C).

    at[k] = pixels means a place beside the image. ``scratch``: pixels + 1 numbers.
    """
    for c in range(lo, hi):
        for q in lanes(pixels):
            scratch[q] = I[q * C + c]
        scratch[pixels] = 0.0
        row = P + c * each
        for k in lanes(each):
            row[k] = scratch[at[k]]


@kernel
def fold(
    D: Reals, P: Reals, H: Int, W: Int, C: Int, h: Int, w: Int, s: Int, p: Int, lo: Int, hi: Int
) -> None:
    """Images lo..hi of D (N, H, W, C): what the windows P (N·oh·ow, C·h·w) hand back, added up."""
    oh, ow = (H + 2 * p - h) // s + 1, (W + 2 * p - w) // s + 1
    for n in range(lo, hi):
        for i in range(H):
            for j in range(W):
                d = D + ((n * H + i) * W + j) * C
                for c in lanes(C):
                    d[c] = 0.0
                for a in range(h):
                    for b in range(w):
                        y, x = i + p - a, j + p - b
                        inside = (y >= 0) & (x >= 0) & (y < oh * s) & (x < ow * s)
                        if inside & (y % s == 0) & (x % s == 0):
                            seen = P + ((n * oh + y // s) * ow + x // s) * C * h * w
                            for c in lanes(C):
                                d[c] += seen[c * h * w + a * w + b]
