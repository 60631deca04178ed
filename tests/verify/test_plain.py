"""The judge that runs the function itself: a graph that is not the function's is never verified."""

import inspect
import random
import warnings

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.errors import InPlaceError, PlainValueError
from allbps.ir import NUMPY
from allbps.trace import trace
from allbps.verify import Verdict
from allbps.verify.plain import SHORT, SideEffectWarning, Witness, work_of

X = np.array([0.5, -1.0, 2.0])
rng = np.random.default_rng(3)
drawn = bp.random.Generator(4)
calls = 0
kept: list = []
counts: dict = {"n": 0}


def on_number_of_calls(x):
    global calls  # noqa: PLW0603  (a side effect is what is tested)
    calls += 1
    return np.sum(calls * x)


def on_what_it_appends(x):
    kept.append("called")
    return np.sum(x) * len(kept)


def on_traced_arrays_that_it_keeps(x):
    kept.append(x)
    return sum(np.sum(v) for v in kept)


def on_a_dict(x):
    counts["n"] += 1
    return np.sum(x) * counts["n"]


def on_fresh_numbers(x):
    return np.sum(x * np.random.default_rng().normal(size=3))


UNSTEADY = {
    on_number_of_calls: "it changes calls",
    on_what_it_appends: "it changes kept",
    on_traced_arrays_that_it_keeps: "it changes kept",
    on_a_dict: "it changes counts['n']",
    on_fresh_numbers: "hidden random numbers",
}


@pytest.fixture(autouse=True)
def clean():
    kept.clear()


@pytest.mark.parametrize("f", UNSTEADY, ids=lambda f: f.__name__)
def test_a_function_that_differs_from_run_to_run_is_never_verified(f):
    report = bp.check(f, X)
    assert not report
    assert not report.plain.steady
    assert "L" in report.plain.note
    assert UNSTEADY[f] in str(report)
    kept.clear()
    with pytest.warns(SideEffectWarning, match="from run to run"):
        bp.explain(f, X)
    kept.clear()
    with pytest.warns(SideEffectWarning, match="from run to run"):
        bp.compile(f, X)


def is_plain(x):
    """What no traced array can hide: its class has a place for a node."""
    return inspect.getattr_static(x, "node", None) is None


def on_the_kind_of_array(x):
    y = 2.0 * x if is_plain(x) else 3.0 * x
    return np.sum(y)


def on_an_error(x):
    if is_plain(x):
        raise ValueError("not on plain arrays")
    return np.sum(x)


def on_its_container(x):
    y = np.sum(x)
    return (y,) if is_plain(x) else {"y": y}


def on_its_dtype(x):
    return np.sum(x.astype(np.float32) if is_plain(x) else x)


def on_its_shape(x):
    return x[:2] if is_plain(x) else x


GIVEN = {on_its_shape: {"x": np.ones(3)}}


@pytest.mark.parametrize(
    "f", [on_the_kind_of_array, on_an_error, on_its_container, on_its_dtype, on_its_shape],
    ids=lambda f: f.__name__,
)  # fmt: skip
def test_another_value_on_plain_arrays_is_refused(f):
    report = bp.check(f, X)
    assert not report
    assert report.plain.steady
    assert "plain run: WRONG" in str(report)
    assert report.to_json()["plain"]["verdict"] == "disagree"
    with pytest.raises(PlainValueError):
        bp.compile(f, X)
    with pytest.raises(PlainValueError):
        bp.explain(f, X, cotangents=GIVEN.get(f))


@pytest.mark.parametrize("part", [1e-9, 1e-3, 1.0])
def test_an_operation_whose_value_is_not_numpys_is_found(monkeypatch, part):
    right = NUMPY[np.exp]
    monkeypatch.setitem(NUMPY, np.exp, lambda x: right(x) * (1.0 + part))

    def f(x):
        E = np.exp(x)
        L = np.sum(E**2)
        return {"L": L, "E": E}

    report = bp.check(f, X)
    assert not report
    assert not report.disagreements, "the judges that share the graph cannot see it"
    assert "different E from the graph's" in report.plain.note
    with pytest.raises(PlainValueError, match="a different E from the graph's"):
        bp.compile(f, X)


def test_a_wrong_output_behind_a_right_one_is_named(monkeypatch):
    right = NUMPY[np.exp]
    monkeypatch.setitem(NUMPY, np.exp, lambda x: right(x) * 1.5)

    def f(x):
        L = np.sum(x**2)
        aux = np.exp(x)
        return L, aux

    assert "different aux from the graph's" in bp.check(f, X).plain.note


def by_the_global_generator(x):
    return np.sum(x * np.random.normal(size=3))  # noqa: NPY002  (the hidden one)


def by_pythons_generator(x):
    return np.sum(x * random.random())


def by_a_generator_outside(x):
    return np.sum(x * rng.normal(size=3))


def by_a_generator_given_to_dropout(x):
    return np.sum(F.dropout(x, 0.5, rng=rng))


def by_our_generator(x):
    return np.sum(F.dropout(x * drawn.normal(size=3), 0.5, rng=drawn))


def by_a_generator_inside(x):
    return np.sum(x * np.random.default_rng(8).normal(size=3))


@pytest.mark.parametrize(
    "f",
    [
        by_the_global_generator, by_pythons_generator, by_a_generator_outside,
        by_a_generator_given_to_dropout, by_our_generator, by_a_generator_inside,
    ],
    ids=lambda f: f.__name__,
)  # fmt: skip
def test_random_numbers_are_replayed(f):
    assert bp.check(f, X).plain.verdict is Verdict.AGREE


def test_replaying_leaves_a_generator_where_tracing_left_it():
    ours, theirs = np.random.default_rng(5), np.random.default_rng(5)
    bp.explain(lambda x: np.sum(x * ours.normal(size=3)), X)
    theirs.normal(size=3)
    assert ours.normal() == theirs.normal()


def test_a_generator_that_is_an_argument_is_replayed():
    def f(x, generator):
        return np.sum(x * generator.normal(size=3))

    assert bp.check(f, X, np.random.default_rng(2)).plain.verdict is Verdict.AGREE


def test_a_generator_used_in_two_ways_is_not_compared():
    def f(x):
        return np.sum(F.dropout(x * rng.normal(size=3), 0.5, rng=rng))

    said = bp.check(f, X).plain
    assert said.verdict is Verdict.NOT_CHECKED
    assert "unknown order" in said.note


def test_a_side_effect_that_changes_no_value_is_reported_and_not_refused():
    log = []

    def f(x):
        log.append("called")
        return np.sum(x**2)

    report = bp.check(f, X)
    assert report
    assert report.plain.effects == ("log",)
    assert "side effect: f changes log" in str(report)


def test_what_is_written_into_an_argument_is_reported_and_the_users_array_stays():
    def f(x):
        x += 1.0
        return np.sum(x * x)

    mine = X.copy()
    report = bp.check(f, mine)
    assert report
    assert report.plain.effects == ("x",)
    np.testing.assert_array_equal(mine, X)


def test_a_write_into_one_array_that_is_given_twice_is_refused():
    def f(a, b):
        a += 1.0
        return np.sum(a * b)

    mine = X.copy()
    with pytest.raises(InPlaceError, match="another argument shares its memory"):
        bp.check(f, mine, mine)
    assert bp.check(f, mine, mine.copy())


def test_containers_options_and_arrays_without_axes_arrive_as_they_were_given():
    def f(p, x, flag, name="relu", *rest, scale=1.0):
        h = F.relu(x @ p["W"] + p["b"][0]) if flag and name == "relu" else x
        s = np.array(scale)
        s += 1.0
        return {"L": np.sum(h * rest[0]), "aux": (h, None, [s])}

    params = {"W": np.ones((3, 2)), "b": [np.array(0.5)]}
    arguments = (params, np.ones((2, 3)), True, "relu", np.array(2.0))
    report = bp.check(f, *arguments, scale=np.array(3.0))
    assert report.plain.verdict is Verdict.AGREE


def test_functional_gradients_inside_and_plain_operations_run_on_plain_arrays():
    def f(x):
        slope = bp.grad(lambda t: np.sum(F.gelu(t) ** 2))(x)
        return np.sum(F.softmax(slope, -1) * F.layer_norm(x, 3))

    assert bp.check(f, X).plain.verdict is Verdict.AGREE


def test_cancellation_is_no_error():
    def f(x):
        y = (x + 1e8) - 1e8
        return np.sum(np.linalg.norm(y - x) ** 2)

    assert bp.check(f, X).plain.verdict is not Verdict.DISAGREE


def test_nan_and_infinity_are_equal_to_themselves():
    def f(x):
        return np.log(x), np.sum(x)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        said = bp.check(f, np.array([1.0, -1.0, 0.0])).plain
    assert said.verdict is Verdict.AGREE


def test_a_long_function_is_skipped_with_a_reason_and_asked_again_by_a_report():
    ran = []

    def f(A):
        ran.append(1)
        for _ in range(3):
            A = A @ A / 400.0
        return np.sum(A)

    big = np.ones((400, 400))
    arguments = {"A": big}
    witness = Witness(f, arguments)
    traced = trace(f, big)
    assert work_of(traced.graph) > SHORT
    said = witness.says(traced)
    assert said.verdict is Verdict.NOT_CHECKED
    assert "more than is worth it" in str(said)
    assert len(ran) == 1
    assert witness.says(traced, limit=1e12).verdict is Verdict.AGREE
    assert witness.says(traced, limit=1e12) is witness.says(traced)
    assert len(ran) == 2


def test_each_way_through_a_compiled_function_has_its_plain_run():
    def f(x):
        y = np.sum(x)
        if y > 0:
            return y * 2.0
        return y * (3.0 if is_plain(x) else 4.0)

    step = bp.compile(f, X)
    assert step(X) == 3.0
    with pytest.raises(PlainValueError):
        step(-X)
