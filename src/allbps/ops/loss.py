"""Losses that deserve a rule of their own, because the rule is what one learns."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.errors import ArgumentError, ShapeError
from allbps.ir import (
    Aval,
    Bad,
    Formula,
    Node,
    Notation,
    Op,
    Rule,
    Sample,
    Zero,
    promote,
)
from allbps.mathematics import Math, write
from allbps.ops.activation import log_softmax_op, sigmoid_op, softmax_op
from allbps.ops.function import log, maximum
from allbps.ops.reduce import sum_
from allbps.ops.shape import reshape


# -- Euclidean loss --------------------------------------------------------------------------------
def d_euclidean_prediction(g: Node, y: Node, prediction: Node, target: Node) -> Node:
    return g * (prediction - target)


def d_euclidean_target(g: Node, y: Node, prediction: Node, target: Node) -> Node:
    return g * (target - prediction)


def euclidean_shape(prediction: Node, target: Node) -> Aval:
    if prediction.shape != target.shape:
        raise ShapeError(
            "{prediction} and {target} must have the same shape to be compared",
            expected=f"{{target}} of shape {prediction.shape}",
            got=f"{{target}} of shape {target.shape}",
            todo="reshape one of them; broadcasting here would hide a mistake",
        )
    dtype = promote(prediction, target)
    return (), dtype if dtype.kind == "f" else np.dtype(np.float64)


def euclidean_notation(prediction: Formula, target: Formula) -> Math:
    square = "({p} − {t})²" if prediction.shape == () else "‖{p} − {t}‖²"
    return write(f"½ {square}", p=prediction, t=target)


euclidean_loss = Op(
    name="euclidean_loss",
    doc="½ ‖prediction − target‖², summed over all elements (lecture, 'Loss function').",
    operands="prediction target",
    shape=euclidean_shape,
    numpy="0.5 * np.sum(({prediction} - {target}) ** 2)",
    torch="0.5 * torch.sum(({prediction} - {target}) ** 2)",
    rules=(
        Rule(d_euclidean_prediction, "∂{y}/∂{prediction} = {prediction} − {target}"),
        Rule(d_euclidean_target, "∂{y}/∂{target} = {target} − {prediction}"),
    ),
    notation=Notation(euclidean_notation),
    expand=lambda prediction, target: (
        sum_((prediction - target) ** 2, axis=None, keepdims=False) * 0.5
    ),
    samples=(Sample(((2, 3), (2, 3))), Sample(((), ()))),
    bad=(
        Bad(
            ((2, 3), (3,)),
            "prediction and target must have the same shape to be compared\n"
            "  expected: target of shape (2, 3)\n"
            "  got:      target of shape (3,)\n"
            "  fix:      reshape one of them; broadcasting here would hide a mistake",
        ),
    ),
)


# -- cross-entropy from logits, target probabilities -----------------------------------------------
def soft_cross_entropy(logits: Any, target: Any) -> Any:
    """−Σ target · log softmax(logits) along the last axis: (…, C) -> (…)."""
    shifted = logits - np.max(logits, axis=-1, keepdims=True)
    log_p = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
    return -np.sum(target * log_p, axis=-1)


def d_soft_logits(g: Node, y: Node, logits: Node, target: Node, normalised: bool) -> Node:
    p = softmax_op(logits, axis=-1)
    if not normalised:  # Σ target need not be 1
        p = p * sum_(target, axis=-1, keepdims=True)
    return _rows(g, y) * (p - target)


def _rows(g: Node, y: Node) -> Node:
    """One δ per example, ready to multiply (…, C)."""
    return reshape(g, shape=(*y.shape, 1)) if y.shape else g


def d_soft_target(g: Node, y: Node, logits: Node, target: Node, normalised: bool) -> Node:
    return -(_rows(g, y) * log_softmax_op(logits, axis=-1))


def soft_shape(logits: Node, target: Node, normalised: bool) -> Aval:
    if logits.shape != target.shape or not logits.shape:
        raise ShapeError(
            "{logits} and {target} do not fit",
            expected=f"one target probability for each score: {logits.shape or '(…, classes)'}",
            got=f"{{logits}} is {logits.shape} and {{target}} is {target.shape}",
        )
    return logits.shape[:-1], promote(logits, target)


def soft_because(logits: Formula, target: Formula, y: Formula, normalised: bool) -> Math:
    named = {"logits": logits, "target": target, "y": y}
    if normalised:
        return write('∂{y}/∂{logits} = softmax({logits}) − {target}, "as" Σ {target} = 1', **named)
    return write("∂{y}/∂{logits} = softmax({logits}) ⊙ Σ {target} − {target}", **named)


def draw_probabilities(rng: np.random.Generator) -> Any:
    return rng.dirichlet(np.ones(4), 3)


soft_cross_entropy_op = Op(
    name="soft_cross_entropy",
    doc="−Σₖ targetₖ log softmax(logits)ₖ along the last axis, through log-sum-exp.",
    operands="logits target",
    shape=soft_shape,
    numpy=lambda operands, attrs: f"soft_cross_entropy({operands['logits']}, {operands['target']})",
    torch=lambda operands, attrs: (
        f"-torch.sum({operands['target']}"
        f" * torch.log_softmax({operands['logits']}, dim=-1), dim=-1)"
    ),
    helpers=(soft_cross_entropy,),
    rules=(
        Rule(d_soft_logits, soft_because),
        Rule(d_soft_target, "∂{y}/∂{target} = −log softmax({logits})"),
    ),
    notation=Notation("CE({logits}, {target})"),
    expand=lambda logits, target, normalised: (
        -sum_(target * log(softmax_op(logits, axis=-1)), axis=-1, keepdims=False)
    ),
    samples=(
        Sample(((3, 4), draw_probabilities), {"normalised": False}),
        Sample(((3,), np.array([0.0, 1.0, 0.0])), {"normalised": False}),
        Sample(((2, 3), (2, 3)), {"normalised": False}),
        Sample(((3, 2), np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])), {"normalised": False}),
    ),
    bad=(
        Bad(
            ((2, 3), (2, 4)),
            "logits and target do not fit\n"
            "  expected: one target probability for each score: (2, 3)\n"
            "  got:      logits is (2, 3) and target is (2, 4)",
            {"normalised": False},
        ),
    ),
)


# -- cross-entropy from logits, class labels -------------------------------------------------------
def cross_entropy(logits: Any, labels: Any) -> Any:
    """−log softmax(logits)[label] along the last axis: (…, C), (…) -> (…)."""
    shifted = logits - np.max(logits, axis=-1, keepdims=True)
    log_sum = np.log(np.sum(np.exp(shifted), axis=-1))
    picked = np.take_along_axis(shifted, np.expand_dims(labels, -1), axis=-1)
    return log_sum - picked[..., 0]


def one_hot(labels: Any, classes: Any, dtype: Any) -> Any:
    """1 at each label, else 0: (…) -> (…, C)."""
    return (np.expand_dims(labels, -1) == np.arange(classes)).astype(dtype)


def one_hot_shape(labels: Node, classes: int, dtype: Any) -> Aval:
    if labels.dtype.kind not in "iu":
        raise ArgumentError(
            "{labels} must be class numbers",
            expected="integers",
            got=f"{labels.dtype} numbers",
            todo="{labels}.astype(int), or pass probabilities of the shape of the logits",
        )
    check_classes(labels, classes)
    return (*labels.shape, classes), np.dtype(dtype)


def check_classes(labels: Node, classes: int) -> None:
    """Are all class numbers, where they are known, below the number of classes?

    Raises:
        ArgumentError: one is not.

    """
    values = labels.value
    if values is None or not np.size(values):
        return
    low, high = int(np.min(values)), int(np.max(values))
    if low < 0 or high >= classes:
        raise ArgumentError(
            "class index out of range in {labels}",
            expected=f"0 to {classes - 1}",
            got=f"{low if low < 0 else high}",
        )


one_hot_op = Op(
    name="one_hot",
    doc="1 at each label, else 0.",
    operands="labels",
    shape=one_hot_shape,
    numpy="one_hot({labels}, {classes}, {dtype})",
    torch=lambda operands, attrs: (
        f"({operands['labels']}.unsqueeze(-1) == torch.arange({attrs['classes']},"
        f" device={operands['labels']}.device)).to(torch.{np.dtype(attrs['dtype']).name})"
    ),
    helpers=(one_hot,),
    rules=(Zero("class numbers are integers"),),
    notation=Notation("onehot({labels})"),
    samples=(Sample((np.array([2, 0]),), {"classes": 3, "dtype": np.dtype(np.float64)}),),
    bad=(
        Bad(
            (np.array([-1, 0]),),
            "class index out of range in labels\n  expected: 0 to 2\n  got:      -1",
            {"classes": 3, "dtype": np.dtype(np.float64)},
        ),
        Bad(
            ((2,),),
            "labels must be class numbers\n"
            "  expected: integers\n"
            "  got:      float64 numbers\n"
            "  fix:      labels.astype(int), or pass probabilities of the shape of the logits",
            {"classes": 3, "dtype": np.dtype(np.float64)},
        ),
    ),
)


def d_cross_entropy(g: Node, y: Node, logits: Node, labels: Node) -> Node:
    hot = one_hot_op(labels, classes=logits.shape[-1], dtype=logits.dtype)
    return _rows(g, y) * (softmax_op(logits, axis=-1) - hot)


def cross_entropy_shape(logits: Node, labels: Node) -> Aval:
    if logits.shape[:-1] != labels.shape or not logits.shape:
        raise ShapeError(
            "{logits} and {labels} do not fit",
            expected=f"one class number for each row of scores: {{labels}} of shape"
            f" {logits.shape[:-1]}",
            got=f"{{logits}} is {logits.shape} and {{labels}} is {labels.shape}",
        )
    if labels.dtype.kind not in "iu":
        raise ArgumentError(
            "{labels} must be class numbers",
            expected="integers",
            got=f"{labels.dtype} numbers",
            todo="pass {labels}.astype(int), or probabilities of the shape of {logits}",
        )
    check_classes(labels, logits.shape[-1])
    return logits.shape[:-1], logits.dtype


cross_entropy_op = Op(
    name="cross_entropy",
    doc="−log softmax(logits)[label] along the last axis, through log-sum-exp.",
    operands="logits labels",
    shape=cross_entropy_shape,
    numpy="cross_entropy({logits}, {labels})",
    torch=("torch.logsumexp({logits}, dim=-1) - {logits}.gather(-1, {labels}[..., None])[..., 0]"),
    helpers=(cross_entropy,),
    rules=(
        Rule(d_cross_entropy, "∂{y}/∂{logits} = softmax({logits}) − onehot({labels})"),
        Zero("class numbers are integers"),
    ),
    notation=Notation("CE({logits}, {labels})"),
    expand=lambda logits, labels: soft_cross_entropy_op(
        logits, one_hot_op(labels, classes=logits.shape[-1], dtype=logits.dtype), normalised=True
    ),
    samples=(
        Sample(((3, 4), np.array([1, 0, 3]))),
        Sample(((2, 2, 3), np.array([[1, 0], [2, 2]]))),
    ),
    bad=(
        Bad(
            ((2, 3), np.array([0, 3])),
            "class index out of range in labels\n  expected: 0 to 2\n  got:      3",
        ),
        Bad(
            ((2, 3), np.array([0, 1, 2])),
            "logits and labels do not fit\n"
            "  expected: one class number for each row of scores: labels of shape (2,)\n"
            "  got:      logits is (2, 3) and labels is (3,)",
        ),
        Bad(
            ((2, 3), (2,)),
            "labels must be class numbers\n"
            "  expected: integers\n"
            "  got:      float64 numbers\n"
            "  fix:      pass labels.astype(int), or probabilities of the shape of logits",
        ),
    ),
)


# -- binary cross-entropy --------------------------------------------------------------------------
def bce_shape(prediction: Node, target: Node) -> Aval:
    if prediction.shape != target.shape:
        raise ShapeError(
            "{0} and {1} must have the same shape",
            expected=f"{{1}} of shape {prediction.shape}",
            got=f"{{1}} of shape {target.shape}",
        )
    return prediction.shape, promote(prediction, target)


def different_shapes(first: str) -> Bad:
    return Bad(
        ((2,), (3,)),
        f"{first} and target must have the same shape\n"
        "  expected: target of shape (2,)\n"
        "  got:      target of shape (3,)",
    )


def d_bce_logits(g: Node, y: Node, logits: Node, target: Node) -> Node:
    return g * (sigmoid_op(logits) - target)


def d_bce_logits_target(g: Node, y: Node, logits: Node, target: Node) -> Node:
    return -(g * logits)


binary_cross_entropy_with_logits = Op(
    name="binary_cross_entropy_with_logits",
    doc="−t log σ(x) − (1 − t) log(1 − σ(x)), element by element, without overflow.",
    operands="logits target",
    shape=bce_shape,
    numpy="np.logaddexp({logits}, 0) - {target} * {logits}",
    torch=(
        "torch.nn.functional.binary_cross_entropy_with_logits({logits}, {target}, reduction='none')"
    ),
    rules=(
        Rule(d_bce_logits, "∂{y}/∂{logits} = σ({logits}) − {target}"),
        Rule(d_bce_logits_target, "∂{y}/∂{target} = −{logits}"),
    ),
    notation=Notation("BCE(σ({logits}), {target})"),
    expand=lambda logits, target: (
        -(target * log(sigmoid_op(logits)) + (1.0 - target) * log(sigmoid_op(-logits)))
    ),
    samples=(Sample(((2, 3), (2, 3)), low=0.1, high=0.9),),
    bad=(different_shapes("logits"),),
)


def binary_cross_entropy(p: Any, t: Any) -> Any:
    """−t log p − (1 − t) log(1 − p); as in PyTorch a logarithm is at least −100."""
    with np.errstate(divide="ignore"):
        yes, no = np.log(p), np.log1p(-p)
    return -(t * np.maximum(yes, -100) + (1 - t) * np.maximum(no, -100))


def d_bce_p(g: Node, y: Node, p: Node, target: Node) -> Node:
    return g * ((p - target) / maximum(p * (1.0 - p), 1e-12))  # PyTorch's bound at 0 and 1


def d_bce_target(g: Node, y: Node, p: Node, target: Node) -> Node:
    return g * (log(1.0 - p) - log(p))


binary_cross_entropy_op = Op(
    name="binary_cross_entropy",
    doc="−t log p − (1 − t) log(1 − p) for a probability p, element by element.",
    operands="p target",
    shape=bce_shape,
    numpy="binary_cross_entropy({p}, {target})",
    torch="torch.nn.functional.binary_cross_entropy({p}, {target}, reduction='none')",
    jax=(
        "-({target} * jnp.maximum(jnp.log({p}), -100)"
        " + (1 - {target}) * jnp.maximum(jnp.log1p(-{p}), -100))"
    ),
    helpers=(binary_cross_entropy,),
    rules=(
        Rule(d_bce_p, "∂{y}/∂{p} = ({p} − {target}) / ({p} ⊙ (1 − {p}))"),
        Rule(d_bce_target, "∂{y}/∂{target} = log(1 − {p}) − log {p}"),
    ),
    notation=Notation("BCE({p}, {target})"),
    expand=lambda p, target: -(target * log(p) + (1.0 - target) * log(1.0 - p)),
    samples=(Sample(((2, 3), (2, 3)), low=0.1, high=0.9),),
    bad=(different_shapes("p"),),
)
