"""What an index with arrays names: a window on an array, and how far from it each row of it lies.

``x[1:, i, j]`` is the window ``x[1:, 0, 0]``, moved by ``i·s + j·t`` for the steps s and t of the
last two axes. What is picked has the axes of the window and those of ``i`` and ``j``, broadcast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.machine.kernels.picks import marked
from allbps.machine.language.operands import HI, LO
from allbps.machine.planning.layout import Layout, Shape, row_major
from allbps.machine.planning.plan import Value
from allbps.machine.planning.scalar import INT
from allbps.machine.works.nests import nest_of
from allbps.machine.works.places import Places
from allbps.machine.works.tasks import ONCE, NoKernelError, Place
from allbps.machine.works.text import Array, over, written


@dataclass(frozen=True)
class Index:
    """An index into a dense array.

    Attributes:
        shape: of the array.
        parts: of the window: 0 for each axis that an array goes along.
        arrays: those of the index, and the axes that each goes along; a mask goes along several.
        rows: the arrays' shape, broadcast.
        at: the axis of what is picked at which the arrays' axes begin.

    """

    shape: Shape
    parts: tuple[Any, ...]
    arrays: tuple[tuple[Value, range], ...]
    rows: Shape
    at: int

    @property
    def picked(self) -> Shape:
        """The shape of what it picks."""
        axes = iter(self.shape)
        own: list[int] = []
        for part in self.parts:
            length = 1 if part is None else next(axes)
            if not isinstance(part, int):
                own.append(1 if part is None else len(range(length)[slice(*part)]))
        return (*own[: self.at], *self.rows, *own[self.at :])

    @property
    def is_constant(self) -> bool:
        """Are all arrays constant?"""
        return all(array.constant is not None for array, _ in self.arrays)

    def window(self, place: Place) -> Place:
        """The window on an array, with an axis of length 1 for each of the arrays' axes."""
        found = place.window(self.parts)
        assert found is not None
        axes, own = found.layout.axes, ((),) * len(self.rows)
        axes = (*axes[: self.at], *own, *axes[self.at :])
        return Place(found.memory, Layout(found.layout.dims, axes, found.layout.steps), found.start)

    def among(self, offsets: Layout) -> Layout:
        """The layout of the offsets, with an axis of length 1 for each of the window's axes."""
        behind = len(self.picked) - self.at - len(self.rows)
        return Layout(offsets.dims, (*((),) * self.at, *offsets.axes, *((),) * behind))

    def steps(self, axes: range) -> list[tuple[int, int]]:
        """(length, how far apart its neighbours are) of each of these axes."""
        return [(self.shape[k], prod(self.shape[k + 1 :])) for k in axes]

    @property
    def constant(self) -> NDArray[np.int64]:
        """The offsets, where they never change."""
        total = np.zeros(self.rows, np.int64)
        for array, axes in self.arrays:
            numbers = np.broadcast_to(np.asarray(array.constant), array.shape)
            each = np.nonzero(numbers) if is_mask(array) else (numbers.astype(np.int64),)
            for index, (length, step) in zip(each, self.steps(axes), strict=True):
                total = total + np.where(index < 0, index + length, index) * step
        return np.asarray(total, np.int64)


def is_mask(array: Value) -> bool:
    """Does an array of an index say which places are meant?"""
    return array.dtype.kind == "b"


def index_of(parts: Sequence[Any], arrays: Sequence[Value], shape: Shape, like: Shape) -> Index:
    """An index as NumPy reads it.

    Args:
        parts: as an attribute of the operation has them.
        arrays: those in place of ``"array"``.
        shape: of the array.
        like: the shape of what is picked, perhaps behind axes of length 1; it tells how many a mask
            picks.

    Raises:
        NoKernelError: it is of a kind that is rare: a mask that changes beside other arrays.

    """
    varies = [array for array in arrays if array.constant is None]
    masks = [array for array in arrays if is_mask(array)]
    if any(not x.shape for x in masks) or (len(arrays) > 1 and any(map(is_mask, varies))):
        raise NoKernelError
    complete, axes, places = _completed(parts, arrays, len(shape))
    together = places == list(range(places[0], places[-1] + 1))
    at = sum(not isinstance(part, int) for part in complete[: places[0]]) if together else 0
    own = sum(not isinstance(part, int) for part in complete)
    rows = [(_count(x, like, at, own + 1),) if is_mask(x) else x.shape for x in arrays]
    pairs = tuple(zip(arrays, axes, strict=True))
    return Index(shape, tuple(complete), pairs, np.broadcast_shapes(*rows), at)


def _completed(
    parts: Sequence[Any], arrays: Sequence[Value], ndim: int
) -> tuple[list[Any], list[range], list[int]]:
    """A part for each axis, 0 for those of an array; the axes of each array; which are fancy."""
    waiting = list(arrays)
    widths = []
    for part in parts:
        array = waiting.pop(0) if part == "array" else None
        new = part is None or part is Ellipsis
        widths.append(len(array.shape) if array is not None and is_mask(array) else int(not new))
    rest = ndim - sum(widths)
    whole = list(parts) if Ellipsis in parts else [*parts, Ellipsis]
    complete: list[Any] = []
    axes: list[range] = []
    places: list[int] = []
    axis = 0
    for part, width in zip(whole, [*widths, 0], strict=False):
        if part is Ellipsis:
            complete += [(None, None, None)] * rest
            axis += rest
            continue
        if part == "array":
            axes.append(range(axis, axis + width))
        if part == "array" or isinstance(part, int):
            places += range(len(complete), len(complete) + width)
        complete += [0] * width if part == "array" else [part]
        axis += width
    return complete, axes, places


def _count(mask: Value, like: Shape, at: int, ndim: int) -> int:
    """How many a mask picks: a length of what is picked, which has ``ndim`` axes."""
    if mask.constant is not None:
        return int(np.count_nonzero(np.broadcast_to(np.asarray(mask.constant), mask.shape)))
    if len(like) < ndim:
        raise NoKernelError
    return like[len(like) - ndim + at]


# -- offsets as memory -----------------------------------------------------------------------------
def offsets_of(places: Places, index: Index) -> Place:
    """Where the offsets stand, worked out by a task where they change."""
    if index.is_constant:
        start = np.ravel(index.constant)
        memory = places.program.memory("places", start.size, "Int", kept=True, start=start)
        return Place(memory, row_major(index.rows))
    if any(is_mask(array) for array, _ in index.arrays):
        return _of_mask(places, index)
    return _of_numbers(places, index)


def _of_mask(places: Places, index: Index) -> Place:
    """The places where a mask is true, one after the other."""
    ((mask, axes),) = index.arrays
    here = places.as_layout(mask, row_major(mask.shape)).memory
    there = Place(places.program.memory("places", index.rows[0], "Int"), row_major(index.rows))
    step = index.steps(axes)[-1][1] if axes else 0
    call = marked.on(P=there.memory, M=here, step=step, size=mask.size, count=index.rows[0])
    label = f"{there.memory.name}: where {here.name} is true"
    places.program.add(label, ONCE, call, flops=mask.size, traffic=mask.size)
    return there


def _of_numbers(places: Places, index: Index) -> Place:
    """The offset of each row: its numbers times the steps of their axes."""
    program, layout = places.program, row_major(index.rows)
    here = [places.strided(array) for array, _ in index.arrays]
    nest = nest_of(index.rows, [layout, *(place.layout for place in here)])
    there = Place(program.memory("places", layout.size, "Int"), layout)
    made = Array("p", INT, nest.strides[0])
    read = [Array(f"x{k}", INT, strides) for k, strides in enumerate(nest.strides[1:])]
    terms = []
    for array, (_, axes) in zip(read, index.arrays, strict=True):
        ((length, step),) = index.steps(axes)
        terms.append(f"at_place({array.element('i').code}, {length}) * {step}")
    body, cut = over(nest.lengths, [made], read, [f"{made.target} = {' + '.join(terms)}"])
    kinds = {array.name: "Ints" for array in (made, *read)}
    kernel = written(program, "places", kinds, "Places in an array.", body)
    pointers = {array.name: place.pointer for array, place in zip(read, here, strict=True)}
    call = kernel.on(p=there.memory, **pointers, lo=LO, hi=HI)
    program.add(f"{there.memory.name}: places", cut, call, flops=2 * layout.size * len(here))
    return there
