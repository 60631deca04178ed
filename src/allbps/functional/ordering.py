"""Numbers by their order: sorted, the largest, the middle ones, the most frequent."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from operator import index as whole
from typing import Any, NamedTuple

import numpy

from allbps.functional.common import misused, works_on_arrays
from allbps.functional.picking import row
from allbps.ir import Node, lift
from allbps.ops.cumulate import logcumsumexp_op, running_winner_op
from allbps.ops.index import getitem_by
from allbps.ops.reduce import mean
from allbps.ops.shape import reshape
from allbps.ops.shapes import normal_axis

np: Any = numpy  # its functions, given nodes, give nodes


class Ranked(NamedTuple):
    """Numbers, and where they stood."""

    values: Any
    indices: Any


class Extremes(NamedTuple):
    """The smallest and the largest number."""

    min: Any
    max: Any


def _lined(input: Any, dim: int) -> tuple[Node, int]:
    """The array, a number as a row of one, and the axis without a sign."""
    node = lift(input)
    axis = normal_axis(whole(dim), max(node.ndim, 1))
    return (node if node.ndim else row(node)), axis


def _picked(node: Node, places: Any, axis: int, keepdim: bool, like: Any) -> Ranked:
    """The numbers at places along an axis, and the places; one each without the axis."""
    values: Node = np.take_along_axis(node, places, axis=axis)
    pair = (values, lift(places))
    scalar = not lift(like).ndim
    if not keepdim or scalar:
        pair = tuple(np.squeeze(x, axis=axis) for x in pair)
    return Ranked(*pair)


def _order(node: Node, axis: int, descending: bool) -> Node:
    """Indices that sort along an axis; equal numbers stay in their order, NaN counts as largest."""
    if not descending:
        made: Node = np.argsort(node, axis=axis, kind="stable")
        return made
    turned = np.argsort(np.flip(node, axis=axis), axis=axis, kind="stable")
    backwards: Node = node.shape[axis] - 1 - np.flip(turned, axis=axis)
    return backwards


@works_on_arrays
def sort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Ranked:
    """(values, indices) in rising or falling order along an axis; equal numbers keep their order.

    >>> sort(np.array([3.0, 1.0, 2.0]), descending=True)
    Ranked(values=array([3., 2., 1.]), indices=array([0, 2, 1]))
    """
    node, axis = _lined(input, dim)
    found = _picked(node, _order(node, axis, descending), axis, True, node)
    shape = lift(input).shape
    return found if shape == node.shape else Ranked(*(reshape(x, shape=shape) for x in found))


@works_on_arrays
def topk(input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Ranked:
    """(values, indices) of the k largest or smallest along an axis, the first of them first.

    Raises:
        ArgumentError: the axis is shorter than k.

    >>> topk(np.array([3.0, 1.0, 2.0]), 2)
    Ranked(values=array([3., 2.]), indices=array([0, 2]))
    """
    node, axis = _lined(input, dim)
    if not 0 <= whole(k) <= node.shape[axis]:
        raise misused("there are not so many", expected=f"k ≤ {node.shape[axis]}", got=f"k={k}")
    order = _order(node, axis, largest)
    places = getitem_by(order, (slice(None),) * axis + (slice(0, whole(k)),))
    found = _picked(node, places, axis, True, node)
    if lift(input).ndim:
        return found
    return Ranked(*(reshape(x, shape=()) if k else x for x in found))


@works_on_arrays
def kthvalue(input: Any, k: int, dim: int = -1, keepdim: bool = False) -> Ranked:
    """(values, indices) of the k-th smallest along an axis, counted from 1.

    Raises:
        ArgumentError: k is below 1 or above the length of the axis.

    >>> kthvalue(np.array([[3.0, 1.0, 2.0]]), 2)
    Ranked(values=array([2.]), indices=array([2]))
    """
    node, axis = _lined(input, dim)
    if not 1 <= whole(k) <= node.shape[axis]:
        raise misused(
            "there is no such number", expected=f"k from 1 to {node.shape[axis]}", got=f"k={k}"
        )
    order = _order(node, axis, False)
    places = getitem_by(order, (slice(None),) * axis + (slice(whole(k) - 1, whole(k)),))
    return _picked(node, places, axis, keepdim, input)


# -- the middle ------------------------------------------------------------------------------------
@works_on_arrays
def median(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower of the middle numbers; along an axis (values, indices). NaN where there is one.

    NumPy's ``np.median`` takes the mean of the two in the middle.

    >>> float(median(np.array([4.0, 1.0, 3.0, 2.0])))
    2.0
    """
    node, axis = (row(input), 0) if dim is None else _lined(input, dim)
    n = node.shape[axis]
    unknown = np.any(np.isnan(node), axis=axis, keepdims=True)
    place = np.where(unknown, n - 1, (n - 1) // 2)  # NaN is sorted last
    return _middle(node, axis, place, input, dim, keepdim)


@works_on_arrays
def nanmedian(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """As ``median``, of the numbers that are not NaN.

    >>> float(nanmedian(np.array([4.0, 1.0, np.nan])))
    1.0
    """
    node, axis = (row(input), 0) if dim is None else _lined(input, dim)
    count = np.sum(np.logical_not(np.isnan(node)), axis=axis, keepdims=True)
    place = np.maximum(count - 1, 0) // 2
    return _middle(node, axis, place, input, dim, keepdim)


def _middle(node: Node, axis: int, place: Any, input: Any, dim: Any, keepdim: bool) -> Any:
    places = np.take_along_axis(_order(node, axis, False), place, axis=axis)
    found = _picked(node, places, axis, keepdim and dim is not None, input)
    return found.values if dim is None else found


@works_on_arrays
def mode(input: Any, dim: int = -1, keepdim: bool = False) -> Ranked:
    """(values, indices) of the most frequent number along an axis, the smallest of several.

    The index is the last one where it stands.

    >>> mode(np.array([[2.0, 1.0, 2.0]]))
    Ranked(values=array([2.]), indices=array([2]))
    """
    node, axis = _lined(input, dim)
    rows = np.moveaxis(node, axis, -1)
    same = rows[..., :, None] == rows[..., None, :]
    counts = np.sum(same, axis=-1)
    often = counts == np.max(counts, axis=-1, keepdims=True)
    least = np.min(np.where(often, rows, np.inf), axis=-1, keepdims=True)
    n = node.shape[axis]
    last = np.max(np.where(rows == least, np.arange(n), -1), axis=-1, keepdims=True)
    return _picked(node, np.moveaxis(last, -1, axis), axis, keepdim, input)


# -- running ---------------------------------------------------------------------------------------
@works_on_arrays
def cummax(input: Any, dim: int) -> Ranked:
    """(values, indices) of the largest so far along an axis; of equal ones the latest.

    >>> cummax(np.array([1.0, 3.0, 2.0]), 0)
    Ranked(values=array([1., 3., 3.]), indices=array([0, 1, 1]))
    """
    return _running(input, dim, True)


@works_on_arrays
def cummin(input: Any, dim: int) -> Ranked:
    """(values, indices) of the smallest so far along an axis; of equal ones the latest.

    >>> cummin(np.array([2.0, 3.0, 1.0]), 0)
    Ranked(values=array([2., 2., 1.]), indices=array([0, 0, 2]))
    """
    return _running(input, dim, False)


def _running(input: Any, dim: int, largest: bool) -> Ranked:
    node, axis = _lined(input, dim)
    places = running_winner_op(node, axis=axis, largest=largest)
    found = _picked(node, places, axis, True, node)
    shape = lift(input).shape
    return found if shape == node.shape else Ranked(*(reshape(x, shape=shape) for x in found))


@works_on_arrays
def logcumsumexp(input: Any, dim: int) -> Node:
    """Log Σ exp(x) of all numbers so far along an axis, without overflow.

    >>> logcumsumexp(np.log(np.array([1.0, 2.0, 3.0])), 0).round(4)
    array([0.    , 1.0986, 1.7918])
    """
    node, axis = _lined(input, dim)
    return reshape(logcumsumexp_op(node, axis=axis), shape=lift(input).shape)


# -- two at once -----------------------------------------------------------------------------------
@works_on_arrays
def aminmax(input: Any, *, dim: int | None = None, keepdim: bool = False) -> Extremes:
    """(smallest, largest) of all numbers or along an axis.

    >>> aminmax(np.array([2.0, 3.0, 1.0]))
    Extremes(min=np.float64(1.0), max=np.float64(3.0))
    """
    node = lift(input)
    axis = None if dim is None or not node.ndim else dim
    options = {"axis": axis, "keepdims": keepdim}
    return Extremes(np.min(node, **options), np.max(node, **options))


def _spread(input: Any, dim: Any, correction: Any, keepdim: bool) -> tuple[Node, Node]:
    """Variance and mean over axes; the sum of squares is divided by n − correction."""
    node = lift(input)
    axes = None if dim is None or dim in ((), []) else tuple(np.atleast_1d(dim).tolist())
    axes = axes if node.ndim else None
    middle = mean(node, axis=axes, keepdims=keepdim)
    ddof = 1 if correction is None else correction
    return np.var(node, axis=axes, ddof=ddof, keepdims=keepdim), middle


@works_on_arrays
def var_mean(
    input: Any, dim: Any = None, *, correction: float | None = 1, keepdim: bool = False
) -> tuple[Node, Node]:
    """(variance, mean) over axes.

    >>> var_mean(np.array([1.0, 3.0]))
    (np.float64(2.0), np.float64(2.0))
    """
    return _spread(input, dim, correction, keepdim)


@works_on_arrays
def std_mean(
    input: Any, dim: Any = None, *, correction: float | None = 1, keepdim: bool = False
) -> tuple[Node, Node]:
    """(standard deviation, mean) over axes; the slope of the deviation at 0 is taken as 0.

    >>> std_mean(np.array([1.0, 3.0]), correction=0)
    (np.float64(1.0), np.float64(2.0))
    """
    node = lift(input)
    axes = None if dim is None or dim in ((), []) else tuple(np.atleast_1d(dim).tolist())
    ddof = 1 if correction is None else correction
    deviation = np.std(node, axis=axes if node.ndim else None, ddof=ddof, keepdims=keepdim)
    return deviation, mean(node, axis=axes if node.ndim else None, keepdims=keepdim)
