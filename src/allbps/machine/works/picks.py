"""Elements at an index as tasks: picked out, added into zeros, or written over others.

Where two rows of an index may name one place, no two pieces of a task write the same numbers, and
each writes them in the order of the rows: what comes last stays, and sums have NumPy's bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from allbps.machine.kernels import picks as kernels
from allbps.machine.language.operands import HI, LO
from allbps.machine.planning.layout import Layout, row_major
from allbps.machine.planning.loops import scalar_kind
from allbps.machine.planning.plan import Value, Work
from allbps.machine.planning.scalar import INT, as_real, as_whole
from allbps.machine.planning.windows import indexed
from allbps.machine.works.indices import Index, index_of, is_mask, offsets_of
from allbps.machine.works.loops import add_move
from allbps.machine.works.nests import nest_of
from allbps.machine.works.places import Places
from allbps.machine.works.slices import part_of, zero
from allbps.machine.works.tasks import ONCE, Cut, NoKernelError, Place
from allbps.machine.works.text import TYPES, Array, indices_of, over, written

COLUMNS = 16
"""Numbers side by side that a piece at least writes of each row."""


def emit_pick(places: Places, work: Work) -> None:
    """Elements at an index."""
    x, *arrays = work.inputs
    out = work.outputs[0]
    index = index_of(work.attrs["parts"], arrays, x.shape, out.shape)
    if index.picked != out.shape:
        raise NoKernelError
    here = index.window(places.as_layout(x, row_major(x.shape)))
    offsets = offsets_of(places, index)
    there = places.put(out, row_major(out.shape))
    nest = nest_of(out.shape, [there.layout, here.layout, index.among(offsets.layout)])
    y, source, rows = (Array(n, INT, s) for n, s in zip("yxp", nest.strides, strict=True))
    lines = [f"{y.target} = x_r[{_moved(source, rows)}]"]
    body, cut = over(nest.lengths, [y, source], [rows], lines)
    kinds = {"y": TYPES[there.memory.kind], "x": TYPES[here.memory.kind], "p": "Ints"}
    kernel = written(places.program, f"{out.name or 'picked'}_pick", kinds, "Elements.", body)
    call = kernel.on(y=there.memory, x=here.pointer, p=offsets.memory, lo=LO, hi=HI)
    label = f"{there.memory.name}: picked from {here.memory.name}"
    places.program.add(label, cut, call, traffic=2 * out.size, work=work)


def emit_pick_delta(places: Places, work: Work) -> None:
    """Zeros with numbers added at an index."""
    values, *arrays = work.inputs
    out = work.outputs[0]
    if not arrays or not values.size:
        raise NoKernelError
    index = index_of(work.attrs["parts"], arrays, out.shape, values.shape)
    _require(index, values)
    offsets, numbers = offsets_of(places, index), places.strided(values)
    there = places.put(out, row_major(out.shape))
    zero(places.program, there.memory)
    _Writing(places, work, index, offsets, values, numbers, there).emit("+=")


def emit_put(places: Places, work: Work) -> None:
    """An array with other numbers at an index."""
    x, values, *arrays = work.inputs
    out, parts = work.outputs[0], work.attrs["parts"]
    if not values.size:
        raise NoKernelError
    if not arrays:
        if not all(indexed(parts, x.shape)):
            raise NoKernelError
        there = _copied(places, work)
        part = part_of(there, parts)
        lined = _lined_up(places.strided(values), len(part.layout.axes))
        add_move(places.program, work, Value(part.layout.shape, x.dtype, out.name), lined, part)
        return
    index = index_of(parts, arrays, x.shape, values.shape)
    _require(index, values)
    offsets = offsets_of(places, index)
    lined = _lined_up(places.strided(values), len(index.picked))
    _Writing(places, work, index, offsets, values, lined, _copied(places, work)).emit("=")


def _require(index: Index, values: Value) -> None:
    """Refuse an index that picks nothing, or something that the values do not fit.

    Raises:
        NoKernelError: it does.

    """
    picked = index.picked
    own = values.shape[max(0, len(values.shape) - len(picked)) :]
    if not prod(picked) or np.broadcast_shapes(own, picked) != picked:
        raise NoKernelError


def _copied(places: Places, work: Work) -> Place:
    """The result, which is a copy of what others are written over."""
    x, out = work.inputs[0], work.outputs[0]
    here = places.strided(x)
    there = places.put(out, row_major(out.shape))
    add_move(places.program, work, Value(x.shape, x.dtype, out.name), here, there)
    return there


def _lined_up(place: Place, ndim: int) -> Place:
    """A place without axes of length 1 in front, of which what is picked has fewer."""
    axes = place.layout.axes[max(0, len(place.layout.axes) - ndim) :]
    return Place(place.memory, Layout(place.layout.dims, axes, place.layout.steps), place.start)


def _moved(array: Array, rows: Array) -> str:
    """Where an element lies behind the row of its array: as far as the index says."""
    step = array.strides[-1]
    own = {0: "", 1: "i + "}.get(step, f"i * {step} + ")
    return own + rows.element("i").code


@dataclass
class _Writing:
    """Numbers on their way to the places that an index names.

    Attributes:
        places, work, index: what is done.
        offsets: where the offsets stand.
        values: what is written.
        numbers: where it stands.
        there: where it goes.

    """

    places: Places
    work: Work
    index: Index
    offsets: Place
    values: Value
    numbers: Place
    there: Place

    def emit(self, sign: str) -> None:
        """The task."""
        picked, target = self.index.picked, self.index.window(self.there)
        rows = self.index.among(self.offsets.layout)
        order = row_major(picked)
        nest = nest_of(picked, [order, target.layout, rows, self.numbers.layout])
        _, *strides = nest.strides
        d, p = Array("d", INT, strides[0]), Array("p", INT, strides[1])
        v = Array("v", scalar_kind(self.values), strides[2])
        line = f"d_r[{_moved(d, p)}] {sign} {self._value(v)}"
        body, cut = self._loops(nest.lengths, d, [p, v], line, p.strides)
        kinds = {"d": TYPES[self.there.memory.kind], "p": "Ints"}
        kinds["v"] = TYPES[self.numbers.memory.kind]
        program, out = self.places.program, self.there.memory
        kernel = written(program, f"{out.name}_put", kinds, "Elements.", body)
        call = kernel.on(
            d=target.pointer, p=self.offsets.memory, v=self.numbers.pointer, lo=LO, hi=HI
        )
        label = f"{out.name}: {'δ where it was picked' if sign == '+=' else 'written over'}"
        size = prod(picked)
        program.add(label, cut, call, flops=size, traffic=2 * size, work=self.work)

    def _value(self, v: Array) -> str:
        element = v.element("i")
        if self.there.memory.kind == "Real":
            return as_real(element)
        return as_whole(element)

    def _loops(
        self, lengths: Sequence[int], d: Array, read: Sequence[Array], line: str,
        moves: Sequence[int],
    ) -> tuple[list[str], Cut]:  # fmt: skip
        """Loops in the order of the rows; a piece does some turns of those in which none meet."""
        *outer, inner = lengths
        apart = self._apart()
        free = [apart or not step for step in moves]
        first = next((k for k, one in enumerate(free[:-1]) if not one), len(outer))
        total = prod(lengths)
        by_rows = Cut.of(prod(outer[:first]), total // max(1, prod(outer[:first])))
        columns = min(Cut.of(inner, total // inner).pieces, inner // COLUMNS) if free[-1] else 1
        across = columns > by_rows.pieces or (first == 0 and free[-1])
        first = 0 if across else first
        names, decode = indices_of([*outer[:first], 0], "r")
        more = [f"j{k}" for k in range(len(outer) - first)]
        body = ["for r in range(lo, hi):", *(f"    {x}" for x in decode)] if first else []
        depth = "    " if first else ""
        for name, length in zip(more, outer[first:], strict=True):
            body.append(f"{depth}for {name} in range({length}):")
            depth += "    "
        every = [*names[:first], *more]
        body += [f"{depth}{d.at_row(every)[0]}"]
        body += [f"{depth}{x}" for array in read for x in array.at_row(every)]
        bounds = "lo, hi" if across else str(inner)
        body += [f"{depth}for i in {'lanes' if free[-1] else 'range'}({bounds}):"]
        body += [f"{depth}    {line}"]
        if across:
            return body, Cut(inner, max(1, columns))
        return body, by_rows if first else ONCE

    def _apart(self) -> bool:
        """Is it known that no two rows of the index name the same place?"""
        if not self.index.is_constant:
            return any(is_mask(array) for array, _ in self.index.arrays)
        offsets = self.index.constant
        return len(np.unique(offsets)) == offsets.size


# -- places that never change ----------------------------------------------------------------------
def pick(places: Places, work: Work, x: Value, at: NDArray[np.int64], out: Value) -> None:
    """A task that makes ``out`` of the numbers of ``x`` at some places, in row-major order."""
    program, here = places.program, places.as_layout(x, row_major(x.shape)).memory
    there = places.put(out, row_major(out.shape)).memory
    if not at.size:
        return
    kept = program.memory("places", at.size, "Int", kept=True, start=np.ravel(at))
    call = kernels.pick.on(Y=there, X=here, places=kept, lo=LO, hi=HI)
    label = f"{there.name}: picked from {here.name}"
    program.add(label, Cut.of(at.size, 4), call, traffic=2 * at.size, work=work)


KERNELS = {"getitem": emit_pick, "put_add": emit_pick_delta, "put": emit_put}
"""Kind of work -> what makes its tasks."""
