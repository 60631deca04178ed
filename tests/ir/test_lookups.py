"""Traced numbers in dicts, sets and caches: found by value as in NumPy, or refused."""

from collections import Counter
from functools import cache, lru_cache

import numpy as np
import pytest

import allbps as bp
from allbps.errors import TraceError

HERE, THERE = np.array([0.5, -1.2, 2.0]), np.array([-0.3, 0.7, 1.1])


@cache
def chebyshev(n, v):
    if n < 2:
        return v if n else 1.0
    return 2 * v * chebyshev(n - 1, v) - chebyshev(n - 2, v)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x[0] * {-1.0: 2.0, 1.0: 3.0}[np.sign(x[1])],
        lambda x: x[0] * {1.0: 2.0}.get(np.sign(x[1]), 5.0),
        lambda x: x[0] * (2.0 if np.sign(x[1]) in {1.0} else 3.0),
        lambda x: x[0] * len(set(np.sign(x))),
        lambda x: x[0] * len({np.round(x[0]), np.round(x[2])}),
        lambda x: x[0] * Counter(np.sign(x))[1.0],
        lambda x: x[0] * (hash(np.sign(x[1])) % 3),
        lambda x: x[0] * {True: 2.0, False: 3.0}[x[1] > 0],
        lambda x: x[0] * {0: 2.0, 1: 3.0, 2: 5.0}[np.argmin(x)],
    ],
    ids=["dict", "get", "in", "set", "literal", "counter", "hash", "bool", "index"],
)
def test_a_number_without_a_gradient_is_found_by_its_value(f):
    for x in (HERE, THERE):
        value, _ = bp.value_and_grad(f)(x)
        assert value == f(x)


def test_what_was_found_is_guarded_in_a_compiled_function():
    def f(x):
        return x[0] * (2.0 if np.sign(x[1]) in {1.0} else 3.0) * len(set(np.sign(x)))

    step = bp.compile(f, HERE)
    assert [step(x) for x in (HERE, THERE, HERE)] == pytest.approx([f(HERE), f(THERE), f(HERE)])


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x[0] if x[1] in {0.7, -1.2} else x[2],
        lambda x: x[0] * {-1.2: 2.0, 0.7: 3.0}[x[1]],
        lambda x: len({x[0], x[1]}) * x[2],
        lambda x: x[0] * {-1.2: 2.0, 0.7: 3.0}.get(x[1], 1.0),
        lambda x: x[0] * {-1.2: 2.0}.setdefault(x[1], 1.0),
        lambda x: x[0] * len(set(x)),
        lambda x: x[0] * len({1.0}.union([x[1]])),
        lambda x: x[0] * len(dict.fromkeys(x)),
        lambda x: x[0] * hash(x[1]),
    ],
    ids=["in", "dict", "literal", "get", "setdefault", "set", "union", "fromkeys", "hash"],
)
def test_a_number_with_a_gradient_is_not_taken_for_a_stored_one(f):
    with pytest.raises(TraceError, match="looked up by its value"):
        bp.grad(f)(HERE)


def test_a_function_that_remembers_its_results_runs_again_for_each_traced_number():
    def f(x):
        return chebyshev(5, x[0]) * 2 + chebyshev(4, x[1]) * 3 + chebyshev(5, x[1])

    x = np.array([0.5, 0.5])  # equal numbers, and plain results for them stand in the cache
    f(x)
    t4, t5 = 4 * 2 * 0.5 * (2 * 0.25 - 1) * 2, 5 * (16 * 0.0625 - 12 * 0.25 + 1)
    for _ in range(2):
        np.testing.assert_allclose(bp.grad(f)(x), [2 * t5, 3 * t4 + t5])
    assert bp.check(f, x)


class Cached:
    def __init__(self):
        self.inner = self

    @lru_cache(100)  # noqa: B019
    def cubed(self, v):
        return v**3


def by_another_name(c, v):
    known = c.cubed
    return known(v)


@pytest.mark.parametrize(
    "call",
    [
        lambda c, v: c.cubed(v),
        lambda c, v: c.inner.inner.cubed(v=v),
        lambda c, v: Cached.cubed(c, v),
        by_another_name,
        lambda c, v: sum([c.cubed(u) for u in (v,)]),
    ],
)
def test_a_cache_is_known_however_it_is_called(call):
    x = np.array([0.5, 0.5])
    grad = bp.grad(lambda x: call(c := Cached(), x[0]) + 2.0 * call(c, x[1]))(x)
    np.testing.assert_allclose(grad, [0.75, 1.5])


def test_an_array_is_no_key_as_for_numpy():
    with pytest.raises((TypeError, TraceError), match="unhashable"):
        bp.grad(lambda x: {x: 1.0}[x] * np.sum(x))(HERE)
