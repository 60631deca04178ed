"""Losses of margins: what is right must be ahead by some distance."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from allbps.functional.common import (
    array,
    legacy,
    misfit,
    misused,
    reduced,
    works_on_arrays,
)
from allbps.functional.curves import logsigmoid
from allbps.functional.lengths import pairwise_distance
from allbps.ir import Node, lift
from allbps.ops import activation
from allbps.ops.comparison import logical_and, logical_not, where
from allbps.ops.cumulate import cumsum
from allbps.ops.function import astype, minimum, sqrt
from allbps.ops.loss import one_hot_op
from allbps.ops.reduce import mean, sum_
from allbps.ops.shape import reshape


def _clamped(x: Node) -> Node:
    """max(x, 0) with slope 1 at 0, as PyTorch's ``clamp_min`` has it."""
    return where(x >= 0, x, where(x < 0, 0.0, x))


@works_on_arrays
def margin_ranking_loss(
    input1: Any,
    input2: Any,
    target: Any,
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Node:
    """max(0, −target (input1 − input2) + margin); target 1: the first ought to be larger, −1 less.

    Args:
        input1: any shape.
        input2: of that shape.
        target: 1 or −1, of that shape.
        margin: how far ahead.
        size_average: PyTorch's former word for a reduction.
        reduce: another one.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: another number of axes.
        ArgumentError: another reduction.

    >>> float(margin_ranking_loss(np.array([1.0]), np.array([3.0]), np.array([1.0])))
    2.0

    """
    a, b, t = lift(input1), lift(input2), lift(target)
    if not a.ndim == b.ndim == t.ndim:
        raise misfit(
            "margin_ranking_loss: inputs and target must have the same number of axes",
            expected=f"{a.ndim} axes each",
            got=f"{a.shape}, {b.shape} and {t.shape}",
        )
    each = _clamped(-t * (a - b) + float(margin))
    return reduced(each, legacy(reduction, size_average, reduce))


@works_on_arrays
def hinge_embedding_loss(
    input: Any,
    target: Any,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Node:
    """The distance where target is 1, max(0, margin − distance) where it is −1; 0 elsewhere too.

    Other arguments and errors are those of ``margin_ranking_loss``; where target is neither, both
    are added, as in PyTorch.

    >>> float(hinge_embedding_loss(np.array([2.0, 0.25]), np.array([1, -1])))
    1.375
    """
    x, t = lift(input), lift(target)
    apart = where(t == 1, 0.0, _clamped(float(margin) - x))
    each = apart + where(t == -1, 0.0, x)
    return reduced(each, legacy(reduction, size_average, reduce))


@works_on_arrays
def soft_margin_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Node:
    """log(1 + exp(−target · input)) for targets 1 and −1; arguments as ``margin_ranking_loss``.

    >>> float(soft_margin_loss(np.zeros(2), np.array([1.0, -1.0])) / np.log(2.0))
    1.0
    """
    each = activation.softplus(-lift(target) * lift(input))
    return reduced(each, legacy(reduction, size_average, reduce))


@works_on_arrays
def cosine_embedding_loss(
    input1: Any,
    input2: Any,
    target: Any,
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Node:
    """1 − cos of the angle where target is 1, max(0, cos − margin) where it is −1.

    Args:
        input1: (N, d), or (d,).
        input2: likewise.
        target: 1 or −1: (N,), or ().
        margin: what the cosine may be where the two ought to differ.
        size_average: PyTorch's former word for a reduction.
        reduce: another one.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: the shapes do not fit.
        ArgumentError: another reduction.

    >>> x, y = np.array([3.0, 4.0]), np.array([4.0, 3.0])
    >>> float(cosine_embedding_loss(x, y, np.array(1)).round(9))
    0.04

    """
    a, b, t = lift(input1), lift(input2), array(target)
    if t.ndim not in (0, 1) or max(a.ndim, b.ndim) != t.ndim + 1:
        raise misfit(
            "cosine_embedding_loss: inputs and target do not fit",
            expected="(N, d), (N, d) and (N,); or (d,), (d,) and ()",
            got=f"{a.shape}, {b.shape} and {t.shape}",
        )
    inner, small = sum_(a * b, axis=-1, keepdims=False), 1e-12  # PyTorch's own bound here
    squares = [sum_(x * x, axis=-1, keepdims=False) + small for x in (a, b)]
    cosine = inner / sqrt(squares[0] * squares[1])
    apart = where(t == -1, _clamped(cosine - float(margin)), 0.0)
    each = where(t == 1, 1.0 - cosine, 0.0) + apart
    return reduced(each, legacy(reduction, size_average, reduce))


# -- one margin for each class ---------------------------------------------------------------------
def _rows_of_classes(x: Node, name: str) -> Node:
    """(C,) as one row."""
    if x.ndim > 2 or 0 in x.shape[-1:]:
        raise misfit(f"{name} takes scores", expected="(N, C) or (C,)", got=str(x.shape))
    return x if x.ndim == 2 else reshape(x, shape=(1, x.size))


@works_on_arrays
def multi_margin_loss(
    input: Any,
    target: Any,
    p: int = 1,
    margin: float = 1.0,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Node:
    """Σ max(0, margin − x_y + x_i)ᵖ / C over the classes i other than the right one, y.

    Args:
        input: scores (N, C), or (C,).
        target: class numbers (N,), or ().
        p: 1 or 2.
        margin: how far ahead of each other class the right one ought to be.
        weight: a factor for each class, of its own examples.
        size_average: PyTorch's former word for a reduction.
        reduce: another one.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: the shapes do not fit.
        ArgumentError: another p or reduction, or a class that does not exist.

    >>> float(multi_margin_loss(np.array([1.0, 0.5]), np.array(0)))
    0.25

    """
    if p not in (1, 2):
        raise misused("multi_margin_loss knows two powers", expected="p=1 or p=2", got=f"p={p!r}")
    scores, labels = lift(input), array(target)
    rows = _rows_of_classes(scores, "multi_margin_loss")
    classes = rows.shape[-1]
    hot = one_hot_op(reshape(labels, shape=(labels.size,)), classes=classes, dtype=np.dtype(bool))
    if hot.shape != rows.shape:
        raise misfit(
            "multi_margin_loss: one class number for each row",
            expected=str(scores.shape[:-1]),
            got=str(labels.shape),
        )
    right = sum_(where(hot, rows, 0.0), axis=-1, keepdims=True)
    short = _positive(float(margin) - right + rows)
    short = short if p == 1 else short**2
    if weight is not None:
        factor = sum_(where(hot, lift(weight), 0.0), axis=-1, keepdims=True)
        short = short * factor
    each = sum_(where(hot, 0.0, short), axis=-1, keepdims=False) / float(classes)
    each = reshape(each, shape=scores.shape[:-1])
    return reduced(each, legacy(reduction, size_average, reduce))


def _positive(x: Node) -> Node:
    """X where it is positive, with slope 0 at 0; NaN is not positive."""
    return where(x > 0, x, 0.0)


@works_on_arrays
def multilabel_margin_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Node:
    """Σ max(0, 1 − x_y + x_i) / C over right classes y and all others i.

    Args:
        input: scores (N, C), or (C,).
        target: the right classes of each row first, then −1; of that shape.
        size_average: PyTorch's former word for a reduction.
        reduce: another one.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: the shapes differ.
        ArgumentError: another reduction, or a class that does not exist.

    >>> float(multilabel_margin_loss(np.array([1.0, 0.5]), np.array([0, -1])))
    0.25

    """
    scores, labels = lift(input), array(target)
    if scores.shape != labels.shape:
        raise misfit(
            "multilabel_margin_loss: scores and classes do not fit",
            expected=str(scores.shape),
            got=str(labels.shape),
        )
    rows = _rows_of_classes(scores, "multilabel_margin_loss")
    labels = reshape(labels, shape=rows.shape)
    before_end = cumsum(astype(labels < 0, dtype=np.dtype(np.int64)), axis=-1) == 0
    chosen = where(before_end, labels, 0)
    hot = one_hot_op(chosen, classes=rows.shape[-1], dtype=np.dtype(bool))  # (N, C, C)
    named = logical_and(hot, reshape(before_end, shape=(*before_end.shape, 1)))
    right = sum_(astype(named, dtype=rows.dtype), axis=1, keepdims=False) > 0  # (N, C)
    scored = reshape(rows, shape=(rows.shape[0], 1, rows.shape[1]))
    of_label = sum_(where(named, scored, 0.0), axis=-1, keepdims=True)
    short = _positive(1.0 - of_label + scored)  # (N, label, class)
    others = reshape(logical_not(right), shape=scored.shape)
    counts = logical_and(reshape(before_end, shape=(*before_end.shape, 1)), others)
    total = sum_(where(counts, short, 0.0), axis=(-2, -1), keepdims=False)
    each = reshape(total / float(rows.shape[-1]), shape=scores.shape[:-1])
    return reduced(each, legacy(reduction, size_average, reduce))


@works_on_arrays
def multilabel_soft_margin_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Node:
    """−t log σ(x) − (1 − t) log σ(−x), the mean over the classes, which are the last axis.

    ``weight`` is a factor for each class; other arguments and errors as ``margin_ranking_loss``.

    >>> float(multilabel_soft_margin_loss(np.zeros((1, 2)), np.array([[0.0, 1.0]])) / np.log(2.0))
    1.0
    """
    x, t = lift(input), lift(target)
    each = -(t * lift(logsigmoid(x)) + (1.0 - t) * lift(logsigmoid(-x)))
    each = each if weight is None else each * weight
    return reduced(mean(each, axis=-1, keepdims=False), legacy(reduction, size_average, reduce))


# -- nearer than ----------------------------------------------------------------------------------
@works_on_arrays
def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Node:
    """max(0, ‖a − p‖ − ‖a − n‖ + margin): the positive ought to be nearer than the negative.

    Args:
        anchor: a, (…, d).
        positive: p, broadcast.
        negative: n, broadcast.
        margin: by how much nearer; positive.
        p: which norm.
        eps: added to each difference.
        swap: take ‖p − n‖ for ‖a − n‖ where it is less.
        size_average: PyTorch's former word for a reduction.
        reduce: another one.
        reduction: "mean", "sum" or "none".

    Raises:
        ArgumentError: margin is not positive, or another reduction.

    >>> a, p, n = np.zeros((1, 2)), np.array([[3.0, 4.0]]), np.array([[0.0, 1.0]])
    >>> float(triplet_margin_loss(a, p, n).round(4))
    5.0

    """

    def distance(x: Any, y: Any) -> Any:
        return pairwise_distance(x, y, p, eps)

    return _triplet((anchor, positive, negative), distance, margin, swap,
                    legacy(reduction, size_average, reduce))  # fmt: skip


@works_on_arrays
def triplet_margin_with_distance_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    distance_function: Callable[[Any, Any], Any] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Node:
    """``triplet_margin_loss`` with any function as distance; left out, ``pairwise_distance``.

    >>> a, p, n = np.zeros((1, 2)), np.array([[3.0, 4.0]]), np.array([[0.0, 1.0]])
    >>> city = lambda x, y: np.sum(np.abs(x - y), axis=-1)
    >>> float(triplet_margin_with_distance_loss(a, p, n, distance_function=city))
    7.0
    """
    distance = distance_function or pairwise_distance
    return _triplet((anchor, positive, negative), distance, margin, swap, reduction)


def _triplet(
    points: tuple[Any, Any, Any],
    distance: Callable[[Any, Any], Any],
    margin: float,
    swap: bool,
    reduction: str,
) -> Node:
    if not margin > 0:
        raise misused("margin must be positive", got=f"margin={margin!r}")
    anchor, positive, negative = map(lift, points)
    near, far = lift(distance(anchor, positive)), lift(distance(anchor, negative))
    if swap:
        far = minimum(far, lift(distance(positive, negative)))
    return reduced(_clamped(near - far + float(margin)), reduction)
