"""Arrays as sets of numbers."""

import numpy as np
import pytest

import allbps as bp


def test_unique_numbers_are_copies(agrees):
    x = np.array([[3.0, 1.0], [3.0, 2.0]])
    value, pullback = bp.vjp(np.unique, x)
    np.testing.assert_array_equal(value, [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(pullback(np.array([1.0, 2.0, 3.0]))[0], [[3.0, 1.0], [0.0, 2.0]])
    agrees(lambda x: np.unique(x, axis=0), np.array([[3.0, 1.0], [2.0, 2.5]]))
    index, counts = [], []

    def f(x):
        chosen, where, many = np.unique(x, return_index=True, return_counts=True)
        index.append(where.tolist())
        counts.append(many.tolist())
        return np.sum(chosen)

    bp.grad(f)(x)
    assert (index, counts) == ([[1, 3, 0]], [[1, 1, 2]])


A, B = np.array([[3.0, 1.0], [3.0, 2.5]]), np.array([1.0, 4.0, 2.5])
SETS = {
    "union": np.union1d,
    "difference": np.setdiff1d,
    "symmetric difference": np.setxor1d,
    "intersection": np.intersect1d,
    "intersection of unique ones": lambda a, b: np.intersect1d(a[1], b, assume_unique=True),
}


@pytest.mark.parametrize("name", SETS)
def test_chosen_numbers_are_copies_of_the_first(name):
    value, pullback = bp.vjp(SETS[name], A, B)
    plain = SETS[name](A, B)
    np.testing.assert_array_equal(value, plain, strict=True)
    cotangent = np.arange(1.0, 1.0 + value.size)
    for gradient, x in zip(pullback(cotangent), (A, B), strict=True):
        assert gradient.shape == x.shape
        for k in np.ndindex(x.shape):
            assert gradient[k] in (0.0, *cotangent[plain == x[k]])
    assert sum(np.sum(g) for g in pullback(cotangent)) == np.sum(cotangent)


def test_unique_values_come_in_rising_order_here():
    value, pullback = bp.vjp(np.unique_values, A)
    np.testing.assert_array_equal(value, [1.0, 2.5, 3.0])
    np.testing.assert_array_equal(pullback(np.arange(3.0))[0], [[2.0, 0.0], [0.0, 1.0]])
