"""Kinks, ties and jumps are named and left out; right rules beside them are never accused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import allbps as bp
from allbps.ops.activation import relu
from allbps.verify import Verdict, check, verify


def rectified(X):
    return relu(X)


def test_relu_at_zero_is_no_failure_and_its_neighbours_are_still_checked(judged):
    report = judged(rectified, np.array([[-1.0, 0.0], [2.0, 3.0]]))
    assert report
    found = report.of["X"]["differences"]
    assert (found.verdict, found.excluded, found.compared) == (Verdict.AGREE, 1, 3)
    assert "relu has a kink, a tie or a jump at y[0, 1]" in found.note


def test_where_nothing_else_is_left_one_of_the_slopes_is_a_convention(judged):
    report = judged(lambda x: relu(x) * 3.0, np.float64(0.0))
    assert report.of["x"]["differences"].verdict is Verdict.CONVENTION
    assert report.of["x"]["torch"].verdict is Verdict.AGREE  # the same convention
    assert report
    assert not report.disagreements


def test_another_convention_at_a_kink_is_no_disagreement(judged):
    plants = {(relu, 0): lambda g, y, x: g * (x >= 0)}  # slope 1 at 0 instead of 0
    report = judged(rectified, np.array([0.0, 1.0, -1.0]), plants=plants)
    assert report
    assert report.of["X"]["torch"].excluded == 1


@pytest.mark.parametrize("curve", [np.exp, np.sin, lambda x: x])
@pytest.mark.parametrize("off", [0.0, 1e-7])
def test_slopes_at_a_kink_are_known_to_seven_digits(judged, curve, off):
    plants = {(relu, 0): lambda g, y, x: g * (x >= 0) * (1 + off)}
    report = judged(lambda x: curve(3.0 * relu(x)), np.float64(0.0), plants=plants)
    said = report.of["x"]["differences"].verdict
    assert said is (Verdict.NOT_DIFFERENTIABLE if off else Verdict.CONVENTION), report


def test_a_wrong_rule_beside_a_kink_is_still_caught(judged):
    plants = {(relu, 0): lambda g, y, x: g}
    report = judged(rectified, np.array([0.0, 1.0, -1.0]), plants=plants)
    wrong = {f.judge: f.index for f in report.disagreements if f.node == "X"}
    assert wrong["torch"] == wrong["differences"] == wrong["exact"] == (2,)


def test_a_tie_in_a_maximum_is_named_with_its_place(judged):
    def top(X):
        M = np.max(X, axis=1)
        return M * np.array([2.0, 3.0])

    report = judged(top, np.array([[1.0, 5.0, 5.0], [4.0, 2.0, 3.0]]))
    assert report
    assert report.of["X"]["differences"].excluded == 2
    assert "max has a kink, a tie or a jump at M[0] (" in report.of["X"]["differences"].note


def test_a_jump_is_no_failure(judged):
    report = judged(lambda x: np.floor(x) * x, np.array([0.5, 2.0]))
    assert report
    assert report.of["x"]["differences"].excluded == 1


def test_smooth_functions_with_slope_zero_are_not_taken_for_kinks(judged):
    report = judged(lambda x: x**2 + np.cos(x), np.array([0.0, 1.0]))
    assert report
    assert report.of["x"]["differences"].excluded == 0


@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-6, 3e-7, 1e-8, 1e-12])
@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_near_a_kink_the_step_shrinks(judged, distance, offset):
    report = judged(lambda x: relu(x) * 3.0 - x + offset, np.array([distance, -distance, 1.0]))
    assert report, report
    assert not report.disagreements


@pytest.mark.parametrize("distance", [1e-2, 1e-4])
def test_near_a_kink_a_wrong_rule_is_caught(judged, distance):
    plants = {(relu, 0): lambda g, y, x: g}
    x = np.array([distance, -distance])
    report = judged(rectified, x, plants=plants, judges=["differences"])
    assert [f.index for f in report.disagreements] == [(1,)]


small = st.integers(-2, 2).map(float)
matrix = arrays(np.float64, (3, 3), elements=small)


@settings(max_examples=30, deadline=None)
@given(matrix, matrix, arrays(np.float64, 3, elements=small), st.integers(0, 1000))
def test_random_nets_full_of_zeros_and_ties_are_never_accused(X, W, b, seed):
    def net(X, W, b):
        Z = X @ W + b
        H = np.maximum(Z, 0)
        P = np.max(H.reshape(3, 3), axis=0)
        M = np.maximum(P, b)
        return np.where(M > 1, M * M, M) - np.abs(H @ b)

    report = check(net, X, W, b, seed=seed)
    assert not report.disagreements, report


@settings(max_examples=15, deadline=None)
@given(arrays(np.float64, (4, 4), elements=small), st.integers(0, 1000))
def test_pooling_with_ties_is_never_accused(X, seed):
    def pool(X):
        R = relu(X)
        windows = np.transpose(R.reshape(2, 2, 2, 2), (0, 2, 1, 3)).reshape(2, 2, 4)
        return np.max(windows, axis=-1)

    report = check(pool, X, seed=seed)
    assert not report.disagreements, report


@pytest.mark.parametrize("judges", [None, ["differences"]])
@pytest.mark.parametrize(
    "f",
    [
        lambda x: 2 * np.maximum(x, 0) - np.maximum(-x, 0),  # 2 and 1, and 3 by convention
        lambda x: np.maximum(x, 0) + 3 * np.minimum(x, 0),
        lambda x: x + np.where(x >= 0, x, 0.0) + np.where(x <= 0, 0.5 * x, 0.0),
        lambda x: np.clip(2 * x, 0, 1) - np.maximum(-x, 0),
    ],
)
def test_what_conventions_at_several_kinks_come_to_is_not_verified_unless_it_is_a_slope(f, judges):
    """PyTorch and exact arithmetic make the same choices: what they confirm may be no slope."""
    x = np.array([0.0, 1.0, -1.0])
    (of_zero, *_) = bp.grad(lambda x: np.sum(f(x)))(x)
    up, down = (f(np.array(h))[()] / h for h in (1e-3, -1e-3))
    between = min(up, down) - 1e-9 <= of_zero <= max(up, down) + 1e-9
    report = check(f, x, judges=judges)
    assert bool(report) is bool(between), report
    assert between or "and the slopes there are" in str(report)


@pytest.mark.parametrize("judges", [["differences"], ["exact"]])
@pytest.mark.parametrize("tied", [2, 3])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("share", [0.0, 0.5, 2.0])
def test_shares_of_a_tie_that_do_not_add_up_are_not_verified(run, judges, tied, sign, share):
    """Each of them lies between the slopes 0 and 1 of its element."""
    x = np.array([1.0, 1.0, 1.0, -2.0])
    x[tied:] = -3.0
    passes, values = run(lambda x: sign * np.max(x) ** 2, x)
    right = values["dx"]
    assert verify(passes, values, judges)
    values["dx"] = sign * 2.0 * (x == 1.0) * min(share, 1.0) / (1 if share > 1 else tied)
    assert np.sum(values["dx"]) != np.sum(right)
    assert not verify(passes, values, judges)


@pytest.mark.parametrize("judges", [None, ["differences"], ["exact"]])
def test_an_element_at_a_kink_that_is_no_slope_is_not_confirmed_by_others_that_are_right(
    run, judges
):
    passes, values = run(lambda x: np.sum(np.maximum(x, 0) * 3.0), np.array([0.0, 1.0, 2.0]))
    assert verify(passes, values, judges)
    for wrong in (3.003, -0.003):
        values["dx"] = np.array([wrong, 3.0, 3.0])
        assert not verify(passes, values, judges)


W = np.array([1.0, 0.5, 0.0])


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(np.where(x == 0, 5.0, x)),
        lambda x: np.sum(np.sign(x) * (x + 3.0)),
        lambda x: np.sum(bp.grad(lambda v: np.max(v[:2] + 1.0) * np.min(v[:2] + 1.0))(x) * W),
    ],
)
def test_where_a_value_lies_apart_from_both_sides_there_is_no_slope_to_choose(f):
    report = check(f, np.array([0.0, 0.0, 2.0]))
    assert not report, report
    assert "off the values on both sides" in str(report)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(np.floor(x) * x),
        lambda x: np.sum(np.where(x > 0, x, x + 1.0)),
        lambda x: np.sum(np.round(x) + x),
    ],
)
def test_at_a_jump_on_one_side_the_slope_on_the_other_is_a_convention(f):
    report = check(f, np.array([0.0, 2.0, 1.5]))
    assert report, report
    assert "a convention at a kink" in str(report) or "no derivative" not in str(report)
