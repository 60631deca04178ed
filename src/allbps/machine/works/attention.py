"""Attention as tasks: softmax(scale · q kᵀ) v of every head, and the δ of q, k and v."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from allbps.machine.kernels import attention as kernels
from allbps.machine.kernels.attention import attention_scratch
from allbps.machine.language.operands import ITEM, Pointer, Scratch
from allbps.machine.planning.layout import Layout, Run, in_order, merged, row_major
from allbps.machine.planning.plan import Value, Work
from allbps.machine.works.places import Places
from allbps.machine.works.slices import landing
from allbps.machine.works.tasks import Cut, Place

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

    @property
    def one(self) -> Pointer:
        """Where the matrix of one head begins."""
        at, inner = self.place.pointer, 1
        for length, stride in self.runs[::-1]:
            at, inner = at + ITEM // inner % length * stride, inner * length
        return at


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


def _every(work: Work, value: Value) -> tuple[Cut, dict[str, Any]]:
    """Heads in pieces, and what the kernels want to know of one."""
    count, T, E = _sizes(value)
    block = min(BLOCK, T)
    sizes = {
        "scratch": Scratch(int(attention_scratch(T, E, block))), "T": T, "E": E,
        "scale": float(work.attrs["scale"]), "causal": bool(work.attrs["causal"]), "block": block,
    }  # fmt: skip
    return Cut.of(count, T * T * E * OPERATIONS[work.kind]), sizes


OPERATIONS = {"attention": 4, "attention_x": 10}
"""For each pair of positions and number of a head."""


def emit_attention(places: Places, work: Work) -> None:
    """Every head by itself."""
    q, k, v = _read(places, work.inputs)
    made, sums = work.outputs
    out = _as_heads(places.put(made, _like(q.place)))
    assert out is not None
    log_sums = places.put(sums, row_major(sums.shape)).memory
    count, T, E = _sizes(work.inputs[0])
    cut, sizes = _every(work, work.inputs[0])
    call = kernels.attention.on(
        Y=out.one, ldy=out.ld, L=log_sums + ITEM * T, Q=q.one, K=k.one, V=v.one, ld=q.ld, **sizes
    )
    label = f"{out.place.memory.name} = attention({work.inputs[0].name or '…'}, …)"
    places.program.add(label, cut, call, flops=4 * count * T * T * E, work=work)


def emit_attention_delta(places: Places, work: Work) -> None:
    """δq, δk and δv of every head."""
    upstream, made = work.inputs[:2]
    q, k, v = _read(places, work.inputs[2:])
    (y,) = _read(places, [made])
    (g,) = _read(places, [upstream])
    if g.ld != y.ld:
        g = _of_dense(places, upstream, _like(y.place))
    sums = places.of(places.kept(made)).memory
    dq, dk, dv = _written(places, work.outputs, _like(q.place))
    count, T, E = _sizes(work.inputs[2])
    cut, sizes = _every(work, work.inputs[2])
    call = kernels.attention_delta.on(
        DQ=dq.one, DK=dk.one, DV=dv.one, ldd=dq.ld, G=g.one, Y=y.one, ldy=y.ld,
        L=sums + ITEM * T, Q=q.one, K=k.one, V=v.one, ld=q.ld, **sizes,
    )  # fmt: skip
    label = f"{', '.join(value.name for value in work.outputs)}: δ of attention"
    places.program.add(label, cut, call, flops=10 * count * T * T * E, work=work)


def _of_dense(places: Places, value: Value, layout: Layout) -> Heads:
    heads = _as_heads(places.as_layout(value, layout))
    assert heads is not None
    return heads


def _written(places: Places, values: Sequence[Value], layout: Layout) -> list[Heads]:
    """Places for results: in the array that they are parts of, or each in a block of its own."""
    parts = [landing(places, value) for value in values]
    found = [None if part is None else _as_heads(part) for part in parts]
    if None in found or len({heads.ld for heads in found if heads is not None}) > 1:
        found = [_as_heads(places.put(value, layout)) for value in values]
    else:
        for value, part in zip(values, parts, strict=True):
            assert part is not None
            places.put_into(value, part)
    return [heads for heads in found if heads is not None]


KERNELS = {"attention": emit_attention, "attention_x": emit_attention_delta}
"""Kind of work -> what makes its tasks."""
