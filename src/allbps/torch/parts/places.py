"""Elements at places that indices name, and zeros or other numbers around an array."""

from __future__ import annotations

from typing import Any

import numpy as np

import allbps.functional as F
from allbps.ir import TracedArray, is_traced, lift
from allbps.transforms import stop_gradient


def put_at(x: Any, index: Any, values: Any) -> Any:
    """X with other numbers at an index."""
    out = _own(x, index, values)
    out[index] = values
    return out


def added_at(x: Any, index: Any, values: Any) -> Any:
    """X with numbers added at an index; what is named twice is added twice."""
    return x + _into(x.shape, index, values, x)


def _into(shape: tuple[int, ...], index: Any, values: Any, like: Any) -> Any:
    """Zeros with values added at an index."""
    out = _own(np.zeros(shape, like.dtype), index, values)
    np.add.at(out, index, np.broadcast_to(values, out[index].shape))
    return out


def _own(x: Any, *others: Any) -> Any:
    """A copy of x to write into, as a name where what is written, or the place, is traced."""
    return np.copy(_named(x, *others))


def _named(x: Any, *others: Any) -> Any:
    """X; as a name where x is plain and another is traced.

    A plain array would ask a traced index for its numbers, and each index would be a path.
    """
    return TracedArray(lift(x)) if is_traced(*others) and not is_traced(x) else x


def picked(x: Any, index: Any) -> Any:
    """The elements of a constant at an index."""
    return _named(x, index)[index]


def gather(x: Any, dim: int, index: Any) -> Any:
    """The elements of x at an index along an axis; the index may be shorter along the others."""
    if x.ndim == 0:
        return x
    return picked(x, _grid(x, dim, index))


def _grid(x: Any, dim: int, index: Any) -> tuple[Any, ...]:
    """The index of PyTorch's gather and scatter as NumPy's: a whole index for every axis."""
    dim %= x.ndim
    whole = [
        np.arange(n).reshape([-1 if k == axis else 1 for k in range(x.ndim)])
        for axis, n in enumerate(index.shape)
    ]
    return tuple(index if axis == dim else whole[axis] for axis in range(x.ndim))


def scatter(x: Any, dim: int, index: Any, values: Any) -> Any:
    """X with other numbers at an index along an axis."""
    if hasattr(values, "shape") and values.shape != index.shape:
        values = values[tuple(slice(n) for n in index.shape)]
    return put_at(x, _grid(x, dim, index), values)


def scatter_add(x: Any, dim: int, index: Any, values: Any) -> Any:
    """X with numbers added at an index along an axis."""
    if values.shape != index.shape:
        values = values[tuple(slice(n) for n in index.shape)]
    return x + _into(x.shape, _grid(x, dim, index), values, x)


def index_add(x: Any, dim: int, index: Any, values: Any, alpha: float) -> Any:
    """X with slices of values added at an index along an axis."""
    ahead = (slice(None),) * (dim % x.ndim)
    values = values if alpha == 1 else alpha * values
    return x + _into(x.shape, (*ahead, index), values, x)


def embedding(ids: Any, table: Any, padding: int) -> Any:
    """Rows of a table; the row of padding gets no δ."""
    rows = F.embedding(ids, table)
    return np.where(np.expand_dims(ids == padding, -1), stop_gradient(rows), rows)


def pad(x: Any, pads: tuple[int, ...], value: float) -> Any:
    """A number around the last axes, those of the last axis first; a negative pad cuts off."""
    for k in range(0, len(pads), 2):
        if min(pads[k : k + 2]) < 0:
            axis = x.ndim - 1 - k // 2
            before, after = max(-pads[k], 0), max(-pads[k + 1], 0)
            x = x[(slice(None),) * axis + (slice(before, x.shape[axis] - after),)]
    return F.pad(x, tuple(max(n, 0) for n in pads), value=value)


def pad_by(x: Any, pads: tuple[int, ...], mode: str) -> Any:
    """Its own numbers around the last axes: reflect, edge or wrap."""
    pairs = [(pads[k], pads[k + 1]) for k in range(0, len(pads), 2)][::-1]
    for axis, (before, after) in enumerate(pairs, x.ndim - len(pairs)):
        where = np.pad(np.arange(x.shape[axis]), (before, after), mode=mode)  # type: ignore[call-overload]
        x = x[(slice(None),) * axis + (where,)]
    return x


def pixel_shuffle(x: Any, factor: int) -> Any:
    """(…, C f², H, W) -> (…, C, H f, W f)."""
    *ahead, channels, height, width = x.shape
    deep = channels // factor**2
    x = np.reshape(x, (*ahead, deep, factor, factor, height, width))
    n = len(ahead)
    order = (*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return np.reshape(np.transpose(x, order), (*ahead, deep, height * factor, width * factor))


def histc(x: Any, bins: int, lowest: float, highest: float) -> Any:
    """How many numbers lie in each of ``bins`` equal parts from lowest to highest."""
    x = np.reshape(x, (-1, 1))
    part = np.minimum(np.floor((x - lowest) * bins / (highest - lowest)), bins - 1)
    return np.sum((part == np.arange(bins)) & (x >= lowest) & (x <= highest), axis=0)


def grouped_product(x: Any, weights: Any, ends: Any) -> Any:
    """Rows (n, in), those of a group times its own matrix of (groups, in, out): (n, out).

    Args:
        x: the rows, group behind group.
        weights: a matrix for each group.
        ends: where each group ends, (groups,).

    """
    rows = np.arange(x.shape[0])
    total: Any = 0.0
    for k in range(weights.shape[0]):
        inside = rows < ends[k] if k == 0 else (rows >= ends[k - 1]) & (rows < ends[k])
        total = total + np.where(inside[:, None], x @ weights[k], 0.0)
    return total


def searched(bounds: Any, x: Any, right: bool) -> Any:
    """Where numbers would stand in a row that rises: NaN behind all."""
    x = np.expand_dims(x, -1)
    return np.sum(~(x < bounds) if right else ~(x <= bounds), axis=-1)
