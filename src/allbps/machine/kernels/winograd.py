"""3×3 convolutions of stride 1 by Winograd's F(4×4, 3×3), and their δK and δI.

A tile of 4×4 outputs needs a 6×6 patch d of the input. With Lavin and Gray's matrices ("Fast
Algorithms for Convolutional Neural Networks", arXiv:1509.09308),

    J = Aᵀ [ (G K Gᵀ) ⊙ (Bᵀ d B) ] A        36 products a tile and channel pair instead of 144.

Summed over channels, each of the 36 points is a matrix product (tiles, C) · (C, O). The same
identity transposed gives δK = Gᵀ [ Σ_tiles (Bᵀ d B) ⊗ (A δJ Aᵀ) ] G, again 36 products; δI is a
convolution of δJ with the flipped kernel. Rounding errors grow by the matrices' constants: in
float32 results are good to about 1e-5 of the largest one. float64 is always done directly.

Every transform is a loop over one axis of the patch with the channels as vector lanes; it is
applied to rows, then to columns.
"""

# ruff: noqa: E741 - I, J, K, O and l, m are the letters of the formulas.

from __future__ import annotations

from allbps.machine.kernels.conv import cut_patch
from allbps.machine.language.words import (
    BIAS,
    LANES,
    RELU,
    Int,
    Real,
    Reals,
    brgemm,
    inline,
    kernel,
    lanes,
    select,
    stack,
    unroll,
)

POINTS = 36

#: Numbers left free after each point's tiles: 36 points a multiple of 4 KB apart would all fall
#: into one set of the first cache.
APART = 16


@inline
def points_apart(C: Int, O: Int) -> Int:
    """Numbers from one point's weights to the next's."""
    return C * O + APART


@inline
def _input(
    d0: Real, d1: Real, d2: Real, d3: Real, d4: Real, d5: Real
) -> tuple[Real, Real, Real, Real, Real, Real]:
    """Bᵀ d, one column."""
    a, b = d4 - 4.0 * d2, d3 - 4.0 * d1
    c, e = d4 - d2, 2.0 * (d3 - d1)
    return 4.0 * d0 - 5.0 * d2 + d4, a + b, a - b, c + e, c - e, 4.0 * d1 - 5.0 * d3 + d5


@inline
def _output(
    m0: Real, m1: Real, m2: Real, m3: Real, m4: Real, m5: Real
) -> tuple[Real, Real, Real, Real]:
    """Aᵀ m, one column."""
    a, b, c, e = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    return m0 + a + c, b + 2.0 * e, a + 4.0 * c, b + 8.0 * e + m5


@inline
def _delta(g0: Real, g1: Real, g2: Real, g3: Real) -> tuple[Real, Real, Real, Real, Real, Real]:
    """A g, one column: _output transposed."""
    a, b = g0 + g2, g1 + g3
    c, e = g0 + 4.0 * g2, 2.0 * g1 + 8.0 * g3
    return g0, a + b, a - b, c + e, c - e, g3


@inline
def _weights(k0: Real, k1: Real, k2: Real) -> tuple[Real, Real, Real, Real, Real, Real]:
    """G k, one column."""
    a, b = (k0 + k2) * (-1.0 / 6.0), k1 * (-1.0 / 6.0)
    c, e = k0 * (1.0 / 24.0) + k2 * (1.0 / 6.0), k1 * (1.0 / 12.0)
    return k0 * 0.25, a + b, a - b, c + e, c - e, k2


@inline
def _weights_delta(
    u0: Real, u1: Real, u2: Real, u3: Real, u4: Real, u5: Real
) -> tuple[Real, Real, Real]:
    """Gᵀ u, one column: _weights transposed."""
    a, b, c, e = u1 + u2, u1 - u2, u3 + u4, u3 - u4
    return (
        u0 * 0.25 - a * (1.0 / 6.0) + c * (1.0 / 24.0),
        e * (1.0 / 12.0) - b * (1.0 / 6.0),
        (c - a) * (1.0 / 6.0) + u5,
    )


# ---- the weights


@kernel
def winograd_weights(U: Reals, K: Reals, C: Int, O: Int, lo: Int, hi: Int) -> None:
    """U (36, C, O), points_apart, = G K Gᵀ for input channels lo..hi of K (3, 3, C, O)."""
    step, half = points_apart(C, O), stack(18 * LANES)
    for k in range(lo * O, hi * O, LANES):
        _weights_block(U + k, K + k, C * O, step, half, min(LANES, hi * O - k))


@inline
def _weights_block(U: Reals, K: Reals, size: int, step: int, half: Reals, n: int) -> None:
    """Up to a vector of weights; in loops, since LLVM thinks long about 36 addresses at once."""
    for m in range(3):
        q, to = K + m * size, half + m * LANES
        for k in lanes(n):
            t = _weights(q[k], q[3 * size + k], q[6 * size + k])
            for y in unroll(6):
                to[y * 3 * LANES + k] = t[y]
    for y in range(6):
        h, u = half + y * 3 * LANES, U + y * 6 * step
        for k in lanes(n):
            t = _weights(h[k], h[LANES + k], h[2 * LANES + k])
            for x in unroll(6):
                u[x * step + k] = t[x]


@kernel
def winograd_weights_delta(D: Reals, U: Reals, C: Int, O: Int, lo: Int, hi: Int) -> None:
    """δK (3, 3, C, O) = Gᵀ U G for input channels lo..hi of U (36, C, O), points_apart."""
    step, half = points_apart(C, O), stack(18 * LANES)
    for k in range(lo * O, hi * O, LANES):
        _weights_delta_block(D + k, U + k, C * O, step, half, min(LANES, hi * O - k))


@inline
def _weights_delta_block(D: Reals, U: Reals, size: int, step: int, half: Reals, n: int) -> None:
    for y in range(6):
        u, to = U + y * 6 * step, half + y * 3 * LANES
        for k in lanes(n):
            t = _weights_delta(
                u[k], u[step + k], u[2 * step + k], u[3 * step + k], u[4 * step + k],
                u[5 * step + k],
            )  # fmt: skip
            for m in unroll(3):
                to[m * LANES + k] = t[m]
    for m in range(3):
        h, d = half + m * LANES, D + m * size
        for k in lanes(n):
            t = _weights_delta(
                h[k], h[3 * LANES + k], h[6 * LANES + k], h[9 * LANES + k], h[12 * LANES + k],
                h[15 * LANES + k],
            )  # fmt: skip
            for l in unroll(3):
                d[l * 3 * size + k] = t[l]


# ---- patches of images


@kernel
def _input_patch(V: Reals, step: Int, d: Reals, row: Int, C: Int) -> None:
    """V[y, x] = Bᵀ d B for a patch of 6×6 pixels of C channels, rows ``row`` apart.

    V's 36 points are ``step`` apart.
    """
    half, whole = stack(POINTS * LANES), C // LANES * LANES
    for c in range(0, whole, LANES):
        _input_block(V + c, step, d + c, row, C, half, LANES)
    if whole < C:
        _input_block(V + whole, step, d + whole, row, C, half, C - whole)


@inline
def _input_block(V: Reals, step: int, d: Reals, row: int, C: int, half: Reals, n: int) -> None:
    """Up to a vector of channels; where n is the constant LANES no loop over them remains."""
    for x in range(6):
        q, to = d + x * C, half + x * LANES
        for c in lanes(n):
            t = _input(
                q[c], q[row + c], q[2 * row + c], q[3 * row + c], q[4 * row + c], q[5 * row + c]
            )
            for y in unroll(6):
                to[y * 6 * LANES + c] = t[y]
    for y in range(6):
        h, v = half + y * 6 * LANES, V + y * 6 * step
        for c in lanes(n):
            t = _input(
                h[c], h[LANES + c], h[2 * LANES + c], h[3 * LANES + c], h[4 * LANES + c],
                h[5 * LANES + c],
            )  # fmt: skip
            for x in unroll(6):
                v[x * step + c] = t[x]


@kernel
def _delta_patch(V: Reals, step: Int, g: Reals, row: Int, O: Int) -> None:
    """V[y, x] = A g Aᵀ for a patch of 4×4 pixels of O channels."""
    half, whole = stack(24 * LANES), O // LANES * LANES
    for o in range(0, whole, LANES):
        _delta_block(V + o, step, g + o, row, O, half, LANES)
    if whole < O:
        _delta_block(V + whole, step, g + whole, row, O, half, O - whole)


@inline
def _delta_block(V: Reals, step: int, g: Reals, row: int, O: int, half: Reals, n: int) -> None:
    for x in range(4):
        q, to = g + x * O, half + x * LANES
        for o in lanes(n):
            t = _delta(q[o], q[row + o], q[2 * row + o], q[3 * row + o])
            for y in unroll(6):
                to[y * 4 * LANES + o] = t[y]
    for y in range(6):
        h, v = half + y * 4 * LANES, V + y * 6 * step
        for o in lanes(n):
            t = _delta(h[o], h[LANES + o], h[2 * LANES + o], h[3 * LANES + o])
            for x in unroll(6):
                v[x * step + o] = t[x]


@kernel
def _output_patch(J: Reals, row: Int, M: Reals, step: Int, O: Int, bias: Reals, relu: bool) -> None:
    """4×4 pixels of J, rows ``row`` apart, = Aᵀ M A + bias, clipped if asked."""
    half, whole = stack(24 * LANES), O // LANES * LANES
    for o in range(0, whole, LANES):
        _output_block(J + o, row, M + o, step, O, bias + o, relu, half, LANES)
    if whole < O:
        _output_block(J + whole, row, M + whole, step, O, bias + whole, relu, half, O - whole)


@inline
def _output_block(
    J: Reals, row: int, M: Reals, step: int, O: int, bias: Reals, relu: bool, half: Reals, n: int
) -> None:
    for x in range(6):
        m, to = M + x * step, half + x * LANES
        for o in lanes(n):
            t = _output(
                m[o], m[6 * step + o], m[12 * step + o], m[18 * step + o], m[24 * step + o],
                m[30 * step + o],
            )  # fmt: skip
            for y in unroll(4):
                to[y * 6 * LANES + o] = t[y]
    for y in range(4):
        h, j = half + y * 6 * LANES, J + y * row
        for o in lanes(n):
            t = _output(
                h[o], h[LANES + o], h[2 * LANES + o], h[3 * LANES + o], h[4 * LANES + o],
                h[5 * LANES + o],
            )  # fmt: skip
            for x in unroll(4):
                z = t[x] + bias[o]
                j[x * O + o] = select(relu, max(z, 0.0), z)


@kernel
def _write_patch(J: Reals, P: Reals, H: Int, W: Int, C: Int, i0: Int, j0: Int) -> None:
    """The part of P (4, 4, C) inside J (H, W, C), from (i0, j0) on."""
    for i in range(min(4, H - i0)):
        to, source = J + ((i0 + i) * W + j0) * C, P + i * 4 * C
        for c in lanes(min(4, W - j0) * C):
            to[c] = source[c]


# ---- whole kernels: pieces are tiles, numbered through all images


@inline
def group_size(C: Int, O: Int) -> Int:
    """Tiles transformed at a time: 36 points of C + O channels stay in half a megabyte."""
    return min(96, max(6, 3600 // (C + O) // 6 * 6))


@inline
def scratch_size(C: Int, O: Int) -> Int:
    """Numbers of scratch memory that a thread needs for winograd_forward or winograd_delta."""
    return POINTS * (group_size(C, O) * (C + O) + 2 * APART + max(C, O)) + O


@kernel
def _transform_inputs(
    V: Reals, I: Reals, patch: Reals, H: Int, W: Int, C: Int, p: Int, th: Int, tw: Int,
    lo: Int, hi: Int,
) -> None:  # fmt: skip
    """V (36, hi-lo, C), points APART numbers apart: those of tiles lo..hi; patch: 36·C numbers."""
    step = (hi - lo) * C + APART
    for t in range(lo, hi):
        n, i0, j0 = t // (th * tw), t // tw % th * 4 - p, t % tw * 4 - p
        image = I + n * H * W * C
        if i0 >= 0 and j0 >= 0 and i0 + 6 <= H and j0 + 6 <= W:
            _input_patch(V + (t - lo) * C, step, image + (i0 * W + j0) * C, W * C, C)
        else:
            cut_patch(patch, image, H, W, C, i0, j0, 6, 6)
            _input_patch(V + (t - lo) * C, step, patch, 6 * C, C)


@kernel
def winograd_forward(
    J: Reals, I: Reals, U: Reals, bias: Reals, flags: Int, scratch: Reals,
    H: Int, W: Int, C: Int, O: Int, p: Int, lo: Int, hi: Int,
) -> None:  # fmt: skip
    """Tiles lo..hi of (N, H, W, C) * (3, 3, C, O) -> (N, oh, ow, O), padding p, stride 1.

    U is winograd_weights' result. There are N·⌈oh/4⌉·⌈ow/4⌉ tiles. flags: 2 adds bias (O), 4 clips
    at 0. δI is the same with δJ for I, flipped weights, and padding 2 - p.
    """
    oh, ow = H + 2 * p - 2, W + 2 * p - 2
    th, tw = (oh + 3) // 4, (ow + 3) // 4
    group = group_size(C, O)
    V, M = scratch, scratch + POINTS * (group * C + APART)
    patch = M + POINTS * (group * O + APART)
    zeros = patch + POINTS * max(C, O)
    for o in lanes(O):
        zeros[o] = 0.0
    shift = bias if flags & BIAS else zeros
    for t0 in range(lo, hi, group):
        end = min(t0 + group, hi)
        tiles = end - t0
        step = tiles * O + APART
        _transform_inputs(V, I, patch, H, W, C, p, th, tw, t0, end)
        for k in range(POINTS):
            brgemm(
                M + k * step, O, V + k * (tiles * C + APART), C, 1, 0,
                U + k * points_apart(C, O), O, 0, tiles, O, C, 1, 0, U,
            )  # fmt: skip
        for t in range(t0, end):
            n, i0, j0 = t // (th * tw), t // tw % th * 4, t % tw * 4
            m, image = M + (t - t0) * O, J + n * oh * ow * O
            if i0 + 4 <= oh and j0 + 4 <= ow:
                to = image + (i0 * ow + j0) * O
                _output_patch(to, ow * O, m, step, O, shift, flags & RELU != 0)
            else:
                _output_patch(patch, 4 * O, m, step, O, shift, flags & RELU != 0)
                _write_patch(image, patch, oh, ow, O, i0, j0)


@kernel
def winograd_delta(
    D: Reals, G: Reals, I: Reals, flags: Int, scratch: Reals,
    H: Int, W: Int, C: Int, O: Int, p: Int, lo: Int, hi: Int,
) -> None:  # fmt: skip
    """D (36, C, O) = Σ (Bᵀ d B) ⊗ (A δJ Aᵀ) over tiles lo..hi: one partial result of δK's points.

    winograd_weights_delta makes δK of it. flags = 1 adds to what D holds.
    """
    oh, ow = H + 2 * p - 2, W + 2 * p - 2
    th, tw = (oh + 3) // 4, (ow + 3) // 4
    group = group_size(C, O)
    V, M = scratch, scratch + POINTS * (group * C + APART)
    patch = M + POINTS * (group * O + APART)
    add = flags
    for t0 in range(lo, hi, group):
        end = min(t0 + group, hi)
        tiles = end - t0
        step = tiles * O + APART
        _transform_inputs(V, I, patch, H, W, C, p, th, tw, t0, end)
        for t in range(t0, end):
            n, i0, j0 = t // (th * tw), t // tw % th * 4, t % tw * 4
            m, image = M + (t - t0) * O, G + n * oh * ow * O
            if i0 + 4 <= oh and j0 + 4 <= ow:
                _delta_patch(m, step, image + (i0 * ow + j0) * O, ow * O, O)
            else:
                cut_patch(patch, image, oh, ow, O, i0, j0, 4, 4)
                _delta_patch(m, step, patch, 4 * O, O)
        for k in range(POINTS):
            brgemm(
                D + k * points_apart(C, O), O, V + k * (tiles * C + APART), 1, C, 0,
                M + k * step, O, 0, C, O, tiles, 1, add, D,
            )  # fmt: skip
        add = 1
