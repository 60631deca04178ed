"""Works along axes as rows of memory: extremes, products, softmax, running sums.

The axes that a work goes along are brought together as the innermost ones: where they lie, if they
lie there, else in a copy. What remains keeps the order that it has in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from allbps.machine.kernels import rows as kernels
from allbps.machine.kernels import whole
from allbps.machine.kernels.loss import softmax
from allbps.machine.language.operands import HI, LO, Operand, Scratch
from allbps.machine.language.words import Routine
from allbps.machine.language.written import Written
from allbps.machine.planning.layout import Layout, in_order, row_major
from allbps.machine.planning.plan import Value, Work
from allbps.machine.works.places import Places
from allbps.machine.works.tasks import NoKernelError, Place, Program
from allbps.machine.works.text import TYPES, written

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


def _require_reals(work: Work) -> None:
    """Refuse arrays without numbers, or of others than real ones.

    Raises:
        NoKernelError: there is one.

    """
    if not all(x.size > 0 and x.dtype.kind == "f" for x in work.inputs):
        raise NoKernelError


def _are_whole(work: Work) -> bool:
    """Are there whole numbers, and do they become such of 64 bits, or stay what they are?

    Raises:
        NoKernelError: the work is known for real numbers only.

    """
    if work.inputs[0].dtype.kind not in "iu":
        return False
    known = work.kind in WHOLE_REDUCTIONS or work.kind in ("cumsum", "cumprod")
    if not known or (work.outputs[0].dtype != np.int64 and work.kind not in ("max", "min")):
        raise NoKernelError
    return True


# -- one number from each row ----------------------------------------------------------------------
REDUCTIONS: dict[str, Routine] = {
    "max": kernels.row_max, "min": kernels.row_min, "prod": kernels.row_prod,
    "logsumexp": kernels.row_logsumexp, "argmax": kernels.row_argmax, "argmin": kernels.row_argmin,
}  # fmt: skip
WHOLE_REDUCTIONS: dict[str, Routine] = {
    "max": whole.row_max, "min": whole.row_min, "prod": whole.row_prod,
    "argmax": whole.row_argmax, "argmin": whole.row_argmin,
}  # fmt: skip
"""The same for whole numbers."""


def emit_reduction(places: Places, work: Work) -> None:
    """One number from each row."""
    numbers = _are_whole(work)
    if not numbers:
        _require_reals(work)
    rows = rows_of(places, work.inputs[0], work.attrs["axis"])
    out = places.put(work.outputs[0], rows.reduced(work.outputs[0])).memory
    kernel = (WHOLE_REDUCTIONS if numbers else REDUCTIONS)[work.kind]
    call = kernel.on(Y=out, X=rows.place.memory, N=rows.length, lo=LO, hi=HI)
    each = LONG if work.kind == "logsumexp" else 2
    places.program.add_each(work, out, rows.count, rows.length * each, call)


# -- one row from each row -------------------------------------------------------------------------
def emit_winner(places: Places, work: Work) -> None:
    """1 at the first largest or smallest, else 0."""
    kernel = kernels.first_largest if work.attrs["largest"] else kernels.first_smallest
    _row_by_row(places, work, kernel, 3)


def emit_softmax(places: Places, work: Work) -> None:
    """Softmax along an axis."""
    _row_by_row(places, work, softmax, LONG)


def emit_log_softmax(places: Places, work: Work) -> None:
    """Its logarithm."""
    _row_by_row(places, work, kernels.log_softmax, LONG)


def _row_by_row(places: Places, work: Work, kernel: Routine, each: int) -> None:
    _require_reals(work)
    rows = rows_of(places, work.inputs[0], work.attrs["axis"])
    out = places.put(work.outputs[0], rows.place.layout).memory
    call = kernel.on(Y=out, X=rows.place.memory, N=rows.length, lo=LO, hi=HI)
    places.program.add_each(work, out, rows.count, rows.length * each, call)


def emit_argsort(places: Places, work: Work) -> None:
    """Indices that sort along an axis."""
    _require_reals(work)
    rows = rows_of(places, work.inputs[0], work.attrs["axis"])
    out = places.put(work.outputs[0], rows.place.layout).memory
    other = places.program.memory("order", out.size, "Int")
    call = kernels.argsort.on(Y=out, T=other, X=rows.place.memory, N=rows.length, lo=LO, hi=HI)
    each = 8 * rows.length * rows.length.bit_length()
    places.program.add_each(work, out, rows.count, each, call)


# -- losses of rows --------------------------------------------------------------------------------
def emit_one_hot(places: Places, work: Work) -> None:
    """1 at each label, else 0."""
    labels, made = work.inputs[0], work.outputs[0]
    if made.size == 0 or made.dtype not in (places.program.real, np.int64, bool):
        raise NoKernelError
    which = places.as_layout(labels, row_major(labels.shape)).memory
    out = places.put(made, row_major(made.shape)).memory
    classes = made.shape[-1]
    one, zero = ("1.0", "0.0") if made.dtype.kind == "f" else ("1", "0")
    mark = f"select(label == n, {one}, {zero})"
    if made.dtype.kind == "f":
        mark = f"select((label < 0) | (label >= N), NAN, {mark})"
    body = [
        "for r in range(lo, hi):",
        "    y, label = Y + r * N, labels[r]",
        "    for n in lanes(N):",
        f"        y[n] = {mark}",
    ]
    kinds = {"Y": TYPES[out.kind], "labels": "Ints", "N": "Int"}
    doc = "1 at each label, else 0; of a label that is no class a row of NaN, or of 0."
    kernel = written(places.program, "one_hot", kinds, doc, body)
    call = kernel.on(Y=out, labels=which, N=classes, lo=LO, hi=HI)
    places.program.add_each(work, out, labels.size, classes, call)


def emit_cross_entropies(places: Places, work: Work) -> None:
    """The cross-entropy of each row, from labels or from probabilities."""
    logits, goal = work.inputs
    if logits.size == 0:
        raise NoKernelError
    classes = logits.shape[-1]
    here = places.as_layout(logits, row_major(logits.shape)).memory
    other = places.as_layout(goal, row_major(goal.shape)).memory
    out = places.put(work.outputs[0], row_major(work.outputs[0].shape)).memory
    rest: dict[str, Operand] = {"N": classes, "lo": LO, "hi": HI}
    if work.kind == "cross_entropy":
        call = kernels.row_cross_entropy.on(Y=out, X=here, labels=other, **rest)
    else:
        scratch = Scratch(classes)
        call = kernels.row_soft_cross_entropy.on(Y=out, X=here, T=other, scratch=scratch, **rest)
    places.program.add_each(work, out, logits.size // classes, classes * LONG, call)


# -- running sums ----------------------------------------------------------------------------------
def emit_running(places: Places, work: Work) -> None:
    """A running sum, product or recurrence along an axis."""
    numbers = _are_whole(work)
    if not numbers:
        _require_reals(work)
    made = work.outputs[0]
    axis = work.attrs["axis"] % len(made.shape)
    outer, N, inner = prod(made.shape[:axis]), made.shape[axis], prod(made.shape[axis + 1 :])
    here = [places.as_layout(x, row_major(x.shape)).memory for x in work.inputs]
    out = places.put(made, row_major(made.shape)).memory
    kernel = _running(places.program, work.kind, TYPES[out.kind])
    operands = dict(zip("xb", here, strict=False))
    call = kernel.on(y=out, **operands, N=N, inner=inner, lo=LO, hi=HI)
    places.program.add_each(work, out, outer, 2 * N * inner, call)


def _running(program: Program, kind: str, numbers: str) -> Written:
    """The kernel of a running sum, product or recurrence of numbers of a kind."""
    first, then = RUNNING[kind]
    arrays = ("y", "x", "b") if kind == "recurrence" else ("y", "x")
    body = [
        "for r in range(lo, hi):",
        *(f"    {name}_r = {name} + r * N * inner" for name in arrays),
        "    for i in lanes(inner):",
        f"        y_r[i] = {first}",
        "    for k in range(1, N):",
        *(f"        {name}_k = {name}_r + k * inner" for name in arrays),
        "        before = y_r + (k - 1) * inner",
        "        for i in lanes(inner):",
        f"            y_k[i] = {then}",
    ]
    given = {**dict.fromkeys(arrays, numbers), "N": "Int", "inner": "Int"}
    doc = f"{kind} along the middle axis of (outer, N, inner) arrays, in NumPy's order."
    return written(program, kind, given, doc, body)


RUNNING = {
    "cumsum": ("x_r[i]", "before[i] + x_k[i]"),
    "cumprod": ("x_r[i]", "before[i] * x_k[i]"),
    "recurrence": ("b_r[i]", "x_k[i] * before[i] + b_k[i]"),
}
"""Kind of work -> the first number of an axis, and each of the others from the one before it."""

KERNELS = {
    **dict.fromkeys(REDUCTIONS, emit_reduction),
    **dict.fromkeys(RUNNING, emit_running),
    **dict.fromkeys(("cross_entropy", "soft_cross_entropy"), emit_cross_entropies),
    "winner": emit_winner,
    "argsort": emit_argsort,
    "softmax": emit_softmax,
    "log_softmax": emit_log_softmax,
    "one_hot": emit_one_hot,
}
"""Kind of work -> what makes its tasks."""
