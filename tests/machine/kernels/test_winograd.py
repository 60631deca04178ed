"""Winograd's 3×3 convolutions against the direct ones."""

from __future__ import annotations

import numpy as np
import pytest

import allbps.functional as F
from allbps.errors import ArgumentError
from allbps.machine.compile import compile  # noqa: A004
from allbps.machine.kernels.conv import conv_forward, conv_input, conv_weights, flip_weights
from allbps.machine.kernels.winograd import (
    POINTS,
    points_apart,
    scratch_size,
    winograd_delta,
    winograd_forward,
    winograd_weights,
    winograd_weights_delta,
)

# N, H, W, C, O, padding: whole tiles, ragged ones, one pixel, more groups than one.
SHAPES = [
    (2, 6, 6, 3, 5, 0),
    (1, 26, 26, 8, 16, 0),
    (3, 8, 8, 16, 16, 1),
    (2, 7, 9, 5, 3, 1),
    (1, 3, 3, 2, 2, 0),
    (2, 5, 6, 4, 18, 2),
    (1, 41, 41, 2, 1, 1),
]

#: Rounding errors against the direct result, relative to its largest number, for inputs and
#: weights of variance 1: the matrices' constants multiply those of a plain sum by about ten.
BOUND = {np.float64: 1e-13, np.float32: 3e-5}


@pytest.fixture(params=SHAPES, ids=str)
def case(request, draw):
    N, H, W, C, O, p = request.param
    I, K, G = draw(N, H, W, C), draw(3, 3, C, O), draw(N, H + 2 * p - 2, W + 2 * p - 2, O)
    tiles = N * -(-(H + 2 * p - 2) // 4) * -(-(W + 2 * p - 2) // 4)
    size = max(scratch_size(C, O), scratch_size(O, C), (H + 9) * (W + 9) * max(C, O))
    return I, K, G, (H, W, C, O), p, tiles, np.full(size, np.nan, I.dtype)


def compare(got, want):
    assert np.abs(got - want).max() <= BOUND[want.dtype.type] * np.abs(want).max()


def test_forward_with_bias_and_relu(case, native, draw):
    I, K, G, shape, p, tiles, scratch = case
    C, O = K.shape[2:]
    U, bias = np.full(POINTS * points_apart(C, O), np.nan, I.dtype), draw(O)
    J, want = np.full_like(G, np.nan), np.empty_like(G)
    native(winograd_weights)(U, K, C, O, 0, C)
    for flags in (0, 6):
        native(conv_forward)(want, I, K, bias, flags, scratch, *shape, 3, 3, 1, p, 0, len(I))
        half = tiles // 2
        native(winograd_forward)(J, I, U, bias, flags, scratch, *shape, p, 0, half)
        native(winograd_forward)(J, I, U, bias, flags, scratch, *shape, p, half, tiles)
        compare(J, want)
        whole = np.empty_like(J)
        native(winograd_forward)(whole, I, U, bias, flags, scratch, *shape, p, 0, tiles)
        np.testing.assert_array_equal(whole, J, "the cut into pieces changed a bit")


def test_delta_of_the_weights(case, native):
    I, K, G, shape, p, tiles, scratch = case
    C, O = K.shape[2:]
    points = np.full(POINTS * points_apart(C, O), np.nan, I.dtype)
    D, want = np.empty_like(K), np.empty_like(K)
    native(conv_weights)(want, G, I, scratch, 0, *shape, 3, 3, 1, p, 0, len(I))
    native(winograd_delta)(points, G, I, 0, scratch, *shape, p, 0, tiles // 2)
    add = 1 if tiles > 1 else 0  # a piece without tiles writes nothing
    native(winograd_delta)(points, G, I, add, scratch, *shape, p, tiles // 2, tiles)
    native(winograd_weights_delta)(D, points, C, O, 0, C)
    compare(D, want)


def test_delta_of_the_input_is_a_forward_of_the_flipped_weights(case, native):
    I, K, G, shape, p, _, scratch = case
    C, O = K.shape[2:]
    H, W = G.shape[1:3]
    turned, U = np.empty(K.size, I.dtype), np.empty(POINTS * points_apart(O, C), I.dtype)
    D, want = np.full_like(I, np.nan), np.empty_like(I)
    native(flip_weights)(turned, K, C, O, 3, 3, 1, 0, C)
    native(conv_input)(want, G, turned, *shape, 3, 3, 1, p, 0, len(I))
    native(winograd_weights)(U, turned, O, C, 0, O)
    tiles = len(I) * -(-I.shape[1] // 4) * -(-I.shape[2] // 4)
    native(winograd_forward)(D, G, U, U, 0, scratch, H, W, O, C, 2 - p, 0, tiles)
    compare(D, want)


# -- the choice ------------------------------------------------------------------------------------
def convolutions(step):
    """The rows of a step's convolutions."""
    return [row["work"] for row in step.stages().rows if " * " in row["work"]]


def gradients(dtype, channels=16, **how):
    rng = np.random.default_rng(3)
    x, w = rng.standard_normal((2, channels, 8, 8)), rng.standard_normal((20, channels, 3, 3))
    x, w, g = x.astype(dtype), w.astype(dtype), rng.standard_normal((2, 20, 8, 8)).astype(dtype)
    f = lambda x, w: np.sum(F.conv2d(x, w, padding=1) * g)  # noqa: E731
    step = compile(f, x, w, params=("x", "w"), **how)
    return step, step(x, w)[1]


def test_stages_name_the_algorithm_and_it_can_be_chosen():
    pays, few = gradients(np.float32, channels=32)[0], gradients(np.float32, channels=3)[0]
    assert all(work.endswith(", by Winograd") for work in convolutions(pays))
    assert not any("Winograd" in work for work in convolutions(few))
    direct = gradients(np.float32, convolution="direct")[0]
    assert not any("Winograd" in work for work in convolutions(direct))
    asked = gradients(np.float32, channels=3, convolution="winograd")[0]
    assert all(work.endswith(", by Winograd") for work in convolutions(asked))
    assert len(convolutions(direct)) == len(convolutions(asked)) == 3


def test_either_algorithm_is_within_its_bound():
    for how in ("direct", "winograd"):
        for channels in (3, 16):
            _, found = gradients(np.float32, channels, convolution=how)
            exact = gradients(np.float64, channels)[1]
            for name, got in found.items():
                compare(got, exact[name].astype(np.float32))


def test_float64_is_always_direct():
    step = gradients(np.float64, convolution="winograd")[0]
    assert not any("Winograd" in work for work in convolutions(step))


def test_other_words_are_refused():
    with pytest.raises(ArgumentError) as caught:
        gradients(np.float32, convolution="fft")
    assert str(caught.value) == (
        "unknown convolution=\n"
        "  expected: convolution='auto' or 'direct' or 'winograd'\n"
        "  got:      'fft'"
    )
