"""Differences along an axis, and sums of trapezoids."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.errors import ArgumentError, ShapeError
from allbps.ir import Node, lift, numpy_function, user_site
from allbps.numpy_api.arguments import given
from allbps.numpy_api.joining import concatenate_by
from allbps.numpy_api.shapes import at
from allbps.ops.comparison import where
from allbps.ops.index import getitem_by
from allbps.ops.join import joined
from allbps.ops.reduce import sum_
from allbps.ops.shape import broadcast_to, reshape, reshape_to
from allbps.ops.shapes import normal_axes, normal_axis


def _part(x: Node, axis: int, start: int | None, stop: int | None) -> Node:
    return getitem_by(x, at(axis, x.ndim, slice(start, stop)))


@numpy_function(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Node:
    """``numpy.diff``: neighbour minus neighbour, n times."""
    node = lift(a)
    axis = normal_axis(axis, node.ndim)
    pieces = [_border(prepend, node, axis), node, _border(append, node, axis)]
    found = [piece for piece in pieces if piece is not None]
    node = concatenate_by(found, axis) if len(found) > 1 else node
    for _ in range(n):
        node = _part(node, axis, 1, None) - _part(node, axis, None, -1)
    return node


def _border(value: Any, x: Node, axis: int) -> Node | None:
    if not given(value):
        return None
    node = lift(value)
    return (
        node if node.ndim else broadcast_to(node, shape=(*x.shape[:axis], 1, *x.shape[axis + 1 :]))
    )


@numpy_function(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Node:
    """``numpy.ediff1d``: differences in row-major order, with a beginning and an end."""
    pieces = [to_begin, diff(reshape_to(ary, -1)), to_end]
    return concatenate_by([reshape_to(piece, -1) for piece in pieces if piece is not None])


@numpy_function(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """``numpy.gradient`` for evenly spaced points: central inside, one-sided at the ends."""
    node = lift(f)
    axes = normal_axes(axis, node.ndim) if axis is None else _in_order(axis, node.ndim)
    steps = list(varargs) if varargs else [1.0]
    steps = steps * len(axes) if len(steps) == 1 else steps
    if edge_order != 1 or len(steps) != len(axes) or any(np.ndim(step) for step in steps):
        raise ArgumentError(
            "np.gradient of a traced array takes evenly spaced points",
            where=str(user_site() or ""),
            expected="one step for each axis, edge_order=1",
        )
    made = [_slope(node, k) / step for k, step in zip(axes, steps, strict=True)]
    return made[0] if len(made) == 1 else tuple(made)


def _in_order(axis: Any, ndim: int) -> tuple[int, ...]:
    return tuple(normal_axis(int(k), ndim) for k in np.atleast_1d(axis))


def _slope(x: Node, axis: int) -> Node:
    if x.shape[axis] < 2:
        raise ShapeError(
            "np.gradient needs at least two points along an axis",
            where=str(user_site() or ""),
            got=f"shape {x.shape}",
        )
    first = _part(x, axis, 1, 2) - _part(x, axis, 0, 1)
    inside = (_part(x, axis, 2, None) - _part(x, axis, None, -2)) / 2.0
    last = _part(x, axis, -1, None) - _part(x, axis, -2, -1)
    return joined([first, inside, last], axis)


@numpy_function(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Node:
    """``numpy.trapezoid``: the integral of a polygon."""
    node = lift(y)
    axis = normal_axis(axis, node.ndim)
    width: Any = dx
    if x is not None:
        points = lift(x)
        if points.ndim == 1:
            points = reshape(points, shape=(points.size, *[1] * (node.ndim - axis - 1)))
            width = diff(points, axis=0)
        else:
            width = diff(points, axis=axis)
    heights = _part(node, axis, 1, None) + _part(node, axis, None, -1)
    return sum_(width * heights / 2.0, axis=axis, keepdims=False)


@numpy_function(np.interp)
def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Node:
    """``numpy.interp``: straight lines between points, constants outside."""
    if period is not None:
        raise ArgumentError(
            "np.interp of a traced array takes no period=", where=str(user_site() or "")
        )
    x, xp, fp = lift(x), lift(xp), lift(fp)
    places = np.searchsorted(xp.known("np.interp"), x.known("np.interp"), side="right")
    k = np.clip(places - 1, 0, xp.size - 2)
    start, slope = getitem_by(xp, k), getitem_by(fp, k + 1) - getitem_by(fp, k)
    inside = getitem_by(fp, k) + slope * (x - start) / (getitem_by(xp, k + 1) - start)
    below = getitem_by(fp, 0) if left is None else left
    above = getitem_by(fp, -1) if right is None else right
    last = getitem_by(xp, -1)
    at_end = where(x == last, getitem_by(fp, -1), inside)
    return where(x < getitem_by(xp, 0), below, where(x > last, above, at_end))
