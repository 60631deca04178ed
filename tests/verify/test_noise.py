"""Rounding is called rounding, and nothing wrong hides behind it."""

import re

import numpy as np
import pytest

import allbps.functional as F
from allbps.ops.activation import sigmoid_op
from allbps.ops.arithmetic import mul
from allbps.verify import Verdict, check, verify

rng = np.random.default_rng(5)
FIT, W = rng.normal(size=(5, 3)), rng.normal(size=3)
TARGET = FIT @ W

CANCELLING = {
    "layer norm summed": (lambda x: np.sum(F.layer_norm(x, 4)), rng.normal(size=(3, 4))),
    "batch norm summed": (
        lambda x: np.sum(F.batch_norm(x, training=True)), rng.normal(size=(6, 3)),
    ),
    "softmax summed": (lambda x: np.sum(F.softmax(x, -1)), rng.normal(size=(2, 3))),
    "saturated cross-entropy": (
        lambda x: F.cross_entropy(x, np.array([0])), np.array([[50.0, 0.0, -50.0]]),
    ),
    "saturated sigmoid": (lambda x: np.sum(F.sigmoid(x)), np.array([10.0, 20.0, 30.0, -30.0])),
    "perfect fit": (lambda w: np.mean((FIT @ w - TARGET) ** 2), W),
    "large offset": (lambda x: np.sum((x + 1e8) - 1e8) + np.sum(x**3), np.array([1.0, 2.0])),
    "float32 inside": (
        lambda x: np.sum(np.tanh(x.astype(np.float32)) ** 2), np.array([0.1, 2.0, 3.0]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CANCELLING)
@pytest.mark.parametrize("seed", range(3))
def test_rounding_is_no_disagreement(name, seed):
    f, x = CANCELLING[name]
    report = check(f, x * (1 + 0.1 * seed), seed=seed)
    assert not report.disagreements, report
    assert report, report


def test_what_cannot_be_said_is_said_in_the_first_line():
    f, x = CANCELLING["layer norm summed"]
    report = check(f, x)
    assert report.noisy == ("x",)
    assert {found.verdict for found in report.of["x"].values()} == {Verdict.NOISY}
    text = str(report)
    assert "verified except δx: noisy, cannot be decided at this precision" in text.splitlines()[0]
    assert "rounding alone moves it by up to" in text
    assert "another point, where less cancels, would help" in text
    assert report.to_json()["noisy"] == ["x"]


def test_float64_is_what_helps_float32():
    f, x = CANCELLING["float32 inside"]
    assert "float64 instead of float32 would help" in str(check(f, x))


@pytest.mark.parametrize("name", CANCELLING)
@pytest.mark.parametrize("judge", ["torch", "differences"])
def test_a_wrong_delta_does_not_pass_for_noise(run, name, judge):
    passes, values = run(*CANCELLING[name])
    found = passes.steps[-1].node.name
    values[found] = np.asarray(values[found]) + 1e-3
    assert verify(passes, values, [judge]).disagreements


@pytest.mark.parametrize("name", CANCELLING)
@pytest.mark.parametrize("judge", ["torch", "differences"])
@pytest.mark.parametrize("part", [1e-3, 1e-5])
def test_a_slightly_wrong_delta_is_never_confirmed(run, name, judge, part):
    """What rounding hides from a judge cannot be said; that is no confirmation."""
    passes, values = run(*CANCELLING[name])
    found = passes.steps[-1]
    values[found.node.name] = np.asarray(values[found.node.name]) + part
    report = verify(passes, values, [judge])
    said = report.of[found.primal.name][judge]
    assert said.verdict in (Verdict.DISAGREE, Verdict.NOISY, Verdict.NOT_CHECKED)
    if judge == "torch" and name != "float32 inside":
        assert said.verdict is Verdict.DISAGREE


@pytest.mark.parametrize("point", [0.5, 5.0, 12.0])
def test_a_wrong_rule_on_the_way_to_saturation_is_caught(judged, point):
    plants = {(sigmoid_op, 0): lambda g, y, x: g * y}
    report = judged(lambda x: np.sum(sigmoid_op(x)), np.array([point]), plants=plants)
    assert report.disagreements


def test_a_wrong_rule_beside_a_cancellation_is_caught(judged):
    plants = {(mul, 0): lambda g, y, a, b: g * a}
    report = judged(
        lambda x, w: np.sum(F.layer_norm(x * w, 4)) + np.sum(x * w * w),
        rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), plants=plants,
    )  # fmt: skip
    assert report.disagreements


def test_a_gradient_that_rounding_changes_altogether_is_not_verified():
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    weights = rng.normal(size=(3, 3))

    def polar(a):
        u, _, vt = np.linalg.svd(a)
        return np.sum((u @ vt) * weights)

    report = check(polar, rotation)
    assert not report


EDGES = {
    "cholesky": (
        lambda K: np.sum(np.log(np.diag(np.linalg.cholesky(K)))),
        np.array([[1.0, 1.0 - 1e-6], [1.0 - 1e-6, 1.0]]),
    ),
    "inverse": (lambda A: np.sum(np.linalg.inv(A)), np.array([[1.0, 1.0], [1.0, 1.0 + 1e-7]])),
    "solve": (
        lambda A: np.sum(np.linalg.solve(A, np.array([1.0, 2.0]))),
        np.array([[1.0, 2.0], [2.0, 4.0 + 1e-6]]),
    ),
    "log": (lambda x: np.sum(np.log(x)), np.array([1e-10, 1.0])),
    "sqrt": (lambda x: np.sum(np.sqrt(x)), np.array([1e-9, 1.0])),
    "arcsin": (lambda x: np.sum(np.arcsin(x)), np.array([1 - 1e-9, 0.2])),
    "arccosh": (lambda x: np.sum(np.arccosh(x)), np.array([1 + 1e-9, 2.0])),
}


@pytest.mark.parametrize("name", EDGES)
@pytest.mark.parametrize("judges", [None, ["differences"]], ids=["all", "differences"])
def test_steps_stay_in_the_domain(name, judges):
    f, x = EDGES[name]
    assert not check(f, x, judges=judges).disagreements


def test_a_smooth_loss_with_a_gradient_by_convention_is_not_verified():
    report = check(lambda x: np.sum(np.maximum(x, 0) - np.maximum(-x, 0)), np.array([0.0, 1.0]))
    assert not report
    assert report.unchecked == ("x",)
    assert re.search(r"δ is 2, but the slope there is 1", str(report))


def test_differences_speak_on_every_delta_of_a_large_net_full_of_kinks():
    r = np.random.default_rng(0)

    def net(x, K, b, W, y):
        P = F.max_pool2d(F.relu(F.conv2d(x, K) + b), 2)
        return F.cross_entropy(P.reshape(len(x), -1) @ W, y)

    report = check(
        net, r.normal(size=(32, 3, 33, 33)), r.normal(size=(6, 3, 5, 5)) * 0.2,
        r.normal(size=(6, 1, 1)) * 0.1, r.normal(size=(1176, 10)) * 0.1, r.integers(0, 10, 32),
        judges=["differences"],
    )  # fmt: skip
    assert report, report
