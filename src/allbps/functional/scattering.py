"""Numbers written, added or reduced into the places that an index names."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy

from allbps.functional.common import misfit, misused, works_on_arrays
from allbps.functional.picking import along, indices, row
from allbps.ir import Node, lift
from allbps.numpy_api.writing import combined_at
from allbps.ops.index import getitem_by, put_by
from allbps.ops.shape import broadcast_to, detach, reshape
from allbps.ops.shapes import normal_axis

np: Any = numpy  # its functions, given nodes, give nodes

Places = tuple[Any, ...]
REDUCTIONS: dict[str, tuple[Any, float]] = {
    "sum": (np.add, 0.0),
    "add": (np.add, 0.0),
    "mean": (np.add, 0.0),
    "prod": (np.multiply, 1.0),
    "multiply": (np.multiply, 1.0),
}
"""PyTorch's word -> the ufunc, and what it starts from where the old number does not count."""


# -- one index for each number ---------------------------------------------------------------------
def _grid(node: Node, dim: int, index: Any) -> tuple[Node, Places]:
    """``index`` on axis ``dim`` and its own places on the others.

    Raises:
        ShapeError: the index has another number of axes, or is longer than the array on one.

    """
    picked = lift(index if isinstance(index, Node) else np.asarray(index))
    if not node.ndim:
        return picked, (reshape(picked, shape=()),)
    axis = normal_axis(dim, node.ndim)
    fits = picked.ndim == node.ndim and all(
        n <= m for k, (n, m) in enumerate(zip(picked.shape, node.shape, strict=True)) if k != axis
    )
    if not fits and picked.size:
        raise misfit(
            "the index does not fit the array",
            f"{node.ndim} axes, no longer than {node.shape} but on axis {axis}",
            f"shape {picked.shape}",
        )
    places: list[Any] = [
        np.arange(n).reshape([-1 if j == k else 1 for j in range(picked.ndim)])
        for k, n in enumerate(picked.shape)
    ]
    places[axis] = picked
    return picked, tuple(places)


def _as_row(node: Node) -> Node:
    """A number as an array of one, which can be written into by index."""
    return node if node.ndim else row(node)


def _part(src: Any, shape: Sequence[int], dtype: Any) -> Node:
    """The first numbers of ``src`` along each axis; a number is repeated."""
    node = lift(src if isinstance(src, Node) else np.asarray(src, dtype))
    if not node.ndim and tuple(shape) != ():
        return broadcast_to(node.astype(dtype), shape=tuple(shape))
    return getitem_by(node, tuple(slice(0, n) for n in shape))


@works_on_arrays
def gather(input: Any, dim: int, index: Any, *, sparse_grad: bool = False) -> Node:
    """For each place of ``index`` the number of ``input`` there, but at ``index`` on axis ``dim``.

    Args:
        input: any shape.
        dim: the axis.
        index: whole numbers, as many axes, no longer than ``input`` on the others.
        sparse_grad: PyTorch's choice of memory for δ; makes no difference here.

    Raises:
        ShapeError: the index does not fit.

    >>> gather(np.array([[1.0, 2.0], [3.0, 4.0]]), 1, [[1], [0]])
    array([[2.],
           [3.]])

    """
    node = lift(input)
    picked, places = _grid(node, dim, index)
    if not picked.size:
        return lift(np.zeros(picked.shape, node.dtype))
    return reshape(getitem_by(_as_row(node), places), shape=picked.shape)


@works_on_arrays
def scatter(input: Any, dim: int, index: Any, src: Any, *, reduce: str | None = None) -> Node:
    """``input`` with numbers of ``src`` at ``index`` on axis ``dim``; of several the last one.

    Args:
        input: any shape.
        dim: the axis.
        index: as for ``gather``.
        src: an array at least as long as ``index`` on each axis, or a number.
        reduce: None, or "add" or "multiply" to combine with the old number.

    Raises:
        ShapeError: the index does not fit.
        ArgumentError: another reduction.

    >>> scatter(np.zeros((2, 2)), 1, [[1], [0]], 5.0)
    array([[0., 5.],
           [5., 0.]])

    """
    if reduce not in (None, "add", "multiply"):
        raise misused("unknown reduction", expected="'add' or 'multiply'", got=repr(reduce))
    node = lift(input)
    picked, places = _grid(node, dim, index)
    if not picked.size:
        return node
    values = _part(src, picked.shape, node.dtype)
    if reduce is None:
        return reshape(put_by(_as_row(node), places, values), shape=node.shape)
    ufunc, _ = REDUCTIONS[reduce]
    return reshape(combined_at(ufunc, _as_row(node), places, values), shape=node.shape)


@works_on_arrays
def scatter_add(input: Any, dim: int, index: Any, src: Any) -> Node:
    """``input`` plus numbers of ``src`` at ``index`` on axis ``dim``; all of them count.

    Raises:
        ShapeError: the index does not fit.

    >>> scatter_add(np.zeros(2), 0, [1, 1], np.array([3.0, 4.0]))
    array([0., 7.])
    """
    node = lift(input)
    picked, places = _grid(node, dim, index)
    if not picked.size:
        return node
    values = _part(src, picked.shape, node.dtype)
    return reshape(combined_at(np.add, _as_row(node), places, values), shape=node.shape)


@works_on_arrays
def scatter_reduce(
    input: Any, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True
) -> Node:
    """The numbers of ``src`` that go to one place reduced to one, with the old one or without.

    Args:
        input: any shape.
        dim: the axis.
        index: as for ``gather``.
        src: as for ``scatter``.
        reduce: "sum", "prod", "mean", "amax" or "amin".
        include_self: does the old number count too? Places without new ones keep it anyway.

    Raises:
        ShapeError: the index does not fit.
        ArgumentError: another reduction.

    >>> scatter_reduce(np.ones(2), 0, [0, 0], np.array([3.0, 5.0]), "mean", include_self=False)
    array([4., 1.])

    """
    node = lift(input)
    picked, places = _grid(node, dim, index)
    if not picked.size:
        return node
    values = _part(src, picked.shape, node.dtype)
    made = _reduced(_as_row(node), places, values, reduce, include_self)
    return reshape(made, shape=node.shape)


def _reduced(node: Node, places: Places, values: Node, reduce: str, include_self: bool) -> Node:
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise misused(
            "unknown reduction",
            expected="'sum', 'prod', 'mean', 'amax' or 'amin'",
            got=repr(reduce),
        )
    if reduce in ("amax", "amin"):
        return _extreme(node, places, values, reduce == "amax", include_self)
    ufunc, neutral = REDUCTIONS[reduce]
    ones = np.ones(values.shape, node.dtype)
    counts = combined_at(np.add, lift(np.zeros(node.shape, node.dtype)), places, lift(ones))
    start = node if include_self else np.where(counts > 0, node.dtype.type(neutral), node)
    made = combined_at(ufunc, start, places, values)
    if reduce != "mean":
        return made
    average: Node = made / np.maximum(counts + float(include_self), 1.0)
    return average


def _extreme(node: Node, places: Places, values: Node, largest: bool, include_self: bool) -> Node:
    """The largest or smallest; numbers that are equal to it share its δ, as in PyTorch.

    There the old number has a share in what the shares are parts of, even where it does not count.
    """
    picked = getitem_by(node, places).shape
    values = broadcast_to(values, shape=picked) if values.shape != picked else values
    at = row(getitem_by(lift(np.arange(node.size).reshape(node.shape)), places))
    old, new = row(node), row(values)
    hit = combined_at(np.add, lift(np.zeros(old.shape)), at, lift(np.ones(new.shape))) > 0
    best = _best(old, at, new, largest)
    if include_self:
        best = (np.maximum if largest else np.minimum)(old, best)
    if node.dtype.kind != "f":
        return reshape(best, shape=node.shape)
    best = detach(best)
    is_old, is_new = old == best, new == getitem_by(best, at)
    shares = detach(combined_at(np.add, is_old.astype(node.dtype), at, is_new.astype(node.dtype)))
    kept = is_old if include_self else is_old & ~hit
    mine = np.where(kept & np.isfinite(old), old, 0.0) / np.maximum(shares, 1.0)
    theirs = np.where(is_new & np.isfinite(new), new, 0.0)
    slope = combined_at(np.add, mine, at, theirs / np.maximum(getitem_by(shares, at), 1.0))
    return reshape(best + (slope - detach(slope)), shape=node.shape)


def _best(old: Node, at: Node, new: Node, largest: bool) -> Node:
    """Of the new numbers that go to a place the largest or smallest: written last, it stays."""
    order = np.argsort(new if largest else -new, kind="stable")  # NaN comes last in both
    return put_by(old, getitem_by(at, order), getitem_by(new, order))


# -- one index for each slice ----------------------------------------------------------------------
def _slices(input: Any, dim: int, index: Any, source: Any) -> tuple[Node, Places, Node]:
    """The array, the index of the slices, and what belongs there."""
    node = lift(input)
    values = lift(source)
    if not node.ndim:
        return row(node), (indices(index),), reshape(values, shape=indices(index).shape)
    return node, along(node.ndim, dim, indices(index)), values


@works_on_arrays
def index_add(input: Any, dim: int, index: Any, source: Any, *, alpha: float = 1) -> Node:
    """``input`` plus alpha times the slices of ``source`` at those that ``index`` names.

    >>> index_add(np.zeros(3), 0, [2, 2], np.array([1.0, 5.0]))
    array([0., 0., 6.])
    """
    node, places, values = _slices(input, dim, index, source)
    made = combined_at(np.add, node, places, values if alpha == 1 else alpha * values)
    return reshape(made, shape=lift(input).shape)


@works_on_arrays
def index_copy(input: Any, dim: int, index: Any, source: Any) -> Node:
    """``input`` with the slices of ``source`` in the place of those that ``index`` names.

    >>> index_copy(np.zeros(3), 0, [2, 0], np.array([1.0, 5.0]))
    array([5., 0., 1.])
    """
    node, places, values = _slices(input, dim, index, source)
    return reshape(put_by(node, places, values), shape=lift(input).shape)


@works_on_arrays
def index_fill(input: Any, dim: int, index: Any, value: Any) -> Node:
    """``input`` with one number in all the slices that ``index`` names.

    >>> index_fill(np.zeros(3), 0, [2, 0], 7.0)
    array([7., 0., 7.])
    """
    node = lift(input)
    places = (indices(index),) if not node.ndim else along(node.ndim, dim, indices(index))
    return reshape(put_by(_as_row(node), places, lift(value)), shape=node.shape)


@works_on_arrays
def index_reduce(
    input: Any, dim: int, index: Any, source: Any, reduce: str, *, include_self: bool = True
) -> Node:
    """As ``scatter_reduce``, of whole slices: "prod", "mean", "amax" or "amin".

    Raises:
        ArgumentError: another reduction.

    >>> index_reduce(np.ones(2), 0, [1, 1], np.array([3.0, 5.0]), "prod")
    array([ 1., 15.])
    """
    node, places, values = _slices(input, dim, index, source)
    made = _reduced(node, places, values, reduce, include_self)
    return reshape(made, shape=lift(input).shape)


# -- as in square brackets -------------------------------------------------------------------------
def _put(node: Node, places: Any, values: Node, accumulate: bool) -> Node:
    write: Callable[..., Node] = put_by
    if not accumulate:
        return write(node, places, values)
    picked = getitem_by(node, places).shape
    return combined_at(np.add, node, places, broadcast_to(values, shape=picked))


@works_on_arrays
def index_put(input: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Node:
    """``input[indices] = values`` as a new array; with accumulate what is named twice is added.

    >>> index_put(np.zeros(3), ([0, 0],), np.array([1.0, 2.0]), True)
    array([3., 0., 0.])
    """
    places = tuple(
        slice(None) if x is None else x if isinstance(x, Node) else np.asarray(x) for x in indices
    )
    return _put(lift(input), places, lift(values), accumulate)


@works_on_arrays
def put(input: Any, index: Any, source: Any, accumulate: bool = False) -> Node:
    """``input`` with numbers of ``source`` at places counted in row-major order.

    >>> put(np.zeros((2, 2)), [3, 0], np.array([1.0, 5.0]))
    array([[5., 0.],
           [0., 1.]])
    """
    node = lift(input)
    places = row(indices(index))
    if not places.size:
        return node
    return reshape(_put(row(node), places, row(source), accumulate), shape=node.shape)
