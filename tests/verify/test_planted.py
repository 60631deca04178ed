"""Every wrong rule is caught by every judge that can catch it, and no right one is accused."""

import numpy as np
import pytest

import allbps.functional as F
from allbps.ir import OPS, Rule
from allbps.ops.activation import relu, sigmoid_op, softmax_op
from allbps.ops.arithmetic import mul, power, sub
from allbps.ops.conv import conv2d_op
from allbps.ops.function import maximum
from allbps.ops.index import getitem, put_add_op
from allbps.ops.linalg import matmul
from allbps.ops.pool import max_pool2d_op, scatter_to_op, winner_index_op
from allbps.ops.reduce import max_, mean, winner
from allbps.ops.shape import flip, pad, transpose
from allbps.verify import Verdict, verify

rng = np.random.default_rng(7)
X, W, B = rng.normal(size=(4, 3)), rng.normal(size=(3, 3)), rng.normal(size=3)


def relu_net(X, W, B):
    Z1 = X @ W + B
    Z2 = relu(Z1)
    return (Z2 @ W) ** 2


def pooled(X, W):
    Z = X @ W
    return np.max(Z, axis=1) * np.array([1.0, -2.0, 3.0, 0.5])


POLYNOMIAL = {"torch", "differences", "exact"}
SMOOTH = {"torch", "differences", "expansion"}
I, K = rng.normal(size=(6, 7)), rng.normal(size=(3, 2))


def convnet(I, K):
    J = F.conv2d(I, K)
    Z = F.relu(J)
    return F.max_pool2d(Z, 2)


PLAIN = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1, "batched": False}


# name: (function, arguments, (op, operand), wrong rule, judges that must catch it)
PLANTS = {
    "transpose dropped": (
        relu_net, (X, W, B), (matmul, 0), lambda g, y, a, b: g @ b, POLYNOMIAL,
    ),
    "sign flipped": (
        lambda X, W: (X - W) ** 2, (X, X[::-1].copy()), (sub, 1), lambda g, y, a, b: g, POLYNOMIAL,
    ),
    "relu masked by the upstream": (
        relu_net, (X, W, B), (relu, 0), lambda g, y, x: g * (g > 0), POLYNOMIAL,
    ),
    "relu mask forgotten": (
        relu_net, (X, W, B), (relu, 0), lambda g, y, x: g, POLYNOMIAL,
    ),
    "relu mask inverted": (
        relu_net, (X, W, B), (relu, 0), lambda g, y, x: g * (x <= 0), POLYNOMIAL,
    ),
    "flip forgotten": (
        lambda X: np.flip(X, 1) * X, (X,), (flip, 0), lambda g, y, x, axis: g, POLYNOMIAL,
    ),
    "smallest instead of largest": (
        pooled, (X, W), (max_, 0),
        lambda g, y, x, axis, keepdims: (
            winner(x, axis=axis, largest=False) * np.reshape(g, (4, 1))
        ),
        POLYNOMIAL,
    ),
    "gradient to all instead of the winner": (
        pooled, (X, W), (max_, 0), lambda g, y, x, axis, keepdims: np.reshape(g, (4, 1)),
        POLYNOMIAL,
    ),
    "factor 2 forgotten": (
        relu_net, (X, W, B), (power, 0), lambda g, y, x, exponent: g * x, POLYNOMIAL,
    ),
    "wrong factor of a product": (
        lambda X, W: X * W, (X, X[::-1].copy()), (mul, 0), lambda g, y, a, b: g * a, POLYNOMIAL,
    ),
    "mean not divided": (
        lambda X: np.mean(X, axis=0) ** 2, (X,), (mean, 0),
        lambda g, y, x, axis, keepdims: np.reshape(g, (1, 3)), POLYNOMIAL,
    ),
    "both win a maximum": (
        lambda X: np.maximum(X, X * X), (X,), (maximum, 0), lambda g, y, a, b: g,
        POLYNOMIAL,
    ),
    "axes put back in the wrong order": (
        lambda X: np.transpose(X.reshape(2, 2, 3), (1, 2, 0)) ** 2, (X,), (transpose, 0),
        lambda g, y, x, axes: g.reshape(x.shape), POLYNOMIAL,
    ),
    "repeated index counted once": (
        lambda X: X[np.array([0, 1, 1])] ** 2, (X,), (getitem, 0),
        lambda g, y, *xs, index, parts: put_add_op(
            g[np.array([0, 1])], xs[1][np.array([0, 1])], shape=xs[0].shape, parts=parts
        ),
        POLYNOMIAL,
    ),
    "kernel not flipped": (
        convnet, (I, K), (conv2d_op, 0),
        lambda g, y, x, w, **attrs: conv2d_op(pad(g, width=((2, 2), (1, 1))), w, **PLAIN),
        POLYNOMIAL,
    ),
    "kernel's gradient turned": (
        convnet, (I, K), (conv2d_op, 1),
        lambda g, y, x, w, **attrs: flip(conv2d_op(x, g, **PLAIN), axis=(0, 1)), POLYNOMIAL,
    ),
    "pooled gradient to the smallest": (
        lambda I: F.max_pool2d(I, 2), (I,), (max_pool2d_op, 0),
        lambda g, y, x, **window: scatter_to_op(
            g, winner_index_op(-x, **window), size=x.shape[-2:]
        ),
        POLYNOMIAL,
    ),
    "pooled gradient to the first cell": (
        lambda I: F.max_pool2d(I, 2, padding=1), (I,), (max_pool2d_op, 0),
        lambda g, y, x, **window: scatter_to_op(
            g, winner_index_op(x * 0.0, **window), size=x.shape[-2:]
        ),
        POLYNOMIAL,
    ),
    "only the diagonal of the softmax Jacobian": (
        lambda X: softmax_op(X, axis=1), (X,), (softmax_op, 0),
        lambda g, y, x, axis: g * y * (1.0 - y), SMOOTH,
    ),
    "sigmoid's derivative at its output": (
        sigmoid_op, (X,), (sigmoid_op, 0),
        lambda g, y, x: g * (sigmoid_op(y) * (1.0 - sigmoid_op(y))), SMOOTH,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_wrong_rule_is_caught_by_every_judge_that_can(judged, name):
    function, arguments, place, wrong, judges = PLANTS[name]
    right = judged(function, *arguments)
    assert right, right
    report = judged(function, *arguments, plants={place: wrong})
    assert not report
    assert {finding.judge for finding in report.disagreements} >= judges


def rules_with_samples():
    for op in list(OPS.values()):
        for k, rule in enumerate(op.rules):
            if isinstance(rule, Rule):
                yield from ((op, k, sample) for sample in op.samples)


ALL = list(rules_with_samples())


@pytest.mark.parametrize(
    ("op", "k", "sample"), ALL, ids=[f"{op.name}-{k}-{n}" for n, (op, k, _) in enumerate(ALL)]
)
def test_a_scaled_rule_of_any_operation_is_caught(judged, op, k, sample):
    operands = [np.asarray(x)[()] for x in sample.draw(np.random.default_rng(3))]
    if operands[k].dtype.kind != "f":
        pytest.skip("an index")

    def apply(*xs):
        return op(*xs, **sample.attrs)

    if apply(*operands).is_complex:
        pytest.skip("the judges know real δ; PyTorch judges this one in tests/ops/test_complex.py")
    right = op.rules[k].build
    report = judged(apply, *operands)
    assert report, report
    dead = not any(np.any(f.ours) for f in report.findings if f.node == f"xs_{k}")
    wrong = judged(
        apply,
        *operands,
        judges=["differences"],
        plants={(op, k): lambda g, y, *xs, **attrs: right(g, y, *xs, **attrs) * 1.001},
    )
    assert dead or wrong.disagreements, wrong


def test_the_nearest_wrong_rule_is_named_with_its_line(judged):
    report = judged(relu_net, X, W, B, plants={(relu, 0): lambda g, y, x: g})
    first = report.disagreements[0]
    assert first.node == "Z1"
    assert first.verdict is Verdict.DISAGREE
    text = str(report)
    assert "nearest to the loss: δZ1[" in text
    assert "comes through <lambda>, from Z2 = np.maximum(Z1, 0)" in text
    assert "in relu_net: Z1 = X @ W + B" in text


@pytest.mark.parametrize("judge", ["torch", "differences", "exact"])
def test_a_use_that_is_forgotten_in_the_numbers_is_caught(run, judge):
    passes, values = run(relu_net, X, W, B)
    values["dW"] = values["dW_1"]  # overwritten instead of added
    report = verify(passes, values, [judge])
    assert [finding.node for finding in report.disagreements] == ["W"]


@pytest.mark.parametrize("judge", ["torch", "differences", "exact"])
def test_one_wrong_element_among_many_is_caught(run, judge):
    passes, values = run(lambda X: X * X, rng.normal(size=(15, 15)))
    wrong = values["dX"].copy()
    wrong[7, 11] *= 1 + 1e-6
    values["dX"] = wrong
    assert not verify(passes, values, [judge])
