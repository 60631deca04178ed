"""numpy.pad: a border of constants, of elements, or of what is computed from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.errors import ArgumentError
from allbps.ir import NUMPY, Node, lift, numpy_function, user_site
from allbps.numpy_api.products import tensordot
from allbps.numpy_api.shapes import at, moveaxis
from allbps.ops.index import getitem_by
from allbps.ops.join import joined
from allbps.ops.shape import broadcast_to, pad

Width = tuple[tuple[int, int], ...]

CHOSEN = ("edge", "reflect", "symmetric", "wrap")
"""Modes whose border consists of elements."""

COMPUTED = ("linear_ramp", "mean")
"""Modes whose border depends on the elements linearly; so does an odd reflection."""

STATISTICS = {"maximum": np.max, "minimum": np.min, "median": np.median}
"""Modes whose border is one number for each row."""


@numpy_function(np.pad)
def pad_by(x: Any, pad_width: Any, mode: Any = "constant", **options: Any) -> Node:
    """``numpy.pad``, all named modes."""
    node = lift(x)
    if not node.ndim:
        return node
    width = _widths(pad_width, node.ndim)
    if mode in ("constant", "empty"):
        return _pad_constant(node, width, options.get("constant_values", 0))
    if mode in STATISTICS:
        return _pad_statistic(node, width, STATISTICS[mode], options.get("stat_length"))
    if mode not in CHOSEN + COMPUTED:
        raise ArgumentError(
            f"np.pad of a traced array does not know mode={mode!r}",
            where=str(user_site() or ""),
            expected="one of " + ", ".join(("constant", "empty", *CHOSEN, *COMPUTED, *STATISTICS)),
        )
    odd = options.get("reflect_type") == "odd"
    padded = _pad_linear if mode in COMPUTED or odd else _pad_chosen
    for axis, pair in enumerate(width):
        if pair != (0, 0):
            here = {key: _of_axis(value, axis, node.ndim) for key, value in options.items()}
            node = padded(node, axis, pair, mode, here)
    return node


def _widths(pad_width: Any, ndim: int) -> Width:
    if isinstance(pad_width, dict):
        pad_width = [pad_width.get(k, pad_width.get(k - ndim, 0)) for k in range(ndim)]
        pad_width = [(n, n) if np.ndim(n) == 0 else n for n in pad_width]
    pairs = np.broadcast_to(pad_width, (ndim, 2)).astype(int).tolist()
    return tuple((before, after) for before, after in pairs)


def _of_axis(option: Any, axis: int, ndim: int) -> Any:
    """An option such as ``end_values`` for one axis, where it is given as pairs."""
    if isinstance(option, str) or option is None:
        return option
    return tuple(np.broadcast_to(option, (ndim, 2))[axis].tolist())


def _pad_constant(x: Node, width: Width, values: Any) -> Node:
    padded = pad(x, width=width)
    border = np.pad(np.zeros(x.shape, x.dtype), width, constant_values=values)
    return padded + border if border.any() else padded


def _pad_chosen(x: Node, axis: int, pair: tuple[int, int], mode: Any, options: Any) -> Node:
    index = np.pad(np.arange(x.shape[axis]), pair, mode, **options)
    return getitem_by(x, at(axis, x.ndim, index))


def _pad_linear(x: Node, axis: int, pair: tuple[int, int], mode: Any, options: Any) -> Node:
    """By the matrix that NumPy's padding of unit vectors gives, and what it makes of zeros."""
    n = x.shape[axis]
    of_zeros = np.pad(np.zeros(n, x.dtype), pair, mode, **options)
    columns = [np.pad(unit, pair, mode, **options) - of_zeros for unit in np.eye(n, dtype=x.dtype)]
    padded = tensordot(x, np.stack(columns), (axis, 0))  # (..., n, ...) · (n, m) -> (..., m)
    padded = padded + of_zeros if of_zeros.any() else padded
    return moveaxis(padded, -1, axis)


def _pad_statistic(x: Node, width: Width, statistic: Any, lengths: Any) -> Node:
    """The largest, smallest or middle element of each row, or of the part next to the border."""
    for axis, pair in enumerate(width):
        n = x.shape[axis]
        near = (n, n) if lengths is None else np.broadcast_to(lengths, (x.ndim, 2))[axis].tolist()
        parts = slice(0, near[0]), slice(max(n - near[1], 0), n)
        found = [
            NUMPY[statistic](getitem_by(x, at(axis, x.ndim, part)), axis=axis, keepdims=True)
            for part in parts
        ]
        rows = [
            broadcast_to(value, shape=(*x.shape[:axis], count, *x.shape[axis + 1 :]))
            for value, count in zip(found, pair, strict=True)
        ]
        x = joined([rows[0], x, rows[1]], axis)
    return x
