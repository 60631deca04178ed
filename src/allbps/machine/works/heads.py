"""Attention as tasks: softmax(scale · q kᵀ) v of every head, and the δ of q, k and v."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from allbps.machine.kernels.attention import attention_scratch
from allbps.machine.planning.layout import Layout, Run, in_order, merged, row_major
from allbps.machine.planning.plan import Value, Work
from allbps.machine.works.places import Places, memories
from allbps.machine.works.slices import landing
from allbps.machine.works.tasks import Place, Program, Task, bounds, line_of, moved, pieces_for

BLOCK = 32
"""Query rows worked on at a time."""


def _sizes(value: Value) -> tuple[int, int, int]:
    """How many heads there are in all, the length of a sequence, the width of a head."""
    T, E = value.shape[-2:]
    return value.size // (T * E), T, E


@dataclass(frozen=True)
class Heads:
    """Matrices (T, E) of all heads, wherever they lie: rows ``ld`` apart, their numbers dense."""

    place: Place
    ld: int
    runs: tuple[Run, ...]

    def at(self, head: str) -> str:
        """Where the matrix of head number ``head`` begins, in source."""
        parts, inner = [self.place.pointer], 1
        for length, stride in self.runs[::-1]:
            turn = f"{head} // {inner}" if inner > 1 else head
            parts.append(f"{turn} % {length} * {stride}")
            inner *= length
        return " + ".join(parts)


def _as_heads(place: Place) -> Heads | None:
    """Heads, if rows and columns are runs and the columns dense."""
    layout = place.layout
    *leading, rows, columns = (layout.runs(k) for k in range(len(layout.axes)))
    if len(rows) > 1 or columns not in ([], [(layout.shape[-1], 1)]):
        return None
    ld = rows[0][1] if rows else layout.shape[-1]
    return Heads(place, ld, tuple(merged([run for axis in leading for run in axis])))


def _read(places: Places, values: Sequence[Value]) -> list[Heads]:
    """Heads of values of one shape, all with the same ``ld``: where they lie, or copies."""
    found = [_as_heads(places.strided(x)) for x in values]
    if None in found or len({heads.ld for heads in found if heads is not None}) > 1:
        found = [_as_heads(places.as_layout(x, row_major(x.shape))) for x in values]
    return [heads for heads in found if heads is not None]


def _like(place: Place) -> Layout:
    """A dense layout that has its axes in the order in which they lie at ``place``."""
    layout = place.layout
    steps = [max((layout.strides[d] for d in axis), default=0) for axis in layout.axes]
    return in_order(layout.shape, sorted(range(len(steps)), key=lambda k: -steps[k]))


def _head_loop(count: int, each: int, call: str) -> tuple[int, tuple[str, ...]]:
    """Pieces, and the lines of one: a call for each of its heads."""
    pieces = pieces_for(count, each)
    return pieces, (*bounds(count, pieces), "for head in range(lo, hi):", f"    {call}")


def emit_attention(program: Program, places: Places, work: Work) -> None:
    """Every head by itself."""
    program.use("kernels.attention", "attention")
    q, k, v = _read(places, work.inputs)
    made, sums = work.outputs
    out = _as_heads(places.put(made, _like(q.place)))
    assert out is not None
    log_sums = places.put(sums, row_major(sums.shape))
    count, T, E = _sizes(work.inputs[0])
    block = min(BLOCK, T)
    program.scratch = max(program.scratch, int(attention_scratch(T, E, block)))
    call = (
        f"attention({out.at('head')}, {out.ld}, {log_sums.memory.name} + head * {T}, "
        f"{q.at('head')}, {k.at('head')}, {v.at('head')}, {q.ld}, scratch, {T}, {E}, "
        f"{work.attrs['scale']!r}, {work.attrs['causal']}, {block})"
    )
    pieces, lines = _head_loop(count, T * T * E * 4, call)
    label = f"{out.place.memory.name} = attention({work.inputs[0].name or '…'}, …)"
    program.tasks.append(
        Task(label, pieces, lines, memories([q.place, k.place, v.place]),
             (out.place.memory, log_sums.memory), flops=4 * count * T * T * E,
             traffic=moved((*work.inputs, *work.outputs)), site=line_of(work))
    )  # fmt: skip


def emit_attention_delta(program: Program, places: Places, work: Work, log_sums: Value) -> None:
    """δq, δk and δv of every head."""
    program.use("kernels.attention", "attention_delta")
    q, k, v = _read(places, work.inputs[2:])
    (y,) = _read(places, work.inputs[1:2])
    (g,) = _read(places, work.inputs[:1])
    if g.ld != y.ld:
        g = _of_dense(places, work.inputs[0], _like(y.place))
    sums = places.of(log_sums)
    dq, dk, dv = _written(program, places, work.outputs, _like(q.place))
    count, T, E = _sizes(work.inputs[2])
    block = min(BLOCK, T)
    program.scratch = max(program.scratch, int(attention_scratch(T, E, block)))
    call = (
        f"attention_delta({dq.at('head')}, {dk.at('head')}, {dv.at('head')}, {dq.ld}, "
        f"{g.at('head')}, {y.at('head')}, {y.ld}, {sums.memory.name} + head * {T}, "
        f"{q.at('head')}, {k.at('head')}, {v.at('head')}, {q.ld}, scratch, {T}, {E}, "
        f"{work.attrs['scale']!r}, {work.attrs['causal']}, {block})"
    )
    pieces, lines = _head_loop(count, T * T * E * 10, call)
    outs = [dq.place, dk.place, dv.place]
    names = ", ".join(value.name for value in work.outputs)
    program.tasks.append(
        Task(f"{names}: δ of attention", pieces, lines,
             memories([g.place, y.place, q.place, k.place, v.place, sums]), memories(outs),
             flops=10 * count * T * T * E, traffic=moved((*work.inputs, *work.outputs)),
             site=line_of(work))
    )  # fmt: skip


def _of_dense(places: Places, value: Value, layout: Layout) -> Heads:
    heads = _as_heads(places.as_layout(value, layout))
    assert heads is not None
    return heads


def _written(
    program: Program, places: Places, values: Sequence[Value], layout: Layout
) -> list[Heads]:
    """Places for results: in the array that they are parts of, or each in a block of its own."""
    parts = [landing(program, places, value) for value in values]
    found = [None if part is None else _as_heads(part) for part in parts]
    if None in found or len({heads.ld for heads in found if heads is not None}) > 1:
        found = [_as_heads(places.put(value, layout)) for value in values]
    else:
        for value, part in zip(values, parts, strict=True):
            assert part is not None
            places.put_into(value, part)
    return [heads for heads in found if heads is not None]
