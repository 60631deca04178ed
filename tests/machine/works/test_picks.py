"""Constant indices: the numbers that NumPy picks, and δ that add up where a place repeats."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import allbps as bp
from allbps.machine.compile import compile  # noqa: A004

MASK = np.array([True, False, True, True, False, False])
INDICES = {
    "rows": np.array([3, 0, 3]),
    "a mask": MASK,
    "two arrays": (np.array([[0, 1], [5, 1]]), np.array([2, 2])),
    "arrays and slices": (slice(1, 5, 2), np.array([-1, 0, 0])),
    "arrays around a slice": (np.array([1, 1]), slice(None), np.array([0, 2])),
    "a new axis": (np.array([4, 2]), None, 1),
    "a mask of all axes": np.arange(6 * 4 * 3).reshape(6, 4, 3) % 5 == 0,
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES.keys())
def test_constant_indices(index):
    rng = np.random.default_rng(7)
    x = rng.standard_normal((6, 4, 3))
    g = rng.standard_normal(x[index].shape)

    def f(x):
        return np.sum(np.exp(x)[index] * g)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss, grad = compile(f, x, params="x")(x)
    np.testing.assert_allclose(loss, f(x), rtol=1e-13)
    np.testing.assert_allclose(grad, bp.grad(f)(x), rtol=1e-13)


def test_no_bit_depends_on_threads():
    x = np.random.default_rng(8).standard_normal((300, 400))
    order = np.random.default_rng(9).permutation(300)
    found = set()
    for threads in (1, 2, 3):
        step = compile(
            lambda x: np.sum(x[order] ** 2) + np.sum(x[order // 2]), x, params="x", threads=threads
        )
        loss, grad = step(x)
        found.add(np.asarray(loss).tobytes() + grad.tobytes())
    assert len(found) == 1
