"""Convolutions of many channels on few pixels: read and made where PyTorch keeps the weights."""

from __future__ import annotations

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.machine.works.nests import Nest, in_lines

# N, C, O, H, W, h, w, stride, padding
SHAPES = {
    "3x3": (2, 64, 80, 5, 4, 3, 3, 1, 1),
    "stride 2": (3, 70, 64, 7, 6, 3, 3, 2, 1),
    "pixels beside the last window": (2, 64, 66, 6, 7, 3, 3, 2, 0),
    "5x5, one pixel": (1, 64, 64, 5, 5, 5, 5, 1, 0),
}


def loss(x, w, b):
    return np.sum(F.relu(F.conv2d(np.tanh(x), w, b, **OPTIONS)) ** 2)


OPTIONS = dict[str, int]()


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_numbers_and_deltas_are_those_of_the_convolution(shape, rng, monkeypatch):
    N, C, O, H, W, h, w, s, p = shape
    x, b = rng.standard_normal((N, C, H, W)), rng.standard_normal(O)
    K = rng.standard_normal((O, C, h, w)) / 20
    monkeypatch.setitem(OPTIONS, "stride", s)
    monkeypatch.setitem(OPTIONS, "padding", p)
    want, deltas = bp.value_and_grad(loss, argnums=(0, 1, 2))(x, K, b)
    found = []
    for threads in (1, 3):
        step = bp.compile(loss, x, K, b, params=["x", "w", "b"], threads=threads)
        value, grads = step(x, K, b)
        np.testing.assert_allclose(value, want, rtol=1e-12)
        for grad, delta in zip(grads.values(), deltas, strict=True):
            np.testing.assert_allclose(grad, delta, rtol=1e-9, atol=1e-10)
        found.append([value, *(grad.tobytes() for grad in grads.values())])
    assert found[0] == found[1]
    works = [row["work"] for row in step.stages().rows]
    assert sum("as one product" in work for work in works) == 3
    assert sum("windows of" in work for work in works) == 1
    assert not any("flip(" in work and "product" not in work for work in works)


def test_rows_of_the_weights_are_moved_by_the_task_that_makes_their_delta(rng):
    x, b = rng.standard_normal((2, 64, 4, 4)), rng.standard_normal(256)
    K = rng.standard_normal((256, 64, 3, 3)) / 20  # so many rows that no CPU's pieces are columns

    def f(x, w, b):
        return np.sum(F.relu(F.conv2d(x, w, b, padding=1)) ** 2)

    step = bp.compile(f, x, K, b, params=["w"], optimizer=bp.optim.SGD(0.01))
    step(x, b)
    np.testing.assert_allclose(
        step.params["w"], K - 0.01 * bp.grad(f, argnums=1)(x, K, b), rtol=1e-10, atol=1e-12
    )
    assert any("product" in row["work"] and ": SGD" in row["work"] for row in step.stages().rows)


@pytest.mark.parametrize("order", [(2, 3, 1, 0), (3, 2, 0, 1), (1, 0, 2, 3)])
def test_an_array_is_laid_out_anew_line_by_line(order, rng):
    x = rng.standard_normal((48, 70, 3, 3))

    def joined(x):
        return np.concatenate([np.transpose(x, order), np.transpose(x, order)])

    np.testing.assert_array_equal(bp.compile(joined, x)(x), joined(x))


def test_lines_are_cut_from_the_longer_axis_and_the_others_follow_the_other_array():
    nest = Nest((3, 70, 48), ((3360, 48, 1), (1, 3, 210)))
    assert in_lines(nest) == Nest((3, 70, 3, 16), ((16, 48, 3360, 1), (3360, 3, 1, 210)))
    assert in_lines(Nest((9, 8, 50), ((400, 50, 1), (1, 9, 72)))) == Nest(
        (9, 8, 50), ((400, 50, 1), (1, 9, 72))
    )
