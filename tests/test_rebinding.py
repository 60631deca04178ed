"""Names that collide: a variable bound again, and arguments called as a δ is called."""

import inspect

import numpy as np
import pytest

import allbps as bp

A = np.array([1.5, 0.5])


def bound_again(x):
    y = x * x
    x = x * y
    return x * y


def contributions_by_name(x, dx_1, dx_2):
    y = x * dx_1 + x * dx_2
    return np.sum(y * x * dx_1)


def delta_beside_its_node(x, W, dW):
    Z = W * x
    return np.sum(Z * dW)


def delta_before_its_node(dh, x):
    h = x * x * dh
    return np.sum(h * x)


def numbered(x, y):
    x1 = x * y
    x = x1 * x
    x1 = x * x1
    return np.sum(x1 * x)


def logistic_map(x, r):
    for _ in range(3):
        x = r * x * (1 - x)
    return x


def newton(x, a):
    for _ in range(3):
        x = x - (x * x - a) / (2 * x)
    return x


CASES = [
    (bound_again, (2.0,)),
    (contributions_by_name, (A, 2 * A, 3 * A)),
    (delta_beside_its_node, (1.0, A, 2 * A)),
    (delta_before_its_node, (A, 2 * A)),
    (numbered, (A, 2 * A)),
    (logistic_map, (0.3, 2.7)),
    (newton, (1.5, 2.0)),
]


@pytest.mark.parametrize(("f", "args"), CASES, ids=lambda x: getattr(x, "__name__", ""))
def test_every_reading_tells_the_derivative_and_not_a_namesake(f, args):
    names = list(inspect.signature(f).parameters)
    expected = bp.grad(f, argnums=tuple(range(len(args))))(*args)
    worked = bp.explain(f, *args)
    assert worked.verify(), str(worked.verify())
    for name, gradient in zip(names, expected, strict=True):
        np.testing.assert_allclose(worked[name].delta, gradient, rtol=1e-12)
    scope = {}
    exec(worked.to_source("numpy"), scope)
    _, found = scope[f.__name__](*args)
    for mine, gradient in zip(found.values(), expected, strict=True):
        np.testing.assert_allclose(mine, gradient, rtol=1e-12)


def test_a_variable_bound_again_by_hand():
    """L = x⁵ at x = 2, so dL/dx = 5·2⁴ = 80."""
    assert bp.explain(bound_again, 2.0)["x"].delta == 80.0
