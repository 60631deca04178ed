"""Pooling to a given size: as many parts as asked for, whatever the input's length."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from operator import index
from typing import Any

import numpy as np

from allbps.functional.common import misfit, misused, works_on_arrays
from allbps.functional.pooling import Windows, over_windows
from allbps.ir import Node, Op, lift
from allbps.ops import pool
from allbps.ops.index import getitem_by
from allbps.ops.join import joined
from allbps.ops.reduce import max_, mean
from allbps.ops.shape import reshape

Lengths = tuple[int, ...]
Sizes = int | None | Sequence[int | None]


@works_on_arrays
def adaptive_avg_pool1d(input: Any, output_size: Sizes) -> Node:
    """Means over (…, L) cut into so many parts; arguments as ``adaptive_avg_pool2d``.

    >>> adaptive_avg_pool1d(np.array([[1.0, 3.0, 5.0, 7.0]]), 2)
    array([[2., 6.]])
    """
    return _pooled("adaptive_avg_pool1d", mean, lift(input), output_size, 1)


@works_on_arrays
def adaptive_avg_pool2d(input: Any, output_size: Sizes) -> Node:
    """Means over images (…, H, W) cut into ``output_size`` parts; 1 is the global mean.

    As in PyTorch part i of n goes from ⌊i L / n⌋ to ⌈(i + 1) L / n⌉, so parts may overlap; None
    leaves an axis as it is.

    Raises:
        ArgumentError: an output size below 1.
        ShapeError: an axis is missing or empty.

    >>> adaptive_avg_pool2d(np.arange(12.0).reshape(1, 3, 4), (1, 2))
    array([[[4.5, 6.5]]])

    """
    return _pooled("adaptive_avg_pool2d", mean, lift(input), output_size, 2)


@works_on_arrays
def adaptive_avg_pool3d(input: Any, output_size: Sizes) -> Node:
    """Means over volumes (…, D, H, W) cut into parts; arguments as ``adaptive_avg_pool2d``.

    >>> adaptive_avg_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), 1).item()
    3.5
    """
    return _pooled("adaptive_avg_pool3d", mean, lift(input), output_size, 3)


@works_on_arrays
def adaptive_max_pool1d(input: Any, output_size: Sizes, return_indices: bool = False) -> Any:
    """Maxima over (…, L) cut into so many parts; arguments as ``adaptive_max_pool2d``.

    >>> adaptive_max_pool1d(np.array([[1.0, 3.0, 5.0, 7.0]]), 2)
    array([[3., 7.]])
    """
    return _largest("adaptive_max_pool1d", lift(input), output_size, return_indices, 1)


@works_on_arrays
def adaptive_max_pool2d(input: Any, output_size: Sizes, return_indices: bool = False) -> Any:
    """Maxima over images (…, H, W) cut into parts; in a tie the first gets the δ.

    ``return_indices`` also gives where each maximum stands in the flattened image; otherwise as
    ``adaptive_avg_pool2d``.

    >>> adaptive_max_pool2d(np.arange(12.0).reshape(1, 3, 4), (1, 2))
    array([[[ 9., 11.]]])
    """
    return _largest("adaptive_max_pool2d", lift(input), output_size, return_indices, 2)


@works_on_arrays
def adaptive_max_pool3d(input: Any, output_size: Sizes, return_indices: bool = False) -> Any:
    """Maxima over volumes (…, D, H, W) cut into parts; arguments as ``adaptive_max_pool2d``.

    >>> adaptive_max_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), 1).item()
    7.0
    """
    return _largest("adaptive_max_pool3d", lift(input), output_size, return_indices, 3)


def _sizes(name: str, x: Node, output_size: Sizes, n: int) -> Lengths:
    """How many parts along each of the last axes."""
    listed = tuple(output_size) if isinstance(output_size, Sequence) else (output_size,) * n
    if x.ndim < n or 0 in x.shape[x.ndim - n :]:
        raise misfit(f"{name} has nothing to cut into parts", f"{n} axes of length 1 or more",
                     str(x.shape))  # fmt: skip
    if len(listed) != n:
        raise misused(f"{name}: a size for each of {n} axes", got=f"output_size={output_size!r}")
    sizes = tuple(
        length if size is None else index(size)
        for size, length in zip(listed, x.shape[-n:], strict=True)
    )
    if min(sizes) < 1:
        raise misused("output_size starts at 1", got=f"output_size={output_size!r}")
    return sizes


def _parts(length: int, count: int) -> list[slice]:
    """Where each part begins and ends."""
    return [slice(k * length // count, -(-(k + 1) * length // count)) for k in range(count)]


def _pooled(name: str, op: Op, x: Node, output_size: Sizes, n: int) -> Node:
    return _cut(op, x, _sizes(name, x, output_size, n))


def _cut(op: Op, x: Node, sizes: Lengths) -> Node:
    """``op`` of each part, axis by axis from the last: the first in row-major order wins a tie."""
    n = len(sizes)
    if set(sizes) == {1}:
        return op(x, axis=tuple(range(-n, 0)), keepdims=True)
    for k in reversed(range(n)):
        x = _cut_axis(op, x, x.ndim - n + k, sizes[k])
    return x


def _cut_axis(op: Op, x: Node, axis: int, count: int) -> Node:
    length = x.shape[axis]
    if length == count:
        return x
    if length % count == 0:
        apart = (*x.shape[:axis], count, length // count, *x.shape[axis + 1 :])
        return op(reshape(x, shape=apart), axis=axis + 1, keepdims=False)
    front = (slice(None),) * axis
    parts = [getitem_by(x, (*front, part)) for part in _parts(length, count)]
    return joined([op(part, axis=axis, keepdims=True) for part in parts], axis)


def _largest(name: str, x: Node, output_size: Sizes, return_indices: bool, n: int) -> Any:
    sizes = _sizes(name, x, output_size, n)
    lengths = x.shape[-n:]
    whole = all(length % size == 0 for length, size in zip(lengths, sizes, strict=True))
    if whole and n == 2 and x.ndim in (2, 3, 4):
        kernel = tuple(a // b for a, b in zip(lengths, sizes, strict=True))
        windows = Windows(kernel, kernel, (0, 0), (1, 1), False)
        values = over_windows(pool.max_pool2d_op, x, windows)
    else:
        values = _cut(max_, x, sizes)
    return (values, _places(x, sizes)) if return_indices else values


def _places(x: Node, sizes: Lengths) -> Node:
    """Where each maximum stands in the flattened input, part by part."""
    lengths = x.shape[-len(sizes) :]
    numbers = np.arange(prod(lengths)).reshape(lengths)
    cuts = [_parts(length, size) for length, size in zip(lengths, sizes, strict=True)]
    found = []
    for part in product(*cuts):
        here = getitem_by(x, (..., *part))
        rows = reshape(here, shape=(prod(x.shape[: -len(sizes)]), numbers[part].size))
        found.append(getitem_by(lift(numbers[part].ravel()), first_largest(rows)))
    together = joined([reshape(places, shape=(places.size, 1)) for places in found], 1)
    return reshape(together, shape=(*x.shape[: -len(sizes)], *sizes))


def first_largest(rows: Node) -> Node:
    """The column of the first maximum of each row of a matrix."""
    width = rows.shape[1]
    found = pool.winner_index_op(rows, **pool.window((1, width), (1, width), batched=False))
    return reshape(found, shape=(rows.shape[0],)) % width
