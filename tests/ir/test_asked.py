"""Functions that ask for types and attributes are told those of plain arrays."""

from dataclasses import dataclass
from functools import partial
from threading import Barrier, Thread

import numpy as np
import pytest

import allbps as bp
from allbps.errors import TraceError

X = np.array([[0.5, -1.2, 2.0], [1.0, 0.25, -0.75]])


def squared_if_array(v):
    return np.sum(v**2) if type(v) is np.ndarray else np.sum(v)


class Layer:
    def inner(self, v):
        return v * 2 if type(v) is np.ndarray else v * 3

    @staticmethod
    def first(x):
        return x[0] if type(x) is np.ndarray else x[1]


class Net(Layer):
    def __init__(self):
        self.below = Layer()

    def __call__(self, x):
        return np.sum(super().inner(x) + self.below.inner(x) ** 2)

    def scaled(self, x):
        return np.sum(x) * (2.0 if hasattr(x[0], "__len__") else 3.0)


net = Net()


@dataclass
class Holder:
    scale: float = 2.0

    def of(self, x):
        return np.sum(x) * self.scale * (type(x) is np.ndarray)


holder = Holder()
TABLE = {np.ndarray: lambda v: np.sum(v) * 2.0}


def by_table(x):
    return TABLE[type(x)](x)


def squares_of(v):
    return sum(map(squares_of, v)) if hasattr(v, "__len__") else v * v


COUNT = 0


def counted(v):
    global COUNT  # noqa: PLW0603
    COUNT += 1
    return np.sum(v) if type(v) is list else np.sum(v**2)


def by_type(x):
    out = np.zeros(3)
    for k in range(3):
        out[k] = x[k] if type(x[k]) is np.float64 else 2.0
    return np.sum(out**2) if type(out) is np.ndarray else out[0]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(x**2) if type(x) is np.ndarray else np.sum(x),
        lambda x: np.sum(x**2) if type(x) in (list, np.ndarray) else np.sum(x),
        lambda x: np.sum(x**2) if type(x).__name__ == "ndarray" else np.sum(x),
        lambda x: x[0] ** 2 if type(x[0]) == np.float64 else x[0],  # noqa: E721
        lambda x: np.sum(x) * (2.0 if type(3) is int and isinstance(int, type) else 3.0),  # noqa: UP003
        lambda x: np.sum(x) * type("Two", (), {"k": 2.0}).k,
        lambda x: squared_if_array(x) + squared_if_array(x[0]),
        partial(lambda k, x: k * squared_if_array(x), 2.0),
        by_type,
        lambda x: net(x),
        net.scaled,
        Layer.first,
        holder.of,
        by_table,
        squares_of,
        lambda x: np.sum(x) * getattr(x, "name", 3.0) * len(getattr(x, "shape")),  # noqa: B009
        lambda x: np.sum(x) * (2.0 if hasattr(x, "__array_interface__") else 3.0),
        lambda x: np.sum(x) * (2.0 if hasattr(x, "exp") or hasattr(x[0], "__len__") else 3.0),
        lambda x: np.sum(x) * (2.0 if hasattr(x, "node") or hasattr(x, "grad") else 3.0),
    ],
    ids=["is", "in", "name", "number", "plain", "made", "helper", "partial", "writes", "object",
         "method", "static", "dataclass", "table", "recursion", "default", "interface", "scalar",
         "library"],
)  # fmt: skip
def test_a_function_that_asks_for_a_type_is_told_that_of_numpy(f):
    x = X[0].copy()
    value, grad = bp.value_and_grad(f)(x)
    assert value == f(x)
    steps = 1e-6 * np.eye(3)
    np.testing.assert_allclose(grad, [(f(x + h) - f(x - h)) / 2e-6 for h in steps], rtol=1e-6)
    assert bp.compile(f, x)(x) == pytest.approx(value)


def test_a_function_that_writes_global_variables_writes_those_and_no_others():
    before = COUNT
    bp.grad(lambda x: counted(x))(X[0])
    assert before + 1 == COUNT


def test_an_attribute_that_only_plain_arrays_have_is_refused():
    for f in (
        lambda x: np.sum(x) * len(getattr(x, "__array_interface__")),  # noqa: B009
        lambda x: np.sum(x) * len(x.__array_interface__),
    ):
        with pytest.raises(TraceError, match=r"no rule for \.__array_interface__"):
            bp.grad(f)(X)


def test_the_questions_are_python_s_again_afterwards():
    def fails(x):
        raise KeyError(type(x).__name__)

    with pytest.raises(KeyError, match="ndarray"):
        bp.grad(fails)(X)
    bp.grad(squared_if_array)(X)
    assert not {"type", "hasattr", "getattr"} & squared_if_array.__globals__.keys()


def test_runs_in_two_threads_answer_until_both_have_ended():
    meet, found = Barrier(2), []

    def slow(x):
        meet.wait(10)
        meet.wait(10)
        return squared_if_array(x)

    def run(f):
        found.append(np.allclose(bp.grad(f)(X), 2 * X))

    def quick(x):
        meet.wait(10)
        return squared_if_array(x)

    threads = [Thread(target=run, args=(f,)) for f in (slow, quick)]
    for thread in threads:
        thread.start()
    threads[1].join(20)
    meet.wait(10)
    threads[0].join(20)
    assert found == [True, True]
    assert "type" not in squared_if_array.__globals__


def test_a_text_that_is_made_after_the_run_is_no_more_than_a_text():
    kept = []

    def f(x):
        kept.append(np.sum(x))
        kept.append(repr(kept[0]))
        return kept[0] ** 2

    bp.grad(f)(np.array([1.0, 2.0]))
    assert type(kept[1]) is not str  # while it ran, float() of it was refused
    assert type(repr(kept[0])) is type(str(kept[0])) is str
