"""Flips, padding, picking and joining in every combination of layouts; their δ."""

from __future__ import annotations

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.machine.compile import compile  # noqa: A004
from allbps.ops.shape import dilate_op, flip, pad, subsample


def moved(y):
    """Everything that moves the numbers of a (2, 3, 6, 5) image."""
    return [
        flip(y, axis=(1, 3)),
        np.flip(y),
        subsample(y, steps=(1, 2, 3, 2)),
        dilate_op(y, steps=(1, 1, 2, 3)),
        pad(y, width=((0, 0), (1, 0), (2, 3), (0, 1))),
        pad(y, width=((0, -1), (-1, 2), (-2, -1), (1, -2))),
        np.concatenate([y, 2.0 * y, y[:, :1]], axis=1),
        np.concatenate([y[:1], y], axis=0),
        np.stack([y, -y], axis=2),
        np.roll(y, 2, axis=3),
    ]


def test_moves_of_an_image_that_lies_channels_last(doubles):
    x, w = doubles(2, 2, 7, 6), doubles(3, 2, 2, 2)
    shapes = [np.shape(z) for z in moved(np.zeros((2, 3, 6, 5)))]
    weights = [doubles(*shape) for shape in shapes]

    def f(x, w):
        parts = moved(np.tanh(F.conv2d(x, w)))
        return sum(np.sum(z * g) for z, g in zip(parts, weights, strict=True)), parts

    (loss, parts), grads = compile(f, x, w, params=("x", "w"))(x, w)
    want_loss, want = f(x, w)
    np.testing.assert_allclose(loss, want_loss, rtol=1e-12)
    for got, exact in zip(parts, want, strict=True):
        np.testing.assert_allclose(got, exact, rtol=1e-13, atol=1e-14)
    for got, exact in zip(
        grads.values(), bp.grad(lambda x, w: f(x, w)[0], argnums=(0, 1))(x, w), strict=True
    ):
        np.testing.assert_allclose(got, exact, rtol=1e-12, atol=1e-13)


def test_one_axis_and_single_numbers(doubles):
    x = doubles(7)

    def f(x):
        return [np.flip(x), np.pad(x, 2), x[::3], np.concatenate([x, x[:1]]), np.cumsum(x[::-1])]

    for got, want in zip(compile(f, x)(x), f(x), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-14)


BESIDE = [
    np.arange(1, 10),
    np.arange(1, 10, dtype=np.int8),
    np.arange(9) > 4,
]
JOINED = {
    "concatenate": lambda x, c: np.concatenate([x, c]),
    "stack": lambda x, c: np.stack([c, x]),
    "block": lambda x, c: np.block([[x, c], [c, x]]),
    "diff": lambda x, c: np.diff(x, prepend=c[:, :1]),
    "mask": lambda x, c: np.concatenate([x > 1, c]) * x[0, 0],
    "whole": lambda x, c: np.concatenate([x.astype(int), c]) * x[0, 0],
}


@pytest.mark.parametrize("join", JOINED)
@pytest.mark.parametrize("other", BESIDE, ids=lambda c: str(c.dtype))
def test_numbers_of_other_kinds_may_stand_beside(other, join):
    def f(x):
        return np.sum(JOINED[join](x, other.reshape(3, 3)) ** 2)

    x = np.linspace(0.3, 4, 9).reshape(3, 3)
    step = bp.compile(f, x, params="x")
    for given in (x, x[::-1] + 0.25):
        value, found = step(given)
        want_value, want = bp.value_and_grad(f)(given)
        np.testing.assert_allclose(value, want_value, rtol=1e-12)
        np.testing.assert_allclose(found["x"] if isinstance(found, dict) else found, want)
