"""The user's function on every row, several axes, or every window of an array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from allbps.errors import ShapeError
from allbps.ir import IN_PLACE, Node, TracedArray, handed, lift, numpy_function, user_site
from allbps.numpy_api.joining import stack
from allbps.numpy_api.shapes import at, expand_dims, moveaxis
from allbps.ops.index import getitem_by
from allbps.ops.shape import reshape
from allbps.ops.shapes import normal_axis


@numpy_function(np.apply_along_axis)
def apply_along_axis(
    func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any
) -> TracedArray:
    """``numpy.apply_along_axis``: what the function makes of each row takes the row's place."""
    array: Any = arr if isinstance(arr, TracedArray) else handed(lift(arr))
    axis = normal_axis(axis, array.ndim)
    rows = np.moveaxis(array, axis, -1)
    around = rows.shape[:-1]
    made = [lift(func1d(rows[k], *args, **kwargs)) for k in np.ndindex(around)]
    if not made:
        raise ShapeError(
            "np.apply_along_axis needs at least one row",
            where=str(user_site() or ""),
            got=f"shape {array.shape}",
        )
    results = reshape(stack(made), shape=around + made[0].shape)
    new = range(len(around), results.ndim)
    moved = moveaxis(results, list(new), [axis + k for k in range(len(new))])
    return cast("TracedArray", handed(moved))


IN_PLACE[np.apply_along_axis] = apply_along_axis  # each row is a view, and may be written into


@numpy_function(np.apply_over_axes)
def apply_over_axes(func: Callable[..., Any], a: Any, axes: Any) -> Node:
    """``numpy.apply_over_axes``: a reduction along one axis after another, kept as length 1."""
    node = lift(a)
    for axis in np.atleast_1d(axes).tolist():
        made = lift(func(node, axis))
        node = made if made.ndim == node.ndim else expand_dims(made, normal_axis(axis, node.ndim))
    return node


@numpy_function(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Node:
    """``numpy.lib.stride_tricks.sliding_window_view``: the windows as new axes behind."""
    node = lift(x)
    lengths = [int(n) for n in np.atleast_1d(window_shape)]
    chosen = range(node.ndim) if axis is None else np.atleast_1d(axis).tolist()
    axes = [normal_axis(k, node.ndim) for k in chosen]
    if len(lengths) != len(axes):
        raise ShapeError(
            "sliding_window_view needs one length for each axis",
            where=str(user_site() or ""),
            expected=f"{len(axes)} lengths",
            got=f"window_shape={window_shape}",
        )
    for k, length in zip(axes, lengths, strict=True):
        count = node.shape[k] - length + 1
        if length < 0 or count < 1:
            raise ShapeError(
                "a window is longer than its axis",
                where=str(user_site() or ""),
                expected=f"at most {node.shape[k]} along axis {k}",
                got=str(length),
            )
        places = np.arange(count)[:, None] + np.arange(length)
        node = moveaxis(getitem_by(node, at(k, node.ndim, places)), k + 1, -1)
    return node
