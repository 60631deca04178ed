"""Slices' δ as tasks: one copied into zeros, or many side by side, written in place if possible."""

from __future__ import annotations

from allbps.machine.planning.layout import Layout, row_major
from allbps.machine.planning.plan import Value, Work
from allbps.machine.planning.windows import is_window
from allbps.machine.works.loops import add_loop
from allbps.machine.works.nests import nest_of
from allbps.machine.works.places import Places, unviewed
from allbps.machine.works.tasks import Place, Program, Task, bounds, pieces_for


def emit_slice_delta(program: Program, places: Places, work: Work) -> bool:
    """Zeros with an array copied into a slice; False where the index holds arrays."""
    (x, out) = work.inputs[0], work.outputs[0]
    if not is_window(work) or x.size == 0 or x.dtype.kind != "f":
        return False
    there = places.put(out, row_major(out.shape))
    zero(program, there)
    part = there.window(work.attrs["parts"])
    assert part is not None
    copy_into(program, places, work, x, part)
    return True


def emit_assembly(program: Program, places: Places, work: Work) -> None:
    """Each part where it belongs; what was written there at once needs nothing."""
    there = _assembled(program, places, work)
    roots = {(owner, k): value for value, (owner, k, _) in places.landings.items()}
    for k, (x, parts) in enumerate(zip(work.inputs, work.attrs["parts"], strict=True)):
        root = roots.get((work, k))
        if root is None or not places.landed(root):
            part = there.window(parts)
            assert part is not None
            copy_into(program, places, work, x, part)


def landing(program: Program, places: Places, value: Value) -> Place | None:
    """The part of an assembly that a value will be, before its numbers are there."""
    if value not in places.landings:
        return None
    work, k, chain = places.landings[value]
    part = _assembled(program, places, work).window(work.attrs["parts"][k])
    assert part is not None
    layout: Layout | None = part.layout
    for view in chain:
        layout = None if layout is None else unviewed(view, layout)
    return None if layout is None else Place(part.memory, layout, part.start)


def _assembled(program: Program, places: Places, work: Work) -> Place:
    """Memory for what an assembly makes, as the array lies whose δ it is."""
    out, like = work.outputs[0], work.attrs["like"]
    if not places.is_put(out):
        own = None if like is None else places.strided(like)
        simple = own is not None and own.whole and own.window(()) is not None
        there = places.put(out, own.layout if own is not None and simple else row_major(out.shape))
        if not work.attrs["covers"]:
            zero(program, there)
    return places.of(out)


def copy_into(program: Program, places: Places, work: Work, x: Value, part: Place) -> None:
    """A task that copies a value into a part of a block."""
    here = places.strided(x)
    nest = nest_of(x.shape, [part.layout, here.layout])
    step = Work("identity", (x,), (x,), node=work.node)
    copy = Work("loop", (x,), (x,), node=work.node, steps=(step,))
    add_loop(program, copy, nest, [(x, here)], [(x, part)])


def zero(program: Program, there: Place) -> None:
    """A task that fills a block with zeros."""
    program.use("kernels.fill", "fill")
    size = there.layout.size
    pieces = pieces_for(size, 1)
    call = f"fill({there.memory.name}, 0.0, lo, hi)"
    program.tasks.append(
        Task(
            f"{there.memory.name} = 0", pieces, (*bounds(size, pieces), call), (),
            (there.memory,), traffic=size,
        )
    )  # fmt: skip
