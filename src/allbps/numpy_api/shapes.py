"""Functions that move numbers without changing them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from allbps.errors import ArgumentError, ShapeError
from allbps.ir import Node, lift, numpy_function, user_site
from allbps.ops.index import getitem_by
from allbps.ops.join import joined
from allbps.ops.shape import (
    broadcast_to,
    flip_by,
    reshape,
    reshape_to,
    swapaxes,
    transpose,
)
from allbps.ops.shapes import normal_axes, normal_axis


def at(axis: int, ndim: int, part: Any) -> tuple[Any, ...]:
    """An index that takes ``part`` of one axis and everything of the others.

    >>> at(1, 3, slice(0, 2))
    (slice(None, None, None), slice(0, 2, None), slice(None, None, None))
    """
    return (slice(None),) * axis + (part,) + (slice(None),) * (ndim - axis - 1)


# -- axes of length 1 ------------------------------------------------------------------------------
@numpy_function(np.squeeze)
def squeeze(x: Any, axis: Any = None) -> Node:
    """``numpy.squeeze``."""
    node = lift(x)
    if axis is None:
        return reshape(node, shape=tuple(n for n in node.shape if n != 1))
    axes = normal_axes(axis, node.ndim)
    for k in axes:
        if node.shape[k] != 1:
            raise ShapeError(
                f"axis {k} cannot be squeezed out",
                where=str(user_site() or ""),
                expected="length 1",
                got=f"length {node.shape[k]}",
            )
    return reshape(node, shape=tuple(n for k, n in enumerate(node.shape) if k not in axes))


@numpy_function(np.expand_dims)
def expand_dims(x: Any, axis: Any) -> Node:
    """``numpy.expand_dims``."""
    node = lift(x)
    listed = axis if isinstance(axis, (tuple, list)) else (axis,)
    ndim = node.ndim + len(listed)
    axes = normal_axes(tuple(listed), ndim)
    lengths = iter(node.shape)
    return reshape(node, shape=tuple(1 if k in axes else next(lengths) for k in range(ndim)))


def _each(function: Any) -> Any:
    """One array, or a tuple of them for several operands."""

    def apply(*xs: Any) -> Any:
        made = tuple(function(lift(x)) for x in xs)
        return made[0] if len(made) == 1 else made

    return apply


def _at_least(ndim: int) -> Any:
    def raised(node: Node) -> Node:
        shape = node.shape
        if ndim == 3 and len(shape) == 2:  # NumPy adds the third axis behind
            return reshape(node, shape=(*shape, 1))
        if ndim == 3 and len(shape) == 1:
            return reshape(node, shape=(1, *shape, 1))
        missing = (1,) * (ndim - len(shape))
        return reshape(node, shape=missing + shape) if missing else node

    return raised


atleast_1d, atleast_2d, atleast_3d = (_each(_at_least(ndim)) for ndim in (1, 2, 3))
numpy_function(np.atleast_1d)(atleast_1d)
numpy_function(np.atleast_2d)(atleast_2d)
numpy_function(np.atleast_3d)(atleast_3d)


# -- the order of axes -----------------------------------------------------------------------------
@numpy_function(np.moveaxis)
def moveaxis(x: Any, source: Any, destination: Any) -> Node:
    """``numpy.moveaxis``."""
    node = lift(x)
    start = [normal_axis(int(k), node.ndim) for k in np.atleast_1d(source)]
    end = [normal_axis(int(k), node.ndim) for k in np.atleast_1d(destination)]
    if len(start) != len(end):
        raise ArgumentError(
            "moveaxis needs as many destinations as sources",
            where=str(user_site() or ""),
            got=f"{source} and {destination}",
        )
    order = [k for k in range(node.ndim) if k not in start]
    for destined, k in sorted(zip(end, start, strict=True)):
        order.insert(destined, k)
    if order == list(range(node.ndim)):
        return node
    return transpose(node, axes=tuple(order))


@numpy_function(np.rollaxis)
def rollaxis(x: Any, axis: int, start: int = 0) -> Node:
    """``numpy.rollaxis``."""
    node = lift(x)
    axis = normal_axis(axis, node.ndim)
    start = start + node.ndim if start < 0 else start
    return moveaxis(node, axis, start - 1 if axis < start else start)


@numpy_function(np.rot90)
def rot90(x: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Node:
    """``numpy.rot90``."""
    first, second = axes
    for _ in range(k % 4):
        x = flip_by(swapaxes(x, first, second), first)
    return lift(x)


# -- moved along an axis ---------------------------------------------------------------------------
@numpy_function(np.roll)
def roll(x: Any, shift: Any, axis: Any = None) -> Node:
    """``numpy.roll``."""
    node = lift(x)
    if axis is None:
        return reshape(roll(reshape(node, shape=(node.size,)), shift, 0), shape=node.shape)
    shifts, axes = np.broadcast_arrays(shift, axis)
    for places, k in zip(shifts.ravel().tolist(), axes.ravel().tolist(), strict=True):
        node = _rolled(node, places, normal_axis(k, node.ndim))
    return node


def _rolled(x: Node, places: int, axis: int) -> Node:
    cut = -places % x.shape[axis] if x.shape[axis] else 0
    if not cut:
        return x
    back, front = at(axis, x.ndim, slice(cut, None)), at(axis, x.ndim, slice(0, cut))
    return joined([getitem_by(x, back), getitem_by(x, front)], axis)


@numpy_function(np.fft.fftshift)
def fftshift(x: Any, axes: Any = None) -> Node:
    """``numpy.fft.fftshift``: the first half behind the second."""
    return _halves(lift(x), axes, lambda n: n // 2)


@numpy_function(np.fft.ifftshift)
def ifftshift(x: Any, axes: Any = None) -> Node:
    """``numpy.fft.ifftshift``: the inverse of ``fftshift``."""
    return _halves(lift(x), axes, lambda n: -(n // 2))


def _halves(x: Node, axes: Any, places: Callable[[int], int]) -> Node:
    chosen = normal_axes(axes, x.ndim)
    return roll(x, [places(x.shape[k]) for k in chosen], list(chosen))


# -- repeated --------------------------------------------------------------------------------------
@numpy_function(np.tile)
def tile(x: Any, reps: Any) -> Node:
    """``numpy.tile``."""
    node = lift(x)
    times = [int(n) for n in np.atleast_1d(reps)]
    ndim = max(node.ndim, len(times))
    times = [1] * (ndim - len(times)) + times
    shape = (1,) * (ndim - node.ndim) + node.shape
    pairs = list(zip(times, shape, strict=True))
    spread = reshape(node, shape=tuple(n for _, length in pairs for n in (1, length)))
    copied = broadcast_to(spread, shape=tuple(n for pair in pairs for n in pair))
    return reshape(copied, shape=tuple(n * length for n, length in pairs))


@numpy_function(np.repeat)
def repeat(x: Any, repeats: Any, axis: Any = None) -> Node:
    """``numpy.repeat``; with one number for all, copies beside each other, else by index."""
    node = lift(x)
    if axis is None:
        node, axis = reshape(node, shape=(node.size,)), 0
    axis = normal_axis(axis, node.ndim)
    counts = np.atleast_1d(repeats)
    if counts.size > 1:
        index = np.repeat(np.arange(node.shape[axis]), counts)
        return getitem_by(node, at(axis, node.ndim, index))
    times, (before, length, after) = int(counts[0]), _around(node.shape, axis)
    spread = reshape(node, shape=(*before, length, 1, *after))
    copied = broadcast_to(spread, shape=(*before, length, times, *after))
    return reshape(copied, shape=(*before, length * times, *after))


def _around(shape: tuple[int, ...], axis: int) -> tuple[tuple[int, ...], int, tuple[int, ...]]:
    return shape[:axis], shape[axis], shape[axis + 1 :]


@numpy_function(np.broadcast_arrays)
def broadcast_arrays(*xs: Any, subok: bool = False) -> tuple[Node, ...]:
    """``numpy.broadcast_arrays``."""
    nodes = [lift(x) for x in xs]
    shape = np.broadcast_shapes(*(node.shape for node in nodes))
    return tuple(node if node.shape == shape else broadcast_to(node, shape=shape) for node in nodes)


@numpy_function(np.resize)
def resize(x: Any, new_shape: Any) -> Node:
    """``numpy.resize``: as often as it takes, in row-major order."""
    node = lift(x)
    shape = tuple(int(n) for n in np.atleast_1d(new_shape))
    index = np.arange(int(np.prod(shape))) % max(node.size, 1)
    return reshape(getitem_by(reshape_to(node, -1), index), shape=shape)
