"""Tables of vectors: rows of them, and sums, means and maxima of bags of rows."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from allbps.functional.common import Updates, array, granted, misfit, misused, works_on_arrays
from allbps.ir import Node, lift
from allbps.ops.comparison import logical_and, where
from allbps.ops.function import astype
from allbps.ops.index import getitem_by
from allbps.ops.join import joined
from allbps.ops.length import norm_op
from allbps.ops.questions import all_, any_
from allbps.ops.reduce import max_, mean, sum_
from allbps.ops.shape import detach, reshape


@works_on_arrays
def embedding(
    input: Any,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    """Rows of ``weight`` (rows, width): (…) integers -> (…, width).

    A row that is taken twice gets δ twice.

    Args:
        input: row numbers.
        weight: the table.
        padding_idx: a row that gets no δ.
        max_norm: rows that are taken and longer than that are shortened to it, also in the table
            itself, as PyTorch does.
        norm_type: by which norm they are measured.
        scale_grad_by_freq: divide the δ of a row by how often it is taken.
        sparse: how PyTorch would keep the δ, which makes no difference here.

    Raises:
        ArgumentError: a row number is negative or too large, or not an integer.

    >>> embedding(np.array([1, 1, 0]), np.array([[0.0, 1.0], [2.0, 3.0]]))
    array([[2., 3.],
           [2., 3.],
           [0., 1.]])

    """
    numbers, table = _rows_of(input, weight, "embedding")
    if max_norm is None:
        return _taken(numbers, table, padding_idx, scale_grad_by_freq)
    shorter = _shortened(numbers, table, float(max_norm), float(norm_type))
    rows = _taken(numbers, shorter, padding_idx, scale_grad_by_freq)
    return Updates(rows, {"weight": detach(shorter)})


def _rows_of(input: Any, weight: Any, name: str) -> tuple[Node, Node]:
    numbers, table = lift(input), lift(weight)
    if not numbers.size and numbers.dtype.kind == "f":
        numbers = lift(np.zeros(numbers.shape, np.int64))
    if table.ndim != 2:
        raise misfit(f"{name} needs a table", expected="(rows, width)", got=str(table.shape))
    if numbers.dtype.kind == "i" and not granted(all_(numbers >= 0, axis=None, keepdims=False)):
        raise misused(f"{name} takes row numbers from 0", got=str(np.min(numbers.value)))
    return numbers, table


def _taken(numbers: Node, table: Node, padding_idx: int | None, by_frequency: bool) -> Node:
    rows = getitem_by(table, numbers)
    if padding_idx is not None:
        place = _padding_row(padding_idx, table.shape[0])
        rows = where(reshape(numbers == place, shape=(*numbers.shape, 1)), detach(rows), rows)
    if by_frequency:
        flat = reshape(numbers, shape=(numbers.size,))
        alike = reshape(flat, shape=(numbers.size, 1)) == flat
        counts = sum_(astype(alike, dtype=rows.dtype), axis=1, keepdims=False)
        share = 1.0 / reshape(counts, shape=(*numbers.shape, 1))
        rows = detach(rows) + (rows - detach(rows)) * share
    return rows


def _padding_row(padding_idx: int, rows: int) -> int:
    if not -rows <= padding_idx < rows:
        raise misused("there is no row padding_idx", f"0 to {rows - 1}", f"{padding_idx}")
    return padding_idx % rows


def _shortened(numbers: Node, table: Node, most: float, order: float) -> Node:
    """The table with the rows that are taken no longer than ``most``; δ goes through unchanged."""
    still = detach(table)
    size = norm_op(still, order=int(order) if order.is_integer() else order, axis=1, keepdims=True)
    flat = reshape(numbers, shape=(1, numbers.size))
    taken = any_(np.arange(table.shape[0])[:, None] == flat, axis=1, keepdims=True)
    long = logical_and(taken, size > most)
    short = where(long, still * (most / (size + 1e-7)), still)  # PyTorch's own bound
    return short + (table - still)


@works_on_arrays
def embedding_bag(
    input: Any,
    weight: Any,
    offsets: Any = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:
    """Sums, means or maxima of bags of rows: (N, L) integers -> (N, width); an empty bag gives 0.

    Args:
        input: row numbers (N, L), or (n,) with offsets.
        weight: the table (rows, width).
        offsets: where each bag begins in the row of numbers; plain numbers.
        max_norm: as in ``embedding``.
        norm_type: as in ``embedding``.
        scale_grad_by_freq: as in ``embedding``.
        mode: "sum", "mean" or "max".
        sparse: as in ``embedding``.
        per_sample_weights: a factor for each number, with mode "sum".
        include_last_offset: is the last offset the end of the last bag?
        padding_idx: a row that counts as not there.

    Raises:
        ArgumentError: offsets that do not fit, another mode, or weights with one that has none.
        ShapeError: neither bags of one length nor a row.

    >>> embedding_bag(np.array([0, 1, 1]), np.array([[0.0, 2.0], [4.0, 6.0]]), np.array([0, 2]))
    array([[2., 4.],
           [4., 6.]])

    """
    numbers, table = _rows_of(input, weight, "embedding_bag")
    _check_bags(numbers, offsets, mode, per_sample_weights)
    taken = table
    if max_norm is not None:
        taken = _shortened(numbers, table, float(max_norm), float(norm_type))
    ends = _ends(numbers, offsets, include_last_offset)
    flat = reshape(numbers, shape=(numbers.size,))
    rows = _taken(flat, taken, padding_idx, scale_grad_by_freq)
    counted = None
    if padding_idx is not None:
        counted = reshape(flat != _padding_row(padding_idx, table.shape[0]), shape=(flat.size, 1))
    if per_sample_weights is not None:
        rows = rows * reshape(lift(per_sample_weights), shape=(flat.size, 1))
    bags = [_bag(rows, counted, slice(a, b), mode) for a, b in pairwise(ends)]
    width = table.shape[1]
    empty = lift(np.zeros((0, width), table.dtype))
    out = joined([reshape(bag, shape=(1, width)) for bag in bags], 0) if bags else empty
    return out if max_norm is None else Updates(out, {"weight": detach(taken)})


def _check_bags(numbers: Node, offsets: Any, mode: str, weights: Any) -> None:
    if mode not in ("sum", "mean", "max"):
        raise misused("unknown mode of bags", expected="'sum', 'mean' or 'max'", got=repr(mode))
    if weights is not None and (mode != "sum" or lift(weights).shape != numbers.shape):
        raise misused(
            "per_sample_weights go with mode='sum', one for each number",
            got=f"mode={mode!r}, weights of shape {lift(weights).shape}",
        )
    if numbers.ndim != (2 if offsets is None else 1):
        raise misfit(
            "embedding_bag takes bags of one length, or a row with offsets",
            expected="input (N, L); or (n,) and offsets",
            got=f"input {numbers.shape}",
        )


def _ends(numbers: Node, offsets: Any, last: bool) -> list[int]:
    """Where each bag begins, and the last one ends."""
    if offsets is None:
        count, length = numbers.shape
        return [length * k for k in range(count + 1)]
    starts = [int(k) for k in np.atleast_1d(array(offsets).known("offsets"))]
    ends = starts if last else [*starts, numbers.size]
    if not ends or ends[0] != 0 or ends != sorted(ends) or ends[-1] > numbers.size:
        raise misused(
            "offsets must begin with 0 and not decrease",
            expected=f"numbers up to {numbers.size}",
            got=str(starts),
        )
    return ends


def _bag(rows: Node, counted: Node | None, part: slice, mode: str) -> Node:
    here = getitem_by(rows, part)
    if counted is None:
        if not here.size:
            return sum_(here, axis=0, keepdims=False)
        reduce = {"sum": sum_, "mean": mean, "max": max_}[mode]
        return reduce(here, axis=0, keepdims=False)
    mask = getitem_by(counted, part)
    total = sum_(where(mask, here, 0.0), axis=0, keepdims=False)
    if mode == "sum":
        return total
    count = sum_(astype(mask, dtype=rows.dtype), axis=0, keepdims=False)
    if mode == "mean":
        return total / where(count == 0, 1.0, count)
    if not here.size:
        return total
    most = max_(where(mask, here, -np.inf), axis=0, keepdims=False)
    return where(count == 0, 0.0, most)
