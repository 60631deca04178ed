"""A hand-written loss and what precedes it collapse to one difference, which is said and true."""

from fractions import Fraction

import numpy as np
import pytest

import allbps as bp

X = np.random.default_rng(0).normal(size=(4, 3))
W = np.random.default_rng(1).normal(size=(3, 3))
LABELS = np.array([0, 2, 1, 1])
ROWS = np.eye(3)[LABELS]
W1, Y1 = np.array([0.5, -0.25, 1.0]), np.array([1.0, 0.0, 1.0, 1.0])


def logistic(X, y, w):
    z = X @ w
    p = 1 / (1 + np.exp(-z))
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


def softmax_by_labels(X, y, W):
    z = X @ W
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return -np.mean(np.log(p[np.arange(4), y]))


def softmax_by_rows(X, y, W):
    z = X @ W
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return -np.sum(y * np.log(p))


def brier(X, y, W):
    z = X @ W
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return np.sum((y - p) ** 2)


def said(net, name, by, **arguments):
    worked = bp.explain(net, **arguments).shown(by=by)
    because = worked[name].because
    return because.partition("altogether ")[2]


@pytest.mark.parametrize("by", ["operation", "line"])
@pytest.mark.parametrize(
    ("net", "arguments", "form"),
    [
        (logistic, {"X": X, "y": Y1, "w": W1}, "δz = (p − y) / 4"),
        (softmax_by_labels, {"X": X, "y": LABELS, "W": W}, "δz = (p − onehot(y)) / 4"),
        (softmax_by_rows, {"X": X, "y": ROWS, "W": W}, "δz = p − y"),
    ],
)
def test_the_loss_of_a_classifier_collapses(net, arguments, form, by):
    assert said(net, "z", by, **arguments) == form


def test_what_does_not_collapse_is_not_said_to():
    assert said(brier, "z", "operation", X=X, y=ROWS, W=W) == ""
    assert said(brier, "p", "line", X=X, y=ROWS, W=W) == "δp = 2 (p − y)"


def test_a_form_that_holds_for_these_numbers_alone_is_not_said():
    # at w = 0 every p is ½ and tanh has slope 1: δz = p − y here, and only here
    def net(x, y, w):
        z = x * w
        p = np.tanh(z) + 0.5
        return 0.5 * np.sum((p - y) ** 2)

    arguments = {"x": np.ones(3), "y": np.array([1.0, 0.0, 1.0]), "w": np.full(3, 1e-12)}
    assert said(net, "z", "operation", **arguments) == ""


def test_labels_out_of_range_are_no_one_hot_rows():
    def net(z, index):
        p = np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)
        return np.sum(p[:, 0] * index)

    assert said(net, "z", "operation", z=X, index=np.array([7, 8, 9, 4])) == ""


def test_the_formula_is_not_said_twice():
    def net(p, y):
        return bp.functional.euclidean_loss(p, y)

    worked = bp.explain(net, p=X, y=X + 1)
    assert "altogether" not in worked.to_text()


def test_a_factor_is_a_simple_fraction():
    from allbps.readings.collapse import Collapse

    form = Collapse(None, None, onehot=False, factor=Fraction(2, 3))
    assert form.template() == "2 ({p} − {y}) / 3"
