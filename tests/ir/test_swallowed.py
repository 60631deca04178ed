"""A function that catches what tracing alone raises is another one than on plain arrays."""

import contextlib
import functools
import json
import math
import sys

import numpy as np
import pytest
import scipy.linalg

import allbps as bp
from allbps.errors import AllBPsError, OutOfRangeError, TraceError

X = np.array([0.5, 1.5])
A = np.array([[2.0, 0.3], [0.3, 1.0]])


def maths(x):
    try:
        return math.exp(x[0]) * np.sum(x)
    except TypeError:
        return np.sum(x)


def all_errors(x):
    try:
        k = float(x[1])
    except:  # noqa: E722  (as people write it)
        k = 1.0
    return k * np.sum(x * x)


def suppressed(x):
    with contextlib.suppress(TypeError):
        return np.sum(x) * float(x[0])
    return np.sum(x)


def in_a_helper(x):
    def number(part):
        try:
            return float(part)
        except (TypeError, ValueError):
            return 0.0

    return np.sum(x) + [number][0](x[0])


def option(x):
    try:
        return np.sum(np.exp(x, order="F"))
    except ValueError:
        return np.sum(x)


def text(x):
    try:
        json.dumps(list(x))
        k = 1.0
    except Exception:
        k = 2.0
    return k * np.sum(x * x)


def memory(x):
    try:
        memoryview(x)
        k = 1.0
    except TypeError:
        k = 2.0
    return k * np.sum(x * x)


def library(x):
    try:
        return np.sum(scipy.linalg.expm(np.outer(x, x)))
    except Exception:
        return np.sum(x)


class Net:
    def lower(self, x):
        try:
            return float(x[0]) * x
        except TypeError:
            return x

    def __call__(self, x):
        return np.sum(self.lower(x))


SWALLOWING = [
    maths, all_errors, suppressed, in_a_helper, option, text, memory, library,
    Net(), functools.partial(lambda k, x: k * maths(x), 2.0), Net().__call__,
]  # fmt: skip


def transforms(f, x):
    ones = np.ones_like(x)
    return {
        "grad": lambda: bp.grad(f)(x),
        "value_and_grad": lambda: bp.value_and_grad(f)(x),
        "vjp": lambda: bp.vjp(f, x),
        "jvp": lambda: bp.jvp(f, (x,), (ones,)),
        "jacobian": lambda: bp.jacobian(f)(x),
        "hessian": lambda: bp.hessian(f)(x),
        "inside": lambda: bp.grad(lambda y: np.sum(bp.grad(f)(y)))(x),
        "explain": lambda: bp.explain(f, x),
        "check": lambda: bp.check(f, x),
    }


@pytest.mark.parametrize("f", SWALLOWING, ids=lambda f: getattr(f, "__name__", type(f).__name__))
def test_an_error_of_tracing_that_the_function_catches_is_raised_by_every_transform(f):
    for name, run in transforms(f, X).items():
        with pytest.raises(AllBPsError):
            pytest.fail(f"{name} gives {run()}")


def test_the_message_says_that_the_error_was_caught_and_how_to_write_it():
    with pytest.raises(AllBPsError, match="maths catches this error and goes on") as caught:
        bp.grad(maths)(X)
    assert "math.exp(x[0])" in caught.value.where
    assert "NumPy functions instead of math's" in caught.value.todo


# -- errors that come on plain arrays too ----------------------------------------------------------
def not_definite(x):
    try:
        return np.sum(np.linalg.cholesky(np.diag(x) - 2.0 * np.eye(2)))
    except np.linalg.LinAlgError:
        return np.sum(np.linalg.cholesky(np.diag(x)))


def not_fitting(x):
    try:
        return np.sum(x @ np.ones(3))
    except ValueError:
        return np.sum(x * x)


def other_library(x):
    try:
        x = x.numpy()
    except AttributeError:
        x = x + 0.0
    return np.sum(x * x)


def outside(x):
    total, k = 0.0, 0
    while True:
        try:
            total = total + x[k] ** 2
        except IndexError:
            return total
        k += 1


def no_such_axis(x):
    try:
        return np.sum(np.sum(x, axis=5))
    except ValueError:
        return np.sum(x * x)


def more_than_one(x):
    try:
        return float(x) * np.sum(x)
    except TypeError:
        return np.sum(x * x)


def own(x):
    try:
        if x[0] > 0:
            raise ValueError("positive")
    except ValueError:
        x = 2.0 * x
    try:
        {}["a"]
    except KeyError:
        x = x * x
    return np.sum(x)


def strings(x):
    try:
        np.isnan("label")
    except TypeError:
        x = x * x
    return np.sum(x)


def cleaned_up(x):
    try:
        return np.sum(x * x)
    finally:
        x = None


def shape_only(x):
    try:
        rows = len(np.asarray(x).shape)
    except TypeError:
        rows = 0
    return rows * np.sum(x * x)


def written(x):
    out = np.zeros(2)
    try:
        out[0], out[1] = x[0] * 2.0, x[1]
    except (TypeError, ValueError):
        out[:] = 1.0
    return np.sum(out * x)


@pytest.mark.parametrize(
    "f",
    [
        not_definite, not_fitting, other_library, outside, no_such_axis, more_than_one, own,
        strings, cleaned_up, shape_only, written,
    ],
)  # fmt: skip
def test_an_error_that_comes_on_plain_arrays_too_may_be_caught(f):
    value, slope = bp.value_and_grad(f)(X)
    assert value == pytest.approx(f(X), rel=1e-14)
    h = 1e-6
    expected = [(f(X + h * e) - f(X - h * e)) / (2 * h) for e in np.eye(2)]
    np.testing.assert_allclose(slope, expected, rtol=1e-8)


def test_an_index_outside_is_an_index_error():
    with pytest.raises(OutOfRangeError, match="the index does not fit x") as caught:
        bp.grad(lambda x: x[7])(X)
    assert isinstance(caught.value, (IndexError, ValueError))


def test_a_debuggers_hook_sees_the_function_and_is_there_afterwards():
    lines = []

    def hook(frame, event, arg):
        if frame.f_code is not own.__code__:
            return None
        lines.append(event)
        return hook

    before = sys.gettrace()
    sys.settrace(hook)
    try:
        bp.grad(own)(X)
        assert sys.gettrace() is hook
    finally:
        sys.settrace(before)
    assert {"call", "line", "exception", "return"} <= set(lines)


# -- questions that raise nothing ------------------------------------------------------------------
def kinds(x):
    k = 1.0 if isinstance(x, np.ndarray) else 2.0
    first = x[0] * x[1]
    k *= 3.0 if isinstance(first, float) and np.isscalar(first) else 4.0
    k *= 5.0 if isinstance(np.sum(x), np.floating) else 6.0
    k *= 7.0 if isinstance(first, np.ndarray) else 8.0
    return k * np.sum(x * x)


@functools.singledispatch
def dispatched(x):
    return 1.0


@dispatched.register
def _(x: np.ndarray):
    return 2.0 * np.sum(x * x)


@dispatched.register
def _(x: float):
    return 3.0 * x


def matched(x):
    match x[0]:
        case np.ndarray():
            return np.sum(x)
        case float():
            return np.sum(x * x)
    return 0.0


@pytest.mark.parametrize("f", [kinds, dispatched, matched])
def test_a_traced_array_is_of_the_class_that_the_plain_one_is_of(f):
    value, slope = bp.value_and_grad(f)(X)
    assert value == f(X)
    np.testing.assert_allclose(slope, 2 * X * (f(X) / np.sum(X * X)), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_numbers_and_arrays_without_axes_are_told_apart(dtype):
    def f(x):
        assert isinstance(x, np.ndarray) == isinstance(given, np.ndarray)
        assert isinstance(x, dtype) != isinstance(given, np.ndarray)
        assert isinstance(x * 2, dtype)
        return x * x

    for given in (dtype(2.0), np.array(2.0, dtype)):
        assert bp.grad(f)(given) == 4.0


def test_what_arrays_have_and_traced_ones_do_not_follow_is_refused_and_not_missing():
    def asked(x):
        return np.sum(x) * len(x.tobytes())

    with pytest.raises(TraceError, match=r"no rule for \.tobytes of a traced array"):
        bp.grad(asked)(X)
    assert bp.grad(lambda x: x * (2.0 if hasattr(x, "detach") else 1.0))(3.0) == 1.0
    with pytest.raises(TraceError, match=r"\.is_integer"):
        bp.grad(lambda x: x * (2.0 if x.is_integer() else 1.0))(3.0)
