"""Shape rules and axis arithmetic that several families share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from allbps.errors import ArgumentError, ShapeError
from allbps.ir import Aval, Node, Op, is_weak, promote

Shape = tuple[int, ...]


def broadcast_shape(*inputs: Node) -> Shape:
    """The shape NumPy broadcasts ``inputs`` to.

    Raises:
        ShapeError: they do not broadcast.

    """
    shapes = {node.shape for node in inputs}
    shapes.discard(())  # a single number fits any shape
    if len(shapes) < 2:
        return shapes.pop() if shapes else ()
    try:
        return np.broadcast_shapes(*(node.shape for node in inputs))
    except ValueError:
        got = " and ".join(f"{{{k}}} is {node.shape}" for k, node in enumerate(inputs))
        raise ShapeError(
            "{0} and {1} have shapes that do not broadcast",
            expected="equal lengths, or 1, on every axis counted from the last",
            got=got,
        ) from None


def elementwise(*inputs: Node, **attrs: Any) -> Aval:
    """Broadcast shape, promoted dtype."""
    return broadcast_shape(*inputs), promote(*inputs)


def elementwise_float(*inputs: Node, **attrs: Any) -> Aval:
    """Broadcast shape; integers become floats."""
    dtype = promote(*inputs)
    if dtype.kind != "f":
        dtype = np.result_type(dtype, np.float16)
    return broadcast_shape(*inputs), dtype


def of_ufunc(ufunc: np.ufunc) -> Callable[..., Aval]:
    """Broadcast shape, and the dtype that a ufunc gives."""

    def shape(*inputs: Node, **attrs: Any) -> Aval:
        kinds = [type(n.value) if is_weak(n) and n.dtype.kind != "b" else n.dtype for n in inputs]
        return broadcast_shape(*inputs), ufunc.resolve_dtypes((*kinds, None))[-1]

    return shape


def summed(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in which NumPy adds and multiplies many numbers: whole ones of 64 bits."""
    if dtype.kind in "fc":
        return dtype
    return np.result_type(dtype, np.uint64 if dtype.kind == "u" else np.int64)


def of_scipy_ufunc(name: str) -> Callable[..., Aval]:
    """Broadcast shape, and the dtype that a ufunc of ``scipy.special`` gives."""

    def shape(*inputs: Node, **attrs: Any) -> Aval:
        return of_ufunc(getattr(import_module("scipy.special"), name))(*inputs)

    return shape


def elementwise_bool(*inputs: Node, **attrs: Any) -> Aval:
    """Broadcast shape, truth values."""
    return broadcast_shape(*inputs), np.dtype(bool)


def same(x: Node, **attrs: Any) -> Aval:
    """The operand's own shape and dtype."""
    return x.shape, x.dtype


def normal_axis(axis: int, ndim: int) -> int:
    """A non-negative axis.

    Raises:
        ArgumentError: there is no such axis.

    """
    if not -ndim <= axis < ndim:
        raise ArgumentError(
            f"axis {axis} does not exist",
            expected=f"an axis from {-ndim} to {ndim - 1}" if ndim else "no axis: it is a scalar",
            got=f"axis={axis} for {{0}} with {ndim} axes",
        )
    return axis % ndim


def normal_axes(axis: int | tuple[int, ...] | list[int] | None, ndim: int) -> tuple[int, ...]:
    """Sorted non-negative axes; None means all.

    Raises:
        ArgumentError: an axis does not exist or is named twice.

    """
    if axis is None:
        return tuple(range(ndim))
    listed = [axis] if isinstance(axis, (int, np.integer)) else list(axis)
    axes = sorted(normal_axis(int(k), ndim) for k in listed)
    if len(set(axes)) != len(axes):
        raise ArgumentError("an axis is named twice", expected="each axis once", got=f"axis={axis}")
    return tuple(axes)


def reduced_shape(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    """What is left of ``shape`` when ``axes`` are reduced."""
    if keepdims:
        return tuple(1 if k in axes else n for k, n in enumerate(shape))
    return tuple(n for k, n in enumerate(shape) if k not in axes)


GROUP = 64


def in_groups(op: Op, xs: Sequence[Node], **attrs: Any) -> Node:
    """An associative variadic ``op`` of many operands, as a tree of groups.

    A BP rule is called once for each operand with all operands, which for n at once costs n².
    """
    while len(xs) > GROUP:
        xs = [op(*xs[k : k + GROUP], **attrs) for k in range(0, len(xs), GROUP)]
    return op(*xs, **attrs)
