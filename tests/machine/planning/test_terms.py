"""A weight that is used several times: its δ is one product of many terms."""

from __future__ import annotations

import numpy as np
import pytest

import allbps as bp


def compiled(f, *arguments, params, **options):
    """A compiled loss with gradients, checked against the same without compiling."""
    step = bp.compile(f, *arguments, params=params, **options)
    loss, grads = step(*arguments)
    known = list(step.signature.parameters)
    want, deltas = bp.value_and_grad(f, argnums=tuple(known.index(n) for n in params))(*arguments)
    exact = {np.float64: (1e-10, 1e-11), np.float32: (2e-5, 2e-4)}[arguments[0].dtype.type]
    np.testing.assert_allclose(loss, want, rtol=exact[0])
    grads = grads if len(params) > 1 else {params[0]: grads}
    for name, delta in zip(params, deltas, strict=True):
        np.testing.assert_allclose(grads[name], delta, rtol=exact[1], atol=exact[1])
    return step


def sums_of_products(step):
    return [row["work"] for row in step.stages().rows if " terms" in row["work"]]


def twice(x, y, W):
    return np.sum(np.tanh(x @ W) ** 2) + np.sum(np.sin(y @ W))


def twice_across(x, y, W):
    """The same with W as PyTorch has it."""
    return np.sum(np.tanh(x @ W.T) ** 2) + np.sum(np.sin(y @ W.T))


@pytest.mark.parametrize(
    ("rows", "dtype"), [((40, 40), np.float64), ((3, 70), np.float32), ((1, 1), np.float64)]
)
def test_the_delta_of_a_weight_used_twice_is_one_product(rows, dtype, rng):
    x, y = (rng.standard_normal((n, 9)).astype(dtype) for n in rows)
    W = rng.standard_normal((9, 33)).astype(dtype)
    step = compiled(twice, x, y, W, params=["x", "W"])
    assert len(sums_of_products(step)) == 1
    turned = compiled(twice_across, x, y, np.ascontiguousarray(W.T), params=["x", "W"])
    assert len(sums_of_products(turned)) == 1


def test_a_recurrent_weight_gets_one_product_for_all_steps_the_same_for_any_threads(rng):
    x, W = rng.standard_normal((12, 16, 40)), rng.standard_normal((40, 40)) / 7

    def run(x, W):
        h = x[0]
        for t in range(1, len(x)):
            h = np.tanh(x[t] + h @ W)
        return np.sum(h**2)

    found = [compiled(run, x, W, params=["W"], threads=threads) for threads in (1, 2, 3)]
    assert len(sums_of_products(found[0])) == 1
    first, *others = [step(x, W)[1].tobytes() for step in found]
    assert all(other == first for other in others)


def test_terms_whose_operands_lie_differently_are_added(rng):
    x, y, W = rng.standard_normal((8, 30)), rng.standard_normal((30, 8)), np.ones((30, 12))

    def f(x, y, W):
        return np.sum(np.tanh(x @ W)) + np.sum(np.tanh(y.T @ W) ** 2)

    assert len(sums_of_products(compiled(f, x, y, W, params=["W"]))) == 1


def test_a_product_that_is_read_elsewhere_too_stays_a_product(rng):
    a, b, c, d = (rng.standard_normal((8, 8)) for _ in range(4))

    def f(a, b, c, d):
        p, q = a @ b, c @ d
        return np.sum((p + q) ** 2 * p)

    assert not sums_of_products(compiled(f, a, b, c, d, params=["a"]))


@pytest.mark.filterwarnings("ignore::allbps.machine.building.FallbackWarning")
def test_products_of_whole_numbers_are_left_to_numpy(rng):
    a, b = rng.integers(0, 9, (4, 4)), rng.integers(0, 9, (4, 4))
    step = bp.compile(lambda a, b: a @ b + b @ a, a, b)
    np.testing.assert_array_equal(step(a, b), a @ b + b @ a)
    np.testing.assert_array_equal(bp.compile(lambda a, b: a @ b, a, 0.5 * b)(a, 0.5 * b), a @ b / 2)
