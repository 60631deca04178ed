"""Picking elements out, and putting or adding them in.

What a general index names is told in places of the flattened array: the index applied to the
numbers 0, 1, 2, … in the array's shape.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.ir import CONST, Node
from allbps.onnx.table.use import kept
from allbps.onnx.writer import Refused, Value, Writer
from allbps.ops.index import Parts, numpy_index

WHOLE = (None, None, None)


def getitem(o: Writer, x: Value, *arrays: Value, parts: Parts) -> Any:
    source = o.node.inputs[0].shape
    return picked(o, x, source, parts, list(arrays), o.node.inputs[1:], o.node.shape)


def picked(
    o: Writer, x: Value, shape: tuple[int, ...], parts: Parts, arrays: list[Value],
    nodes: tuple[Node, ...], result: tuple[int, ...],
) -> Any:  # fmt: skip
    """``x[parts]`` of an x of this shape, which has the shape ``result``."""
    if any(a.dtype.kind == "b" and n.op is not CONST for a, n in zip(arrays, nodes, strict=True)):
        raise Refused("how many elements a mask picks depends on its values")
    parts, indices = _without_masks(parts, arrays, nodes)
    full = _all_axes(parts, len(shape))
    x = _sliced(o, x, shape, full)
    if indices:
        x = _gathered(o, x, shape, full, indices)
    return o.reshape(x, result)


def _without_masks(
    parts: Parts, arrays: list[Value], nodes: tuple[Node, ...]
) -> tuple[Parts, list[Any]]:
    """Masks that are constants, as the places that they pick."""
    indices: list[Any] = []
    found: list[Any] = []
    waiting = list(zip(arrays, nodes, strict=True))
    for part in parts:
        if part != "array":
            found.append(part)
            continue
        value, node = waiting.pop(0)
        places = np.nonzero(node.value) if value.dtype.kind == "b" else (value,)
        indices += [p.astype(np.int64) if isinstance(p, np.ndarray) else p for p in places]
        found += ["array"] * len(places)
    return tuple(found), indices


def _all_axes(parts: Parts, ndim: int) -> list[Any]:
    """One part for each axis, without None, which the last reshape brings back."""
    if any(part is None for part in parts) and "array" in parts:
        raise Refused("an index of arrays and None together is not written")
    parts = tuple(part for part in parts if part is not None)
    missing = ndim - sum(part is not Ellipsis for part in parts)
    if Ellipsis not in parts:
        return [*parts, *[WHOLE] * missing]
    k = parts.index(Ellipsis)
    return [*parts[:k], *[WHOLE] * missing, *parts[k + 1 :]]


def _sliced(o: Writer, x: Value, shape: tuple[int, ...], parts: list[Any]) -> Any:
    """The slices and whole numbers of an index, each axis kept; an array's axis is left whole."""
    cuts = []
    for axis, (part, n) in enumerate(zip(parts, shape, strict=True)):
        if part in ("array", WHOLE):
            continue
        taken = (
            range(n)[slice(*part)] if isinstance(part, tuple) else range(n)[part : part + 1 or n]
        )
        stop = taken.stop if taken.stop >= 0 else -n - 1
        cuts.append((taken.start, stop, axis, taken.step))
    return o.Slice(x, *(list(column) for column in zip(*cuts, strict=True))) if cuts else x


def _gathered(
    o: Writer, x: Value, shape: tuple[int, ...], parts: list[Any], indices: list[Any]
) -> Any:
    """The arrays of an index: their axes are laid side by side and picked from at once."""
    axes = [k for k, part in enumerate(parts) if part == "array"]
    lone = [k for k, part in enumerate(parts) if isinstance(part, int)]
    together = sorted([*axes, *lone])
    apart = together != list(range(together[0], together[-1] + 1))
    if len(axes) == 1 and not lone:
        return o.Gather(x, indices[0], axis=axes[0])
    lengths = [_length(part, n) for part, n in zip(parts, shape, strict=True)]
    start = 0 if apart else axes[0]
    others = [k for k in range(len(shape)) if k not in axes]
    before = [k for k in others if k < start]
    order = [*before, *axes, *(k for k in others if k not in before)]
    place: Any = None
    for k, index in zip(axes, indices, strict=True):
        n = shape[k]
        index = o.value(index)  # noqa: PLW2901
        counted = o.Where(o.Less(index, 0), o.Add(index, n), index)
        place = counted if place is None else o.Add(o.Mul(place, n), counted)
    merged = [lengths[k] for k in before] + [int(np.prod([shape[k] for k in axes]))]
    rest = [lengths[k] for k in order[len(before) + len(axes) :]]
    flat = o.reshape(o.Transpose(x, perm=order), [*merged, *rest])
    return o.Gather(flat, place, axis=len(before))


def _length(part: Any, n: int) -> int:
    if part == "array":
        return n
    return len(range(n)[slice(*part)]) if isinstance(part, tuple) else 1


# -- the other way ---------------------------------------------------------------------------------
def places(
    o: Writer, shape: tuple[int, ...], parts: Parts, arrays: list[Value],
    nodes: tuple[Node, ...], result: tuple[int, ...],
) -> Any:  # fmt: skip
    """Where in the flattened array each picked element stands, as a vector."""
    numbers = np.arange(int(np.prod(shape))).reshape(shape)
    if all(node.op is CONST for node in nodes):
        return o.constant(numbers[numpy_index(parts, [n.value for n in nodes])].reshape(-1))
    found = picked(o, o.constant(numbers), shape, parts, arrays, nodes, result)
    return o.reshape(found, [-1])


def put_add(o: Writer, values: Value, *arrays: Value, shape: tuple[int, ...], parts: Parts) -> Any:
    """Zeros with the values added at an index."""
    nodes = o.node.inputs[1:]
    zeros = o.zeros(shape, values.dtype)
    rows = [part for part in parts if part != WHOLE]
    whole = all(part == "array" for part in parts[: len(rows)])
    if len(arrays) == 1 and rows == ["array"] and whole and arrays[0].dtype.kind != "b":
        index = o.reshape(arrays[0], [*nodes[0].shape, 1])
        return o.ScatterND(zeros, index, values, reduction="add")
    where = places(o, shape, parts, list(arrays), nodes, o.node.inputs[0].shape)
    flat = o.ScatterElements(
        o.reshape(zeros, [-1]), where, o.reshape(values, [-1]), axis=0, reduction="add"
    )
    return o.reshape(flat, shape)


def put(o: Writer, x: Value, values: Value, *arrays: Value, parts: Parts) -> Any:
    """The array with other numbers at an index; of what is named twice the last one counts."""
    nodes, shape = o.node.inputs[2:], o.node.shape
    result = _picked_shape(shape, parts, nodes)
    where = places(o, shape, parts, list(arrays), nodes, result)
    spread = o.reshape(o.cast(values, x.dtype), _fitting(o.node.inputs[1].shape, len(result)))
    new = o.reshape(o.Expand(spread, list(result)), [-1])
    flat = last_put(o, o.reshape(x, [-1]), where, new, axis=0, count=int(np.prod(result)))
    return o.reshape(flat, shape)


def _fitting(shape: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    return shape[len(shape) - ndim :] if len(shape) > ndim else shape


def _picked_shape(shape: tuple[int, ...], parts: Parts, nodes: tuple[Node, ...]) -> tuple[int, ...]:
    if any(node.dtype.kind == "b" and node.op is not CONST for node in nodes):
        raise Refused("how many elements a mask picks depends on its values")
    stand_ins = [n.value if n.op is CONST else np.zeros(n.shape, n.dtype) for n in nodes]
    probe: Any = np.broadcast_to(np.zeros(()), shape)
    return tuple(probe[numpy_index(parts, stand_ins)].shape)


def last_put(o: Writer, x: Value, where: Value, new: Value, axis: int, count: int) -> Any:
    """``new`` written into x at places along an axis; where two meet the later one stays.

    ONNX leaves open which of two stays, so the later one is found first: the greatest number.
    """
    order = o.Expand(np.arange(count), o.Shape(where))
    unset = o.Expand(o.value(-1, np.dtype(np.int64)), o.Shape(x))
    winner = o.ScatterElements(unset, where, order, axis=axis, reduction="max")
    found = o.GatherElements(new, o.Max(winner, 0), axis=axis)
    return o.Where(o.Less(winner, 0), x, found)


TABLE = {
    "getitem": kept(getitem),
    "put_add": kept(put_add),
    "put": kept(put),
}
