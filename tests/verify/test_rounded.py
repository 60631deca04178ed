"""Right gradients that were rounded are never called wrong, wrong ones never right.

Nets are drawn at random by ``benchmarks/right_hand_ins.py``, which tries many thousands.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.verify import State, check
from allbps.verify.once import digits_of_chance, rounded_once
from allbps.verify.precision import SIGMAS, Precision, looks
from allbps.verify.scatter import reach_of, size_of

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import right_hand_ins as hand_ins
from right_hand_ins import Steps, Way

FORMERLY = (5, 8, 20, 27, 44, 51, 59, 1272, 1281)
"""Nets whose right hand-ins were called wrong: few digits, numbers that repeat, −∞ in a mask."""


def marks(seed, way, spoil=None):
    """What is said of a hand-in of a drawn net; ``spoil`` is (value, mistake, followed)."""
    net = hand_ins.passed(hand_ins.drawn(seed))
    names = net.chosen(way.which, np.random.default_rng(seed))
    if spoil:
        name, kind, followed = spoil
        spoil = (next(x for x in net.written if x.name == name), kind, followed)
    given = net.hand_in(way, names, spoil)
    return {mark.node: mark for mark in hand_ins.marks_of(net, way, given)}


@pytest.mark.parametrize("decimals", [2, 3])
@pytest.mark.parametrize("seed", [*FORMERLY, *range(100, 112)])
def test_what_is_rounded_at_the_end_as_was_said_is_right(seed, decimals):
    for which in ("arguments", "all", "some"):
        said = marks(seed, Way(which, decimals, said=True))
        assert all(said.values()), "\n".join(map(str, said.values()))


@pytest.mark.parametrize("decimals", [2, 3])
@pytest.mark.parametrize("seed", [*FORMERLY, *range(200, 206)])
def test_what_is_rounded_is_not_called_wrong_where_nothing_was_said(seed, decimals):
    for which in ("arguments", "all"):
        said = marks(seed, Way(which, decimals, said=False))
        wrong = [mark for mark in said.values() if mark.state in (State.WRONG, State.FOLLOWS)]
        assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("seed", [8, 20, 26, 28, 31])
def test_what_is_rounded_after_each_step_is_not_called_wrong(seed):
    said = marks(seed, Way("all", 2, said=True, steps=Steps.LINES))
    wrong = [mark for mark in said.values() if mark.state in (State.WRONG, State.FOLLOWS)]
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize(
    ("seed", "way"),
    [
        (900507, Way("arguments", 3, said=True, steps=Steps.ANY, seed=239093937)),
        (900487, Way("all", 3, said=False, steps=Steps.SOME, seed=564562194)),
    ],
    ids=str,
)
def test_a_row_that_rounds_to_0_is_not_called_left_out(seed, way):
    said = marks(seed, way)
    assert not any(mark.state is State.WRONG for mark in said.values())
    assert any(mark.state is State.UNDECIDED for mark in said.values())


@pytest.mark.parametrize(
    ("seed", "way"),
    [
        (1000414, Way("all", 2, said=False, steps=Steps.ANY, seed=104005201)),
        (1000654, Way("some", 2, said=True, steps=Steps.ANY, seed=835047171)),
        (1000876, Way("all", 2, said=False, steps=Steps.ANY, seed=344740065)),
    ],
    ids=str,
)
def test_rounding_that_most_often_ends_in_infinity_says_nothing_about_who_was_spared(seed, way):
    """A deviation of 0.004 is 0.00 on paper, and divides the next line."""
    said = marks(seed, way)
    assert not any(mark.state in (State.WRONG, State.FOLLOWS) for mark in said.values())


@pytest.mark.parametrize(
    ("seed", "way"),
    [(3000008, Way("arguments", 2, said=False, steps=Steps.SOME, seed=839667726))],
    ids=str,
)
def test_a_mistake_that_comes_no_nearer_than_a_few_rounded_steps_is_not_the_cause(seed, way):
    """1/12 is 0.08, which is off by 4 %, and so is what another value in its place would give."""
    said = marks(seed, way)
    assert not any(mark.state in (State.WRONG, State.FOLLOWS) for mark in said.values())
    assert any(mark.state is State.UNDECIDED for mark in said.values())


def test_a_jump_that_one_run_in_64_shows_is_within_reach():
    steady, jump = np.ones((64, 1)), np.zeros((64, 1))
    jump[5] = 3.0
    assert SIGMAS * reach_of(steady) == SIGMAS
    assert SIGMAS * size_of(jump) < 3.0 < SIGMAS * reach_of(jump)


@pytest.mark.parametrize(
    ("seed", "way", "name", "kind"),
    [
        (3, Way("all", 2, said=False), "s2", "halved"),
        (50, Way("some", 2, said=False), "C8", "halved"),
        (8, Way("arguments", 2, said=True), "X1", "times its length"),
        (8, Way("all", 2, said=True), "w5", "sign"),
        (26, Way("all", 3, said=True), "b4", "zeros"),
        (5, Way("all", 3, said=False), "C5", "ones"),
    ],
    ids=str,
)
@pytest.mark.parametrize("followed", [False, True])
def test_a_mistake_does_not_pass_for_rounding(seed, way, name, kind, followed):
    net = hand_ins.passed(hand_ins.drawn(seed))
    if all(x.name != name for x in net.chosen(way.which, np.random.default_rng(seed))):
        way = Way("all", way.decimals, said=way.said, steps=way.steps)
    assert not all(marks(seed, way, (name, kind, followed)).values())


def test_few_digits_are_not_decided_and_the_report_says_what_to_do():
    def f(x):
        return np.sum(np.sin(x))

    x = np.array([0.3, 0.7])
    given, judges = {"x": np.round(np.cos(x), 1)}, ["differences"]
    report = check(f, x, gradients=given, judges=judges)
    (mark,) = report.marks
    assert mark.state is State.UNDECIDED
    assert not report
    assert "cannot be decided" in str(report).splitlines()[0]
    assert "fix: give more digits, or say decimals=" in str(report)
    assert check(f, x, gradients=given, judges=judges, decimals=1)


def test_few_digits_that_are_off_are_wrong():
    x = np.array([0.3, 0.7])
    report = check(lambda x: np.sum(np.sin(x)), x, gradients={"x": np.array([0.9, 0.8])}, judges=[])
    assert report.marks[0].state is State.WRONG


def test_zeros_beside_numbers_in_full_are_a_forgotten_gradient():
    def f(a, b):
        return np.sum(np.sin(a)) + 1e-3 * np.sum(b**2)

    a, b = np.array([0.3, 0.7]), np.array([0.5, 0.25])
    (_, second) = check(f, a, b, gradients={"a": np.cos(a), "b": np.zeros(2)}, judges=[]).marks
    assert second.state is State.WRONG


def test_zeros_are_a_gradient_that_is_nothing_but_rounding():
    def f(x):
        m = np.max(x)
        e = np.exp(x - m)
        s = np.log(np.sum(e))
        return x[1] - m - s  # whatever m is

    x = np.array([0.317, 1.234, -0.778, 2.111])
    for zero in (0.0, 1e-17, -3e-17):
        (mark,) = check(f, x, gradients={"m": np.array(zero)}, judges=[]).marks
        assert mark.state is State.RIGHT, mark
    (mark,) = check(f, x, gradients={"m": np.array(1e-9)}, judges=[]).marks
    assert mark.state is State.WRONG


def test_zeros_that_a_wrong_gradient_cancels_to_follow_from_it():
    def f(x):
        m = np.mean(x)
        c = x - m
        return np.sum(c**3)

    x = np.array([0.317, 1.234, -0.778, 2.111])
    c = x - np.mean(x)
    off = 2 * (c - np.mean(c))  # its sum is 0, and that of its rounded numbers is not
    given = {"c": np.round(off, 3), "m": np.zeros(())}
    found = check(f, x, gradients=given, decimals=3, judges=[]).marks
    assert {mark.node: mark.state for mark in found} == {"c": State.WRONG, "m": State.FOLLOWS}


def test_numbers_that_are_not_finite_are_nobodys_gradient():
    given = Precision(np.array([1.0, 2.0]), np.dtype(float))
    assert not given.exactly(np.array([1.0, -np.inf]))
    assert not given.exactly(np.array([np.nan, 2.0]))


def test_numbers_that_hang_together_count_once():
    moved = np.random.default_rng(0).normal(size=(32, 1)) * 100
    once = digits_of_chance(moved)
    assert once == pytest.approx(digits_of_chance(np.repeat(moved, 50, axis=1)))
    assert 1.5 < once < 2.5  # one number in 2 units of 100


@pytest.mark.parametrize("sigma", [0.5, 2.0, 10.0])
def test_numbers_rounded_after_each_step_are_hardly_ever_taken_for_rounded_once(sigma):
    """The chance that they all lie where they should is no larger than it is said to be."""
    rng = np.random.default_rng(int(sigma * 10))
    mixed = rng.normal(size=(3, 6)) * sigma
    said = digits_of_chance(rng.normal(size=(32, 3)) @ mixed)
    tried = np.abs(rng.normal(size=(20_000, 3)) @ mixed) <= 1
    assert np.mean(np.all(tried, axis=1)) <= 3 * 10.0**-said


def test_no_number_that_moves_says_nothing():
    assert not rounded_once([])
    assert not rounded_once([(np.zeros((32, 4)), 0.01)])


def test_whole_and_repeated_numbers_do_not_make_digits_of_decimals():
    ones, few = np.ones(20), np.array([0.45, -3.02, 13.47, -7.23, -5.38])
    found = looks({"r": (ones, ones.dtype), "b": (few, few.dtype)}, None)
    assert np.all(found["b"].unit == 0.01)
    assert found["b"].words == "2 decimals"


# -- whole numbers ---------------------------------------------------------------------------------
def curve(x, w, b):
    return 0.5 * np.sum((np.tanh(x @ w + b) * 3 - 2) ** 2)


def written_whole(change=lambda g: g, which=("x", "w", "b"), **options):
    """name -> state of the gradients of ``curve`` as lists of whole numbers, one array changed."""
    rng = np.random.default_rng(3)
    values = {"x": 3 * rng.normal(size=(4, 3)), "w": rng.normal(size=(3, 2))}
    values["b"] = rng.normal(size=2)
    right = dict(zip("xwb", bp.grad(curve, (0, 1, 2))(*values.values()), strict=True))
    given = {name: change(np.round(right[name])).astype(int).tolist() for name in which}
    report = check(curve, gradients=given, judges=[], **values, **options)
    return {mark.node: mark.state for mark in report.marks}


@pytest.mark.parametrize("which", [("x", "w", "b"), ("w",), ("b",)])
def test_whole_numbers_are_neither_right_nor_wrong_until_the_person_says_that_they_are_rounded(
    which,
):
    assert set(written_whole(which=which).values()) == {State.UNDECIDED}
    assert set(written_whole(which=which, decimals=0).values()) == {State.RIGHT}


@pytest.mark.parametrize(
    "change",
    [
        lambda g: -g, lambda g: g + 1, lambda g: 2 * g, lambda g: 0 * g, lambda g: 0 * g + 1,
        lambda g: g[::-1],
    ],
    ids=["sign", "one more", "doubled", "zeros", "ones", "reversed"],
)  # fmt: skip
def test_whole_numbers_that_are_off_are_wrong(change):
    assert set(written_whole(change, which=("w", "b")).values()) == {State.WRONG}


@pytest.mark.parametrize(
    ("given", "at", "state"),
    [
        (-8, -3.9998, State.UNDECIDED),
        ([-8, 3], [-3.9998, 1.4999], State.UNDECIDED),
        ([1, 1], [0.4998, 0.5002], State.WRONG),
        ([2, 2, 2], [0.99, 1.01, 1.001], State.WRONG),
        ([0, 1], [0.1, 0.4], State.WRONG),
        ([-8, 3], [-4.0, 1.5], State.RIGHT),
    ],
)
def test_whole_numbers_that_are_all_the_same_or_nothing_but_0_and_1_are_made_otherwise(
    given, at, state
):
    report = check(lambda x: np.sum(x**2), np.array(at), gradients={"x": given}, judges=[])
    assert report.marks[0].state is state


# -- every step rounded ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("seed", "way"),
    [
        (500520, Way("some", 2, said=True, steps=Steps.LINES)),
        (500604, Way("arguments", 2, said=True, steps=Steps.LINES)),
        (500604, Way("arguments", 2, said=False, steps=Steps.LINES)),
    ],
    ids=str,
)
def test_the_very_numbers_that_rounding_after_every_step_gives_are_right(seed, way):
    said = marks(seed, way)
    assert all(said.values()), "\n".join(map(str, said.values()))


@pytest.mark.parametrize("steps", Steps)
@pytest.mark.parametrize(("seed", "which"), [(5, "arguments"), (27, "all")])
def test_whoever_rounds_anywhere_on_the_way_is_not_called_wrong(steps, seed, which):
    net = hand_ins.passed(hand_ins.drawn(seed))
    names = net.chosen(which, np.random.default_rng(seed))
    for decimals, said in ((2, False), (3, True)):
        way = Way(which, decimals, said, steps, seed)
        given = net.hand_in(way, names)
        if hand_ins.is_lost(way, given):
            continue
        found = hand_ins.marks_of(net, way, given)
        wrong = [mark for mark in found if mark.state in (State.WRONG, State.FOLLOWS)]
        assert not wrong, "\n".join(map(str, wrong))


def amplified(x):
    a = np.exp(x)
    return np.sum(a * a) * 30


def test_a_rounded_forward_value_explains_what_follows_from_it():
    x = np.array([0.31, 0.52])
    a = np.round(np.exp(x), 2)
    (mark,) = check(
        amplified, x, gradients={"x": np.round(60 * a * a, 2)}, decimals=2, judges=[]
    ).marks
    assert mark.state is State.UNDECIDED
    assert "rounding to 2 decimals after some of the steps explains it" in str(mark)
    assert str(mark).endswith("fix: keep more digits on the way and round only at the end")


def test_zeros_that_rounding_a_forward_value_gives_are_not_called_forgotten():
    """A probability of 0.996 is 1.00 on paper, where σ′ is 0."""

    def f(w, x):
        p = F.sigmoid(w @ x)
        return np.sum(100 * p)

    w, x = np.array([[1.2, 0.7, -0.4]]), np.array([3.0, 2.5, -0.9])
    given = {"w": np.zeros((1, 3))}
    (mark,) = check(f, w, x, gradients=given, decimals=2, judges=[]).marks
    assert mark.state is State.UNDECIDED, mark
    assert "a mistake may as well" in str(mark)


@pytest.mark.parametrize("off", [lambda g: g / 2, lambda g: -g, lambda g: 0 * g, lambda g: g + 9])
def test_what_no_rounding_explains_stays_wrong(off):
    x = np.array([0.31, 0.52])
    right = 60 * np.exp(x) ** 2
    given = {"x": np.round(off(right), 2)}
    assert check(amplified, x, gradients=given, decimals=2, judges=[]).marks[0].state is State.WRONG


@pytest.mark.parametrize("kind", ["sign", "doubled", "halved", "zeros", "times its length"])
def test_a_mistake_is_not_excused_by_rounding_inside_of_lines(kind):
    for seed in (800010, 800012):
        net = hand_ins.passed(hand_ins.drawn(seed))
        name = next(x.name for x in net.written if x.name.startswith("W"))
        said = marks(seed, Way("all", 3, said=True), (name, kind, False))
        assert said[name].state is State.WRONG


X10 = np.array([[10.0, -20.0, 15.0], [12.0, 8.0, -9.0], [5.0, 7.0, 11.0]])


def weakly(x, w):
    z = x @ w
    a = np.tanh(z)
    loss = np.sum(0.004 * a)
    return loss


@pytest.mark.parametrize("factor", [-1.0, 0.5, 2.0])
def test_rounding_that_could_turn_the_sign_confirms_nothing(factor):
    # δa = 0.004 is 0.00 or 0.01 to two decimals, so δw may be anything near its size
    w = np.array([0.01, 0.02, -0.01])
    right = np.round(bp.grad(lambda w: weakly(X10, w))(w), 2)
    assert bp.check(weakly, X10, w, gradients={"w": right}, decimals=2)
    report = bp.check(weakly, X10, w, gradients={"w": factor * right}, decimals=2)
    assert report.marks[0].state is not State.RIGHT
    assert not report


# -- few different numbers -------------------------------------------------------------------------
def hinge(X, W, y):
    s = X @ W
    c = s[np.arange(4), y]
    m = s - c[:, None] + 1
    h = np.maximum(m, 0)
    return 0.2 * np.sum(h)


def by_hand_of_hinge(factor):
    """δ of ``hinge``, that of c times a factor."""
    rng = np.random.default_rng(2)
    X, W, y = rng.normal(size=(4, 3)), rng.normal(size=(3, 3)), np.array([0, 2, 1, 1])
    s = X @ W
    m = s - s[np.arange(4), y][:, None] + 1
    dh = np.full((4, 3), 0.2)
    dm = dh * (m > 0)
    dc = -dm.sum(1) * factor
    ds = dm + np.eye(3)[y] * dc[:, None]
    given = {"h": dh, "m": dm, "c": dc, "s": ds, "W": X.T @ ds, "X": ds @ W.T}
    return {"X": X, "W": W, "y": y}, given


@pytest.mark.parametrize("decimals", [None, 3, 2])
def test_equal_numbers_do_not_look_rounded_to_the_decimals_that_they_have(decimals):
    """δ of 0.2 throughout is no reason to read its neighbours as rounded to one decimal."""
    for factor in (0.5, 1.5, 1.0):
        values, given = by_hand_of_hinge(factor)
        if decimals is not None:
            given = {name: np.round(g, decimals) for name, g in given.items()}
        said = {m.node: m.state for m in check(hinge, gradients=given, judges=[], **values).marks}
        assert said["h"] is said["m"] is State.RIGHT
        assert said["c"] is (State.RIGHT if factor == 1 else State.WRONG)
        after = State.RIGHT if factor == 1 else State.FOLLOWS
        assert {said["s"], said["W"], said["X"]} == {after}


def test_parameters_may_be_rounded_and_what_lies_between_in_full():
    def net(X, W, b, V, c):
        H = np.tanh(X @ W + b)
        Z = H @ V + c
        return np.sum(Z**2)

    rng = np.random.default_rng(5)
    values = {"X": (6, 3), "W": (3, 4), "b": (4,), "V": (4, 3), "c": (3,)}
    values = {name: rng.normal(size=shape) for name, shape in values.items()}
    worked = bp.explain(net, **values)
    right = {name: np.array(worked[name].delta) for name in ("Z", "H", *values)}
    given = right | {name: np.round(right[name], 3) for name in ("W", "b", "V", "c")}
    assert all(check(net, gradients=given, judges=[], **values).marks)
    given["b"] = np.round(right["b"] * 1.01, 3)
    assert not check(net, gradients=given, judges=[], **values)
