"""Works along axes: beyond the table's samples, behind convolutions, with NaN and infinities."""

from __future__ import annotations

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.errors import ArgumentError
from allbps.ir import Node
from allbps.machine.compile import compile  # noqa: A004
from allbps.machine.planning.layout import in_order, row_major
from allbps.machine.planning.plan import Plan, Value
from allbps.machine.works.places import Places
from allbps.machine.works.rows import rows_of
from allbps.machine.works.tasks import Program
from allbps.ops.loss import cross_entropy_op, one_hot_op, soft_cross_entropy_op
from allbps.ops.reduce import logsumexp_op

AXES = [None, 0, 1, -1, (0, 2), (1, 3), (3, 1), (0, 1, 2, 3)]


def numbers(x):
    return x.value if isinstance(x, Node) else x


def same(got, want, rtol=1e-13):
    for key, value in want.items():
        np.testing.assert_allclose(got[key], numbers(value), rtol=rtol, atol=rtol, err_msg=str(key))


def test_reductions_of_an_image_that_lies_channels_last(doubles):
    x, w = doubles(3, 2, 9, 8), doubles(5, 2, 3, 3)

    def f(x, w):
        y = F.conv2d(x, w)
        made = {}
        for k, axis in enumerate(AXES):
            made[f"max{k}"] = np.max(y, axis=axis)
            made[f"min{k}"] = np.min(y, axis=axis, keepdims=True)
            made[f"prod{k}"] = np.prod(0.1 * y + 1, axis=axis)
            made[f"log{k}"] = logsumexp_op(y, axis=axis, keepdims=False)
        made["softmax"] = F.softmax(y, dim=1)
        made["log_softmax"] = F.log_softmax(y, dim=2)
        made["argmax"] = np.argmax(y, axis=1)
        made["sums"] = np.cumsum(y, axis=2)
        return made

    same(compile(f, x, w)(x, w), f(x, w), rtol=1e-11)


def test_gradients_go_to_the_first_of_equals(doubles):
    x = np.round(doubles(6, 7, 5))
    g = doubles(6, 5)

    def f(x):
        return np.sum(np.max(x, axis=1) * g) + np.sum(np.min(x, axis=(0, 2))) + np.max(x)

    _, got = compile(f, x, params="x")(x)
    np.testing.assert_allclose(got, bp.grad(f)(x), rtol=1e-13)


def test_nan_and_infinities_are_numpys():
    x = np.array([[1.0, np.nan, 3.0], [np.inf, 2.0, np.inf], [-np.inf, -np.inf, -np.inf]])

    def f(x):
        return {
            "max": np.max(x, axis=1), "min": np.min(x, axis=1), "argmax": np.argmax(x, axis=1),
            "argmin": np.argmin(x, axis=1), "prod": np.prod(x, axis=1),
        }  # fmt: skip

    got, want = compile(f, x)(x), f(x)
    for key, value in want.items():
        np.testing.assert_array_equal(got[key], value, err_msg=key)
    logs = compile(lambda x: logsumexp_op(x, axis=1, keepdims=False), x)(x)
    np.testing.assert_array_equal(logs, [np.nan, np.inf, -np.inf])


def test_cross_entropies_of_rows(doubles):
    x, t = doubles(4, 6, 11), np.abs(doubles(4, 6, 11))
    labels = np.random.default_rng(5).integers(0, 11, (4, 6))

    def f(x, t, labels):
        return {
            "hard": cross_entropy_op(x, labels),
            "soft": soft_cross_entropy_op(x, t, normalised=False),
            "hot": one_hot_op(labels, classes=11, dtype=np.dtype(float)),
        }

    same(compile(f, x, t, labels)(x, t, labels), f(x, t, labels))


def test_a_label_that_is_no_class_is_refused_where_it_is_an_argument():
    x, labels = np.zeros((3, 4)), np.array([0, 3, 1])
    f = compile(lambda x, labels: cross_entropy_op(x, labels), x, labels)
    with pytest.raises(ArgumentError, match="class index out of range in labels"):
        f(x, np.array([4, -1, 1]))


def test_a_label_that_was_computed_and_is_no_class_gives_nan():
    x, scores = np.zeros((3, 2)), np.eye(3)
    f = compile(lambda x, s: cross_entropy_op(x, np.argmax(s, axis=1)), x, scores[[0, 1, 1]])
    np.testing.assert_allclose(f(x, scores[[1, 1, 0]]), np.log(2.0))
    np.testing.assert_array_equal(np.isnan(f(x, scores)), [False, False, True])


def test_rows_are_read_where_they_lie():
    program = Program(np.dtype(np.float64))
    places = Places(program, Plan((), (), ()))
    x = Value((2, 5, 3, 4), np.dtype(np.float64), "x")
    lies = in_order(x.shape, (0, 2, 3, 1))
    block = places.put(x, lies).memory
    rows = rows_of(places, x, 1)
    assert (rows.place.memory, rows.count, rows.length) == (block, 24, 5)
    assert rows.reduced(Value((2, 3, 4), x.dtype)) == row_major((2, 3, 4))
    assert not program.tasks


@pytest.mark.parametrize("shape", [(1,), (2,), (7,), (5, 64), (3, 33, 4), (90, 200)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sorting_is_stable_and_leaves_nan_at_the_end(shape, dtype):
    x = np.random.default_rng(0).integers(-4, 5, shape).astype(dtype)
    x.flat[::5], x.flat[1::7], x.flat[::11] = np.nan, -np.inf, -0.0
    for axis in range(x.ndim):
        step = compile(lambda x, axis=axis: np.argsort(x, axis, kind="stable"), x)
        np.testing.assert_array_equal(step(x), np.argsort(x, axis, kind="stable"))


def test_what_is_sorted_and_the_largest_ones_have_derivatives():
    x = np.random.default_rng(0).normal(size=(4, 9))

    def f(x):
        return np.sum(np.sort(x, 1) * np.arange(9.0)) + np.sum(F.topk(x, 3)[0] ** 2)

    loss, grad = compile(f, x, params=0)(x)
    np.testing.assert_allclose(loss, f(x), rtol=1e-13)
    np.testing.assert_array_equal(grad, bp.grad(f)(x))


def test_remainders_of_division_toward_zero():
    a = np.array([5.5, -5.5, 1e300, 3.0, -0.0, np.inf, np.nan, 7.0, 1e-310])
    b = np.array([2.0, 2.0, 3.0, 0.0, 1.0, 2.0, 1.0, np.inf, 1e-3])
    with np.errstate(all="ignore"):
        want = np.fmod(a, b)
    np.testing.assert_array_equal(compile(np.fmod, a, b)(a, b), want)
