"""Pooling over windows of (N, H, W, C), channels as vector lanes, and its δ.

Max-pool keeps the winner's place in the window, counted row by row, in one byte; the first of
equals wins, and NaN wins over all. With ``relu`` the pool's result is clipped at 0 as well: the
largest of clipped numbers is the clipped largest, and where it is 0 no δ passes either way.
"""

# ruff: noqa: E741 - I, J, K, O and l, m are the letters of the formulas.

from __future__ import annotations

from ..words import Bytes, Int, Reals, inline, is_nan, kernel, lanes, real, select, unroll
from .activation import passed


@kernel
def max_pool(
    J: Reals, winner: Bytes, I: Reals, relu: bool,
    H: Int, W: Int, C: Int, h: Int, w: Int, s: Int, p: Int, lo: Int, hi: Int,
) -> None:  # fmt: skip
    """Images lo..hi of (N, H, W, C) -> (N, oh, ow, C); window h × w <= 255, stride s, padding p."""
    oh, ow = (H + 2 * p - h) // s + 1, (W + 2 * p - w) // s + 1
    quad = h == 2 and w == 2 and p == 0
    for n in range(lo, hi):
        image = I + n * H * W * C
        for i in range(oh):
            for j in range(ow):
                at = ((n * oh + i) * ow + j) * C
                if quad:
                    corner = image + (i * W + j) * s * C
                    _max_of_quad(J + at, winner + at, corner, W * C, C, relu)
                else:
                    i0, j0 = i * s - p, j * s - p
                    _max_of_window(J + at, winner + at, image, relu, H, W, C, h, w, i0, j0)


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
    H: Int, W: Int, C: Int, h: Int, w: Int, i0: Int, j0: Int,
) -> None:  # fmt: skip
    """One window of any size, cell by cell; cells outside the image do not take part."""
    first = True
    for l in range(max(0, -i0), min(h, H - i0)):
        for m in range(max(0, -j0), min(w, W - j0)):
            cell = I + ((i0 + l) * W + j0 + m) * C
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
    H: Int, W: Int, C: Int, h: Int, w: Int, s: Int, p: Int, lo: Int, hi: Int,
) -> None:  # fmt: skip
    """δI of images lo..hi: every window's δ goes to its winner; J is read only with relu."""
    oh, ow = (H + 2 * p - h) // s + 1, (W + 2 * p - w) // s + 1
    apart = h == 2 and w == 2 and s == 2 and p == 0 and H % 2 == 0 and W % 2 == 0
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
                    i0, j0 = i * s - p, j * s - p
                    _delta_of_window(
                        image, G + at, J + at, winner + at, relu, H, W, C, h, w, i0, j0
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
    H: Int, W: Int, C: Int, h: Int, w: Int, i0: Int, j0: Int,
) -> None:  # fmt: skip
    """One window; windows that overlap add up."""
    for l in range(max(0, -i0), min(h, H - i0)):
        for m in range(max(0, -j0), min(w, W - j0)):
            cell = D + ((i0 + l) * W + j0 + m) * C
            for c in lanes(C):
                cell[c] += _won(G[c], J[c], winner[c], l * w + m, relu)


@kernel
def average_pool(
    J: Reals, I: Reals, H: Int, W: Int, C: Int, h: Int, w: Int, s: Int, lo: Int, hi: Int
) -> None:
    """Images lo..hi of (N, H, W, C) -> (N, oh, ow, C), the mean of each h × w window, stride s.

    A global average is a window of H × W.
    """
    oh, ow = (H - h) // s + 1, (W - w) // s + 1
    share = 1.0 / real(h * w)
    for n in range(lo, hi):
        for i in range(oh):
            for j in range(ow):
                to = J + ((n * oh + i) * ow + j) * C
                for c in lanes(C):
                    to[c] = 0.0
                for l in range(h):
                    for m in range(w):
                        cell = I + ((n * H + i * s + l) * W + j * s + m) * C
                        for c in lanes(C):
                            to[c] += cell[c]
                for c in lanes(C):
                    to[c] *= share


@kernel
def average_pool_delta(
    D: Reals, G: Reals, H: Int, W: Int, C: Int, h: Int, w: Int, s: Int, lo: Int, hi: Int
) -> None:
    """δI of images lo..hi: each cell of a window gets an equal share of its δ."""
    oh, ow = (H - h) // s + 1, (W - w) // s + 1
    share = 1.0 / real(h * w)
    for n in range(lo, hi):
        image = D + n * H * W * C
        for c in lanes(H * W * C):
            image[c] = 0.0
        for i in range(oh):
            for j in range(ow):
                g = G + ((n * oh + i) * ow + j) * C
                for l in range(h):
                    for m in range(w):
                        cell = image + ((i * s + l) * W + j * s + m) * C
                        for c in lanes(C):
                            cell[c] += g[c] * share
