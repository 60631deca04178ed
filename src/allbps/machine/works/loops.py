"""Loops over elements, written as kernels of their own, and copies into another layout."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from allbps.machine.planning.layout import Layout, row_major
from allbps.machine.planning.loops import scalar_kind
from allbps.machine.planning.plan import Value, Work
from allbps.machine.planning.scalar import BOOL, INT
from allbps.machine.works.nests import Nest, nest_of
from allbps.machine.works.places import Places, memories
from allbps.machine.works.tasks import Place, Program, Task, bounds, line_of, moved, pieces_for
from allbps.machine.works.text import (
    TYPES,
    Array,
    add_function,
    compute,
    doc_of,
    indices_of,
    kinds_of,
)


def arrays_read(work: Work) -> list[Value]:
    """The inputs that lie in memory: all but constants of one number."""
    return [value for value in work.inputs if value.uniform is None]


def emit_loop(program: Program, places: Places, work: Work) -> None:
    """A loop as a task."""
    shape = work.outputs[0].shape
    inputs = arrays_read(work)
    here = [places.strided(value) for value in inputs]
    dense = (p.layout for v, p in zip(inputs, here, strict=True) if v.shape == shape and p.whole)
    layout = next(dense, row_major(shape))
    nest = nest_of(shape, [layout, *(p.layout for p in here)])
    outs = [places.put(value, layout) for value in work.outputs]
    add_loop(program, work, nest, list(zip(inputs, here, strict=True)),
             list(zip(work.outputs, outs, strict=True)))  # fmt: skip


def add_loop(
    program: Program,
    work: Work,
    nest: Nest,
    inputs: Sequence[tuple[Value, Place]],
    outputs: Sequence[tuple[Value, Place]],
) -> None:
    """Write the kernel of a loop, and a task that calls it.

    Args:
        program: where they go.
        work: what is computed.
        nest: the loops; the first array is the result.
        inputs: values and where they lie.
        outputs: the same for the results.

    """
    read = [
        Array(f"x{k}", scalar_kind(value), nest.strides[k + 1])
        for k, (value, _) in enumerate(inputs)
    ]
    many = len(nest.lengths) > 1
    start = {v: a.element("i") for (v, _), a in zip(inputs, read, strict=True)}
    lines, known = compute(work.steps, start)
    for k, (value, _) in enumerate(outputs):
        code = known[value].code
        code = f"select({code}, 1, 0)" if scalar_kind(value) == BOOL else code
        step = nest.strides[0][-1]
        lines.append(f"y{k}_r[{'i' if step in (0, 1) else f'i * {step}'}] = {code}")
    written = [Array(f"y{k}", "", nest.strides[0]) for k in range(len(outputs))]
    names, decode = indices_of(nest.lengths, "r")
    find = [line for array in (*written, *read) for line in array.at_row(names)]
    inner = nest.lengths[-1]
    if many:
        body = [
            "for r in range(lo, hi):",
            *(f"    {line}" for line in (*decode, *find)),
            f"    for i in lanes({inner}):",
            *(f"        {line}" for line in lines),
        ]
    else:
        body = [*find, "for i in lanes(lo, hi):", *(f"    {line}" for line in lines)]
    count, each = (nest.rows, inner) if many else (inner, 1)
    pieces = pieces_for(count, each * max(len(lines), 1))
    label = outputs[0][0].name or "loop"
    arguments = [(f"y{k}", TYPES[p.memory.kind]) for k, (_, p) in enumerate(outputs)]
    arguments += [(f"x{k}", TYPES[p.memory.kind]) for k, (_, p) in enumerate(inputs)]
    name = add_function(program, f"{label}_loop", arguments, kinds_of(work), body)
    call = f"{name}({', '.join(p.pointer for _, p in (*outputs, *inputs))}, lo, hi)"
    program.tasks.append(
        Task(
            doc_of(work), pieces, (*bounds(count, pieces), call),
            reads=memories(p for _, p in inputs), writes=memories(p for _, p in outputs),
            flops=len(lines) * int(np.prod(nest.lengths)),
            traffic=moved((*work.inputs, *work.outputs)),
            site=line_of(work),
        )
    )  # fmt: skip


def add_copy(program: Program, places: Places, value: Value, here: Place, layout: Layout) -> Place:
    """A task that copies a value into another layout."""
    block = program.memory(f"{here.memory.name}_copy", layout.size, here.memory.kind)
    there = Place(block, layout)
    nest = nest_of(value.shape, [layout, here.layout])
    if here.memory.kind == "Real" and _is_transposition(nest):
        add_transposition(program, nest, here, there)
        return there
    step = Work("identity", (value,), (value,))
    work = Work("loop", (value,), (value,), steps=(step,))
    add_loop(program, work, nest, [(value, here)], [(value, there)])
    return there


def _is_transposition(nest: Nest) -> bool:
    """Two loops: the inner one is dense in the copy, the outer one in what is copied."""
    if len(nest.lengths) != 2:
        return False
    (outer, inner), source = nest.lengths, nest.strides[1]
    return source[0] == 1 and source[1] >= outer and nest.strides[0] == (inner, 1)


BAND = 64
"""Rows that one piece at least transposes: four squares side by side, which read whole lines."""


def add_transposition(program: Program, nest: Nest, here: Place, there: Place) -> None:
    """A task that transposes a matrix in squares; no cut goes through one."""
    program.use("kernels.gemm", "transpose")
    rows, columns = nest.lengths
    blocks = -(-rows // BAND)
    pieces = pieces_for(blocks, BAND * columns * 4)
    own = bounds(rows, 1)
    if pieces > 1:
        own = (*bounds(blocks, pieces), f"lo, hi = lo * {BAND}, min(hi * {BAND}, {rows})")
    call = (
        f"transpose({there.memory.name}, {columns}, {here.pointer}, {nest.strides[1][1]}, "
        f"{columns}, lo, hi)"
    )
    program.tasks.append(
        Task(
            f"{here.memory.name} transposed", pieces, (*own, call),
            (here.memory,), (there.memory,), traffic=2 * rows * columns,
        )
    )  # fmt: skip


def uses_integers(work: Work) -> bool:
    """Does a loop write integers, which only NumPy does here?"""
    return any(scalar_kind(value) == INT for value in work.outputs)
