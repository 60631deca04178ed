"""Elements at places that indices name, and zeros or other numbers around an array."""

from __future__ import annotations

from typing import Any

import numpy as np

import allbps.functional as F
from allbps.transforms import stop_gradient


def put_at(x: Any, index: Any, values: Any) -> Any:
    """X with other numbers at an index."""
    out = np.copy(x)
    if isinstance(out, np.ndarray) and not isinstance(values, (np.ndarray, float, int)):
        out = np.zeros_like(values, shape=x.shape, dtype=x.dtype) + x
    out[index] = values
    return out


def added_at(x: Any, index: Any, values: Any) -> Any:
    """X with numbers added at an index; what is named twice is added twice."""
    return x + _into(x.shape, index, values, x)


def _into(shape: tuple[int, ...], index: Any, values: Any, like: Any) -> Any:
    """Zeros with values added at an index."""
    zeros = np.zeros(shape, like.dtype)
    values = np.broadcast_to(values, zeros[index].shape) if not _traced(index) else values
    out = np.zeros_like(values, shape=shape)
    np.add.at(out, index, values)
    return out


def _traced(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(not isinstance(part, (slice, int, np.ndarray, type(None))) for part in parts)


def gather(x: Any, dim: int, index: Any) -> Any:
    """The elements of x at an index along an axis; the index may be shorter along the others."""
    if x.ndim == 0:
        return x
    return x[_grid(x, dim, index)]


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
