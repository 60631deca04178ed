"""Pooling: the slide's picture, ties, overlaps, and PyTorch."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import allbps as bp
import allbps.functional as F
from allbps.errors import ArgumentError
from allbps.ops.pool import avg_pool2d, max_pool2d, winner_index

torch = pytest.importorskip("torch")


def delta(f, x, g):
    return bp.vjp(f, x)[1](g)[0]


# -- the slide -------------------------------------------------------------------------------------
def test_delta_lands_where_the_slide_says():
    x = np.array([[1.0, 2, 9, 4], [3, 8, 5, 6], [9, 1, 2, 3], [4, 5, 6, 7]])
    g = np.array([[1.0, 3.0], [2.0, 4.0]])  # δy₁ δy₃ over δy₂ δy₄
    np.testing.assert_array_equal(F.max_pool2d(x, 2), [[8, 9], [9, 7]])
    np.testing.assert_array_equal(
        delta(lambda x: F.max_pool2d(x, 2), x, g),
        [[0, 0, 3, 0], [0, 1, 0, 0], [2, 0, 0, 0], [0, 0, 0, 4]],
    )


def test_in_a_tie_the_first_in_row_major_order_gets_it_all():
    x = np.array([[0.0, 7.0], [7.0, 7.0]])
    got = delta(lambda x: F.max_pool2d(x, 2), x, np.array([[5.0]]))
    np.testing.assert_array_equal(got, [[0, 5], [0, 0]])


def test_overlapping_windows_add_their_deltas():
    x = np.array([[1.0, 2, 1], [2, 9, 2], [1, 2, 1]])
    g = np.array([[1.0, 10], [100, 1000]])
    got = delta(lambda x: F.max_pool2d(x, 2, stride=1), x, g)
    np.testing.assert_array_equal(got, [[0, 0, 0], [0, 1111, 0], [0, 0, 0]])


def test_padding_never_wins():
    x = np.full((2, 2), -3.0)
    np.testing.assert_array_equal(F.max_pool2d(x, 2, stride=2, padding=1), x)


def test_where_all_is_minus_infinity_a_pixel_wins_and_not_the_padding():
    x = np.full((1, 3, 3), -np.inf)
    options = {"kernel_size": 3, "stride": 2, "padding": 1}
    got = delta(lambda x: F.max_pool2d(x, **options), x, np.array([[[1.0, 2], [3, 4]]]))
    tensor = torch.tensor(x, requires_grad=True)
    torch.nn.functional.max_pool2d(tensor, **options).backward(torch.tensor([[[1.0, 2], [3, 4]]]))
    np.testing.assert_array_equal(got, tensor.grad.numpy())


def test_a_nan_in_a_window_is_its_maximum():
    x = np.array([[1.0, np.nan], [3.0, 2.0]])
    assert np.isnan(F.max_pool2d(x, 2)).all()
    assert winner_index(x, (2, 2), (2, 2)) == [[1]]


def test_integers_can_be_pooled_too():
    x = np.arange(16).reshape(4, 4)
    pooled = F.max_pool2d(x, 2)
    np.testing.assert_array_equal(pooled, [[5, 7], [13, 15]])
    assert pooled.dtype == x.dtype


def test_fractions_can_be_pooled_exactly():
    x = np.array([[Fraction(1, 3), Fraction(1, 2)], [Fraction(0), Fraction(1, 7)]], dtype=object)
    assert max_pool2d(x, (2, 2), (2, 2))[0, 0] == Fraction(1, 2)
    assert winner_index(x, (2, 2), (2, 2), (1, 1)).tolist() == [[0, 1], [2, 3]]
    assert avg_pool2d(x, (2, 2), (2, 2))[0, 0] == Fraction(41, 168)


def test_an_empty_batch_can_be_pooled():
    y, pullback = bp.vjp(lambda x: F.max_pool2d(x, 2), np.zeros((0, 3, 4, 4)))
    assert y.shape == (0, 3, 2, 2)
    assert pullback(y)[0].shape == (0, 3, 4, 4)


# -- any window ------------------------------------------------------------------------------------
@st.composite
def windows(draw, dilated=True):
    kernel, stride = [draw(st.tuples(st.integers(1, 4), st.integers(1, 3))) for _ in range(2)]
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 3))) if dilated else (1, 1)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    least = [max(1, r - 2 * p) for r, p in zip(reach, padding, strict=True)]
    size = [draw(st.integers(n, n + 5)) for n in least]
    return (2, 2, *size), kernel, stride, padding, dilation


@settings(max_examples=60, deadline=None, derandomize=True)
@given(windows(), st.integers(0, 2**32 - 1))
def test_max_pooling_agrees_with_pytorch_also_in_ties(case, seed):
    shape, *window = case
    try:
        F.max_pool2d(np.zeros(shape), *window)
    except ArgumentError:
        assume(False)  # a window of nothing but padding
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 4, shape) * 1.0  # few values: many ties
    y, pullback = bp.vjp(lambda x: F.max_pool2d(x, *window), x)
    tensor = torch.tensor(x, requires_grad=True)
    want = torch.nn.functional.max_pool2d(tensor, *window)
    np.testing.assert_array_equal(y, want.detach().numpy())
    g = rng.normal(size=y.shape)
    want.backward(torch.tensor(g))
    np.testing.assert_allclose(pullback(g)[0], tensor.grad.numpy(), rtol=1e-12, atol=1e-14)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(windows(dilated=False), st.booleans(), st.integers(0, 2**32 - 1))
def test_average_pooling_agrees_with_pytorch(case, count_include_pad, seed):
    shape, kernel, stride, padding, _ = case
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    options = {"stride": stride, "padding": padding, "count_include_pad": count_include_pad}
    y, pullback = bp.vjp(lambda x: F.avg_pool2d(x, kernel, **options), x)
    tensor = torch.tensor(x, requires_grad=True)
    want = torch.nn.functional.avg_pool2d(tensor, kernel, **options)
    np.testing.assert_allclose(y, want.detach().numpy(), rtol=1e-12, atol=1e-14)
    g = rng.normal(size=y.shape)
    want.backward(torch.tensor(g))
    np.testing.assert_allclose(pullback(g)[0], tensor.grad.numpy(), rtol=1e-12, atol=1e-14)


def test_max_pooling_twice_differentiated(same_as_torch, rng):
    same_as_torch(
        lambda x: F.max_pool2d(x**3, 3, 2, 1),
        lambda x: torch.nn.functional.max_pool2d(x**3, 3, 2, 1),
        rng.permutation(72).reshape(2, 1, 6, 6) / 8,
    )


def test_average_pooling_twice_differentiated(same_as_torch, rng):
    same_as_torch(
        lambda x: F.avg_pool2d(x**3, (3, 2), (2, 1), (1, 0)),
        lambda x: torch.nn.functional.avg_pool2d(x**3, (3, 2), (2, 1), (1, 0)),
        rng.normal(size=(2, 1, 5, 6)),
    )


def test_delta_of_average_pooling_is_average_pooling(rng):
    x = rng.normal(size=(5, 5))
    got = delta(lambda x: F.avg_pool2d(x, 3, stride=1), x, np.ones((3, 3)))
    counts = np.outer([1, 2, 3, 2, 1], [1, 2, 3, 2, 1])  # in so many windows is a pixel
    np.testing.assert_allclose(got, counts / 9, rtol=1e-12)
