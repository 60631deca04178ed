"""NumPy's functions that write into their argument, and those that give views of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from allbps.errors import ArgumentError, InPlaceError
from allbps.ir import (
    ARRAYS,
    IN_PLACE,
    NUMPY,
    SAME,
    VIEWS,
    Node,
    TracedArray,
    handed,
    lift,
    resolved,
    traced_among,
    user_site,
)
from allbps.numpy_api.polynomials import without_zeros
from allbps.numpy_api.shapes import resize
from allbps.ops.index import getitem_by, put_add_op, put_by
from allbps.ops.shape import broadcast_to, reshape, reshape_to

VIEWS.update(
    (
        np.array_split, np.atleast_1d, np.atleast_2d, np.atleast_3d, np.broadcast_arrays,
        np.broadcast_to, np.diag, np.diagonal, np.dsplit, np.einsum, np.expand_dims, np.flip,
        np.fliplr, np.flipud, np.hsplit, np.imag, np.linalg.diagonal, np.linalg.matrix_transpose,
        np.matrix_transpose, np.meshgrid, np.moveaxis, np.ravel, np.real, np.reshape, np.rollaxis,
        np.rot90, np.split, np.squeeze, np.swapaxes, np.transpose, np.unstack, np.vsplit,
        np.lib.stride_tricks.sliding_window_view,
    )
)  # fmt: skip
SAME.update(
    {
        np.real_if_close: lambda a, tol=100: not a.is_complex,
        np.astype: lambda x, dtype, /, *, copy=True, device=None: (
            not copy and x.dtype == np.dtype(dtype)
        ),
        np.diff: lambda a, n=1, *_, **__: n == 0,
        np.linalg.matrix_power: lambda a, n: n == 1,
    }
)
ARRAYS.update(
    (
        np.array, np.asarray, np.asanyarray, np.copy, np.choose, np.empty_like, np.full_like,
        np.ones_like, np.select, np.where, np.zeros_like,
    )
)  # fmt: skip


def _writes(function: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Declare what a function does to the traced array that is its first argument.

    Where that is a plain array, a traced number cannot be written into it.
    """

    def register(write: Callable[..., None]) -> Callable[..., None]:
        def checked(target: Any, *args: Any, **kwargs: Any) -> None:
            if not isinstance(target, TracedArray):
                raise InPlaceError(
                    f"np.{function.__name__} writes into a plain array, and"
                    f" {traced_among(args, kwargs)} is traced",
                    where=str(user_site() or ""),
                    expected="a traced array to write into",
                    got=f"a plain array of shape {np.shape(target)}",
                    todo="make it with np.zeros_like(x), np.empty_like(x) or np.zeros(n, like=x)",
                )
            write(target, *args, **kwargs)

        IN_PLACE[function] = checked
        return checked

    return register


@_writes(np.copyto)
def copyto(dst: TracedArray, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    """``numpy.copyto``."""
    dst.assign(lift(resolved(src)), casting, resolved(where))


@_writes(np.fill_diagonal)
def fill_diagonal(a: TracedArray, val: Any, wrap: bool = False) -> None:
    """``numpy.fill_diagonal``."""
    places = np.arange(a.size).reshape(a.shape)
    marked = np.zeros(a.shape, bool)
    np.fill_diagonal(marked, True, wrap)
    _put_flat(a, places[marked], val)


@_writes(np.put)
def put(a: TracedArray, ind: Any, v: Any, mode: str = "raise") -> None:
    """``numpy.put``: in row-major order, the values as often as it takes."""
    places = np.asarray(resolved(ind)).ravel()
    if mode == "raise":
        bad = places[(places < -a.size) | (places >= a.size)]
        if bad.size:
            raise ArgumentError(
                "index out of range in np.put",
                where=str(user_site() or ""),
                expected=f"places from {-a.size} to {a.size - 1}",
                got=str(bad[0]),
            )
    else:
        places = np.clip(places, 0, a.size - 1) if mode == "clip" else places % a.size
    _put_flat(a, places, v)


@_writes(np.place)
def place(arr: TracedArray, mask: Any, vals: Any) -> None:
    """``numpy.place``: the first values where the mask holds, from the start again if needed."""
    _put_flat(arr, np.flatnonzero(np.asarray(resolved(mask))), vals)


@_writes(np.putmask)
def putmask(a: TracedArray, mask: Any, values: Any) -> None:
    """``numpy.putmask``: ``values`` repeated to the size of the array, where the mask holds."""
    spread = reshape(resize(resolved(values), a.size), shape=a.shape)
    a.assign(spread, "unsafe", resolved(mask))


@_writes(np.put_along_axis)
def put_along_axis(arr: TracedArray, indices: Any, values: Any, axis: int | None) -> None:
    """``numpy.put_along_axis``."""
    index = resolved(indices)
    if axis is None:
        arr.flat[index] = values
        return
    axis = axis % arr.ndim
    shape = np.shape(index)
    own = [
        index if k == axis else np.arange(n).reshape([-1 if j == k else 1 for j in range(arr.ndim)])
        for k, n in enumerate(shape if axis is None else _but(arr.shape, axis, shape[axis]))
    ]
    arr[tuple(own)] = values


def ravel(a: Any, order: str = "C") -> Any:
    """``numpy.ravel``: a view where the numbers lie in this order."""
    name = a if isinstance(a, TracedArray) else TracedArray(lift(resolved(a)))
    return name.ravel(order)


def reshaped(a: Any, /, shape: Any, order: str = "C", *, copy: bool | None = None) -> Any:
    """``numpy.reshape``."""
    name = a if isinstance(a, TracedArray) else TracedArray(lift(resolved(a)))
    return name.reshape(shape, order=order, copy=copy)


def trimmed(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """``numpy.trim_zeros``: a part of the array."""
    return filt[without_zeros(resolved(filt), trim, axis)]


def over_axes(func: Any, a: Any, axes: Any) -> Any:
    """``numpy.apply_over_axes``: the array itself where no axes are named."""
    if isinstance(a, TracedArray) and np.size(axes) == 0:
        return a
    return handed(NUMPY[np.apply_over_axes](resolved(func), resolved(a), axes))


IN_PLACE.update({np.ravel: ravel, np.reshape: reshaped, np.trim_zeros: trimmed})
IN_PLACE[np.apply_over_axes] = over_axes


def nan_to_num(x: Any, copy: bool = True, *numbers: Any, **named: Any) -> Any:
    """``numpy.nan_to_num``: with ``copy=False`` the array itself is written over."""
    made = NUMPY[np.nan_to_num](resolved(x), True, *resolved(numbers), **resolved(named))
    if copy or not isinstance(x, TracedArray) or not isinstance(x.memory, np.ndarray):
        return handed(made, number=True)
    x.assign(made)
    return x


IN_PLACE[np.nan_to_num] = nan_to_num


def _but(shape: tuple[int, ...], axis: int, length: int) -> tuple[int, ...]:
    return (*shape[:axis], length, *shape[axis + 1 :])


def _put_flat(a: TracedArray, places: Any, values: Any) -> None:
    """Numbers at places counted in row-major order; values are repeated to their number."""
    if not places.size:
        return
    filled = resize(resolved(values), places.shape)
    row = put_by(reshape_to(a.node, -1), places, filled)
    a.assign(reshape(row, shape=a.shape), "unsafe")


# -- the method at of ufuncs -----------------------------------------------------------------------
def ufunc_at(ufunc: Any, a: TracedArray, indices: Any, b: Any = None) -> None:
    """``ufunc.at``: an index that is named twice counts twice.

    Sums are one operation. For others the occurrences of an index take turns: what is named for
    the k-th time comes in round k.
    """
    a.assign(combined_at(ufunc, a.node, resolved(indices), resolved(b)))


def combined_at(ufunc: Any, node: Node, index: Any, b: Any = None) -> Node:
    """``node`` after ``ufunc.at(node, index, b)``."""
    picked = getitem_by(node, index)
    if b is not None:
        values = lift(b)
        if values.shape != picked.shape:
            values = broadcast_to(values, shape=picked.shape)
    if ufunc in (np.add, np.subtract):
        added = _added(node, index, values)
        return node + added if ufunc is np.add else node - added
    places = np.arange(node.size).reshape(node.shape)[index].ravel()
    row = reshape_to(node, -1)
    for round_ in _rounds(places):
        at = places[round_]
        operands = [getitem_by(row, at)]
        if b is not None:
            operands.append(getitem_by(reshape_to(values, -1), round_))
        row = put_by(row, at, NUMPY[ufunc](*operands))
    return reshape(row, shape=node.shape)


IN_PLACE[np.ufunc.at] = ufunc_at


def _added(node: Node, index: Any, values: Node) -> Node:
    picking = getitem_by(node, index)
    return put_add_op(values, *picking.inputs[1:], shape=node.shape, parts=picking.attrs["parts"])


def _rounds(places: Any) -> list[Any]:
    """Where each place is named for the first time, for the second time, and so on."""
    order = np.argsort(places, kind="stable")
    sorted_ = places[order]
    first = np.r_[True, sorted_[1:] != sorted_[:-1]] if sorted_.size else np.zeros(0, bool)
    starts = np.maximum.accumulate(np.where(first, np.arange(sorted_.size), 0))
    turn = np.empty_like(places)
    turn[order] = np.arange(sorted_.size) - starts
    return [np.flatnonzero(turn == k) for k in range(int(turn.max(initial=-1)) + 1)]


# -- new arrays to write into: np.zeros(3, like=x) -------------------------------------------------
def _new(make: Callable[..., Any]) -> Callable[..., Node]:
    return lambda *args, **options: lift(make(*args, **options))


for _make in (np.zeros, np.ones, np.empty, np.full, np.arange, np.eye, np.identity, np.tri):
    NUMPY[_make] = _new(_make)
