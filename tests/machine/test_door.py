"""The short way into a compiled function: the same results, and everything unusual the long way."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

import allbps.functional as F
from allbps.errors import AllBPsError
from allbps.machine import path as paths
from allbps.machine.compile import compile  # noqa: A004
from allbps.optim import SGD


class Layer(NamedTuple):
    W: np.ndarray
    b: np.ndarray


def net(p, x):
    return {"y": np.tanh(x @ p["first"].W + p["first"].b) @ p["last"], "parts": (x, None)}


def example(rng):
    layer = Layer(rng.standard_normal((3, 4)), rng.standard_normal(4))
    return {"last": rng.standard_normal((4, 2)), "first": layer}, rng.standard_normal((5, 3))


@pytest.fixture
def short_way_only(monkeypatch):
    def refuse(*_):
        raise AssertionError("the long way was taken")

    monkeypatch.setattr(paths.Path, "put", refuse)


@pytest.fixture
def taken_long(monkeypatch):
    """How often the long way was taken."""
    times = []
    put = paths.Path.put

    def counted(self, given):
        times.append(1)
        put(self, given)

    monkeypatch.setattr(paths.Path, "put", counted)
    return times


@pytest.mark.usefixtures("short_way_only")
def test_arrays_in_containers_go_the_short_way_and_come_back_arranged(rng):
    p, x = example(rng)
    compiled = compile(net, p, x)
    other, there = example(rng)
    found = compiled(other, there)
    np.testing.assert_allclose(found["y"], net(other, there)["y"], rtol=1e-12)
    assert list(found) == ["y", "parts"]
    assert found["parts"][1] is None
    np.testing.assert_array_equal(found["parts"][0], there)


@pytest.mark.usefixtures("short_way_only")
def test_gradients_are_arranged_as_their_parameters(rng):
    p, x = example(rng)
    compiled = compile(lambda p, x: np.sum(net(p, x)["y"] ** 2), p, x, params="p")
    loss, grads = compiled(*example(rng))
    assert isinstance(grads["first"], Layer)
    assert list(grads) == ["last", "first"]
    assert np.shape(loss) == ()
    assert isinstance(loss, np.float64)


@pytest.mark.usefixtures("short_way_only")
def test_several_parameters_give_a_dict_by_name(rng):
    compiled = compile(lambda a, x, b: a * x + b, 1.0, 2.0, 3.0, params=("a", "b"))
    _, grads = compiled(np.array(2.0), np.array(5.0), np.array(1.0))
    assert grads == {"a": 5.0, "b": 1.0}


def test_what_was_returned_stays_as_it_is(rng):
    compiled = compile(lambda x: 2 * x, np.zeros(3))
    first = compiled(np.ones(3))
    compiled(np.zeros(3))
    np.testing.assert_array_equal(first, [2, 2, 2])


UNUSUAL = {
    "a list": [1.0, 2.0, 3.0],
    "float32": np.array([1, 2, 3], np.float32),
    "integers": np.array([1, 2, 3]),
    "every other": np.array([1.0, 0, 2, 0, 3, 0])[::2],
    "backwards": np.array([3.0, 2.0, 1.0])[::-1],
    "the other byte order": np.array([1.0, 2.0, 3.0]).astype(">f8"),
    "at odd addresses": np.frombuffer(b"\0" + np.array([1.0, 2.0, 3.0]).tobytes(), np.uint8)[
        1:
    ].view(np.float64),
    "a subclass": np.array([1.0, 2.0, 3.0]).view(type("Own", (np.ndarray,), {})),
}


@pytest.mark.parametrize("given", UNUSUAL.values(), ids=UNUSUAL)
def test_unusual_arrays_are_converted_the_long_way(given, taken_long):
    compiled = compile(lambda x: 2 * x, np.zeros(3))
    np.testing.assert_array_equal(compiled(given), [2, 4, 6])
    assert taken_long


MISTAKES = {
    "longer": np.zeros(4),
    "another rank": np.zeros((3, 1)),
    "complex": np.zeros(3, complex),
    "text": np.array(["a", "b", "c"]),
}


@pytest.mark.parametrize("given", MISTAKES.values(), ids=MISTAKES)
def test_what_does_not_fit_is_refused_as_ever(given):
    compiled = compile(lambda x: 2 * x, np.zeros(3))
    with pytest.raises(AllBPsError, match=r"^x "):
        compiled(given)


CONTAINERS = {
    "a key less": ({"a": np.ones(2)},),
    "another key": ({"a": np.ones(2), "c": np.ones(2)},),
    "a key more": ({"a": np.ones(2), "b": np.ones(2), "c": np.ones(2)},),
    "a list": ([np.ones(2), np.ones(2)],),
}


@pytest.mark.parametrize("given", CONTAINERS.values(), ids=CONTAINERS)
def test_another_container_is_refused_as_ever(given):
    compiled = compile(lambda p: p["a"] * p["b"], {"a": np.ones(2), "b": np.ones(2)})
    with pytest.raises(AllBPsError, match=r"^p is not arranged"):
        compiled(*given)


@pytest.mark.parametrize("label", [-1, 3, 2**40])
def test_a_label_out_of_range_does_not_slip_through(rng, label):
    step = compile(F.cross_entropy, rng.standard_normal((2, 3)), np.array([0, 2]))
    with pytest.raises(AllBPsError, match="class index out of range in"):
        step(rng.standard_normal((2, 3)), np.array([0, label]))


@pytest.mark.usefixtures("short_way_only")
def test_labels_in_range_go_the_short_way(rng):
    scores = rng.standard_normal((2, 3))
    step = compile(F.cross_entropy, scores, np.array([0, 2]))
    expected = F.cross_entropy(scores, np.array([1, 1]))
    np.testing.assert_allclose(step(scores, np.array([1, 1])), expected, rtol=1e-12)


def test_a_guard_that_fails_is_seen_on_the_short_way():
    compiled = compile(lambda x: max(x, 0.0) * 2, np.array(1.0))
    assert compiled(np.array(3.0)) == 6
    assert compiled(np.array(-3.0)) == 0
    assert compiled(np.array(4.0)) == 8
    assert len(compiled.paths()) == 2


@pytest.mark.usefixtures("short_way_only")
def test_steps_count_and_move_as_by_the_long_way(rng):
    def loss(w, x):
        return np.sum((w * x - 1) ** 2)

    w, x = rng.standard_normal(3), rng.standard_normal(3)
    step = compile(loss, w, x, params="w", optimizer=SGD(0.1, momentum=0.9))
    own, velocity = w.copy(), np.zeros(3)
    for _ in range(4):
        expected = loss(own, x)
        velocity = 0.9 * velocity + 2 * (own * x - 1) * x
        own = own - 0.1 * velocity
        np.testing.assert_allclose(step(x), expected, rtol=1e-12)
    np.testing.assert_allclose(step.params["w"], own, rtol=1e-12)
    assert step.taken == 4


def test_a_large_argument_is_read_where_it_is(rng, taken_long):
    x = rng.standard_normal((100, 100))
    compiled = compile(lambda x: np.sum(x * x), x)
    np.testing.assert_allclose(compiled(x), np.sum(x * x), rtol=1e-12)
    assert taken_long
