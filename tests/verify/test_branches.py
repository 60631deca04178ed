"""A branch on whose border δ is no slope of the function itself: nothing is verified there."""

import numpy as np
import pytest

import allbps as bp


def guarded(x):
    if x == 0:
        return 0.0 * x
    return x


def guarded_in_an_element(x):
    return 0.0 * np.sum(x) if x[0] == 0 else np.sum(x)


def guarded_by_its_norm(x):
    norm = np.linalg.norm(x)
    return np.sum(x * norm / norm) if norm > 0 else np.sum(x) * 0.0


def guarded_throughout(x):
    return x[0] * 0.0 if np.all(x == 0) else np.sum(x)


def whole(x):
    return 3.0 * x if x == np.floor(x) else x


def root(a):
    x = a
    while abs(x * x - a) > 1e-9 * a:
        x = 0.5 * (x + a / x)
    return x


def signed(x):
    return np.abs(x) if x > 0 else -np.abs(x)


def larger(x):
    return max(x, -x) * np.sign(x)


def in_pieces(x):
    return np.sum(np.piecewise(x, [x < 0, x > 0], [lambda v: v, lambda v: v]))


ALONE = [
    (signed, 0.0),
    (larger, 0.0),
    (in_pieces, np.array([0.0, 1.0])),
    (guarded, 0.0),
    (guarded_in_an_element, np.array([0.0, 1.0])),
    (guarded_by_its_norm, np.zeros(2)),
    (guarded_throughout, np.zeros(3)),
    (whole, 2.0),
    (root, 1.0),  # found at once, and so its δ is 1 and not ½
]


@pytest.mark.parametrize(("f", "x"), ALONE, ids=lambda f: getattr(f, "__name__", ""))
@pytest.mark.parametrize("judge", [bp.check, lambda f, x: bp.explain(f, x).verify()])
def test_a_branch_of_one_point_is_not_verified_and_its_line_is_named(f, x, judge):
    report = judge(f, x)
    assert not report
    assert "on neither side" in str(report)
    assert "test_branches.py" in report.plain.border
    assert judge(f, x + 0.25)


def relu(x):
    return x if x > 0 else 0.0 * x


def swapped(x):
    values = [x[0], x[1], x[2]]
    for i in range(3):
        for j in range(2 - i):
            if values[j] > values[j + 1]:
                values[j], values[j + 1] = values[j + 1], values[j]
    return values[0] + 2 * values[1] + 4 * values[2]


ONE_SIDE = [
    (relu, 0.0),
    (lambda x: max(x, 0.0), 0.0),
    (lambda x: sum((k + 1) * v for k, v in enumerate(sorted(x))), np.ones(5)),
    (lambda x: sum((k + 1) * v for k, v in enumerate(sorted(x, reverse=True))), np.ones(5)),
    (lambda x: x[np.argmax(x)] - x[np.argmin(x)], np.array([1.0, 1.0, 0.0, 0.0])),
    (lambda x: sum(v for v in x if v > 0), np.array([1.0, 0.0, -1.0])),
    (swapped, np.ones(3)),
    (root, 2.0),
    (lambda x: np.sum(x[x > 0]), np.array([1.0, 2.0])),
    (lambda x: x + 0.0 if x == 0 else x, 0.0),
    (lambda x: x**2 if x == 0 else 2 * x**2, 0.0),
    (lambda x, n: x * n if n == 3 else x, 1.0, 3),
]


@pytest.mark.parametrize("case", ONE_SIDE)
def test_a_branch_that_one_side_takes_is_a_convention(case):
    report = bp.check(*case)
    assert report.plain.confirms, report.plain
    assert not report.disagreements


def sum_of_positive(x):
    return sum(v * (k + 1) for k, v in enumerate(x) if v > 0)


@pytest.mark.parametrize(
    ("f", "x", "right", "wrong"),
    [
        (relu, 0.0, (0.0, 0.5, 1.0), (-0.1, 1.1)),
        (lambda x: max(x, 0.0), 0.0, (0.0, 0.5, 1.0), (-0.1, 1.1)),
        (guarded, 0.0, (1.0,), (0.5, 2.0)),
        (signed, 0.0, (1.0,), (1.5, -2.0)),
        (
            sum_of_positive,
            np.array([1.0, 0.0, -1.0]),
            (np.array([1.0, 0.0, 0.0]), np.array([1.0, 2.0, 0.0])),
            (np.array([1.0, 3.0, 0.0]), np.array([0.0, 2.0, 0.0]), np.array([1.0, 1.0, 1.0])),
        ),
    ],
)
def test_any_slope_on_the_border_of_a_branch_is_right(f, x, right, wrong):
    for numbers in right:
        (mark,) = bp.check(f, x, gradients={"x": numbers}).marks
        assert mark, mark
    for numbers in wrong:
        (mark,) = bp.check(f, x, gradients={"x": numbers}).marks
        assert not mark, mark


def test_what_a_cotangent_multiplies_is_no_slope_of_the_function():
    report = bp.check(lambda x: x if x > 0 else 0.5 * x, 0.0, cotangent=np.array(8.0))
    assert report, str(report)
