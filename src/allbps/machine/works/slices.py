"""Slices' δ as tasks: one copied into zeros, or many side by side, written in place if possible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from allbps.machine.kernels.fill import fill, fill_bytes, fill_integers
from allbps.machine.language.calls import Call
from allbps.machine.language.operands import HI, LO, Memory
from allbps.machine.planning.layout import Layout, row_major
from allbps.machine.planning.plan import Value, Work
from allbps.machine.planning.windows import is_window
from allbps.machine.works.loops import add_move
from allbps.machine.works.places import Places, unviewed
from allbps.machine.works.tasks import Cut, NoKernelError, Place, Program


def emit_slice_delta(places: Places, work: Work) -> None:
    """Zeros with an array copied into a slice."""
    (x, out) = work.inputs[0], work.outputs[0]
    if not is_window(work) or x.size == 0:
        raise NoKernelError
    there = places.put(out, row_major(out.shape))
    zero(places.program, there.memory)
    copy_into(places, work, x, part_of(there, work.attrs["parts"]))


def emit_assembly(places: Places, work: Work) -> None:
    """Each part where it belongs; what was written there at once needs nothing."""
    there = _assembled(places, work)
    roots = {(owner, k): value for value, (owner, k, _) in places.landings.items()}
    for k, (x, parts) in enumerate(zip(work.inputs, work.attrs["parts"], strict=True)):
        root = roots.get((work, k))
        if root is None or not places.landed(root):
            copy_into(places, work, x, part_of(there, parts))


def landing(places: Places, value: Value) -> Place | None:
    """The part of an assembly that a value will be, before its numbers are there."""
    if value not in places.landings:
        return None
    work, k, chain = places.landings[value]
    part = part_of(_assembled(places, work), work.attrs["parts"][k])
    layout: Layout | None = part.layout
    for view in chain:
        layout = None if layout is None else unviewed(view, layout)
    return None if layout is None else Place(part.memory, layout, part.start)


def _assembled(places: Places, work: Work) -> Place:
    """Memory for what an assembly makes, as the array lies whose δ it is."""
    out, like = work.outputs[0], work.attrs["like"]
    if not places.is_put(out):
        own = None if like is None else places.strided(like)
        simple = own is not None and own.whole and own.window(()) is not None
        there = places.put(out, own.layout if own is not None and simple else row_major(out.shape))
        there.memory.shared = work.attrs["covers"]  # parts do not overlap
        if not work.attrs["covers"]:
            zero(places.program, there.memory)
    return places.of(out)


def part_of(place: Place, parts: Sequence[Any]) -> Place:
    """The part of a dense array that an index picks."""
    part = place.window(parts)
    assert part is not None
    return part


def copy_into(places: Places, work: Work, x: Value, part: Place) -> None:
    """A task that copies a value into a part of a block."""
    add_move(places.program, work, x, places.strided(x), part)


def zero(program: Program, there: Memory) -> None:
    """A task that fills a block with zeros."""
    call = ZEROS[there.kind](there)
    program.add(f"{there.name} = 0", Cut.of(there.size, 1), call, traffic=there.size)


ZEROS: dict[str, Callable[[Memory], Call]] = {
    "Real": lambda there: fill.on(X=there, value=0.0, lo=LO, hi=HI),
    "Int": lambda there: fill_integers.on(X=there, value=0, lo=LO, hi=HI),
    "Byte": lambda there: fill_bytes.on(X=there, value=0, lo=LO, hi=HI),
}
"""Kind of memory -> the call that fills it with zeros."""

KERNELS = {"put_add": emit_slice_delta, "assemble": emit_assembly}
"""Kind of work -> what makes its tasks."""
