"""Parts of an array: picked by index, by mask or by place, and put back."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from inspect import signature
from operator import index as whole
from typing import Any

import numpy

from allbps.functional.common import misfit, misused, works_on_arrays
from allbps.ir import Node, TracedArray, lift
from allbps.ops.function import astype
from allbps.ops.index import getitem_by, put_by
from allbps.ops.shape import broadcast_to, reshape, transpose
from allbps.ops.shapes import normal_axis

np: Any = numpy  # its functions, given nodes, give nodes


def along(ndim: int, dim: int, part: Any) -> tuple[Any, ...]:
    """The index that takes ``part`` of axis ``dim`` and all of the others.

    Raises:
        ArgumentError: there is no such axis.

    """
    axis = normal_axis(dim, ndim)
    return (slice(None),) * axis + (part,)


def row(x: Any) -> Node:
    """All numbers in row-major order."""
    node = lift(x)
    return reshape(node, shape=(node.size,))


def indices(index: Any) -> Node:
    """Whole numbers, as a row where there is one."""
    node = lift(index if isinstance(index, Node) else np.asarray(index))
    return node if node.ndim else reshape(node, shape=(1,))


# -- by index --------------------------------------------------------------------------------------
@works_on_arrays
def index_select(input: Any, dim: int, index: Any) -> Node:
    """The slices of axis ``dim`` that ``index`` names, in its order.

    >>> index_select(np.array([[1.0, 2.0, 3.0]]), 1, [2, 0])
    array([[3., 1.]])
    """
    node = lift(input)
    if not node.ndim:
        return reshape(getitem_by(row(node), indices(index)), shape=())
    return getitem_by(node, along(node.ndim, dim, indices(index)))


@works_on_arrays
def select(input: Any, dim: int, index: int) -> Node:
    """One slice of axis ``dim``, without that axis.

    >>> select(np.array([[1.0, 2.0], [3.0, 4.0]]), 1, 0)
    array([1., 3.])
    """
    node = lift(input)
    return getitem_by(node, along(node.ndim, dim, index))


@works_on_arrays
def narrow(input: Any, dim: int, start: Any, length: int) -> Node:
    """``length`` slices of axis ``dim`` from ``start`` on.

    Raises:
        ArgumentError: the axis ends before them.

    >>> narrow(np.arange(5.0), 0, 1, 3)
    array([1., 2., 3.])
    """
    node = lift(input)
    size = node.shape[normal_axis(dim, node.ndim)]
    first = whole(start) + (size if whole(start) < 0 else 0)
    if not 0 <= first <= first + length <= size:
        raise misused(
            "narrow leaves the axis",
            expected=f"start and start + length from 0 to {size}",
            got=f"start={start}, length={length}",
        )
    return getitem_by(node, along(node.ndim, dim, slice(first, first + length)))


@works_on_arrays
def masked_select(input: Any, mask: Any) -> Node:
    """The numbers where the mask holds, in row-major order; both are broadcast.

    >>> masked_select(np.array([1.0, 2.0, 3.0]), [True, False, True])
    array([1., 3.])
    """
    node, chosen = np.broadcast_arrays(lift(input), lift(mask))
    return getitem_by(node, chosen)


# -- by place in memory ----------------------------------------------------------------------------
def _places(node: Node, size: Sequence[int], stride: Sequence[int], offset: int | None) -> Any:
    """Where in row-major order each element of a strided view stands.

    Raises:
        ArgumentError: a view of as many axes as strides it is not, or it leaves the array.

    """
    if len(size) != len(stride):
        raise misused(
            "as_strided needs one stride for each length", got=f"size={size}, stride={stride}"
        )
    places = np.full(tuple(size), whole(offset or 0))
    for k, (n, step) in enumerate(zip(size, stride, strict=True)):
        places += (np.arange(n) * step).reshape([-1 if j == k else 1 for j in range(len(size))])
    if places.size and not 0 <= places.min() <= places.max() < node.size:
        raise misused(
            "as_strided leaves the array",
            expected=f"places from 0 to {node.size - 1}",
            got=f"places from {places.min()} to {places.max()}",
        )
    return places


def _as_in_memory(function: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse views that PyTorch would look behind: it counts places in memory, not in the array."""

    @wraps(function)
    def checked(input: Any, *args: Any, **kwargs: Any) -> Any:
        memory = input.memory if isinstance(input, TracedArray) else input
        offset = signature(function).bind(input, *args, **kwargs).arguments.get("storage_offset")
        if isinstance(memory, np.ndarray):
            _refuse_hidden(memory, function.__name__, offset)
        return function(input, *args, **kwargs)

    return checked


def _refuse_hidden(memory: Any, name: str, offset: int | None) -> None:
    """Only in an array that lies row by row are places in memory those in row-major order.

    Raises:
        ArgumentError: it lies otherwise, or an offset is counted from numbers before its first.

    """
    if not memory.flags.c_contiguous:
        raise misused(
            f"{name} counts places in memory, where this array does not lie row by row",
            expected="an array in row-major order",
            got=f"a view of shape {memory.shape} with strides {memory.strides}",
            todo="np.ravel(x) for an array of any order: its places are counted row by row",
        )
    whole = memory.base
    first = whole.ctypes.data if isinstance(whole, np.ndarray) else memory.ctypes.data
    if offset is not None and first != memory.ctypes.data:
        raise misused(
            f"storage_offset counts from the start of the memory, and {name} knows this part only",
            expected="no storage_offset, or the whole array",
            got=f"storage_offset={offset}, and a view that starts"
            f" {(memory.ctypes.data - first) // memory.itemsize} numbers later",
        )


@_as_in_memory
@works_on_arrays
def as_strided(
    input: Any, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Node:
    """The array of that size whose neighbours are ``stride`` apart in the row-major ``input``.

    Raises:
        ArgumentError: sizes and strides do not match, or leave the array; it does not lie in
            memory row by row, or is a part of another array and an offset is given.

    >>> as_strided(np.arange(6.0), (2, 2), (3, 1), 1)
    array([[1., 2.],
           [4., 5.]])
    """
    node = lift(input)
    return getitem_by(row(node), _places(node, size, stride, storage_offset))


@_as_in_memory
@works_on_arrays
def as_strided_scatter(
    input: Any,
    src: Any,
    size: Sequence[int],
    stride: Sequence[int],
    storage_offset: int | None = None,
) -> Node:
    """``input`` with ``src`` where ``as_strided`` would read.

    PyTorch 2.13 sends δ of ``input`` to the places that ``src`` takes; its own test of that
    gradient is an expected failure. Here it goes to the places that keep their numbers.

    Raises:
        ArgumentError: as ``as_strided``.

    >>> as_strided_scatter(np.zeros(4), np.ones(2), (2,), (2,))
    array([1., 0., 1., 0.])
    """
    node = lift(input)
    places = _places(node, size, stride, storage_offset)
    return reshape(put_by(row(node), places, lift(src)), shape=node.shape)


# -- put back --------------------------------------------------------------------------------------
@works_on_arrays
def select_scatter(input: Any, src: Any, dim: int, index: int) -> Node:
    """``input`` with ``src`` as its slice ``index`` of axis ``dim``.

    >>> select_scatter(np.zeros((2, 2)), np.ones(2), 0, 1)
    array([[0., 0.],
           [1., 1.]])
    """
    node = lift(input)
    return put_by(node, along(node.ndim, dim, index), lift(src))


@works_on_arrays
def slice_scatter(
    input: Any,
    src: Any,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Node:
    """``input`` with ``src`` in the slices start:end:step of axis ``dim``.

    >>> slice_scatter(np.zeros(4), np.ones(2), start=1, end=3)
    array([0., 1., 1., 0.])
    """
    node = lift(input)
    return put_by(node, along(node.ndim, dim, slice(start, end, step)), lift(src))


@works_on_arrays
def diagonal_scatter(input: Any, src: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Node:
    """``input`` with ``src`` on a diagonal of two of its axes.

    >>> diagonal_scatter(np.zeros((2, 2)), np.ones(2))
    array([[1., 0.],
           [0., 1.]])
    """
    node = lift(input)
    first, second = normal_axis(dim1, node.ndim), normal_axis(dim2, node.ndim)
    rest = [k for k in range(node.ndim) if k not in (first, second)]
    order = (*rest, first, second)
    rows, columns = _on_diagonal(node.shape[first], node.shape[second], offset)
    made = put_by(transpose(node, axes=order), (..., rows, columns), lift(src))
    return transpose(made, axes=tuple(int(k) for k in np.argsort(order)))


def _on_diagonal(rows: int, columns: int, offset: int) -> tuple[Any, Any]:
    """Row and column of each element of a diagonal."""
    down, right = max(-offset, 0), max(offset, 0)
    k = np.arange(max(min(rows - down, columns - right), 0))
    return k + down, k + right


@works_on_arrays
def diag_embed(input: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Node:
    """Matrices with the rows of the last axis on a diagonal, in axes ``dim1`` and ``dim2``.

    Raises:
        ArgumentError: the axes do not exist or are one.

    >>> diag_embed(np.array([1.0, 2.0]))
    array([[1., 0.],
           [0., 2.]])
    """
    node = lift(input)
    n = node.shape[-1] + abs(offset)
    first, second = normal_axis(dim1, node.ndim + 1), normal_axis(dim2, node.ndim + 1)
    if first == second:
        raise misused("a diagonal needs two axes", got=f"dim1={dim1}, dim2={dim2}")
    zeros = np.zeros((*node.shape[:-1], n, n), node.dtype)
    made = put_by(zeros, (..., *_on_diagonal(n, n, offset)), node)
    moved: Node = np.moveaxis(made, (-2, -1), (first, second))
    return moved


# -- by mask ---------------------------------------------------------------------------------------
@works_on_arrays
def masked_fill(input: Any, mask: Any, value: Any) -> Node:
    """``value`` where the mask holds, else the number; broadcast.

    >>> masked_fill(np.array([1.0, 2.0]), [True, False], -1.0)
    array([-1.,  2.])
    """
    made: Node = np.where(lift(mask), lift(value), lift(input))
    return made


@works_on_arrays
def masked_scatter(input: Any, mask: Any, source: Any) -> Node:
    """The first numbers of ``source``, one after another, where the mask holds.

    Raises:
        ShapeError: there are too few of them.

    >>> masked_scatter(np.zeros(3), [True, False, True], np.array([5.0, 6.0, 7.0]))
    array([5., 0., 6.])
    """
    node, chosen = np.broadcast_arrays(lift(input), lift(mask))
    given = row(source)
    if given.size < chosen.size and np.sum(chosen) > given.size:
        count = int(np.sum(chosen))
        raise misfit("masked_scatter has too few numbers", f"at least {count}", f"{given.size}")
    if not given.size:
        return lift(node)
    before = np.cumsum(astype(row(chosen), dtype=np.dtype(np.int64))) - 1
    which = np.clip(before, 0, given.size - 1)
    numbers = astype(getitem_by(given, which), dtype=node.dtype)
    made: Node = np.where(chosen, reshape(numbers, shape=node.shape), node)
    return made


# -- repeated, side by side ------------------------------------------------------------------------
@works_on_arrays
def block_diag(*tensors: Any) -> Node:
    """The matrices along the diagonal of one; a vector is a row, a number a matrix of one.

    Raises:
        ShapeError: one has more than two axes.

    >>> block_diag(np.array([[1.0, 2.0]]), 3.0)
    array([[1., 2., 0.],
           [0., 0., 3.]])
    """
    blocks = [lift(x) for x in tensors]
    if any(x.ndim > 2 for x in blocks):
        shapes = ", ".join(str(x.shape) for x in blocks)
        raise misfit("block_diag takes matrices", "at most two axes", shapes)
    blocks = [reshape(x, shape=(1, 1, *x.shape)[-2:]) for x in blocks]
    width = sum(x.shape[1] for x in blocks)
    rows, before = [], 0
    for x in blocks:
        after = width - before - x.shape[1]
        rows.append(np.pad(x, ((0, 0), (before, after))))
        before += x.shape[1]
    made: Node = np.concatenate(rows, axis=0)
    return made


@works_on_arrays
def cartesian_prod(*tensors: Any) -> Node:
    """All choices of one number from each vector, as rows; of one vector itself.

    >>> cartesian_prod(np.array([1.0, 2.0]), np.array([5.0, 6.0]))
    array([[1., 5.],
           [1., 6.],
           [2., 5.],
           [2., 6.]])
    """
    if len(tensors) == 1:
        return lift(tensors[0])
    grids = np.meshgrid(*(lift(x) for x in tensors), indexing="ij")
    made: Node = np.stack([row(grid) for grid in grids], axis=1)
    return made


@works_on_arrays
def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Node:
    """All choices of r numbers of a vector, in its order, as rows.

    >>> combinations(np.array([1.0, 2.0, 3.0]))
    array([[1., 2.],
           [1., 3.],
           [2., 3.]])
    """
    from itertools import combinations as apart
    from itertools import combinations_with_replacement as again

    node = lift(input)
    found = list((again if with_replacement else apart)(range(node.size), r))
    return getitem_by(node, np.array(found, np.intp).reshape(len(found), r))


@works_on_arrays
def unflatten(input: Any, dim: int, sizes: Sequence[int]) -> Node:
    """Axis ``dim`` as several axes; one of their lengths may be −1.

    >>> unflatten(np.arange(6.0), 0, (2, -1))
    array([[0., 1., 2.],
           [3., 4., 5.]])
    """
    node = lift(input)
    axis = normal_axis(dim, node.ndim)
    made: Node = np.reshape(node, (*node.shape[:axis], *sizes, *node.shape[axis + 1 :]))
    return made


@works_on_arrays
def expand_as(input: Any, other: Any) -> Node:
    """``input`` broadcast to the shape of ``other``.

    >>> expand_as(np.array([1.0]), np.zeros(3))
    array([1., 1., 1.])
    """
    return broadcast_to(lift(input), shape=lift(other).shape)
