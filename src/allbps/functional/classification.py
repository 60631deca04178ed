"""Losses on scores and probabilities."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.functional.common import array, granted, legacy, misfit, reduced, works_on_arrays
from allbps.ir import INPUT, Node, lift, promote
from allbps.ops import activation, loss
from allbps.ops.comparison import logical_and, logical_not, logical_or, where
from allbps.ops.function import abs_, astype, exp, log
from allbps.ops.questions import all_
from allbps.ops.reduce import sum_
from allbps.ops.shape import detach, reshape, transpose


@works_on_arrays
def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Node:
    """−log softmax(input) at the target, from logits, through log-sum-exp.

    Args:
        input: logits (C,), (N, C) or (N, C, …): the classes are axis 1, as in PyTorch.
        target: class numbers (), (N,) or (N, …); or probabilities of the shape of ``input``.
        weight: a factor for each class.
        size_average: PyTorch's former word for a reduction.
        ignore_index: examples of this class number count as nothing.
        reduce: another one.
        reduction: "mean" over the examples (weighted by class), "sum" or "none".
        label_smoothing: share of the target spread over all classes.

    Raises:
        ShapeError: input and target do not fit.
        ArgumentError: a class number that does not exist.

    >>> float(cross_entropy(np.zeros((1, 4)), np.array([2]))) == float(np.log(4))
    True

    """
    reduction = legacy(reduction, size_average, reduce)
    logits, goal = _classes_last(lift(input)), array(target)
    smooth = float(label_smoothing)
    if goal.is_float or (goal.shape and goal.shape == lift(input).shape):
        share = _smoothed(_as_float(_classes_last(goal), logits), smooth, weight)
        return reduced(_soft_cross_entropy(logits, share), reduction)
    labels, counted = _labels(goal, ignore_index, logits.shape[-1])
    if weight is None and not smooth and counted is None:
        return reduced(loss.cross_entropy_op(logits, labels), reduction)
    hot = loss.one_hot_op(labels, classes=logits.shape[-1], dtype=logits.dtype)
    if counted is not None:
        hot = hot * reshape(counted, shape=(*counted.shape, 1))
    share = _smoothed(hot, smooth, weight)
    each = _soft_cross_entropy(logits, share)
    if counted is not None:
        each = each * counted
    return _mean_by_class(each, hot, weight) if reduction == "mean" else reduced(each, reduction)


@works_on_arrays
def linear_cross_entropy(
    input: Any,
    linear_weight: Any,
    target: Any,
    *,
    linear_bias: Any = None,
    weight: Any = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Node:
    """``cross_entropy(linear(input, linear_weight, linear_bias), target, …)``.

    Args:
        input: (N, in) or (in,).
        linear_weight: (C, in), or (C, …, in) for a target (N, …).
        target: as in ``cross_entropy``.
        linear_bias: of the shape of ``linear_weight`` without its last axis.
        weight: as in ``cross_entropy``.
        reduction: likewise.
        ignore_index: likewise; −100 where it is left out.
        label_smoothing: likewise.
        options: how PyTorch would cut the work, which makes no difference here.

    Raises:
        ShapeError: the shapes do not fit.
        ArgumentError: a class number that does not exist.

    >>> loss = linear_cross_entropy(np.ones((1, 3)), np.zeros((4, 3)), np.array([2]))
    >>> float(loss) == float(np.log(4))
    True

    """
    x, table = lift(input), lift(linear_weight)
    if x.ndim not in (1, 2) or table.ndim < 2 or x.shape[-1] != table.shape[-1]:
        raise misfit(
            "linear_cross_entropy: input and linear_weight do not fit",
            expected="(N, in) and (C, …, in)",
            got=f"{x.shape} and {table.shape}",
        )
    rows = reshape(table, shape=(int(np.prod(table.shape[:-1])), table.shape[-1]))
    logits = reshape(x @ rows.mT, shape=(*x.shape[:-1], *table.shape[:-1]))
    logits = logits if linear_bias is None else logits + linear_bias
    ignored = -100 if ignore_index is None else ignore_index
    return lift(
        cross_entropy(
            logits, target, weight, ignore_index=ignored, reduction=reduction,
            label_smoothing=label_smoothing,
        )
    )  # fmt: skip


def _classes_last(x: Node) -> Node:
    """(N, C, …) -> (N, …, C)."""
    return x if x.ndim < 3 else transpose(x, axes=(0, *range(2, x.ndim), 1))


def _as_float(target: Node, logits: Node) -> Node:
    """``target`` in a dtype that does not change that of the logits."""
    if target.is_float or promote(logits, target) == logits.dtype:
        return target
    return astype(target, dtype=logits.dtype)


def _smoothed(target: Node, smoothing: float, weight: Any) -> Node:
    """A share of the target spread over all classes, then each class by its factor."""
    if smoothing:
        target = target * (1 - smoothing) + smoothing / target.shape[-1]
    return target if weight is None else target * weight


def _soft_cross_entropy(logits: Node, target: Node) -> Node:
    """The general rule is softmax · Σ target − target; where Σ target = 1 for good, it is yᵖ − y.

    For good: it is not a variable, or an argument of the function that is being explained, whose
    derivative is not itself differentiated.
    """
    explained = target.op is INPUT and bool(target.name) and logits.traces | target.traces == 1
    settled = not target.is_float or not target.traces or explained
    settled = settled and target.has_value
    apart = abs_(sum_(target, axis=-1, keepdims=False) - 1.0)
    ones = settled and granted(all_(apart <= 1e-12, axis=None, keepdims=False))
    return loss.soft_cross_entropy_op(logits, target, normalised=ones)


def _labels(labels: Node, ignore_index: int, classes: int) -> tuple[Node, Node | None]:
    """Class numbers, and which of them count; None if all do."""
    counted = labels != ignore_index
    if granted(all_(counted, axis=None, keepdims=False)):
        return labels, None
    exist = logical_or(logical_not(counted), logical_and(labels >= 0, labels < classes))
    granted(all_(exist, axis=None, keepdims=False))
    return where(counted, labels, 0), counted


def _mean_by_class(each: Node, hot: Node, weight: Any) -> Node:
    """The mean of the examples, each by the factor of its class; what is not counted is all 0."""
    total = sum_(hot if weight is None else hot * weight, axis=None, keepdims=False)
    return sum_(each, axis=None, keepdims=False) / total


@works_on_arrays
def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Node:
    """−input at the target: log-probabilities (C,), (N, C) or (N, C, …), class numbers.

    Arguments and errors are those of ``cross_entropy``.

    >>> float(nll_loss(np.array([[-1.0, -2.0], [-3.0, -4.0]]), np.array([1, 0])))
    2.5
    """
    reduction = legacy(reduction, size_average, reduce)
    log_p = _classes_last(lift(input))
    labels, counted = _labels(array(target), ignore_index, log_p.shape[-1])
    hot = loss.one_hot_op(labels, classes=log_p.shape[-1], dtype=np.dtype(bool))
    if hot.shape != log_p.shape:
        raise misfit(
            "nll_loss: input and target do not fit",
            expected=f"one class number for each row: {log_p.shape[:-1]}",
            got=f"a target of shape {labels.shape}",
        )
    if counted is not None:
        hot = hot * reshape(counted, shape=(*counted.shape, 1))
    weighted = log_p if weight is None else log_p * weight
    each = -sum_(where(hot, weighted, 0.0), axis=-1, keepdims=False)  # 0 · (−∞) would be NaN
    if reduction != "mean":
        return reduced(each, reduction)
    return _mean_by_class(each, astype(hot, dtype=log_p.dtype), weight)


@works_on_arrays
def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Node:
    """−t log σ(x) − (1 − t) log(1 − σ(x)), without overflow: any shape.

    Args:
        input: logits x, any shape.
        target: probabilities t of that shape.
        weight: a factor for each element; broadcast.
        size_average: PyTorch's former word for a reduction.
        reduce: another one.
        reduction: "mean" (over all elements, also with weights), "sum" or "none".
        pos_weight: a factor of the first term, say for each class; broadcast.

    Raises:
        ShapeError: the shapes do not fit.
        ArgumentError: another reduction.

    >>> float(binary_cross_entropy_with_logits(np.zeros(2), np.array([0.0, 1.0])) / np.log(2.0))
    1.0

    """
    x, t = lift(input), lift(target)
    if pos_weight is None:
        each = loss.binary_cross_entropy_with_logits(x, t)
    else:  # (1 − t) x + (1 + (p − 1) t) log(1 + e⁻ˣ)
        more = 1.0 + (lift(pos_weight) - 1.0) * t
        each = (1.0 - t) * x + more * activation.softplus(-x)
    each = each if weight is None else each * weight
    return reduced(each, legacy(reduction, size_average, reduce))


@works_on_arrays
def binary_cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Node:
    """−t log p − (1 − t) log(1 − p) for probabilities p; a logarithm is at least −100.

    Arguments and errors are those of ``binary_cross_entropy_with_logits``.

    >>> float(binary_cross_entropy(np.array([0.5, 1.0]), np.array([0.5, 1.0])) / np.log(2.0))
    0.5
    """
    each = loss.binary_cross_entropy_op(input, target)
    each = each if weight is None else each * weight
    return reduced(each, legacy(reduction, size_average, reduce))


@works_on_arrays
def kl_div(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Node:
    """Divergence target (log target − input) from log-probabilities; 0 where target is 0.

    Args:
        input: log-probabilities, any shape.
        target: probabilities of that shape; their logarithms with ``log_target``.
        size_average: PyTorch's former word for a reduction.
        reduce: another one.
        reduction: as in ``mse_loss``; "batchmean" divides the sum by the number of rows.
        log_target: is ``target`` given as logarithms?

    Raises:
        ArgumentError: another reduction.

    >>> q, p = np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]])
    >>> float(kl_div(np.log(q), p, reduction="batchmean") / np.log(2.0))
    1.0

    """
    reduction = legacy(reduction, size_average, reduce)
    log_q, t = lift(input), lift(target)
    if log_target:
        each = exp(t) * (t - log_q)
    else:
        some = t != 0
        nothing = -detach(t * log_q)  # 0, and no number where 0 · ∞ is none
        each = where(some, t * (log(where(some, t, 1.0)) - log_q), nothing)
    if reduction == "batchmean":
        return sum_(each, axis=None, keepdims=False) / float(log_q.shape[0])
    return reduced(each, reduction)
