"""What a loop writes into single places of an array, noted until somebody asks for the array.

``out[k] = v`` for each k would copy the array once for each k. A write into a place that whole
numbers name is noted instead: what is read from a noted place is the value that was written, and
the array is put together once, when it is used as a whole.
"""

from __future__ import annotations

import operator
from math import prod
from typing import Any

import numpy as np

from allbps.ir.arraylike import NUMPY, OPERATORS, ArrayLike
from allbps.ir.node import Node
from allbps.ir.site import Site, placed_at, user_site

Place = tuple[int, ...]

FEW = 8
"""As many writes into a part of an array are a step each in the derivation, with a line each."""


class Writes:
    """Writes into distinct places that have the same number of indices, the last one of each.

    Args:
        base: the array before the writes.
        depth: how many whole numbers name a place.

    """

    def __init__(self, base: Node, depth: int) -> None:
        self._base = base
        self._depth = depth
        self._written: dict[Place, tuple[Node, Site | None]] = {}

    def takes(self, place: Place) -> bool:
        """Is the place named by as many numbers as the others?"""
        return len(place) == self._depth

    def write(self, place: Place, value: Node) -> None:
        """Note that ``value`` stands at ``place`` from now on."""
        self._written.pop(place, None)  # the order is that of the last writes
        self._written[place] = (value, user_site())

    def read(self, place: Place) -> Node:
        """What stands at ``place`` now."""
        found = self._written.get(place)
        if found is None:
            made: Node = OPERATORS["[]"](self._base, place)
            return made
        return found[0]

    def together(self) -> Node:
        """The array after all writes."""
        count = len(self._written)
        whole = prod(self._base.shape[: self._depth])
        if count > FEW or 1 < count == whole:
            return self._at_once(whole)
        node = self._base
        for place, (value, site) in self._written.items():
            with placed_at(site):
                node = OPERATORS["[]="](node, place, value)
        return node

    def _at_once(self, whole: int) -> Node:
        """One row of values, which is the array or is written into it."""
        ahead, behind = self._base.shape[: self._depth], self._base.shape[self._depth :]
        flat = np.ravel_multi_index(tuple(np.transpose(list(self._written))), ahead)
        order = np.argsort(flat)
        found = list(self._written.values())
        with placed_at(found[-1][1]):
            values: Node = NUMPY[np.stack]([found[k][0] for k in order])
            if len(found) < whole:
                row = self._base if self._depth == 1 else _flattened(self._base, (whole, *behind))
                values = _put_together(row, flat[order], values)
            if values.shape != self._base.shape:
                values = NUMPY[np.reshape](values, self._base.shape)
        return values


def _flattened(array: Node, shape: tuple[int, ...]) -> Node:
    made: Node = NUMPY[np.reshape](array, shape)
    return made


def _put_together(row: Node, places: Any, values: Node) -> Node:
    """``values`` at sorted ``places``: between what stays on either side where they are a run."""
    first, last = int(places[0]), int(places[-1])
    read = OPERATORS["[]"]
    if last - first + 1 > len(places):
        made: Node = OPERATORS["[]="](row, places, values)
        return made
    ends = [read(row, slice(None, first))] if first else []
    rest = [read(row, slice(last + 1, None))] if last + 1 < row.shape[0] else []
    made = NUMPY[np.concatenate]([*ends, values, *rest])
    return made


def place_of(index: Any, shape: tuple[int, ...]) -> Place | None:
    """The place that whole numbers name, counted from the start; None for any other index."""
    parts = index if type(index) is tuple else (index,)
    if not 0 < len(parts) <= len(shape):
        return None
    place = []
    for part, length in zip(parts, shape, strict=False):
        if not isinstance(part, (int, np.integer)) or isinstance(part, (bool, ArrayLike)):
            return None
        counted = operator.index(part)
        if not -length <= counted < length:
            return None  # the error is the index operation's
        place.append(counted % length)
    return tuple(place)


def as_written(value: Any, array: Node, place: Place) -> Node | None:
    """``value`` as it stands at ``place``, or None where it must be converted or spread first."""
    shape = array.shape[len(place) :]
    if not isinstance(value, Node):
        if shape or array.dtype.kind != "f" or type(value) not in (float, int, np.float64):
            return None
        made: Node = NUMPY[np.full]((), value, array.dtype)
        return made
    weak = value.op.name == "const" and type(value.value) in (bool, int, float, complex)
    return value if value.dtype == array.dtype and value.shape == shape and not weak else None
