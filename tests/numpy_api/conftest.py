"""A function written with plain NumPy, differentiated and judged."""

import numpy as np
import pytest

import allbps as bp
from allbps.tree import leaves, rebuild


def short(shape, rng):
    """Short decimals, none of them 0."""
    return (rng.integers(1, 33, shape) * rng.choice([-1, 1], shape) / 16)[()]


def spread(shape, rng):
    """Numbers that differ pairwise by more than a finite difference moves them."""
    size = int(np.prod(shape))
    return np.reshape(rng.permutation(size) / 4 - size / 8 + 0.3125, shape)[()]


def inner(a, b):
    return sum(float(np.sum(x * y)) for x, y in zip(leaves(a), leaves(b), strict=True))


def like(tree, make):
    return rebuild(tree, iter([make(np.shape(x)) for x in leaves(tree)]))


def moved(xs, vs, t):
    return [x + t * v for x, v in zip(xs, vs, strict=True)]


def slope(f, step=2.5e-4):
    near, far = f(step) - f(-step), f(2 * step) - f(-2 * step)
    return (8 * near - far) / (12 * step)


def check(f, *xs, order=2, seed=0):
    """Value as plain NumPy's; gradient along a line as a difference, forward mode as reverse."""
    rng = np.random.default_rng(seed)
    xs = [np.asarray(x, float)[()] for x in xs]
    plain = f(*xs)
    y, pullback = bp.vjp(f, *xs)
    for got, want in zip(leaves(y), leaves(plain), strict=True):
        assert np.shape(got) == np.shape(want)
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)
    cotangent = like(y, lambda shape: short(shape, rng))
    directions = [short(np.shape(x), rng) / 2 for x in xs]
    gradients = pullback(cotangent)
    for gradient, x in zip(gradients, xs, strict=True):
        assert np.shape(gradient) == np.shape(x)
    along = inner(list(gradients), directions)
    measured = slope(lambda t: inner(cotangent, f(*moved(xs, directions, t))))
    np.testing.assert_allclose(along, measured, rtol=1e-7, atol=1e-7, err_msg="gradient")
    _, tangent = bp.jvp(f, xs, directions)
    np.testing.assert_allclose(inner(cotangent, tangent), along, rtol=1e-9, atol=1e-9)
    if order > 1:
        check(lambda *zs: list(bp.vjp(f, *zs)[1](cotangent)), *xs, order=order - 1, seed=seed + 1)


@pytest.fixture
def agrees():
    """``agrees(f, *xs, order=2)`` judges value, gradient, forward mode and second order."""
    return check


@pytest.fixture
def draw():
    """``draw(shape)``: numbers all different, for functions that compare."""
    return lambda shape, seed=0: spread(shape, np.random.default_rng(seed))
