"""Pooling over windows of (N, H, W, C), channels as vector lanes, and its δ.

Max-pool keeps the winner's place in the window, counted row by row, in one byte; the first of
equals wins, and NaN wins over all. With ``relu`` the pool's result is clipped at 0 as well: the
largest of clipped numbers is the clipped largest, and where it is 0 no δ passes either way.
"""

# ruff: noqa: E741 - I, J, K, O and l, m are the letters of the formulas.

from __future__ import annotations

from allbps.machine.kernels.activation import passed
from allbps.machine.language.words import (
    Bytes,
    Int,
    Reals,
    inline,
    is_nan,
    kernel,
    lanes,
    real,
    select,
    unroll,
)


@inline
def windows(n: int, k: int, s: int, p: int, d: int) -> int:
    """How many windows there are along an axis of n."""
    return (n + 2 * p - (k - 1) * d - 1) // s + 1


@inline
def start_of_window(start: int, d: int) -> int:
    """The first cell of a window from ``start`` on that is not before the image."""
    return max(0, (d - 1 - start) // d)


@inline
def end_of_window(start: int, n: int, k: int, d: int) -> int:
    """The first cell of a window that is behind the image, at most k."""
    return min(k, (n - start + d - 1) // d)


@kernel
def max_pool(
    J: Reals, winner: Bytes, I: Reals, relu: bool,
    H: Int, W: Int, C: Int, h: Int, w: Int, sh: Int, sw: Int, ph: Int, pw: Int, dh: Int, dw: Int,
    lo: Int, hi: Int,
) -> None:  # fmt: skip
    """Images lo..hi of (N, H, W, C) -> (N, oh, ow, C); a window holds h·w <= 255 cells.

    Strides sh and sw, padding ph and pw, cells of a window dh and dw apart.
    """
    oh, ow = windows(H, h, sh, ph, dh), windows(W, w, sw, pw, dw)
    quad = h == 2 and w == 2 and ph + pw == 0 and dh * dw == 1
    for n in range(lo, hi):
        image = I + n * H * W * C
        for i in range(oh):
            for j in range(ow):
                at = ((n * oh + i) * ow + j) * C
                if quad:
                    corner = image + (i * sh * W + j * sw) * C
                    _max_of_quad(J + at, winner + at, corner, W * C, C, relu)
                else:
                    i0, j0 = i * sh - ph, j * sw - pw
                    _max_of_window(J + at, winner + at, image, relu, H, W, C, h, w, dh, dw, i0, j0)


@kernel
def _max_of_quad(J: Reals, winner: Bytes, I: Reals, row: Int, C: Int, relu: bool) -> None:
    """One 2×2 window in registers."""
    for c in lanes(C):
        best, place = I[c], 0
        for k in unroll(3):
            z = I[(k + 1) // 2 * row + (k + 1) % 2 * C + c]
            better = (z > best) | is_nan(z)
            best = select(better, z, best)
            place = select(better, k + 1, place)
        J[c] = select(relu, max(best, 0.0), best)
        winner[c] = place


@kernel
def _max_of_window(
    J: Reals, winner: Bytes, I: Reals, relu: bool,
    H: Int, W: Int, C: Int, h: Int, w: Int, dh: Int, dw: Int, i0: Int, j0: Int,
) -> None:  # fmt: skip
    """One window of any size, cell by cell; cells outside the image do not take part."""
    first = True
    for l in range(start_of_window(i0, dh), end_of_window(i0, H, h, dh)):
        for m in range(start_of_window(j0, dw), end_of_window(j0, W, w, dw)):
            cell = I + ((i0 + l * dh) * W + j0 + m * dw) * C
            if first:
                for c in lanes(C):
                    J[c] = cell[c]
                    winner[c] = l * w + m
                first = False
            else:
                for c in lanes(C):
                    better = (cell[c] > J[c]) | is_nan(cell[c])
                    J[c] = select(better, cell[c], J[c])
                    winner[c] = select(better, l * w + m, winner[c])
    if relu:
        for c in lanes(C):
            J[c] = max(J[c], 0.0)


@inline
def _won(g: float, j: float, winner: int, place: int, relu: bool) -> float:
    """The δ of one cell of a window."""
    passing = select(relu, passed(g, j), g)
    return select(winner == place, passing, 0.0)


@kernel
def max_pool_delta(
    D: Reals, G: Reals, J: Reals, winner: Bytes, relu: bool,
    H: Int, W: Int, C: Int, h: Int, w: Int, sh: Int, sw: Int, ph: Int, pw: Int, dh: Int, dw: Int,
    lo: Int, hi: Int,
) -> None:  # fmt: skip
    """δI of images lo..hi: every window's δ goes to its winner; J is read only with relu."""
    oh, ow = windows(H, h, sh, ph, dh), windows(W, w, sw, pw, dw)
    quad = h == 2 and w == 2 and sh == 2 and sw == 2 and ph + pw == 0 and dh * dw == 1
    apart = quad and H % 2 == 0 and W % 2 == 0
    for n in range(lo, hi):
        image = D + n * H * W * C
        if not apart:
            for c in lanes(H * W * C):
                image[c] = 0.0
        for i in range(oh):
            for j in range(ow):
                at = ((n * oh + i) * ow + j) * C
                if apart:
                    corner = image + (i * W + j) * 2 * C
                    _delta_of_quad(corner, G + at, J + at, winner + at, W * C, C, relu)
                else:
                    i0, j0 = i * sh - ph, j * sw - pw
                    _delta_of_window(
                        image, G + at, J + at, winner + at, relu, H, W, C, h, w, dh, dw, i0, j0
                    )


@kernel
def _delta_of_quad(
    D: Reals, G: Reals, J: Reals, winner: Bytes, row: Int, C: Int, relu: bool
) -> None:
    """One 2×2 window that shares no cell with others."""
    for c in lanes(C):
        for k in unroll(4):
            D[k // 2 * row + k % 2 * C + c] = _won(G[c], J[c], winner[c], k, relu)


@kernel
def _delta_of_window(
    D: Reals, G: Reals, J: Reals, winner: Bytes, relu: bool,
    H: Int, W: Int, C: Int, h: Int, w: Int, dh: Int, dw: Int, i0: Int, j0: Int,
) -> None:  # fmt: skip
    """One window; windows that overlap add up."""
    for l in range(start_of_window(i0, dh), end_of_window(i0, H, h, dh)):
        for m in range(start_of_window(j0, dw), end_of_window(j0, W, w, dw)):
            cell = D + ((i0 + l * dh) * W + j0 + m * dw) * C
            for c in lanes(C):
                cell[c] += _won(G[c], J[c], winner[c], l * w + m, relu)


@kernel
def average_pool(
    J: Reals, I: Reals, H: Int, W: Int, C: Int, h: Int, w: Int, sh: Int, sw: Int, ph: Int, pw: Int,
    lo: Int, hi: Int,
) -> None:  # fmt: skip
    """Images lo..hi of (N, H, W, C) -> (N, oh, ow, C), the mean of each window; padding is 0.

    A global average is a window of H × W.
    """
    oh, ow = windows(H, h, sh, ph, 1), windows(W, w, sw, pw, 1)
    share = 1.0 / real(h * w)
    for n in range(lo, hi):
        for i in range(oh):
            for j in range(ow):
                to = J + ((n * oh + i) * ow + j) * C
                i0, j0 = i * sh - ph, j * sw - pw
                for c in lanes(C):
                    to[c] = 0.0
                for l in range(start_of_window(i0, 1), end_of_window(i0, H, h, 1)):
                    for m in range(start_of_window(j0, 1), end_of_window(j0, W, w, 1)):
                        cell = I + ((n * H + i0 + l) * W + j0 + m) * C
                        for c in lanes(C):
                            to[c] += cell[c]
                for c in lanes(C):
                    to[c] *= share


@kernel
def average_pool_delta(
    D: Reals, G: Reals, H: Int, W: Int, C: Int, h: Int, w: Int, sh: Int, sw: Int, ph: Int, pw: Int,
    lo: Int, hi: Int,
) -> None:  # fmt: skip
    """δI of images lo..hi: each cell of a window gets an equal share of its δ."""
    oh, ow = windows(H, h, sh, ph, 1), windows(W, w, sw, pw, 1)
    share = 1.0 / real(h * w)
    for n in range(lo, hi):
        image = D + n * H * W * C
        for c in lanes(H * W * C):
            image[c] = 0.0
        for i in range(oh):
            for j in range(ow):
                g = G + ((n * oh + i) * ow + j) * C
                i0, j0 = i * sh - ph, j * sw - pw
                for l in range(start_of_window(i0, 1), end_of_window(i0, H, h, 1)):
                    for m in range(start_of_window(j0, 1), end_of_window(j0, W, w, 1)):
                        cell = image + ((i0 + l) * W + j0 + m) * C
                        for c in lanes(C):
                            cell[c] += g[c] * share
