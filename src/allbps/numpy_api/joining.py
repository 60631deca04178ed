"""Arrays put together and taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from allbps.errors import DtypeError, ShapeError
from allbps.ir import Node, lift, numpy_function, user_site
from allbps.numpy_api.arguments import refuse
from allbps.numpy_api.shapes import (
    at,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    expand_dims,
    moveaxis,
)
from allbps.ops.function import astype
from allbps.ops.index import getitem_by
from allbps.ops.join import joined
from allbps.ops.shape import broadcast_to, reshape, reshape_to
from allbps.ops.shapes import normal_axis


# -- together --------------------------------------------------------------------------------------
@numpy_function(np.concatenate)
def concatenate_by(
    arrays: Sequence[Any],
    axis: int | None = 0,
    out: Any = None,
    *,
    dtype: Any = None,
    casting: str = "same_kind",
) -> Node:
    """``numpy.concatenate``; all numbers in one row where axis is None."""
    refuse("concatenate", out=out)
    nodes = [lift(x) for x in arrays]
    if axis is None:
        nodes, axis = [reshape_to(node, -1) for node in nodes], 0
    return _cast(joined(nodes, axis), nodes, dtype, casting)


def _cast(made: Node, parts: Sequence[Node], dtype: Any, casting: str) -> Node:
    """In the dtype that was asked for, where ``casting`` allows that of every part."""
    if dtype is None:
        return made
    wanted = np.dtype(dtype)
    for part in parts:
        if not np.can_cast(part.dtype, wanted, casting):  # type: ignore[arg-type]
            raise DtypeError(
                f"{part.dtype} cannot be cast to {wanted} where casting is {casting!r}",
                where=str(user_site() or ""),
                todo="casting='unsafe' cuts numbers off",
            )
    return astype(made, dtype=wanted)


@numpy_function(np.stack)
def stack(
    arrays: Sequence[Any],
    axis: int = 0,
    out: Any = None,
    *,
    dtype: Any = None,
    casting: str = "same_kind",
) -> Node:
    """``numpy.stack``: along a new axis."""
    refuse("stack", out=out)
    nodes = [lift(x) for x in arrays]
    shapes = {node.shape for node in nodes}
    if len(shapes) > 1:
        raise ShapeError(
            "arrays to be stacked must have the same shape",
            where=str(user_site() or ""),
            expected=str(nodes[0].shape),
            got=", ".join(str(node.shape) for node in nodes),
            todo="np.concatenate joins arrays of different lengths",
        )
    place = normal_axis(axis, nodes[0].ndim + 1)
    made = joined([expand_dims(node, place) for node in nodes], place)
    return _cast(made, nodes, dtype, casting)


@numpy_function(np.vstack)
def vstack(tup: Sequence[Any], *, dtype: Any = None, casting: str = "same_kind") -> Node:
    """``numpy.vstack``: one below the other."""
    return concatenate_by([atleast_2d(x) for x in tup], 0, dtype=dtype, casting=casting)


@numpy_function(np.hstack)
def hstack(tup: Sequence[Any], *, dtype: Any = None, casting: str = "same_kind") -> Node:
    """``numpy.hstack``: side by side."""
    rows = [atleast_1d(x) for x in tup]
    axis = 0 if rows[0].ndim == 1 else 1
    return concatenate_by(rows, axis, dtype=dtype, casting=casting)


@numpy_function(np.dstack)
def dstack(tup: Sequence[Any]) -> Node:
    """``numpy.dstack``: one behind the other."""
    return joined([atleast_3d(x) for x in tup], 2)


@numpy_function(np.column_stack)
def column_stack(tup: Sequence[Any]) -> Node:
    """``numpy.column_stack``: vectors become columns."""
    nodes = [lift(x) for x in tup]
    return joined([reshape_to(x, (-1, 1)) if x.ndim < 2 else x for x in nodes], 1)


@numpy_function(np.append)
def append(arr: Any, values: Any, axis: int | None = None) -> Node:
    """``numpy.append``."""
    return concatenate_by([arr, values], axis)


@numpy_function(np.block)
def block(arrays: Any) -> Node:
    """``numpy.block``: nested lists, the innermost joined along the last axis."""
    depth, inner = 0, arrays
    while isinstance(inner, list):
        depth, inner = depth + 1, inner[0]
    return _block(arrays, depth, max(depth, _most_axes(arrays)))


def _most_axes(arrays: Any) -> int:
    return max(map(_most_axes, arrays)) if isinstance(arrays, list) else lift(arrays).ndim


def _block(arrays: Any, depth: int, ndim: int) -> Node:
    if not isinstance(arrays, list):
        node = lift(arrays)
        return reshape(node, shape=(1,) * (ndim - node.ndim) + node.shape)
    return joined([_block(x, depth - 1, ndim) for x in arrays], ndim - depth)


# -- apart -----------------------------------------------------------------------------------------
@numpy_function(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Node]:
    """``numpy.array_split``: parts that may differ by one in length."""
    node = lift(ary)
    axis = normal_axis(axis, node.ndim)
    if np.ndim(indices_or_sections) == 0:
        parts = np.array_split(np.arange(node.shape[axis]), int(indices_or_sections))
        ends = np.cumsum([len(part) for part in parts])[:-1].tolist()
    else:
        ends = [int(k) for k in indices_or_sections]
    bounds = zip([0, *ends], [*ends, node.shape[axis]], strict=True)
    return [getitem_by(node, at(axis, node.ndim, slice(a, b))) for a, b in bounds]


@numpy_function(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Node]:
    """``numpy.split``: equal parts, or at indices."""
    node = lift(ary)
    if np.ndim(indices_or_sections) == 0:
        length = node.shape[normal_axis(axis, node.ndim)]
        if length % int(indices_or_sections):
            raise ShapeError(
                f"{length} elements cannot be split into {indices_or_sections} equal parts",
                where=str(user_site() or ""),
                todo="np.array_split allows unequal parts",
            )
    return array_split(node, indices_or_sections, axis)


@numpy_function(np.vsplit)
def vsplit(ary: Any, indices_or_sections: Any) -> list[Node]:
    """``numpy.vsplit``."""
    if lift(ary).ndim < 2:
        raise ShapeError(
            "np.vsplit takes arrays of two axes or more",
            where=str(user_site() or ""),
            got=f"shape {lift(ary).shape}",
        )
    return split(ary, indices_or_sections, 0)


@numpy_function(np.hsplit)
def hsplit(ary: Any, indices_or_sections: Any) -> list[Node]:
    """``numpy.hsplit``."""
    return split(ary, indices_or_sections, 0 if lift(ary).ndim == 1 else 1)


@numpy_function(np.dsplit)
def dsplit(ary: Any, indices_or_sections: Any) -> list[Node]:
    """``numpy.dsplit``."""
    return split(ary, indices_or_sections, 2)


@numpy_function(np.unstack)
def unstack(x: Any, /, *, axis: int = 0) -> tuple[Node, ...]:
    """``numpy.unstack``: the slices along an axis."""
    node = lift(x)
    axis = normal_axis(axis, node.ndim)
    return tuple(getitem_by(node, at(axis, node.ndim, k)) for k in range(node.shape[axis]))


# -- inserted and taken out ------------------------------------------------------------------------
@numpy_function(np.delete)
def delete(arr: Any, obj: Any, axis: int | None = None) -> Node:
    """``numpy.delete``: what is left, by index."""
    node = lift(arr)
    if axis is None:
        node, axis = reshape_to(node, -1), 0
    axis = normal_axis(axis, node.ndim)
    kept = np.delete(np.arange(node.shape[axis]), obj)
    return getitem_by(node, at(axis, node.ndim, kept))


@numpy_function(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Node:
    """``numpy.insert`` before one index or several."""
    node = lift(arr)
    if axis is None:
        node, axis = reshape_to(node, -1), 0
    axis = normal_axis(axis, node.ndim)
    length = node.shape[axis]
    places = np.arange(length)[obj] if isinstance(obj, slice) else np.asarray(obj)
    places = np.flatnonzero(places) if places.dtype.kind == "b" else places
    places = places if places.size else places.astype(np.intp)  # of [], which has no dtype
    if places.size == 1:
        piece = _to_insert(lift(values), node, axis, turned=places.ndim == 0)
        places = places.reshape(())
    else:
        shape = (*node.shape[:axis], places.size, *node.shape[axis + 1 :])
        piece = broadcast_to(lift(values), shape=shape)
    everything = joined([node, astype(piece, dtype=node.dtype)], axis)
    order = np.insert(np.arange(length), places, np.arange(length, everything.shape[axis]))
    return getitem_by(everything, at(axis, node.ndim, order))


def _to_insert(values: Node, into: Node, axis: int, turned: bool) -> Node:
    """``values`` as NumPy reads them before one index, where their first axis goes along ``axis``.

    Before an index in a list, ``[1]``, it does not.
    """
    missing = (1,) * (into.ndim - values.ndim)
    piece = reshape(values, shape=missing + values.shape)
    piece = moveaxis(piece, 0, axis) if turned else piece
    shape = (*into.shape[:axis], piece.shape[axis], *into.shape[axis + 1 :])
    return piece if piece.shape == shape else broadcast_to(piece, shape=shape)
