"""Works that only move numbers: flips, padding, every k-th element, joined arrays.

Each is one copy between an array and a window on another, after zeros where the window leaves
any.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from allbps.machine.planning.layout import row_major
from allbps.machine.planning.plan import Value, Work
from allbps.machine.works.loops import add_move
from allbps.machine.works.places import Places
from allbps.machine.works.slices import copy_into, part_of, zero
from allbps.machine.works.tasks import NoKernelError, Place

Slice = tuple[int | None, int | None, int | None]


def emit_flip(places: Places, work: Work) -> None:
    """The order along axes reversed."""
    ndim = len(work.inputs[0].shape)
    turned = {k % ndim for k in work.attrs["axis"]}
    _picked(places, work, [(None, None, -1 if k in turned else None) for k in range(ndim)])


def emit_subsample(places: Places, work: Work) -> None:
    """Every step-th element."""
    _picked(places, work, [(None, None, step) for step in work.attrs["steps"]])


def _picked(places: Places, work: Work, parts: Sequence[Slice]) -> None:
    """A copy of a window on the input."""
    x, out = work.inputs[0], work.outputs[0]
    here = _window_on(places, x, parts)
    add_move(places.program, work, Value(out.shape, x.dtype, out.name), here,
             places.put(out, row_major(out.shape)))  # fmt: skip


def _window_on(places: Places, x: Value, parts: Sequence[Any]) -> Place:
    """Where a part of an array lies; an array that is scattered in memory is copied first."""
    seen = places.strided(x).window(parts)
    return seen or part_of(places.as_layout(x, row_major(x.shape)), parts)


def emit_pad(places: Places, work: Work) -> None:
    """Zeros around an array; a negative width cuts off instead."""
    x, out = work.inputs[0], work.outputs[0]
    width = work.attrs["width"]
    lengths = [n + min(a, 0) + min(b, 0) for n, (a, b) in zip(x.shape, width, strict=True)]
    if min(lengths, default=1) <= 0:
        raise NoKernelError
    cut = [(max(-a, 0), max(-a, 0) + n, None) for n, (a, _) in zip(lengths, width, strict=True)]
    inner = [(max(a, 0), max(a, 0) + n, None) for n, (a, _) in zip(lengths, width, strict=True)]
    there = _zeros(places, out, out.shape == tuple(lengths))
    seen = Value(tuple(lengths), x.dtype, x.name)
    add_move(places.program, work, seen, _window_on(places, x, cut), part_of(there, inner))


def emit_dilate(places: Places, work: Work) -> None:
    """Zeros between the elements."""
    x, out = work.inputs[0], work.outputs[0]
    there = _zeros(places, out, out.shape == x.shape)
    parts = [(None, None, step) for step in work.attrs["steps"]]
    copy_into(places, work, x, part_of(there, parts))


def _zeros(places: Places, out: Value, covered: bool) -> Place:
    there = places.put(out, row_major(out.shape))
    if not covered:
        zero(places.program, there.memory)
    return there


def emit_concatenate(places: Places, work: Work) -> None:
    """Arrays side by side."""
    out = work.outputs[0]
    axis = work.attrs["axis"] % len(out.shape)
    there = places.put(out, row_major(out.shape))
    at = 0
    for x in work.inputs:
        end = at + x.shape[axis]
        if x.size:
            parts = [(at, end, None) if k == axis else (None, None, None) for k in range(axis + 1)]
            copy_into(places, work, x, part_of(there, parts))
        at = end


KERNELS = {
    "flip": emit_flip,
    "subsample": emit_subsample,
    "pad": emit_pad,
    "dilate": emit_dilate,
    "concatenate": emit_concatenate,
}
"""Kind of work -> what makes its tasks."""
