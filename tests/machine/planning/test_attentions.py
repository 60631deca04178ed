"""Attention is one kernel however it is written, and what is not attention stays what it is."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.machine.building import FallbackWarning

N, H, T, S, E = 2, 3, 5, 7, 4
LATER = np.tri(T, S) > 0


def turned(k):
    return np.swapaxes(k, -1, -2)


def used_twice(weights, v):
    return weights @ v + np.sum(weights, -1, keepdims=True) ** 2


WRITTEN = {
    "by name": lambda q, k, v, b: F.scaled_dot_product_attention(q, k, v),
    "causal": lambda q, k, v, b: F.scaled_dot_product_attention(q, k, v, is_causal=True),
    "added to": lambda q, k, v, b: F.scaled_dot_product_attention(q, k, v, b),
    "added to for each head": lambda q, k, v, b: F.scaled_dot_product_attention(q, k, v, b[0]),
    "one row is added": lambda q, k, v, b: F.softmax(0.3 * q @ turned(k) + b[0, 0, 0], -1) @ v,
    "for each example": lambda q, k, v, b: F.softmax(q @ turned(k) + b[:, :1, :1], -1) @ v,
    "masked": lambda q, k, v, b: F.scaled_dot_product_attention(q, k, v, LATER),
    "masked by numbers": lambda q, k, v, b: F.scaled_dot_product_attention(q, k, v, b > 0),
    "some see nothing": lambda q, k, v, b: F.scaled_dot_product_attention(
        q, k, v, (b > 0) & (np.arange(T)[:, None] != 2)
    ),
    "neither scaled nor added to": lambda q, k, v, b: F.softmax(q @ turned(k), -1) @ v,
    "divided": lambda q, k, v, b: F.softmax(q @ turned(k) / 2.0 + b, axis=-1) @ v,
    "twice added to": lambda q, k, v, b: F.softmax(b + 2.0 * (q @ turned(k)) + b**2, -1) @ v,
    "hidden and added to": lambda q, k, v, b: (
        F.softmax(np.where(LATER, q @ turned(k) + b, -np.inf), -1) @ v
    ),
}
OTHERS = {
    "another use of the weights": lambda q, k, v, b: used_twice(F.softmax(q @ turned(k), -1), v),
    "not scaled at all": lambda q, k, v, b: F.scaled_dot_product_attention(
        q, k, v, is_causal=True, scale=0.0
    ),
    "scaled below 0": lambda q, k, v, b: F.scaled_dot_product_attention(q, k, v, scale=-1.0),
    "hidden a little": lambda q, k, v, b: F.softmax(np.where(LATER, q @ turned(k), -2.0), -1) @ v,
    "some may see nothing": lambda q, k, v, b: (
        F.softmax(np.where(b > -1, q @ turned(k), -1e300), -1) @ v
    ),
    "along the queries": lambda q, k, v, b: F.softmax(q @ turned(k), -2) @ v,
    "keys for all examples": lambda q, k, v, b: F.scaled_dot_product_attention(q, k[:1], v[:1]),
    "more is added than there is": lambda q, k, v, b: F.softmax(q[0] @ turned(k[0]) + b, -1) @ v,
}


def checked(f, rng, **options):
    """f compiled, after value and gradients were compared with what Python makes of it."""
    args = tuple(rng.standard_normal((N, H, n, m)) for n, m in ((T, E), (S, E), (S, E), (T, S)))
    weight = rng.standard_normal((N, H, T, E))

    def loss(q, k, v, b):
        return np.sum(f(q, k, v, b) * weight) + np.sum(b)

    with warnings.catch_warnings():
        warnings.simplefilter("error", FallbackWarning)
        step = bp.compile(loss, *args, params=["q", "k", "v", "b"], **options)
    value, grads = step(*args)
    np.testing.assert_allclose(value, loss(*args), rtol=1e-12)
    for name, want in zip("qkvb", bp.grad(loss, argnums=(0, 1, 2, 3))(*args), strict=True):
        np.testing.assert_allclose(grads[name], want, rtol=1e-11, atol=1e-13, err_msg=name)
    return step


def attends(step):
    return "attention" in str(step.stages()), "δ of attention" in str(step.stages())


@pytest.mark.parametrize("name", WRITTEN)
def test_it_is_one_kernel_however_it_is_written(name, rng):
    assert attends(checked(WRITTEN[name], rng)) == (True, True)


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_quite_attention_stays_what_it_is(name, rng):
    assert attends(checked(OTHERS[name], rng)) == (False, False)


def test_attention_has_the_same_bits_for_any_number_of_threads(rng):
    args = tuple(rng.standard_normal((N, H, n, m)) for n, m in ((T, E), (S, E), (S, E), (T, S)))

    def loss(q, k, v, b):
        return np.sum(F.scaled_dot_product_attention(q, k, v, b) ** 2)

    made = [
        bp.compile(loss, *args, params=["q", "k", "v", "b"], threads=threads)(*args)
        for threads in (1, 2, 3)
    ]
    for value, grads in made[1:]:
        assert value == made[0][0]
        for name, grad in grads.items():
            np.testing.assert_array_equal(grad, made[0][1][name])
