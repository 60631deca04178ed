"""Works along axes as rows of memory: extremes, products, softmax, running sums.

The axes that a work goes along are brought together as the innermost ones: where they lie, if they
lie there, else in a copy. What remains keeps the order that it has in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from allbps.machine.kernels import rows as kernels
from allbps.machine.language.words import Kernel
from allbps.machine.planning.layout import Layout, in_order, row_major
from allbps.machine.planning.plan import Value, Work
from allbps.machine.works.places import Places, memories
from allbps.machine.works.tasks import (
    Memory,
    Place,
    Program,
    Task,
    bounds,
    line_of,
    moved,
    pieces_for,
)

LONG = 20
"""Operations for each number of a row with an exponential, roughly."""


@dataclass(frozen=True)
class Rows:
    """An array as rows.

    Attributes:
        place: where it lies, the axes of a row innermost.
        order: its axes as they lie in memory.
        along: those of a row.
        count: how many rows.
        length: numbers in a row.

    """

    place: Place
    order: tuple[int, ...]
    along: tuple[int, ...]
    count: int
    length: int

    def reduced(self, out: Value) -> Layout:
        """The layout of one number for each row."""
        kept = [k for k in self.order if k not in self.along]
        if len(out.shape) == len(self.order):  # the axes of a row are kept with length 1
            return in_order(out.shape, [*kept, *self.along])
        left = sorted(kept)
        return in_order(out.shape, [left.index(k) for k in kept])


def rows_of(places: Places, x: Value, axis: Any) -> Rows:
    """An array as rows along ``axis``: a number, several, or None for all."""
    ndim = len(x.shape)
    chosen = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    along = tuple(sorted(k % ndim for k in chosen))
    order = (*_kept(places, x, along), *along)
    layout = in_order(x.shape, order)
    length = prod(x.shape[k] for k in along)
    return Rows(places.as_layout(x, layout), order, along, x.size // max(length, 1), length)


def _kept(places: Places, x: Value, along: Sequence[int]) -> list[int]:
    """The other axes, outermost in memory first."""
    kept = [k for k in range(len(x.shape)) if k not in along]
    if places.is_open(x):
        return kept
    layout = places.strided(x).layout
    return sorted(kept, key=lambda k: -max((layout.strides[d] for d in layout.axes[k]), default=0))


def _usable(work: Work) -> bool:
    """Are all arrays real numbers, and are there any?"""
    return all(x.size > 0 and x.dtype.kind == "f" for x in work.inputs)


def _task(program: Program, work: Work, rows: Rows, call: str, reads: Sequence[Place],
          out: Memory, cost: int) -> None:  # fmt: skip
    pieces = pieces_for(rows.count, rows.length * cost)
    label = f"{out.name} = {work.kind}({', '.join(x.name or '…' for x in work.inputs)})"
    program.tasks.append(
        Task(label, pieces, (*bounds(rows.count, pieces), call), memories(reads), (out,),
             flops=cost * rows.count * rows.length, traffic=moved((*work.inputs, *work.outputs)),
             site=line_of(work))
    )  # fmt: skip


# -- one number from each row ----------------------------------------------------------------------
REDUCTIONS: dict[str, Kernel[..., None]] = {
    "max": kernels.row_max, "min": kernels.row_min, "prod": kernels.row_prod,
    "logsumexp": kernels.row_logsumexp, "argmax": kernels.row_argmax, "argmin": kernels.row_argmin,
}  # fmt: skip


def emit_reduction(program: Program, places: Places, work: Work) -> bool:
    """One number from each row."""
    if not _usable(work):
        return False
    kernel = REDUCTIONS[work.kind].name
    program.use("kernels.rows", kernel)
    rows = rows_of(places, work.inputs[0], work.attrs["axis"])
    out = places.put(work.outputs[0], rows.reduced(work.outputs[0])).memory
    call = f"{kernel}({out.name}, {rows.place.memory.name}, {rows.length}, lo, hi)"
    _task(program, work, rows, call, [rows.place], out, LONG if work.kind == "logsumexp" else 2)
    return True


# -- one row from each row -------------------------------------------------------------------------
def emit_winner(program: Program, places: Places, work: Work) -> bool:
    """1 at the first largest or smallest, else 0."""
    kernel = kernels.first_largest if work.attrs["largest"] else kernels.first_smallest
    return _row_by_row(program, places, work, "kernels.rows", kernel.name, 3)


def emit_softmax(program: Program, places: Places, work: Work) -> bool:
    """Softmax along an axis."""
    return _row_by_row(program, places, work, "kernels.loss", "softmax", LONG)


def emit_log_softmax(program: Program, places: Places, work: Work) -> bool:
    """Its logarithm."""
    return _row_by_row(program, places, work, "kernels.rows", "log_softmax", LONG)


def _row_by_row(
    program: Program, places: Places, work: Work, module: str, kernel: str, cost: int
) -> bool:
    if not _usable(work):
        return False
    program.use(module, kernel)
    rows = rows_of(places, work.inputs[0], work.attrs["axis"])
    out = places.put(work.outputs[0], rows.place.layout).memory
    call = f"{kernel}({out.name}, {rows.place.memory.name}, {rows.length}, lo, hi)"
    _task(program, work, rows, call, [rows.place], out, cost)
    return True


# -- losses of rows --------------------------------------------------------------------------------
def emit_one_hot(program: Program, places: Places, work: Work) -> bool:
    """1 at each label, else 0."""
    labels, made = work.inputs[0], work.outputs[0]
    if made.size == 0 or made.dtype != program.real:
        return False
    program.use("kernels.rows", "one_hot")
    which = places.as_layout(labels, row_major(labels.shape))
    out = places.put(made, row_major(made.shape))
    rows = Rows(out, (), (), labels.size, made.shape[-1])
    call = f"one_hot({out.memory.name}, {which.memory.name}, {rows.length}, lo, hi)"
    _task(program, work, rows, call, [which], out.memory, 1)
    return True


def emit_cross_entropies(program: Program, places: Places, work: Work) -> bool:
    """The cross-entropy of each row, from labels or from probabilities."""
    logits, goal = work.inputs
    if logits.size == 0:
        return False
    rows = Rows(places.as_layout(logits, row_major(logits.shape)), (), (),
                logits.size // logits.shape[-1], logits.shape[-1])  # fmt: skip
    other = places.as_layout(goal, row_major(goal.shape))
    out = places.put(work.outputs[0], row_major(work.outputs[0].shape)).memory
    kernel, more = f"row_{work.kind}", ""
    if work.kind == "soft_cross_entropy":
        program.scratch = max(program.scratch, rows.length)
        more = "scratch, "
    program.use("kernels.rows", kernel)
    call = (
        f"{kernel}({out.name}, {rows.place.memory.name}, {other.memory.name}, {more}"
        f"{rows.length}, lo, hi)"
    )
    _task(program, work, rows, call, [rows.place, other], out, LONG)
    return True


# -- running sums ----------------------------------------------------------------------------------
def emit_running(program: Program, places: Places, work: Work) -> bool:
    """A running sum, product or recurrence along an axis."""
    if not _usable(work):
        return False
    made = work.outputs[0]
    axis = work.attrs["axis"] % len(made.shape)
    outer, N, inner = prod(made.shape[:axis]), made.shape[axis], prod(made.shape[axis + 1 :])
    program.use("kernels.rows", work.kind)
    here = [places.as_layout(x, row_major(x.shape)) for x in work.inputs]
    out = places.put(made, row_major(made.shape))
    blocks = ", ".join(place.memory.name for place in (out, *here))
    rows = Rows(out, (), (), outer, N * inner)
    call = f"{work.kind}({blocks}, {N}, {inner}, lo, hi)"
    _task(program, work, rows, call, here, out.memory, 2)
    return True


KERNELS = {
    **dict.fromkeys(REDUCTIONS, emit_reduction),
    **dict.fromkeys(("cumsum", "cumprod", "recurrence"), emit_running),
    **dict.fromkeys(("cross_entropy", "soft_cross_entropy"), emit_cross_entropies),
    "winner": emit_winner,
    "softmax": emit_softmax,
    "log_softmax": emit_log_softmax,
    "one_hot": emit_one_hot,
}
"""Kind of work -> what makes its tasks."""
