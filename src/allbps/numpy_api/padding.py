"""numpy.pad: a border of constants, of elements, or of what is computed from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.errors import ArgumentError
from allbps.ir import NUMPY, Node, lift, numpy_function, user_site
from allbps.numpy_api.shapes import at
from allbps.ops.function import astype
from allbps.ops.index import getitem_by, put_by
from allbps.ops.join import joined
from allbps.ops.shape import broadcast_to, flip_by, pad

Width = tuple[tuple[int, int], ...]

CHOSEN = ("edge", "reflect", "symmetric", "wrap")
"""Modes whose border consists of elements."""

STATISTICS = {"mean": np.mean, "maximum": np.max, "minimum": np.min, "median": np.median}
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
    if mode not in (*CHOSEN, "linear_ramp"):
        raise ArgumentError(
            f"np.pad of a traced array does not know mode={mode!r}",
            where=str(user_site() or ""),
            expected="one of "
            + ", ".join(("constant", "empty", *CHOSEN, "linear_ramp", *STATISTICS)),
        )
    odd = options.get("reflect_type") == "odd"
    padded = _pad_ramp if mode == "linear_ramp" else _pad_turned if odd else _pad_chosen
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
    border = np.pad(np.zeros(x.shape, x.dtype), width, constant_values=values)
    if not border.any() and not np.signbit(border).any():
        return pad(x, width=width)
    inside = tuple(slice(before, before + n) for (before, _), n in zip(width, x.shape, strict=True))
    return put_by(border, inside, x)


def _pad_chosen(x: Node, axis: int, pair: tuple[int, int], mode: Any, options: Any) -> Node:
    index = np.pad(np.arange(x.shape[axis]), pair, mode, **options)
    return getitem_by(x, at(axis, x.ndim, index))


def _pad_ramp(x: Node, axis: int, pair: tuple[int, int], mode: Any, options: Any) -> Node:
    """From the end values to the elements at the border, which no other element touches."""
    ends = options.get("end_values", (0, 0))
    ramps = []
    for count, end, place in zip(pair, ends, (slice(0, 1), slice(-1, None)), strict=True):
        edge = getitem_by(x, at(axis, x.ndim, place))
        share = np.arange(count).reshape((-1, *[1] * (x.ndim - axis - 1)))
        ramp = (edge - end) / float(max(count, 1)) * share + end
        ramps.append(astype(ramp, dtype=x.dtype) if ramp.dtype != x.dtype else ramp)
    return joined([ramps[0], x, flip_by(ramps[1], axis)], axis)


def _pad_turned(x: Node, axis: int, pair: tuple[int, int], mode: Any, options: Any) -> Node:
    """An odd reflection: twice the edge minus what is mirrored at it, as often as it takes."""
    n, own = x.shape[axis], int(mode == "symmetric")  # is the edge itself mirrored?
    if n == 1:
        return _pad_chosen(x, axis, pair, "edge", {})
    before, after = pair
    while before or after:
        whole = x.shape[axis]
        period = n if own else n - 1
        length = (whole - 1 + own) // period * period
        left, right = min(length, before), min(length, after)
        mirrored = [
            _mirrored(x, axis, 0, slice(1 - own, left + 1 - own)),
            _mirrored(x, axis, whole - 1, slice(whole - 1 + own - right, whole - 1 + own)),
        ]
        x = joined([mirrored[0], x, mirrored[1]], axis)
        before, after = before - left, after - right
    return x


def _mirrored(x: Node, axis: int, edge: int, part: slice) -> Node:
    turned = flip_by(getitem_by(x, at(axis, x.ndim, part)), axis)
    return 2 * getitem_by(x, at(axis, x.ndim, slice(edge, edge + 1))) - turned


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
