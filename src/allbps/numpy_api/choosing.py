"""Functions that pick elements: by index, by mask, by order, by diagonal."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from allbps.errors import ArgumentError, ShapeError
from allbps.ir import Node, lift, numpy_function, promote, user_site
from allbps.numpy_api.arguments import refuse
from allbps.numpy_api.questions import holds
from allbps.numpy_api.shapes import at, moveaxis
from allbps.ops.comparison import logical_not, logical_or, not_equal, where
from allbps.ops.function import astype
from allbps.ops.index import getitem_by, put_add_op, put_by
from allbps.ops.questions import argpartition
from allbps.ops.shape import broadcast_to, reshape_to
from allbps.ops.shapes import normal_axis
from allbps.ops.sort import argsort


# -- by condition ----------------------------------------------------------------------------------
@numpy_function(np.where)
def where_by(condition: Any, x: Any = None, y: Any = None) -> Any:
    """``numpy.where``; with a condition alone the indices where it holds."""
    if x is None and y is None:
        return np.nonzero(holds(condition, "np.where of one argument"))
    return where(condition, x, y)


@numpy_function(np.select)
def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Node:
    """``numpy.select``: the choice of the first condition that holds."""
    if len(condlist) != len(choicelist):
        raise ArgumentError(
            "np.select needs one choice for each condition",
            where=str(user_site() or ""),
            expected=str(len(condlist)),
            got=str(len(choicelist)),
        )
    choices = [lift(choice) for choice in choicelist]
    made = lift(default)
    dtype = promote(*choices, made)
    for condition, choice in zip(reversed(condlist), reversed(choices), strict=True):
        made = where(condition, choice, made)
    return made if made.dtype == dtype else astype(made, dtype=dtype)


@numpy_function(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any) -> Node:
    """``numpy.piecewise``: a function sees the elements of its condition, and no others."""
    node = lift(x)
    conditions = [condlist] if lift(condlist[0]).ndim < node.ndim else list(condlist)
    masks = [broadcast_to(_truth(condition), shape=node.shape) for condition in conditions]
    pieces = list(funclist)
    if not 0 <= len(pieces) - len(masks) <= 1:
        raise ArgumentError(
            "np.piecewise needs one function for each condition, and one more at most",
            where=str(user_site() or ""),
            expected=f"{len(masks)} or {len(masks) + 1}",
            got=str(len(pieces)),
        )
    made = lift(np.zeros(node.shape, node.dtype)[()])
    if len(pieces) > len(masks):
        masks.append(logical_not(reduce(logical_or, masks)))
    for mask, piece in zip(masks, pieces, strict=True):  # a later condition wins, as in NumPy
        if not callable(piece):
            made = where(mask, astype(lift(piece), dtype=node.dtype), made)
            continue
        chosen = getitem_by(node, mask)
        if chosen.size:
            made = put_by(made, mask, piece(chosen, *args, **kw))
    return made


def _truth(condition: Any) -> Node:
    node = lift(condition)
    return node if node.dtype.kind == "b" else not_equal(node, 0)


@numpy_function(np.compress)
def compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Node:
    """``numpy.compress``: the slices whose condition holds."""
    refuse("compress", out=out)
    node = lift(a)
    if axis is None:
        node, axis = reshape_to(node, -1), 0
    axis = normal_axis(int(axis), node.ndim)
    (index,) = np.nonzero(holds(condition, "np.compress"))
    return getitem_by(node, at(axis, node.ndim, index))


@numpy_function(np.extract)
def extract(condition: Any, arr: Any) -> Node:
    """``numpy.extract``: the elements whose condition holds, in one row."""
    return compress(np.ravel(holds(condition, "np.extract")), arr)


# -- by index --------------------------------------------------------------------------------------
@numpy_function(np.take)
def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Node:
    """``numpy.take``."""
    refuse("take", out=out)
    node = lift(a)
    if axis is None:
        node, axis = reshape_to(node, -1), 0
    axis = normal_axis(int(axis), node.ndim)
    index = indices if isinstance(indices, Node) else np.asarray(indices)
    if mode == "clip":
        index = np.clip(index, 0, node.shape[axis] - 1)
    elif mode == "wrap":
        index = index % node.shape[axis]
    return getitem_by(node, at(axis, node.ndim, index))


@numpy_function(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Node:
    """``numpy.take_along_axis``: each row by its own indices."""
    node, index = lift(arr), lift(indices)
    if axis is None:
        return getitem_by(reshape_to(node, -1), index)
    axis = normal_axis(int(axis), node.ndim)
    if index.ndim != node.ndim:
        raise ShapeError(
            "np.take_along_axis needs as many axes in the indices as in the array",
            where=str(user_site() or ""),
            expected=f"{node.ndim} axes",
            got=f"indices of shape {index.shape}",
        )
    return getitem_by(node, _grid(node, index, axis))


def _grid(node: Node, index: Node, axis: int) -> tuple[Any, ...]:
    """``index`` on its axis, and every place on the others."""
    others = []
    for k, n in enumerate(node.shape):
        shape = [1] * node.ndim
        shape[k] = n
        others.append(np.arange(n).reshape(shape))
    return (*others[:axis], index, *others[axis + 1 :])


@numpy_function(np.choose)
def choose(a: Any, choices: Sequence[Any], out: Any = None, mode: str = "raise") -> Node:
    """``numpy.choose``: at each place the choice of that number."""
    refuse("choose", out=out)
    made = lift(choices[-1])
    for k, choice in reversed(list(enumerate(choices[:-1]))):
        made = where(lift(a) == k, choice, made)
    return made


# -- by order --------------------------------------------------------------------------------------
def _row(x: Any, axis: Any) -> tuple[Node, int]:
    node = lift(x)
    if axis is None:
        return reshape_to(node, -1), 0
    return node, normal_axis(int(axis), node.ndim)


@numpy_function(np.argsort)
def argsort_by(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Node:
    """``numpy.argsort``."""
    refuse("argsort", order=order)
    node, axis = _row(a, axis)
    return argsort(node, axis=axis)


@numpy_function(np.lexsort)
def lexsort(keys: Any, axis: int = -1) -> Node:
    """``numpy.lexsort``: a stable sort by each key, the last one last."""
    rows = [lift(key) for key in keys]
    order = argsort(rows[0], axis=axis)
    for key in rows[1:]:
        order = take_along_axis(order, argsort(take_along_axis(key, order, axis), axis=axis), axis)
    return order


@numpy_function(np.sort)
def sort(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Node:
    """``numpy.sort``."""
    refuse("sort", order=order)
    node, axis = _row(a, axis)
    return take_along_axis(node, argsort(node, axis=axis), axis)


@numpy_function(np.partition)
def partition(
    a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
) -> Node:
    """``numpy.partition``."""
    refuse("partition", order=order)
    node, axis = _row(a, axis)
    return take_along_axis(node, argpartition(node, kth=kth, axis=axis), axis)


@numpy_function(np.argpartition)
def argpartition_by(
    a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
) -> Node:
    """``numpy.argpartition``."""
    refuse("argpartition", order=order)
    node, axis = _row(a, axis)
    return argpartition(node, kth=kth, axis=axis)


# -- by diagonal -----------------------------------------------------------------------------------
@numpy_function(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Node:
    """``numpy.diagonal``."""
    node = lift(a)
    if node.ndim < 2:
        raise ShapeError(
            "a diagonal needs two axes", where=str(user_site() or ""), got=f"shape {node.shape}"
        )
    node = moveaxis(node, (axis1, axis2), (-2, -1))
    rows, columns = _places(node.shape[-2], node.shape[-1], offset)
    return getitem_by(node, (..., rows, columns))


def _places(rows: int, columns: int, offset: int) -> tuple[Any, Any]:
    """Row and column of each element of a diagonal."""
    start = max(-offset, 0), max(offset, 0)
    length = max(min(rows - start[0], columns - start[1]), 0)
    k = np.arange(length)
    return k + start[0], k + start[1]


@numpy_function(np.linalg.diagonal)
def matrix_diagonal(x: Any, /, *, offset: int = 0) -> Node:
    """``numpy.linalg.diagonal``: of the last two axes."""
    return diagonal(x, offset, -2, -1)


@numpy_function(np.diag)
def diag(v: Any, k: int = 0) -> Node:
    """``numpy.diag``: a matrix from its diagonal, or the diagonal of a matrix."""
    node = lift(v)
    if node.ndim == 2:
        return diagonal(node, k)
    if node.ndim != 1:
        raise ShapeError(
            "np.diag takes a vector or a matrix",
            where=str(user_site() or ""),
            got=f"shape {node.shape}",
        )
    n = node.shape[0] + abs(k)
    rows, columns = _places(n, n, k)
    return put_add_op(node, rows, columns, shape=(n, n), parts=("array", "array"))


@numpy_function(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Node:
    """``numpy.diagflat``."""
    return diag(reshape_to(v, -1), k)


@numpy_function(np.tril)
def tril(m: Any, k: int = 0) -> Node:
    """``numpy.tril``: zeros above diagonal k."""
    node = lift(m)
    return where(_on_or_below(node, k), node, node.dtype.type(0))


@numpy_function(np.triu)
def triu(m: Any, k: int = 0) -> Node:
    """``numpy.triu``: zeros below diagonal k."""
    node = lift(m)
    return where(~_on_or_below(node, k - 1), node, node.dtype.type(0))


def _on_or_below(m: Node, k: int) -> Any:
    """Where a matrix stands on or below diagonal k; a vector counts as each of its rows."""
    rows, columns = m.shape[-2:] if m.ndim > 1 else m.shape * 2
    return np.tri(rows, columns, k, dtype=bool)
