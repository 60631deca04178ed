"""A backward function, alone or with its forward function, is run and its gradients are marked."""

import numpy as np
import pytest

from allbps.errors import ArgumentError
from allbps.verify import check

rng = np.random.default_rng(3)
X, W, B = rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)


def affine(x, w, b):
    return np.tanh(x @ w + b)


def affine_forward(x, w, b):
    y = np.tanh(x @ w + b)
    return y, (x, w, y)


def affine_backward(dout, cache):
    x, w, y = cache
    dz = dout * (1 - y**2)
    return dz @ w.T, x.T @ dz, dz.sum(0)


def cache_first(cache, dout):
    return affine_backward(dout, cache)


def delta_first(dy, x, w, b):
    return affine_backward(dy, (x, w, np.tanh(x @ w + b)))


def delta_last(x, w, b, g):
    dx, dw, db = delta_first(g, x, w, b)
    return {"x": dx, "dw": dw, "b": db}


@pytest.mark.parametrize(
    "gradients",
    [(affine_forward, affine_backward), (affine_forward, cache_first), delta_first, delta_last],
)
def test_every_way_to_write_a_backward_function_is_taken(gradients):
    report = check(affine, X, W, B, gradients=gradients, judges=["differences"])
    assert [mark.node for mark in report.marks] == ["x", "w", "b"]
    assert report, report


def forgets_the_upstream(dy, x, w, b):
    return delta_first(np.ones_like(dy), x, w, b)


def forgets_tanh(dy, x, w, b):
    return affine_backward(dy, (x, w, 0.0))


def test_a_backward_function_is_tried_with_uneven_delta():
    assert not check(affine, X, W, B, gradients=forgets_the_upstream, judges=["differences"])
    report = check(affine, X, W, B, gradients=forgets_tanh, judges=["differences"])
    names = {text for mark in report.marks for text in mark.mistakes}
    assert any("the derivative of tanh is left out" in text for text in names), names


def test_a_loss_needs_no_delta():
    def loss(x):
        return np.sum(x**2)

    def right(x):
        return 2 * x

    def scaled(g, x):
        return g * 2 * x

    def careless(g, x):
        return 2 * x

    assert check(loss, X, gradients=right, judges=["exact"])
    assert check(loss, X, gradients=scaled, judges=["exact"])
    assert not check(loss, X, gradients=careless, judges=["exact"])


def test_what_a_backward_function_raises_is_told():
    def broken(dy, x, w, b):
        raise KeyError("cache")

    with pytest.raises(ArgumentError, match="the backward function raised KeyError"):
        check(affine, X, W, B, gradients=broken)
    with pytest.raises(ArgumentError, match="returns no cache"):
        check(affine, X, W, B, gradients=(affine, affine_backward))
