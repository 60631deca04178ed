"""Loops over elements, written as kernels of their own, and copies into another layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from allbps.machine.kernels.gemm import transpose
from allbps.machine.language.calls import Call
from allbps.machine.language.operands import HI, LO, Memory, Pointer, Whole
from allbps.machine.language.written import Written
from allbps.machine.planning.layout import Layout
from allbps.machine.planning.loops import scalar_kind
from allbps.machine.planning.plan import Value, Work
from allbps.machine.planning.scalar import BOOL
from allbps.machine.works.nests import Nest, in_lines, nest_of
from allbps.machine.works.tasks import ByRow, Cut, Place, Program, Stretch, owned
from allbps.machine.works.text import (
    TYPES,
    Array,
    compute,
    doc_of,
    kinds_of,
    over,
    written,
)


def arrays_read(work: Work) -> list[Value]:
    """The inputs that lie in memory: all but constants of one number."""
    return [value for value in work.inputs if value.uniform is None]


@dataclass(frozen=True)
class Loop:
    """A loop that was written as a kernel.

    Attributes:
        kernel: its kernel.
        blocks: what it is called with, by the kernel's names.
        cut: its turns in pieces.
        flops: of all of it.
        dense: is it one loop over numbers side by side, so that any of them can be done alone?

    """

    kernel: Written
    blocks: Mapping[str, Pointer]
    cut: Cut
    flops: int
    dense: bool

    def on(self, lo: Whole = LO, hi: Whole = HI, **other: Pointer) -> Call:
        """The call of some of its turns, with other blocks for some."""
        return self.kernel.on(**{**self.blocks, **other}, lo=lo, hi=hi)


def add_loop(
    program: Program,
    work: Work,
    nest: Nest,
    inputs: Sequence[tuple[Value, Place]],
    outputs: Sequence[tuple[Value, Place]],
) -> None:
    """A task that does a loop."""
    loop = write_loop(program, work, nest, inputs, outputs)
    arrays = [*outputs, *inputs]
    strides = [nest.strides[0]] * len(outputs) + list(nest.strides[1:])

    def by_row(rows: int) -> ByRow | None:
        if nest.lengths[0] % rows:
            return None
        each = prod((nest.lengths[0] // rows, *nest.lengths[1:-1]))
        own = owned(
            (place.memory, Stretch.of(rows, nest.lengths, steps, place.start))
            for (_, place), steps in zip(arrays, strides, strict=True)
        )
        return ByRow((loop.on(LO * each, HI * each),), own)

    program.add(doc_of(work), loop.cut, loop.on(), flops=loop.flops, work=work, by_row=by_row)


def write_loop(
    program: Program,
    work: Work,
    nest: Nest,
    inputs: Sequence[tuple[Value, Place]],
    outputs: Sequence[tuple[Value, Place]],
    name: str = "",
) -> Loop:
    """Write the kernel of a loop.

    Args:
        program: where it goes.
        work: what is computed.
        nest: the loops; the first array is the result.
        inputs: values and where they lie.
        outputs: the same for the results.
        name: what the kernel's name begins with; that of the first result where it is left out.

    """
    read = [
        Array(f"x{k}", scalar_kind(value), nest.strides[k + 1])
        for k, (value, _) in enumerate(inputs)
    ]
    made = [Array(f"y{k}", "", nest.strides[0]) for k in range(len(outputs))]
    start = {v: a.element("i") for (v, _), a in zip(inputs, read, strict=True)}
    lines, known = compute(work.steps, start)
    for k, (value, _) in enumerate(outputs):
        code = known[value].code
        code = f"select({code}, 1, 0)" if scalar_kind(value) == BOOL else code
        lines.append(f"{made[k].target} = {code}")
    body, cut = over(nest.lengths, made, read, lines)
    label = name or outputs[0][0].name or "loop"
    blocks = {f"y{k}": place for k, (_, place) in enumerate(outputs)}
    blocks |= {f"x{k}": place for k, (_, place) in enumerate(inputs)}
    kinds = {name: TYPES[place.memory.kind] for name, place in blocks.items()}
    kernel = written(program, f"{label}_loop", kinds, kinds_of(work), body)
    pointers = {name: place.pointer for name, place in blocks.items()}
    dense = len(nest.lengths) == 1
    return Loop(kernel, pointers, cut, len(lines) * prod(nest.lengths), dense)


def add_move(program: Program, work: Work, x: Value, here: Place, there: Place) -> None:
    """A task that copies a value from one place to another, as the kind of number that is there."""
    mixed = there.memory.kind != here.memory.kind  # whole numbers beside others
    y = Value(x.shape, program.dtype(there.memory), x.name) if mixed else x
    step = Work("identity", (x,), (y,), node=work.node)
    copy = Work("loop", (x,), (y,), node=work.node, steps=(step,))
    nest = in_lines(nest_of(x.shape, [there.layout, here.layout]))
    add_loop(program, copy, nest, [(x, here)], [(y, there)])


def add_copy(program: Program, value: Value, here: Place, layout: Layout) -> Place:
    """A task that copies a value into another layout."""
    there = Place(program.memory(f"{here.memory.name}_copy", layout.size, here.memory.kind), layout)
    nest = nest_of(value.shape, [layout, here.layout])
    if here.memory.kind == "Real" and _is_transposition(nest):
        add_transposition(program, nest, here, there)
    else:
        add_move(program, Work("identity", (value,), (value,)), value, here, there)
    return there


def _is_transposition(nest: Nest) -> bool:
    """Two loops: the inner one is dense in the copy, the outer one in what is copied."""
    if len(nest.lengths) != 2:
        return False
    (outer, inner), source = nest.lengths, nest.strides[1]
    return source[0] == 1 and source[1] >= outer and nest.strides[0] == (inner, 1)


BAND = 64
"""Rows that one piece at least transposes: what it writes of a row fills whole lines."""


def add_transposition(program: Program, nest: Nest, here: Place, there: Place) -> None:
    """A task that transposes a matrix."""
    rows, columns = nest.lengths
    program.add(
        f"{here.memory.name} transposed",
        *transposition(there.memory, columns, here.pointer, nest.strides[1][1], rows, columns),
        traffic=2 * rows * columns,
    )


def transposition(
    there: Memory, ldt: int, here: Pointer, ld: int, rows: int, columns: int
) -> tuple[Cut, Call]:
    """How (columns, rows) numbers, rows ``ld`` apart, become (rows, columns), rows ``ldt`` apart.

    Each piece reads whole rows, as they follow each other in memory.
    """
    call = transpose.on(
        T=there + LO, ldt=ldt, A=here + LO * ld, lda=ld, rows=HI - LO, lo=0, hi=rows
    )
    return Cut.of(columns, rows * 4, block=BAND), call
