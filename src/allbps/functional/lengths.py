"""Lengths of vectors, and how far they are apart."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.functional.common import misfit, misused, of_axes, works_on_arrays
from allbps.ir import Node, lift
from allbps.ops.arithmetic import power
from allbps.ops.comparison import where
from allbps.ops.function import abs_, astype, maximum
from allbps.ops.index import getitem_by
from allbps.ops.length import norm_op
from allbps.ops.reduce import max_, min_, sum_
from allbps.ops.shape import broadcast_to, detach, reshape
from allbps.ops.shapes import broadcast_shape, normal_axis


def length(x: Node, p: float, axis: int, keepdims: bool = False) -> Node:
    """‖x‖ₚ along an axis for any p, with PyTorch's slopes: 0 at 0, shared where several win."""
    axis = normal_axis(axis, x.ndim)
    if p == 0:
        return sum_(astype(x != 0, dtype=x.dtype), axis=axis, keepdims=keepdims)
    if p == 1:
        return sum_(abs_(x), axis=axis, keepdims=keepdims)
    if np.isinf(p):
        return _extreme(abs_(x), p > 0, axis, keepdims)
    order = int(p) if float(p).is_integer() else float(p)
    return norm_op(x, order=order, axis=axis, keepdims=keepdims)


def _extreme(size: Node, largest: bool, axis: int, keepdims: bool) -> Node:
    """The largest or smallest; of several alike each gets an equal share of δ."""
    extreme = (max_ if largest else min_)(size, axis=axis, keepdims=True)
    wins = size == detach(extreme)
    count = sum_(astype(wins, dtype=size.dtype), axis=axis, keepdims=True)
    return sum_(where(wins, size, 0.0) / count, axis=axis, keepdims=keepdims)  # no overflow


@works_on_arrays
def normalize(input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Node:
    """The input over its p-norm along ``dim``, which counts as eps at least.

    >>> normalize(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    x = lift(input)
    row, axis = of_axes(x, dim)
    if p == 2:  # the bound inside the root, which has no slope at 0
        squares = maximum(sum_(row**2, axis=axis, keepdims=True), eps**2)
        bounded = power(squares, exponent=0.5)
    else:
        bounded = maximum(length(row, p, axis, keepdims=True), eps)
    unit = row / bounded
    return unit if unit.shape == x.shape else reshape(unit, shape=x.shape)


@works_on_arrays
def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Node:
    """⟨x₁, x₂⟩ / (‖x₁‖ ‖x₂‖) along ``dim`` of the broadcast shape, in [−1, 1].

    A norm counts as eps at least; its slope is that of the norm all the same, as in PyTorch.

    >>> cosine_similarity(np.array([[3.0, 4.0]]), np.array([[4.0, 3.0]]))
    array([0.96])
    """
    a, b = lift(x1), lift(x2)
    shape = broadcast_shape(a, b)
    a, b = (x if x.shape == shape else broadcast_to(x, shape=shape) for x in (a, b))
    (a, axis), (b, _) = of_axes(a, dim), of_axes(b, dim)
    return sum_((a / _bounded(a, axis, eps)) * (b / _bounded(b, axis, eps)), axis=axis,
                keepdims=False)  # fmt: skip


def _bounded(x: Node, axis: int, eps: float) -> Node:
    """‖x‖, or eps where that is more, always with the slope of ‖x‖."""
    size = norm_op(x, order=2, axis=axis, keepdims=True)
    return where(size >= eps, size, eps + (size - detach(size)))


@works_on_arrays
def pairwise_distance(
    x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Node:
    """‖x₁ − x₂ + eps‖ₚ along the last axis: (…, d), (…, d) -> (…).

    >>> pairwise_distance(np.array([[3.0, 4.0]]), np.zeros((1, 2)), eps=0.0)
    array([5.])
    """
    a, b = lift(x1), lift(x2)
    if not max(a.ndim, b.ndim):
        raise misfit("pairwise_distance needs vectors", expected="(…, d)", got="numbers")
    return length(a - b + float(eps), p, -1, keepdims=bool(keepdim))


@works_on_arrays
def pdist(input: Any, p: float = 2.0) -> Node:
    """Distances between all pairs of rows, (0, 1), (0, 2), …: (N, d) -> (N (N − 1) / 2,).

    Raises:
        ShapeError: the input is not a matrix.
        ArgumentError: p is negative.

    >>> pdist(np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]), p=1.0)
    array([7., 1., 6.])

    """
    rows = lift(input)
    if rows.ndim != 2:
        raise misfit("pdist takes a matrix", expected="(N, d)", got=str(rows.shape))
    _not_negative(p)
    first, second = np.triu_indices(rows.shape[0], 1)
    return _distance(getitem_by(rows, first) - getitem_by(rows, second), p)


@works_on_arrays
def cdist(x1: Any, x2: Any, p: float = 2.0, compute_mode: str = "") -> Node:
    """Distances between the rows of two matrices: (…, P, d), (…, R, d) -> (…, P, R).

    ``compute_mode`` is how PyTorch goes about it, which makes no difference here.

    Raises:
        ShapeError: the rows have different lengths.
        ArgumentError: p is negative.

    >>> cdist(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 1.0]]))
    array([[5., 1.]])

    """
    a, b = lift(x1), lift(x2)
    if min(a.ndim, b.ndim) < 2 or a.shape[-1] != b.shape[-1]:
        raise misfit(
            "cdist: the rows do not fit",
            expected="(…, P, d) and (…, R, d)",
            got=f"{a.shape} and {b.shape}",
        )
    _not_negative(p)
    left = reshape(a, shape=(*a.shape[:-1], 1, a.shape[-1]))
    right = reshape(b, shape=(*b.shape[:-2], 1, *b.shape[-2:]))
    return _distance(left - right, p)


def _not_negative(p: float) -> None:
    if not p >= 0:
        raise misused("p must not be negative", got=f"p={p!r}")


def _distance(apart: Node, p: float) -> Node:
    """‖apart‖ₚ along the last axis, where vectors of no numbers have the length 0."""
    if not apart.shape[-1]:
        return sum_(apart, axis=-1, keepdims=False)
    return length(apart, p, -1)
