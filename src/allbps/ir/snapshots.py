"""Arrays as they were when they were met: what is written into them later changes nothing here."""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import numpy as np

from allbps.ir.traces import snapshots_here

Array = np.ndarray[Any, Any]


class Snapshot(NamedTuple):
    """A plain array that met a traced one, and a copy of what it held."""

    of: weakref.ref[Array]
    copy: Array


def can_change(array: Array) -> bool:
    """May somebody write into the memory of ``array``, be it under another name?"""
    memory: Any = array
    while isinstance(memory, np.ndarray):
        if memory.flags.writeable:
            return True
        memory = memory.base
    return memory is not None and not isinstance(memory, bytes)


def snapshot(array: Array) -> Array:
    """``array`` as it is now: itself where nothing can change it, else a read-only copy.

    While a trace is open and an array stays as it was, its copy is one and the same, so that a
    constant that is used twice is one constant. The identity of the array alone would not tell:
    ``buffer[:] = k`` keeps it.
    """
    if array.dtype.kind == "O" or not can_change(array):
        return array
    taken = snapshots_here()
    known = taken.get(id(array))
    if known is not None and known.of() is array and _same_bits(known.copy, array):
        return known.copy
    copy = array.copy(order="K")
    copy.flags.writeable = False
    taken[id(array)] = Snapshot(weakref.ref(array), copy)
    return copy


def _same_bits(a: Array, b: Array) -> bool:
    """Are two arrays equal to the last bit, NaN and −0 included?"""
    same_kind = a.shape == b.shape and a.dtype == b.dtype and a.strides == b.strides
    if not same_kind or not (a.flags.c_contiguous or a.flags.f_contiguous):
        return False
    whole_a, whole_b = a.ravel(order="K"), b.ravel(order="K")
    return bool(np.array_equal(whole_a.view(np.uint8), whole_b.view(np.uint8)))


def original_of(copy: object) -> Array | None:
    """The user's array that ``copy`` was taken of, if it still lives and holds the same."""
    for known in snapshots_here().values():
        if known.copy is copy:
            return known.of()
    return None


def as_argument(value: Any) -> Any:
    """An argument at its value at the call; it lies in memory as the user's array does.

    Whether ``ravel`` gives a view depends on where the numbers lie, so gaps are kept.
    """
    if not issubclass(type(value), np.ndarray) or not can_change(value):
        return value
    if value.flags.c_contiguous or value.flags.f_contiguous or not value.size:
        return value.copy(order="K")
    low, high = np.lib.array_utils.byte_bounds(value)
    start = value.__array_interface__["data"][0] - low
    room = np.empty(high - low, np.uint8)
    copy: Array = np.ndarray(value.shape, value.dtype, room, start, value.strides)
    copy[...] = value
    return copy
