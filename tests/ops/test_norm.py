"""Normalisation: what a closed-form rule must get right besides agreeing with its expansion."""

import numpy as np
import pytest

import allbps as bp
from allbps.ops.norm import standardise_op


def normed(x):
    return standardise_op(x, axes=(0, 2), eps=1e-5)


@pytest.fixture
def x(rng):
    return rng.normal(size=(4, 3, 5)) * 3 + 7


def test_mean_zero_and_variance_one(x):
    y = bp.vjp(normed, x)[0]
    np.testing.assert_allclose(np.mean(y, axis=(0, 2)), 0, atol=1e-14)
    np.testing.assert_allclose(np.var(y, axis=(0, 2)), 1, rtol=1e-5)


def test_a_shift_changes_nothing_so_delta_sums_to_zero(x, rng):
    y, pullback = bp.vjp(normed, x)
    (dx,) = pullback(rng.normal(size=y.shape))
    np.testing.assert_allclose(np.sum(dx, axis=(0, 2)), 0, atol=1e-13)


def test_a_scale_changes_nothing_so_delta_is_orthogonal_to_the_input(x, rng):
    y, pullback = bp.vjp(lambda x: standardise_op(x, axes=(0, 2), eps=0.0), x)
    (dx,) = pullback(rng.normal(size=y.shape))
    centred = x - np.mean(x, axis=(0, 2), keepdims=True)
    np.testing.assert_allclose(np.sum(dx * centred, axis=(0, 2)), 0, atol=1e-12)


def test_equal_numbers_give_zeros_and_finite_deltas():
    y, pullback = bp.vjp(normed, np.full((2, 1, 2), 5.0))
    (dx,) = pullback(np.arange(4.0).reshape(2, 1, 2))
    np.testing.assert_array_equal(y, np.zeros((2, 1, 2)))
    assert np.isfinite(dx).all()


def test_a_large_mean_does_not_cost_the_variance(rng):
    x = rng.normal(size=(2, 3, 50))
    far = bp.vjp(normed, x + 1e8)[0]
    np.testing.assert_allclose(far, bp.vjp(normed, x)[0], atol=1e-6)  # 1e8 eats 8 digits of x
