"""A compiled function on other values than its examples: what was looked at is looked at again."""

import inspect
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import allbps as bp
import allbps.functional as F
from allbps import optim
from allbps.errors import PlainValueError
from allbps.machine.building import FallbackWarning
from allbps.machine.called import PathsWarning
from allbps.machine.compile import FrozenWarning, compile  # noqa: A004
from allbps.ops.sides import KinkWarning

pytestmark = pytest.mark.filterwarnings(f"ignore::{FallbackWarning.__module__}.FallbackWarning")
X = np.array([1.5, -0.5, 2.0])
OTHERS = (np.array([-1.5, 0.5, 2.0]), np.array([0.1, 0.2, 0.3]), np.array([3.0, 3.0, -4.0]))


def doubled(x):
    while np.sum(x) < 10 and np.sum(x) > 0:
        x = x * 2
    return np.sum(x)


def newton(x):
    a = np.sum(x**2)
    root = a
    for _ in range(50):
        if abs(root * root - a) < 1e-9 * a:
            break
        root = 0.5 * (root + a / root)
    return root


def counted(x):
    total = 0.0
    for k in range(int(np.sum(x > 0))):
        total = total + x[k] ** 2
    return total + np.sum(x)


def found(x):
    where = np.nonzero(x == np.max(x))[0]
    return x[where[0]] ** 2 + len(where)


def caught(x):
    try:
        assert x[0] > 0
        return np.sum(x) * 2
    except AssertionError:
        return np.sum(x**2)


LOOKING = {
    "if": lambda x: np.sum(x) if np.sum(x) > 1 else np.sum(x**2),
    "if of all": lambda x: np.sum(np.log(x)) if np.all(x > 0) else np.sum(x),
    "and, or, not": lambda x: x[0] * 3 if x[0] > 0 and not (x[1] > 0 or x[2] > 2.5) else x[1] * 2,
    "conditional chain": lambda x: x[0] if x[0] < x[1] < x[2] else x[2] ** 2,
    "max": lambda x: max(x[0], x[1], 0.2) * 2,
    "min with a key": lambda x: min(x, key=lambda part: abs(part)) * 2,
    "sorted": lambda x: sorted(x)[0] + 2 * sorted(x)[2],
    "while": doubled,
    "Newton": newton,
    "range": counted,
    "index of a list": lambda x: [np.sum(x), np.sum(x**2), x[0]][np.argmax(x)],
    "int": lambda x: x[0] * int(np.rint(x[1] * 10).astype(int)),
    "in": lambda x: np.sum(x) if 0.5 in x else np.sum(x) * 2,
    "any generator": lambda x: np.sum(x) if any(part > 2.5 for part in x) else x[0],
    "isclose": lambda x: x[0] if np.isclose(x[0], 1.5) else x[1],
    "allclose": lambda x: x[0] if np.allclose(x[:2], x[0]) else x[1],
    "array_equal": lambda x: x[0] if np.array_equal(np.sort(x), x) else x[1],
    "a mask": lambda x: np.sum(x[x > 0] ** 2),
    "compress": lambda x: np.sum(np.compress(x > 0, x)),
    "nonzero": found,
    "unique": lambda x: np.sum(np.unique(x)),
    "trim_zeros": lambda x: np.sum(np.trim_zeros(np.maximum(x, 0))),
    "try": caught,
    "slice": lambda x: np.sum(x[: int(np.argmax(x)) + 1]),
    "searchsorted": lambda x: np.interp(x[0], [-2.0, 0.0, 1.0, 4.0], [0.0, 1.0, 4.0, -2.0]),
    "frexp": lambda x: np.frexp(x)[0][0],
    "partition": lambda x: np.partition(x, 1)[1],
    "median": lambda x: np.median(x) ** 2,
    "nan": lambda x: np.nanmedian(np.where(x > 0, x, np.nan)),
    "bincount": lambda x: np.sum(np.bincount(np.abs(x).astype(int), weights=x) ** 2),
    "gradient inside": lambda x: bp.grad(lambda w: w**2 if np.sum(x) > 1.1 else w**3)(3.0) * x[0],
}
each = pytest.mark.parametrize("f", LOOKING.values(), ids=LOOKING)


def gradient(f, x):
    return bp.value_and_grad(f)(x)


@each
def test_a_value_is_the_functions_own_on_every_path(f):
    step = compile(f, X)
    for x in (*OTHERS, X, *OTHERS[::-1]):
        np.testing.assert_allclose(step(x), f(x), rtol=1e-13)


@each
def test_gradients_are_those_of_the_path(f):
    step = compile(f, X, params=0)
    for x in (*OTHERS, X):
        value, slope = step(x)
        want, right = gradient(f, x)
        np.testing.assert_allclose(value, want, rtol=1e-13)
        np.testing.assert_allclose(slope, right, rtol=1e-12, atol=1e-14)


def trained(f, rows, optimizer):
    """Losses and parameters of steps on f(w · x), by gradients of a trace for each."""
    w = {"w": np.ones(3)}
    state, losses = optimizer.init(w), []
    for x in rows:
        loss, slope = bp.value_and_grad(lambda w, x=x: f(w * x))(w["w"])
        losses.append(loss)
        w, state = optimizer.update(w, {"w": slope}, state)
    return np.array(losses), w["w"]


@pytest.mark.parametrize("whole", [True, False], ids=["epoch", "steps"])
@each
def test_training_goes_on_over_paths(f, whole):
    rows = np.stack([X, *OTHERS, X, X, OTHERS[0]])
    optimizer = optim.Adam(1e-3)
    step = compile(lambda w, x: f(w * x), np.ones(3), X, params="w", optimizer=optimizer)
    order = np.arange(len(rows))
    losses = step.run_epoch(rows, order=order) if whole else [step(x) for x in rows]
    want, w = trained(f, rows, optimizer)
    np.testing.assert_allclose(losses, want, rtol=1e-12)
    np.testing.assert_allclose(step.params["w"], w, rtol=1e-12)
    assert step.taken == len(rows)


def test_paths_show_the_lines_that_decided():
    def f(x):
        if x > 0:
            return x * 2
        return -x

    step = compile(f, 1.0)
    assert len(step.paths()) == 1
    assert [step(x) for x in (-3.0, 2.0, -1.0)] == [3.0, 4.0, 1.0]
    line = inspect.getsourcelines(f)[1] + 1
    shown = f"test_paths.py:{line} in f: if x > 0:"
    assert str(step.paths()) == (
        f"path 1\n  {shown}  → True\npath 2, taken last\n  {shown}  → False"
    )


def test_a_function_that_looks_at_nothing_says_so():
    step = compile(lambda x: np.maximum(x, 0.0), 1.0)
    assert str(step.paths()) == "path 1, taken last\n  nothing was looked at"
    assert "bool" not in step.source()


def test_what_the_other_path_raises_is_the_functions_own():
    def f(x):
        assert np.all(x > 0), "negative"
        if x[0] > 10:
            raise KeyError("large")
        return np.sum(np.log(x))

    step = compile(f, np.ones(2))
    with pytest.raises(AssertionError, match="negative"):
        step(np.array([1.0, -1.0]))
    with pytest.raises(KeyError, match="large"):
        step(np.array([11.0, 1.0]))
    assert step(np.ones(2)) == 0.0


def test_a_failed_step_leaves_everything_as_it_was():
    def f(w, x):
        assert np.all(w * x > 0), "negative"
        return np.sum(w * x)

    optimizer = optim.SGD(0.1, momentum=0.9)
    step = compile(f, np.ones(2), np.ones(2), params="w", optimizer=optimizer)
    step(np.ones(2))
    before, state = step.params["w"], step.optimizer_state
    data = np.array([[1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    with pytest.raises(AssertionError):
        step(data[1])
    np.testing.assert_array_equal(step.params["w"], before)
    for slot in optimizer.slots:
        np.testing.assert_array_equal(step.optimizer_state[slot]["w"], state[slot]["w"])
    with pytest.raises(AssertionError):
        step.run_epoch(data, order=np.arange(3))
    assert step.taken == 2


def test_more_than_a_handful_of_paths_is_said_once_with_the_line():
    def f(x):
        return x * int(np.rint(x).astype(int))

    step = compile(f, 0.0)
    for k in range(1, 5):
        assert step(float(k)) == k * k
    with pytest.warns(PathsWarning, match=r"f has taken 6 paths.* int at test_paths.py:\d+ in f"):
        step(5.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", PathsWarning)
        for k in range(6, 40):
            assert step(float(k)) == k * k
    assert len(step.paths()) == 32


def test_state_is_carried_over_between_paths():
    def f(w, x, state):
        y = np.sum(w * x) + state["seen"]
        new = {"seen": state["seen"] + 1.0 if x[0] > 0 else state["seen"] - 1.0}
        return y**2, new

    step = compile(
        f, np.zeros(2), np.ones(2), {"seen": 0.0}, params="w", carry="state",
        optimizer=optim.SGD(0.0),
    )  # fmt: skip
    rows = np.array([[1.0, 0], [-1, 0], [-1, 0], [1, 0], [-1, 0]])
    np.testing.assert_array_equal(step.run_epoch(rows, order=np.arange(5)), [0, 1, 0, 1, 0])
    assert step.carried["seen"] == -1.0


def test_labels_that_count_as_nothing_are_another_path_without_a_guard_in_the_step():
    z, data = np.zeros((2, 3)), np.array([[0, 1], [1, -100], [2, 2]])
    step = compile(F.cross_entropy, z, data[0], params=0)
    assert step._path.build.holds is None
    for labels in data:
        got = step(np.arange(6.0).reshape(2, 3), labels)
        want = bp.value_and_grad(F.cross_entropy)(np.arange(6.0).reshape(2, 3), labels)
        np.testing.assert_allclose(got[0], want[0], rtol=1e-14)
        np.testing.assert_allclose(got[1], want[1], rtol=1e-13, atol=1e-16)
    for wrong in ([0, 3], [-100, 3], [-1, 0]):
        with pytest.raises(bp.errors.ArgumentError):
            step(z, np.array(wrong))


def test_an_epoch_meets_labels_that_count_as_nothing():
    def loss(w, x, y):
        return F.cross_entropy(x @ w, y)

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 4)), rng.integers(0, 3, 12)
    y[5] = -100
    order = np.arange(12).reshape(4, 3)
    step = compile(loss, np.zeros((4, 3)), x[:3], y[:3], params="w", optimizer=optim.SGD(0.1))
    w, want = np.zeros((4, 3)), []
    for row in order:
        value, slope = bp.value_and_grad(loss)(w, x[row], y[row])
        want.append(value)
        w = w - 0.1 * slope
    np.testing.assert_allclose(step.run_epoch(x, y, order=order), want, rtol=1e-13)
    np.testing.assert_allclose(step.params["w"], w, rtol=1e-12, atol=1e-16)


def test_rows_counted_from_the_end_are_taken():
    def f(table, rows):
        return np.sum(table[rows] * np.arange(1.0, 4.0))

    table = np.random.default_rng(0).normal(size=(5, 3))
    for first in ([0, 1], [0, -1]):
        step = compile(f, table, np.array(first), params=0)
        for rows in ([0, -1], [2, 1], [-5, 4]):
            value, slope = step(table, np.array(rows))
            want, right = bp.value_and_grad(f)(table, np.array(rows))
            np.testing.assert_allclose(value, want)
            np.testing.assert_allclose(slope, right)
        with pytest.raises((bp.errors.ArgumentError, bp.errors.ShapeError), match="out of"):
            step(table, np.array([0, 5]))


def test_what_rounding_says_otherwise_is_as_python_says():
    """A guard at the very edge: native code adds in another order than NumPy."""
    rng = np.random.default_rng(1)

    def f(x):
        return np.sum(x) if np.sum(x) > 0.0 else -2 * np.sum(x)

    step = compile(f, np.ones(1000))
    for _ in range(30):
        x = rng.normal(size=1000)
        x = np.concatenate([x[:999], [-np.sum(x[:999])]])  # 0 but for rounding
        assert step(x) in (np.sum(x), f(x)) or np.isclose(step(x), f(x), rtol=0, atol=1e-12)


# -- programs that branch at random ----------------------------------------------------------------
CONDITIONS = (
    lambda a, b: a > b, lambda a, b: a < 0.5, lambda a, b: np.all(a + b > 0),
    lambda a, b: np.rint(a) == np.rint(b), lambda a, b: bool(a) and b > 0,
)  # fmt: skip
STEPS = (
    lambda a, b: a * 1.5, lambda a, b: a - b, lambda a, b: np.sin(a), lambda a, b: -a,
    lambda a, b: a * b, lambda a, b: np.maximum(a, b),
)  # fmt: skip
programs = st.lists(
    st.tuples(
        st.sampled_from(CONDITIONS), st.integers(0, 2), st.integers(0, 2),
        st.sampled_from(STEPS), st.sampled_from(STEPS),
    ),
    min_size=1, max_size=4,
)  # fmt: skip
numbers = st.lists(st.floats(-2, 2, width=32), min_size=3, max_size=3)


@settings(deadline=None, max_examples=15)
@given(programs, st.lists(numbers, min_size=2, max_size=4))
def test_random_programs_that_branch(program, points):
    def f(x):
        parts = [x[0], x[1], x[2]]
        for condition, i, j, one, other in program:
            a, b = parts[i], parts[j]
            parts[i] = one(a, b) if condition(a, b) else other(a, b)
        return parts[0] + 2 * parts[1] + 3 * parts[2]

    first, *rest = [np.array(x) for x in points]
    step = compile(f, first, params=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PathsWarning)
        for x in (*rest, first):
            value, slope = step(x)
            want, right = gradient(f, x)
            np.testing.assert_allclose(value, want, rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(slope, right, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("text", [lambda x: f"{x:.0f}", np.array2string, np.array_repr])
def test_a_text_made_of_a_number_is_said_to_stay(text):
    def f(x):
        return x[0] * (2.0 if "1" in text(x[1]) else 3.0)

    with pytest.warns(FrozenWarning, match=r"made a text of numbers .* at test_paths\.py"):
        step = compile(f, np.array([1.0, 1.0]), params=0)
    assert step(np.array([1.0, 1.0]))[0] == 2.0
    assert bp.grad(f)(np.array([1.0, 2.0]))[0] == 3.0


def with_a_fallback(x):
    try:
        with np.errstate(divide="raise"):
            return np.sum(1.0 / x)
    except FloatingPointError:
        return np.sum(x)


def of_warnings(x):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return np.sum(1.0 / x)


@pytest.mark.parametrize("f", [with_a_fallback, of_warnings, lambda x: with_a_fallback(x) + 1.0])
def test_errors_that_compiled_code_does_not_raise_are_said(f):
    with pytest.warns(FrozenWarning, match=r"compiled code raises none"):
        compile(f, np.array([1.0, 2.0]), params=0)


def test_who_lets_numpy_divide_by_0_is_told_nothing():
    def f(x):
        with np.errstate(divide="ignore"):
            return np.sum(np.where(x > 0, 1.0 / x, 0.0))

    assert compile(f, np.array([1.0, 2.0]), params=0)(np.array([4.0, 0.0]))[0] == 0.25


def squares_of_parts(x):
    return np.sum(np.maximum(x, 0.0) ** 2)


def twice(f):
    """A derivative of a derivative, along ones."""
    return lambda x: bp.grad(lambda v: np.sum(bp.grad(f)(v)))(x)


AT_TIES = {
    "maximum": squares_of_parts,
    "where": lambda x: np.sum(np.where(x > 0, x**2 + x, x)),
    "abs": lambda x: np.sum(np.log1p(np.abs(x)) * np.abs(x)),
    "sign": lambda x: np.sum((x * np.sign(x)) ** 2),
    "extreme": lambda x: np.max(np.stack([x[0], 0.0 * x[1]])) ** 2 + x[1],
    "a loss by hand": lambda x: np.sum(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))),
    "guarded": lambda x: np.sum(np.where(x == 0, 1.0, np.sin(x) / np.where(x == 0, 1.0, x))),
}


@pytest.mark.filterwarnings("ignore::allbps.ops.sides.KinkWarning")
@pytest.mark.parametrize("f", AT_TIES.values(), ids=AT_TIES)
def test_a_compiled_derivative_of_a_derivative_refuses_a_tie_that_leaves_it_open(f):
    x = np.array([0.5, -1.0])
    step = bp.compile(twice(f), x)
    np.testing.assert_allclose(step(x), twice(f)(x), rtol=1e-12)
    with pytest.raises(PlainValueError, match="a tie at a kink of a derivative"):
        step(np.array([0.0, -1.0]))
    np.testing.assert_allclose(step(2 * x), twice(f)(2 * x), rtol=1e-12)


def test_gradients_through_a_tie_of_a_derivative_are_warned_of():
    x = np.array([0.5, -1.0])
    step = bp.compile(lambda x: np.sum(bp.grad(squares_of_parts)(x) ** 2), x, params=0)
    np.testing.assert_allclose(step(x)[1], [4.0, 0.0])
    with pytest.warns(KinkWarning, match="allbps.grad says NaN"):
        step(np.array([0.0, -1.0]))
    np.testing.assert_allclose(step(x)[1], [4.0, 0.0])


@pytest.mark.parametrize(
    ("f", "params"),
    [
        (squares_of_parts, 0),  # a first derivative, by compile itself
        (lambda x: bp.grad(squares_of_parts)(x), None),
        (lambda x: bp.jvp(squares_of_parts, (x,), (x,))[1], None),
        (lambda x: np.sum(bp.grad(lambda v: np.sum(np.tanh(v)))(x) ** 2), 0),
    ],
)
def test_first_derivatives_and_smooth_ones_look_at_no_tie(f, params):
    step = bp.compile(f, np.array([0.5, -1.0]), params=params)
    assert "nothing was looked at" in str(step.paths())
