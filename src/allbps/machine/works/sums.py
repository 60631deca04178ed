"""Sums and means over axes, of an array or of what a loop would make, as kernels of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from allbps.machine.language.operands import HI, LO
from allbps.machine.planning.layout import Layout, row_major
from allbps.machine.planning.loops import scalar_kind
from allbps.machine.planning.plan import Value, Work
from allbps.machine.planning.scalar import as_real, as_whole
from allbps.machine.planning.sums import SUMS, summed_axes
from allbps.machine.works.loops import arrays_read
from allbps.machine.works.nests import Nest, nest_of
from allbps.machine.works.places import Places
from allbps.machine.works.tasks import ONCE, Cut, NoKernelError, Place, Program, partial
from allbps.machine.works.text import (
    TYPES,
    Array,
    compute,
    doc_of,
    element_of,
    indices_of,
    kinds_of,
    written,
)


def emit_sum(places: Places, work: Work) -> None:
    """A sum or mean over axes, of an array or of what a loop would make."""
    if work.outputs[0].dtype not in (places.program.real, np.int64):
        raise NoKernelError
    total = (work.steps or (work,))[-1]
    source = total.inputs[0]
    inputs = arrays_read(work)
    here = [places.of(value) for value in inputs]
    axes = summed_axes(total)
    order = next(
        (p.layout for v, p in zip(inputs, here, strict=True) if v.shape == source.shape),
        row_major(source.shape),
    )
    kept_layout = _kept(order, axes)
    result = work.outputs[0]
    left = [axis for k, axis in enumerate(kept_layout.axes) if k not in axes and axis]
    squeezed = Layout(kept_layout.dims, tuple(left.pop(0) if n != 1 else () for n in result.shape))
    out = places.put(result, squeezed)
    layouts = [order, kept_layout, *(p.layout for p in here)]
    nest = nest_of(source.shape, layouts)
    scale = 1.0 if total.kind == "sum" else result.size / max(source.size, 1)
    _Sum(places.program, work, nest, list(zip(inputs, here, strict=True)), out, scale).emit()


def _kept(order: Layout, axes: Sequence[int]) -> Layout:
    """What is left of a layout when axes are summed over: these become length 1."""
    gone = {d for k in axes for d in order.axes[k]}
    kept = [d for d in range(len(order.dims)) if d not in gone]
    return Layout(
        tuple(order.dims[d] for d in kept),
        tuple(
            () if k in axes else tuple(kept.index(d) for d in order.axes[k])
            for k in range(len(order.axes))
        ),
    )


class _Sum:
    """One sum on its way to tasks.

    Strides: 0 is the order of memory, 1 the result (0 along what is summed over), then the inputs.
    """

    def __init__(self, program: Program, work: Work, nest: Nest,
                 inputs: list[tuple[Value, Place]], out: Place, scale: float) -> None:  # fmt: skip
        self.program, self.work, self.nest, self.inputs = program, work, nest, inputs
        self.out, self.scale = out, scale
        self.whole = out.memory.kind == "Int"
        self.zero = "0" if self.whole else "0.0"
        self.read = [
            Array(f"x{k}", scalar_kind(value), nest.strides[k + 2])
            for k, (value, _) in enumerate(inputs)
        ]
        start = {v: a.element("i") for (v, _), a in zip(inputs, self.read, strict=True)}
        steps = (work.steps or (work,))[:-1]
        self.lines, known = compute(steps, start)
        source = (work.steps or (work,))[-1].inputs[0]
        summand = element_of(source, known)
        self.summand = as_whole(summand) if self.whole else as_real(summand)

    def emit(self) -> None:
        """Sum along the innermost loop, or over rows."""
        summed = [stride == 0 for stride in self.nest.strides[1]]
        if all(summed):
            self._everything()
        elif summed[-1]:
            self._along_rows(summed)
        else:
            self._over_rows(summed)

    def _add(self, body: list[str], cut: Cut, width: int = 0) -> None:
        """A kernel and a task that calls it; with ``width`` each piece makes a partial result."""
        wish = f"{self.work.outputs[0].name or 'sum'}_sum"
        blocks = {f"x{k}": place.memory for k, (_, place) in enumerate(self.inputs)}
        memories = {"y": self.out.memory, **blocks}
        kinds = {name: TYPES[block.kind] for name, block in memories.items()}
        kernel = written(self.program, wish, kinds, kinds_of(self.work), body, reorder=True)
        out = self.out.memory
        if self.whole and width:  # partial results are Reals
            cut = replace(cut, pieces=1)
        parts = partial(self.program, out.name, width, cut if width else ONCE, into=out)
        self.program.add(
            doc_of(self.work), cut, kernel.on(y=parts.own, **blocks, lo=LO, hi=HI),
            flops=(len(self.lines) + 1) * prod(self.nest.lengths),
            traffic=sum(x.size for x in self.work.inputs), work=self.work,
        )  # fmt: skip
        parts.combine(self.program, (out, 0, width))

    def _find(self, names: Sequence[str]) -> list[str]:
        return [line for array in self.read for line in array.at_row(names)]

    def _scaled(self, code: str) -> str:
        return code if self.scale == 1.0 else f"{code} * {self.scale!r}"

    def _everything(self) -> None:
        """All to one number: a partial result for each piece, then their sum."""
        many = len(self.nest.lengths) > 1
        inner = self.nest.lengths[-1]
        names, decode = indices_of(self.nest.lengths, "r")
        loop = [*self.lines, f"total += {self.summand}"]
        if many:
            count, each = self.nest.rows, inner
            body = [f"total = {self.zero}", "for r in range(lo, hi):",
                    *(f"    {line}" for line in (*decode, *self._find(names))),
                    f"    for i in lanes({inner}, interleave=4):",
                    *(f"        {line}" for line in loop)]  # fmt: skip
        else:
            count, each = inner, 1
            body = [f"total = {self.zero}", *self._find(names),
                    "for i in lanes(lo, hi, interleave=4):",
                    *(f"    {line}" for line in loop)]  # fmt: skip
        body.append(f"y[0] = {self._scaled('total')}")
        self._add(body, Cut.of(count, each * len(loop)), width=1)

    def _along_rows(self, summed: list[bool]) -> None:
        """The innermost loop is summed over: one result for each turn of the kept loops."""
        kept = [k for k, gone in enumerate(summed) if not gone]
        gone = [k for k, is_gone in enumerate(summed[:-1]) if is_gone]
        order = [*kept, *gone, len(summed) - 1]
        self._permute(order)
        lengths = self.nest.lengths
        rows = prod(lengths[: len(kept)])
        names, decode = indices_of([*lengths[: len(kept)], 0], "r")
        more = [f"j{k}" for k in range(len(gone))]
        body = ["for r in range(lo, hi):", *(f"    {line}" for line in decode),
                f"    total = {self.zero}"]  # fmt: skip
        depth = "    "
        for k, variable in enumerate(more):
            body.append(f"{depth}for {variable} in range({lengths[len(kept) + k]}):")
            depth += "    "
        body += [f"{depth}{line}" for line in self._find([*names, *more])]
        body.append(f"{depth}for i in lanes({lengths[-1]}):")
        body += [f"{depth}    {line}" for line in (*self.lines, f"total += {self.summand}")]
        target = Array("y", "", (*self.nest.strides[1][: len(kept)], 0)).at_row(names)[0]
        body += [f"    {target}", f"    y_r[0] = {self._scaled('total')}"]
        self._add(body, self._rows(rows))

    def _over_rows(self, summed: list[bool]) -> None:
        """The innermost loop is kept: rows are added to each other, in partial results."""
        gone = [k for k, is_gone in enumerate(summed) if is_gone]
        kept = [k for k, is_gone in enumerate(summed[:-1]) if not is_gone]
        self._permute([*gone, *kept, len(summed) - 1])
        lengths = self.nest.lengths
        rows = prod(lengths[: len(gone)])
        width, inner = self.out.layout.size, lengths[-1]
        names, decode = indices_of([*lengths[: len(gone)], 0], "r")
        more = [f"j{k}" for k in range(len(kept))]
        strides = self.nest.strides[1][len(gone) :]
        body = [f"for i in lanes({width}):", f"    y[i] = {self.zero}", "for r in range(lo, hi):",
                *(f"    {line}" for line in decode)]  # fmt: skip
        depth = "    "
        for k, variable in enumerate(more):
            body.append(f"{depth}for {variable} in range({lengths[len(gone) + k]}):")
            depth += "    "
        body += [f"{depth}{line}" for line in self._find([*names, *more])]
        body.append(f"{depth}{Array('y', '', strides).at_row(more)[0]}")
        body.append(f"{depth}for i in lanes({inner}):")
        body += [f"{depth}    {line}" for line in (*self.lines, f"y_r[i] += {self.summand}")]
        if self.scale != 1.0:
            body += [f"for i in lanes({width}):", f"    y[i] *= {self.scale!r}"]
        self._add(body, self._rows(rows), width)

    def _rows(self, rows: int) -> Cut:
        """So many rows in pieces."""
        each = prod(self.nest.lengths) // max(rows, 1)
        return Cut.of(rows, each * (len(self.lines) + 1))

    def _permute(self, order: list[int]) -> None:
        """Put the loops into another order; the arrays' strides follow."""
        self.nest = Nest(
            tuple(self.nest.lengths[k] for k in order),
            tuple(tuple(strides[k] for k in order) for strides in self.nest.strides),
        )
        self.read = [Array(a.name, a.kind, tuple(a.strides[k] for k in order)) for a in self.read]


KERNELS = dict.fromkeys(SUMS, emit_sum)
"""Kind of work -> what makes its tasks."""
