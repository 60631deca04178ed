"""What a report says, word for word."""

import json
import sys

import numpy as np
import pytest

from allbps.errors import ArgumentError, MissingExtraError
from allbps.ops.activation import sigmoid_op
from allbps.verify import JUDGES, verify


def square(x):
    y = x * x
    return np.sum(y)


def logs(x, w):
    z = x * w
    a = np.log(z)
    return np.sum(a * a)


X = np.array([1.0, 2.0])


def test_a_report_names_judges_errors_and_lines(judged):
    text = str(judged(square, X, judges=["exact"]))
    assert text == (
        "square: 3 δ, verified\n"
        "  exact  agrees with 3 of 3, largest error 0.0e+00\n"
        "\n"
        "  δ   exact  line\n"
        "  δL  0      test_report.py:16 in square: return np.sum(y)\n"
        "  δy  0      test_report.py:15 in square: y = x * x\n"
        "  δx  0\n"
    )


def test_a_disagreement_shows_both_numbers_and_the_edge(run):
    passes, values = run(square, X)
    values["dx"] = np.array([2.0, 5.0])
    report = verify(passes, values, ["exact"])
    assert not report
    assert str(report) == (
        "square: 3 δ, NOT verified\n"
        "  exact  agrees with 2 of 3, largest error 2.0e-01\n"
        "\n"
        "  δ   exact          line\n"
        "  δL  0              test_report.py:16 in square: return np.sum(y)\n"
        "  δy  0              test_report.py:15 in square: y = x * x\n"
        "  δx  WRONG 2.0e-01\n"
        "\n"
        "nearest to the loss: δx[1]: 5, exact says 4 (error 2.0e-01)\n"
        "  comes through d_mul_a, from y = x * x\n"
        "  comes through d_mul_b, from y = x * x"
    )


def test_a_judge_that_cannot_speak_says_why(judged):
    report = judged(lambda x: np.sum(sigmoid_op(x)), X)
    assert report.silent == {"exact": "t1 = sigmoid(x) cannot be computed with fractions"}
    assert "  exact        silent: t1 = sigmoid(x) cannot be computed with" in str(report)
    assert "exact" not in report.judges


def test_json_holds_the_whole_report(judged):
    report = judged(square, X)
    plain = json.loads(json.dumps(report.to_json()))
    assert plain["passed"] is True
    assert plain["nodes"] == 3
    assert set(plain["judges"]) == {"torch", "differences", "exact"}
    assert all(judge["checked"] == 3 for judge in plain["judges"].values())
    assert plain["judges"]["exact"]["max_error"] == 0.0
    assert plain["findings"][0]["verdict"] == "agree"


def test_the_origin_of_a_nan_is_named_instead_of_its_consequences(judged):
    report = judged(logs, np.array([1.0, -1.0]), np.array([1.0, 2.0]))
    assert not report
    assert str(report) == (
        "logs: 6 δ, NOT verified\n"
        "a[1] = nan is the first value that is not finite, from a = np.log(z)\n"
        "  with z[1] = -2\n"
        "  at test_report.py:21 in logs: a = np.log(z)"
    )


def test_a_division_that_only_the_backward_pass_makes_is_named(judged):
    report = judged(np.sqrt, np.float64(0.0))
    assert (report.origin.name, report.origin.value) == ("dx", np.inf)
    assert report.origin.operands == ("L = 0", "dL = 1")


def test_an_infinity_that_is_masked_away_is_no_origin(judged):
    def masked(s):
        m = np.where(np.array([True, False, True]), s, -np.inf)
        e = np.exp(m)
        return e / np.sum(e)

    report = judged(masked, np.array([0.5, 1.0, -0.25]))
    assert report.origin is None
    assert report, report


def test_half_of_the_digits_of_float32_can_be_confirmed(judged):
    report = judged(square, X.astype(np.float32))
    assert report
    assert report.notes == (
        "δ in float32 can be confirmed only to half of its digits, 3e-04; pass float64 for more",
    )


def test_an_unknown_judge_is_refused(judged):
    with pytest.raises(ArgumentError) as caught:
        judged(square, X, judges=["oracle"])
    assert str(caught.value) == (
        f"unknown judge 'oracle'\n  expected: {' or '.join(JUDGES)}\n  got:      'oracle'"
    )


def test_without_pytorch_the_others_judge_and_the_report_says_so(judged, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    report = judged(square, X)
    assert report
    assert report.silent["torch"] == (
        "torch is needed for comparing with its autograd, and is not installed"
    )
    with pytest.raises(MissingExtraError) as caught:
        judged(square, X, judges=["torch"])
    assert str(caught.value) == (
        "torch is needed for comparing with its autograd, and is not installed\n"
        "  fix:      pip install 'allbps[torch]'"
    )


def test_no_judge_no_confirmation(judged, monkeypatch):
    monkeypatch.setattr("allbps.verify.differences.STATEMENTS", 0)
    report = judged(lambda x: np.sum(np.sin(x)), X, judges=["differences", "exact"])
    assert not report
    assert report.unchecked == ("L", "t1", "x")
    assert report.silent["differences"] == "2 statements take too much work to repeat"
    assert "no judge confirms δL, δt1, δx" in str(report)


def test_rounding_that_cancels_everything_is_no_disagreement(judged):
    from allbps.ops.activation import softmax_op

    x = np.random.default_rng(0).normal(size=(4, 5))
    report = judged(lambda x: np.sum(softmax_op(x, axis=1), axis=1) ** 2, x)
    assert np.max(np.abs([f.ours for f in report.findings if f.node == "x"])) < 1e-15
    assert not report.disagreements


def test_tiny_gradients_are_compared_at_full_relative_precision(run):
    passes, values = run(lambda x: np.exp(-x), np.float64(80.0))
    values["dx"] = values["dx"] * (1 + 1e-6)
    assert not verify(passes, values, ["torch"])


def test_a_thousand_statements_are_sampled_within_a_second(judged):
    def long(x):
        for _ in range(1000):
            x = x * 1.001
        return np.sum(x)

    report = judged(long, X)
    assert report
    assert report.judges["torch"]["checked"] == 1002
    # 400,000 statements; a δ takes 6 runs of what follows its value, 501 statements on average
    assert 120 <= report.judges["differences"]["checked"] <= 400_000 // (6 * 501)


def test_fractions_that_grow_without_end_are_left_to_the_other_judges(judged):
    def logistic_map(x):
        for _ in range(30):
            x = 2.7 * x * (1 - x)
        return x

    report = judged(logistic_map, 0.3)
    assert report.verified
    assert "has fractions of more than" in report.silent["exact"]
