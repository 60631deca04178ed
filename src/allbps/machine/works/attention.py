"""Attention as tasks: softmax(scale · q kᵀ + added) v of every head, and the δ of q, k and v."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from allbps.machine.kernels import attention as kernels
from allbps.machine.kernels.attention import attention_scratch
from allbps.machine.language.operands import ITEM, Operand, Pointer, Scratch
from allbps.machine.planning.layout import Layout, Run, in_order, merged, row_major
from allbps.machine.planning.plan import Value, Work
from allbps.machine.works.places import Places
from allbps.machine.works.slices import landing
from allbps.machine.works.tasks import Cut, Place

BLOCK = 32
"""Query rows worked on at a time."""


@dataclass(frozen=True)
class Heads:
    """Matrices of all heads, wherever they lie: rows ``ld`` apart, their numbers dense."""

    place: Place
    ld: int
    runs: tuple[Run, ...]

    @property
    def one(self) -> Pointer:
        """Where the matrix of one head begins."""
        at, inner = self.place.pointer, 1
        for length, stride in self.runs[::-1]:
            if stride:
                at = at + ITEM // inner % length * stride
            inner *= length
        return at


def _as_heads(place: Place, leading: Sequence[int]) -> Heads | None:
    """Heads, if rows and columns are runs and the columns dense.

    ``leading`` are the lengths of the axes before these; one that is missing, or has length 1, is
    the same matrix again and again.
    """
    layout = place.layout
    axes = [layout.runs(k) for k in range(len(layout.axes))]
    missing: list[list[Run]] = [[]] * (len(leading) + 2 - len(axes))
    *outer, rows, columns = missing + axes
    if len(rows) > 1 or columns not in ([], [(layout.shape[-1], 1)]):
        return None
    again = [[(n, 0)] if n > 1 else [] for n in leading]
    runs = [run for axis, same in zip(outer, again, strict=True) for run in axis or same]
    return Heads(place, rows[0][1] if rows else 0, tuple(merged(runs)))


def _read(places: Places, value: Value) -> Heads:
    """Heads where they lie, or a copy."""
    return _heads(places, value, value.shape[:-2])


def _heads(places: Places, value: Value, leading: Sequence[int]) -> Heads:
    found = _as_heads(places.strided(value), leading)
    found = found or _as_heads(places.as_layout(value, row_major(value.shape)), leading)
    assert found is not None
    return found


def _like(place: Place, shape: Sequence[int]) -> Layout:
    """A dense layout that has its axes in the order in which they lie at ``place``."""
    layout = place.layout
    steps = [max((layout.strides[d] for d in axis), default=0) for axis in layout.axes]
    return in_order(tuple(shape), sorted(range(len(steps)), key=lambda k: -steps[k]))


@dataclass(frozen=True)
class _Attention:
    """An attention's operands as heads.

    Attributes:
        q, k, v: what attends to what.
        added: what is added to the scores.
        count: how many heads there are in all.
        sizes: queries, keys, numbers of a head of q and k, and of v.

    """

    work: Work
    q: Heads
    k: Heads
    v: Heads
    added: Heads | None
    count: int
    sizes: tuple[int, int, int, int]

    @classmethod
    def of(cls, places: Places, work: Work, values: Sequence[Value]) -> _Attention:
        """Where they lie, or copies."""
        q, k, v, *more = values
        (T, E), (S, F) = q.shape[-2:], v.shape[-2:]
        heads = _read(places, q), _read(places, k), _read(places, v)
        added = _heads(places, more[0], q.shape[:-2]) if more else None
        count = q.size // (T * E)
        return cls(work, *heads, added, count, (T, S, E, F))

    @property
    def operands(self) -> dict[str, Operand]:
        """What both kernels are given."""
        T, S, E, F = self.sizes
        block, attrs = min(BLOCK, T), self.work.attrs
        b = self.added or self.q
        return {
            "Q": self.q.one, "ldq": self.q.ld, "K": self.k.one, "ldk": self.k.ld,
            "V": self.v.one, "ldv": self.v.ld, "B": b.one, "ldb": b.ld,
            "scratch": Scratch(int(attention_scratch(S, E, F, block))),
            "T": T, "S": S, "E": E, "F": F, "scale": float(attrs["scale"]),
            "causal": bool(attrs["causal"]), "added": self.added is not None,
            "hides": bool(attrs["hides"]), "block": block,
        }  # fmt: skip

    def flops(self, of_qk: int, of_v: int) -> int:
        """Of so many products of each kind: with numbers of q and k, and of v."""
        T, S, E, F = self.sizes
        return 2 * self.count * T * S * (of_qk * E + of_v * F)

    @property
    def apart(self) -> int:
        """Numbers between what two heads keep of their softmax."""
        return 2 * self.sizes[0]


def emit_attention(places: Places, work: Work) -> None:
    """Every head by itself."""
    whole = _Attention.of(places, work, work.inputs)
    made, kept = work.outputs
    place = places.put(made, _like(whole.q.place, made.shape))
    out = _as_heads(place, made.shape[:-2])
    assert out is not None
    numbers = places.put(kept, row_major(kept.shape)).memory
    call = kernels.attention.on(
        Y=out.one, ldy=out.ld, P=numbers + ITEM * whole.apart, **whole.operands
    )
    flops = whole.flops(1, 1)
    label = f"{out.place.memory.name} = attention({work.inputs[0].name or '…'}, …)"
    cut = Cut.of(whole.count, flops // whole.count)
    places.program.add(label, cut, call, flops=flops, work=work)


def emit_attention_delta(places: Places, work: Work) -> None:
    """δq, δk and δv of every head, and of the scores where these are needed."""
    upstream, made = work.inputs[:2]
    whole = _Attention.of(places, work, work.inputs[2:])
    y, g = _read(places, made), _read(places, upstream)
    numbers = places.of(places.kept(made)).memory
    *outputs, scores = work.outputs
    likes = (whole.q, whole.k, whole.v)
    dq, dk, dv = (_written(places, *pair) for pair in zip(outputs, likes, strict=True))
    T, S, _, _ = whole.sizes
    wanted = places.is_read(scores)
    dz: Pointer = dq.one
    if wanted:
        dz = places.put(scores, row_major(scores.shape)).memory + ITEM * (T * S)
    call = kernels.attention_delta.on(
        DQ=dq.one, lddq=dq.ld, DK=dk.one, lddk=dk.ld, DV=dv.one, lddv=dv.ld, DZ=dz,
        G=g.one, ldg=g.ld, Y=y.one, ldy=y.ld, P=numbers + ITEM * whole.apart, wanted=wanted,
        **whole.operands,
    )  # fmt: skip
    flops = whole.flops(3, 2)
    label = f"{', '.join(value.name for value in outputs)}: δ of attention"
    cut = Cut.of(whole.count, flops // whole.count)
    places.program.add(label, cut, call, flops=flops, work=work)


def _written(places: Places, value: Value, like: Heads) -> Heads:
    """A place for a result: in the array that it is a part of, or a block of its own."""
    part = landing(places, value)
    found = None if part is None else _as_heads(part, value.shape[:-2])
    if part is not None and found is not None:
        places.put_into(value, part)
        return found
    place = places.put(value, _like(like.place, value.shape))
    found = _as_heads(place, value.shape[:-2])
    assert found is not None
    return found


KERNELS = {"attention": emit_attention, "attention_x": emit_attention_delta}
"""Kind of work -> what makes its tasks."""
