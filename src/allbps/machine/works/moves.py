"""Works that only move numbers: flips, padding, every k-th element, joined arrays.

Each is one copy between an array and a window on another, after zeros where the window leaves
any.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from allbps.machine.planning.layout import row_major
from allbps.machine.planning.plan import Value, Work
from allbps.machine.works.loops import add_loop
from allbps.machine.works.nests import nest_of
from allbps.machine.works.places import Places
from allbps.machine.works.slices import copy_into, zero
from allbps.machine.works.tasks import Place, Program

Slice = tuple[int | None, int | None, int | None]


def emit_flip(program: Program, places: Places, work: Work) -> bool:
    """The order along axes reversed."""
    ndim = len(work.inputs[0].shape)
    turned = {k % ndim for k in work.attrs["axis"]}
    return _picked(program, places, work,
                   [(None, None, -1 if k in turned else None) for k in range(ndim)])  # fmt: skip


def emit_subsample(program: Program, places: Places, work: Work) -> bool:
    """Every step-th element."""
    return _picked(program, places, work, [(None, None, step) for step in work.attrs["steps"]])


def _picked(program: Program, places: Places, work: Work, parts: Sequence[Slice]) -> bool:
    """A copy of a window on the input."""
    x, out = work.inputs[0], work.outputs[0]
    if x.size == 0:
        return False
    here = _window_on(places, x, parts)
    there = places.put(out, row_major(out.shape))
    nest = nest_of(out.shape, [there.layout, here.layout])
    step = Work("identity", (x,), (out,), node=work.node)
    copy = Work("loop", (x,), (out,), node=work.node, steps=(step,))
    add_loop(program, copy, nest, [(x, here)], [(out, there)])
    return True


def _window_on(places: Places, x: Value, parts: Sequence[Any]) -> Place:
    """Where a part of an array lies; an array that is scattered in memory is copied first."""
    seen = places.strided(x).window(parts)
    if seen is None:
        seen = places.as_layout(x, row_major(x.shape)).window(parts)
        assert seen is not None
    return seen


def emit_pad(program: Program, places: Places, work: Work) -> bool:
    """Zeros around an array; a negative width cuts off instead."""
    x, out = work.inputs[0], work.outputs[0]
    width = work.attrs["width"]
    lengths = [n + min(a, 0) + min(b, 0) for n, (a, b) in zip(x.shape, width, strict=True)]
    if min(lengths, default=1) <= 0 or x.dtype.kind != "f":
        return False
    cut = [(max(-a, 0), max(-a, 0) + n, None) for n, (a, _) in zip(lengths, width, strict=True)]
    inner = [(max(a, 0), max(a, 0) + n, None) for n, (a, _) in zip(lengths, width, strict=True)]
    there = _zeros(program, places, out, out.shape == tuple(lengths))
    part = there.window(inner)
    assert part is not None
    here = _window_on(places, x, cut)
    seen = Value(tuple(lengths), x.dtype, x.name)
    step = Work("identity", (seen,), (seen,), node=work.node)
    copy = Work("loop", (seen,), (seen,), node=work.node, steps=(step,))
    add_loop(program, copy, nest_of(seen.shape, [part.layout, here.layout]),
             [(seen, here)], [(seen, part)])  # fmt: skip
    return True


def emit_dilate(program: Program, places: Places, work: Work) -> bool:
    """Zeros between the elements."""
    x, out = work.inputs[0], work.outputs[0]
    if x.size == 0 or x.dtype.kind != "f":
        return False
    there = _zeros(program, places, out, out.shape == x.shape)
    part = there.window([(None, None, step) for step in work.attrs["steps"]])
    assert part is not None
    copy_into(program, places, work, x, part)
    return True


def _zeros(program: Program, places: Places, out: Value, covered: bool) -> Place:
    there = places.put(out, row_major(out.shape))
    if not covered:
        zero(program, there)
    return there


def emit_concatenate(program: Program, places: Places, work: Work) -> bool:
    """Arrays side by side."""
    out = work.outputs[0]
    axis = work.attrs["axis"] % len(out.shape)
    there = places.put(out, row_major(out.shape))
    at = 0
    for x in work.inputs:
        end = at + x.shape[axis]
        if x.size:
            parts = [(at, end, None) if k == axis else (None, None, None) for k in range(axis + 1)]
            part = there.window(parts)
            assert part is not None
            copy_into(program, places, work, x, part)
        at = end
    return True


KERNELS = {
    "flip": emit_flip,
    "subsample": emit_subsample,
    "pad": emit_pad,
    "dilate": emit_dilate,
    "concatenate": emit_concatenate,
}
"""Kind of work -> what makes its tasks."""
