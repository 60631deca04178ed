"""Differences along an axis, and sums of trapezoids."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.errors import ArgumentError, ShapeError
from allbps.ir import Node, lift, numpy_function, user_site
from allbps.numpy_api.arguments import given
from allbps.numpy_api.joining import concatenate_by
from allbps.numpy_api.shapes import at
from allbps.ops.arithmetic import mod
from allbps.ops.comparison import logical_and, where
from allbps.ops.cumulate import cumsum
from allbps.ops.function import abs_, astype
from allbps.ops.index import getitem_by
from allbps.ops.interpolation import interp_op
from allbps.ops.join import joined
from allbps.ops.reduce import sum_
from allbps.ops.shape import broadcast_to, reshape, reshape_to
from allbps.ops.shapes import normal_axes, normal_axis
from allbps.ops.sort import argsort


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
    made = diff(reshape_to(ary, -1))
    pieces = [to_begin, made, to_end]
    rows = [reshape_to(piece, -1) for piece in pieces if piece is not None]
    for row in rows:
        if not np.can_cast(row.dtype, made.dtype, "same_kind"):
            raise ArgumentError(
                "np.ediff1d: the ends must be of the kind of the array",
                where=str(user_site() or ""),
                got=f"{row.dtype} for {made.dtype}",
            )
    return concatenate_by(rows, dtype=made.dtype) if len(rows) > 1 else made


@numpy_function(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """``numpy.gradient``: second order inside, of ``edge_order`` at the ends."""
    node = lift(f)
    axes = normal_axes(axis, node.ndim) if axis is None else _in_order(axis, node.ndim)
    steps = list(varargs) if varargs else [1.0]
    steps = steps * len(axes) if len(steps) == 1 else steps
    if edge_order not in (1, 2) or len(steps) != len(axes):
        raise ArgumentError(
            "np.gradient takes one step, or one for each axis, and edge_order 1 or 2",
            where=str(user_site() or ""),
            expected=f"{len(axes)} steps",
            got=f"{len(varargs)} steps, edge_order={edge_order}",
        )
    made = [_slope(node, k, step, edge_order) for k, step in zip(axes, steps, strict=True)]
    return made[0] if len(made) == 1 else tuple(made)


def _in_order(axis: Any, ndim: int) -> tuple[int, ...]:
    return tuple(normal_axis(int(k), ndim) for k in np.atleast_1d(axis))


def _slope(x: Node, axis: int, step: Any, edge_order: int) -> Node:
    if x.shape[axis] < edge_order + 1:
        raise ShapeError(
            f"np.gradient needs at least {edge_order + 1} points along an axis",
            where=str(user_site() or ""),
            got=f"shape {x.shape}",
        )
    gaps = _gaps(lift(step), x, axis)
    ends = _ends(x, axis, gaps, edge_order)
    made = joined([ends[0], _inside(x, axis, gaps), ends[1]], axis)
    return astype(made, dtype=x.dtype) if x.is_float and made.dtype != x.dtype else made


def _gaps(step: Node, x: Node, axis: int) -> Node:
    """The distance from each point to the next, along ``axis``; one number where all are equal."""
    if not step.ndim:
        return step
    if step.size != x.shape[axis]:
        raise ShapeError(
            "np.gradient needs one place for each point of an axis",
            where=str(user_site() or ""),
            expected=f"{x.shape[axis]} places",
            got=str(step.size),
        )
    gaps = diff(step)
    if not step.traces and np.all(gaps.value == gaps.value[0]):
        return lift(gaps.value[0])
    return reshape(gaps, shape=(gaps.size, *[1] * (x.ndim - axis - 1)))


def _gap(gaps: Node, k: int) -> Node:
    """One gap: the first is 0, the last −1."""
    return getitem_by(gaps, slice(k, k + 1 or None)) if gaps.ndim else gaps


def _inside(x: Node, axis: int, gaps: Node) -> Node:
    """The slope of the parabola through each point and its neighbours, in NumPy's order."""
    before, after = _part(x, axis, None, -2), _part(x, axis, 2, None)
    if not gaps.ndim:
        return (after - before) / (2.0 * gaps)
    left, right = getitem_by(gaps, slice(None, -1)), getitem_by(gaps, slice(1, None))
    both = left + right
    shares = -right / (left * both), (right - left) / (left * right), left / (right * both)
    return shares[0] * before + shares[1] * _part(x, axis, 1, -1) + shares[2] * after


def _ends(x: Node, axis: int, gaps: Node, edge_order: int) -> tuple[Node, Node]:
    """The slopes at the first and at the last point, by two or by three points."""
    if edge_order == 1:
        first = _part(x, axis, 1, 2) - _part(x, axis, 0, 1)
        last = _part(x, axis, -1, None) - _part(x, axis, -2, -1)
        return first / _gap(gaps, 0), last / _gap(gaps, -1)
    start = [_part(x, axis, k, k + 1) for k in range(3)]
    end = [_part(x, axis, k, k + 1 or None) for k in (-1, -2, -3)]
    near = _by_three(start, _gap(gaps, 0), _gap(gaps, 1))
    far = _by_three(end[::-1], _gap(gaps, -1), _gap(gaps, -2), turned=True)
    return near, far


def _by_three(points: list[Node], near: Node, far: Node, turned: bool = False) -> Node:
    """The slope at the end of a parabola through three points in rising order."""
    if not near.ndim:
        shares = [lift(share) / near for share in (-1.5, 2.0, -0.5)]
    else:
        both = near + far
        shares = [-(2.0 * near + far) / (near * both), both / (near * far), -near / (far * both)]
    if turned:
        shares = [-share for share in reversed(shares)]
    return shares[0] * points[0] + shares[1] * points[1] + shares[2] * points[2]


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
    x, xp, fp = lift(x), lift(xp), lift(fp)
    if period is not None:
        if period == 0:
            raise ArgumentError("a period is not 0", where=str(user_site() or ""))
        x, xp, fp = _one_period(x, xp, fp, abs(period))
        left = right = None
    made = interp_op(x, xp, fp)
    if left is not None:
        made = where(x < getitem_by(xp, 0), left, made)
    return made if right is None else where(x > getitem_by(xp, -1), right, made)


def _one_period(x: Node, xp: Node, fp: Node, period: Any) -> tuple[Node, Node, Node]:
    """Everything within one period, with the neighbours beyond its two ends."""
    places = mod(xp, period)
    order = argsort(places, axis=-1)
    places, heights = getitem_by(places, order), getitem_by(fp, order)
    before, after = getitem_by(places, slice(-1, None)), getitem_by(places, slice(0, 1))
    wide = joined([before - period, places, after + period])
    ends = getitem_by(heights, slice(-1, None)), getitem_by(heights, slice(0, 1))
    return mod(x, period), wide, joined([ends[0], heights, ends[1]])


@numpy_function(np.unwrap)
def unwrap(
    p: Any, discont: Any = None, axis: int = -1, *, period: float = float(2 * np.pi)
) -> Node:
    """``numpy.unwrap``: jumps of more than half a period replaced by their complement."""
    node = lift(p)
    axis = normal_axis(axis, node.ndim)
    step, half = diff(node, axis=axis), period / 2
    wrapped = mod(step + half, period) - half
    wrapped = where(logical_and(wrapped == -half, step > 0), half, wrapped)
    limit = half if discont is None else discont
    jumps = where(abs_(step) < limit, 0.0, wrapped - step)
    first, rest = _part(node, axis, 0, 1), _part(node, axis, 1, None)
    return joined([first, rest + cumsum(jumps, axis=axis)], axis)
