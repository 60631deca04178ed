"""Slices as tasks: x[1:, :, 2] copied out, and its adjoint, copied into zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .layout import Layout, Run, row_major
from .loops import Nest, add_loop, nest_of_runs
from .places import Places
from .plan import Value, Work
from .tasks import Place, Program, Task, bounds, pieces_for


class Window:
    """The part of an array that a basic index picks.

    Attributes:
        start: place of its first element.
        axes: the runs of each axis of the result, major first; none for a new axis.

    """

    def __init__(self, layout: Layout, parts: Sequence[Any]) -> None:
        self.start = 0
        self.axes: list[list[Run]] = []
        shape = layout.shape
        named = sum(part is not None and part is not Ellipsis for part in parts)
        rest = [(None, None, None)] * (len(shape) - named)
        whole = list(parts) if any(p is Ellipsis for p in parts) else [*parts, Ellipsis]
        at = next(k for k, part in enumerate(whole) if part is Ellipsis)
        axis = 0
        for part in (*whole[:at], *rest, *whole[at + 1 :]):
            if part is None:
                self.axes.append([])
                continue
            self._pick(layout, axis, part, shape[axis])
            axis += 1

    def _pick(self, layout: Layout, axis: int, part: Any, length: int) -> None:
        dims = [(layout.dims[d], layout.strides[d]) for d in layout.axes[axis]]
        stride = layout.runs(axis)[0][1] if dims else 0
        if not isinstance(part, tuple):
            self.start += range(length)[part] * stride
            return
        picked = range(length)[slice(*part)]
        if picked == range(length):
            self.axes.append(dims)
            return
        self.start += (picked.start if len(picked) else 0) * stride
        self.axes.append([(len(picked), picked.step * stride)] if len(picked) != 1 else [])


def is_basic(work: Work) -> bool:
    """An index of numbers and slices alone."""
    return "array" not in work.attrs["parts"] and len(work.inputs) == 1


def _simple(layout: Layout, parts: Sequence[Any]) -> bool:
    """Is every axis one run, so that any slice of it is one too?"""
    return all(len(layout.runs(k)) <= 1 for k in range(len(layout.axes)))


def emit_slice(program: Program, places: Places, work: Work) -> bool:
    """A slice, copied out; False where the index holds arrays."""
    (x, out) = work.inputs[0], work.outputs[0]
    if not is_basic(work) or out.size == 0:
        return False
    here = places.of(x)
    if not _simple(here.layout, work.attrs["parts"]):
        here = places.as_layout(x, row_major(x.shape))
    there = places.put(out, row_major(out.shape))
    window = Window(here.layout, work.attrs["parts"])
    nest = nest_of_runs(_with_runs(there.layout, window))
    _copy(program, work, nest, (x, here, window.start), (out, there, 0))
    return True


def emit_slice_delta(program: Program, places: Places, work: Work) -> bool:
    """Zeros with an array copied into a slice; False where the index holds arrays."""
    (x, out) = work.inputs[0], work.outputs[0]
    if not is_basic(work) or x.size == 0 or x.dtype.kind != "f":
        return False
    here = places.as_layout(x, row_major(x.shape))
    there = places.put(out, row_major(out.shape))
    _zero(program, there)
    window = Window(there.layout, work.attrs["parts"])
    nest = nest_of_runs(_with_runs(here.layout, window))
    turned = Nest(nest.lengths, nest.strides[::-1])
    _copy(program, work, turned, (x, here, 0), (out, there, window.start))
    return True


def _with_runs(layout: Layout, window: Window) -> list[list[list[Run]]]:
    """For each axis the runs of a dense array and of a window of the same shape."""
    return [
        [[(layout.dims[d], layout.strides[d]) for d in axis], list(runs)]
        for axis, runs in zip(layout.axes, window.axes, strict=True)
    ]


def _copy(
    program: Program,
    work: Work,
    nest: Nest,
    source: tuple[Value, Place, int],
    target: tuple[Value, Place, int],
) -> None:
    (x, here, start), (out, there, first) = source, target
    step = Work("identity", (x,), (out,), node=work.node)
    copy = Work("loop", (x,), (out,), node=work.node, steps=(step,))
    add_loop(program, copy, nest, [(x, here)], [(out, there)], starts=(first, start))


def _zero(program: Program, there: Place) -> None:
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
