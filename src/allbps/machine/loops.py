"""Loops over elements and sums over axes, written as kernels of their own.

All arrays of a loop are walked in the order of its result's memory. Axes that lie the same way in
all of them become one; what is left is a nest whose innermost loop is dense.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .fusion import operand, scalar_kind, summed_axes
from .layout import Layout, Run, common_refinement, row_major
from .places import Places, memories
from .plan import Value, Work
from .scalar import BOOL, INT, WORDS, Scalar, as_real, number, scalar_of
from .tasks import Place, Program, Task, bounds, line_of, moved, pieces_for

TYPES = {"Real": "Reals", "Int": "Ints", "Byte": "Bytes"}


class NoLoopError(Exception):
    """These arrays cannot be walked in one nest of loops."""


@dataclass(frozen=True)
class Nest:
    """A nest of loops over several arrays.

    Attributes:
        lengths: of the loops, outermost first.
        strides: for each array, how far one turn of each loop moves in it.

    """

    lengths: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]

    @property
    def rows(self) -> int:
        """Turns of all loops but the innermost."""
        return int(np.prod(self.lengths[:-1], dtype=np.int64))


def nest_of(shape: Sequence[int], layouts: Sequence[Layout], leading: int = 0) -> Nest:
    """The loops that walk arrays broadcast to ``shape``, in the order of the first one's memory.

    Args:
        shape: what is walked.
        layouts: of the arrays; their axes are counted from the last.
        leading: the array whose memory gives the order.

    Raises:
        NoLoopError: the arrays are cut up in ways that do not fit.

    """
    axes = []
    for axis in range(len(shape)):
        runs: list[list[Run]] = []
        for layout in layouts:
            own = axis - (len(shape) - len(layout.axes))
            dims = layout.axes[own] if own >= 0 else ()
            runs.append([(layout.dims[d], layout.strides[d]) for d in dims])
        axes.append(runs)
    return nest_of_runs(axes, leading) if shape else Nest((1,), ((0,),) * len(layouts))


def nest_of_runs(axes: Sequence[Sequence[Sequence[Run]]], leading: int = 0) -> Nest:
    """The same from the runs of each array along each axis.

    Raises:
        NoLoopError: the arrays are cut up in ways that do not fit.

    """
    count = len(axes[0]) if axes else 2
    loops: list[tuple[int, tuple[int, ...]]] = []
    for runs in axes:
        cut = common_refinement(runs)
        if cut is None:
            raise NoLoopError
        pieces = zip(*cut, strict=True) if any(runs) else ()
        loops += [(piece[0][0], tuple(stride for _, stride in piece)) for piece in pieces]
    loops.sort(key=lambda loop: -loop[1][leading])
    joined: list[tuple[int, tuple[int, ...]]] = []
    for length, strides in loops:
        if joined and all(s == length * t for s, t in zip(joined[-1][1], strides, strict=True)):
            joined[-1] = (joined[-1][0] * length, strides)
        else:
            joined.append((length, strides))
    lengths = tuple(length for length, _ in joined) or (1,)
    columns = tuple(strides for _, strides in joined) or ((0,) * count,)
    return Nest(lengths, tuple(zip(*columns, strict=True)))


# -- text ------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Array:
    """An array in the text of a loop: its name there, its element kind, its strides."""

    name: str
    kind: str
    strides: tuple[int, ...]

    def element(self, inner: str) -> Scalar:
        """Its element at the innermost loop's variable; a number that stays is read before."""
        if self.strides[-1] == 0:
            return Scalar(f"{self.name}_1", self.kind, simple=True)
        step = inner if self.strides[-1] == 1 else f"{inner} * {self.strides[-1]}"
        return self._read(f"{self.name}_r[{step}]")

    def _read(self, code: str) -> Scalar:
        return Scalar(f"{code} != 0", BOOL) if self.kind == BOOL else Scalar(code, self.kind, True)

    def at_row(self, indices: Sequence[str]) -> list[str]:
        """Lines that find its row, and read what does not change along it."""
        parts = [
            f"{index} * {stride}" if stride != 1 else index
            for index, stride in zip(indices, self.strides, strict=False)
            if stride
        ]
        place = " + ".join(parts)
        lines = [f"{self.name}_r = {self.name}" + (f" + ({place})" if place else "")]
        if self.strides[-1] == 0:
            lines.append(f"{self.name}_1 = {self._read(f'{self.name}_r[0]').code}")
        return lines


def indices_of(lengths: Sequence[int], row: str) -> tuple[list[str], list[str]]:
    """Names of the loop variables of all but the innermost loop, and lines that set them."""
    if len(lengths) <= 1:
        return [], []
    if len(lengths) == 2:
        return [row], []
    names = [f"i{k}" for k in range(len(lengths) - 1)]
    lines, inner = [], 1
    for name, length in zip(names[::-1], lengths[-2::-1], strict=True):
        whole = f"{row} // {inner}" if inner > 1 else row
        lines.append(f"{name} = {whole} % {length}" if name != "i0" else f"{name} = {whole}")
        inner *= length
    return names, lines


def compute(
    steps: Sequence[Work], start: Mapping[Value, Scalar]
) -> tuple[list[str], dict[Value, Scalar]]:
    """Lines that do the steps for one element, and the name of each result."""
    known = dict(start)
    lines = []
    for k, step in enumerate(steps):
        operands = [_operand(value, known) for value in step.inputs]
        if step.kind in ("broadcast_to", "identity"):
            known[step.outputs[0]] = operands[0]
            continue
        assert step.node is not None
        found = scalar_of(step.node, operands)
        kind = scalar_kind(step.outputs[0])
        code = found.code if found.kind == kind else as_real(found)
        lines.append(f"t{k} = {code}")
        known[step.outputs[0]] = operand(step.outputs[0], f"t{k}")
    return lines, known


def _operand(value: Value, known: Mapping[Value, Scalar]) -> Scalar:
    if value in known:
        return known[value]
    uniform = value.uniform
    assert uniform is not None
    return number(uniform)


def function_text(
    name: str, arguments: Sequence[tuple[str, str]], doc: str, body: Sequence[str], reorder: bool
) -> str:
    """The text of a kernel."""
    given = ", ".join(f"{arg}: {kind}" for arg, kind in arguments)
    head = "@kernel(reorder=True)" if reorder else "@kernel"
    lines = "\n".join(f"    {line}" for line in body)
    return f'{head}\ndef {name}({given}) -> None:\n    """{doc}"""\n{lines}\n'


def use_words(program: Program, lines: Sequence[str]) -> None:
    """Import the words and formulas that lines of a loop use."""
    text = "\n".join(lines)
    for module, names in WORDS.items():
        for name in names:
            if f"{name}(" in text or (name.isupper() and name in text):
                program.use(module, name)


# -- loops -----------------------------------------------------------------------------------------
def arrays_read(work: Work) -> list[Value]:
    """The inputs that lie in memory: all but constants of one number."""
    return [value for value in work.inputs if value.uniform is None]


def doc_of(work: Work) -> str:
    """What a loop computes, as names and operations."""
    steps = work.steps or (work,)
    made = ", ".join(v.name for v in work.outputs if v.name)
    words = ", ".join(step.kind for step in steps)
    return f"{made}: {words}." if made else f"{words}."


def emit_loop(program: Program, places: Places, work: Work) -> None:
    """A loop as a task."""
    shape = work.outputs[0].shape
    inputs = arrays_read(work)
    here = [places.strided(value) for value in inputs]
    dense = (p.layout for v, p in zip(inputs, here, strict=True) if v.shape == shape and p.whole)
    layout = next(dense, row_major(shape))
    nest = nest_of(shape, [layout, *(p.layout for p in here)])
    outs = [places.put(value, layout) for value in work.outputs]
    add_loop(program, work, nest, list(zip(inputs, here, strict=True)),
             list(zip(work.outputs, outs, strict=True)))  # fmt: skip


def add_loop(
    program: Program,
    work: Work,
    nest: Nest,
    inputs: Sequence[tuple[Value, Place]],
    outputs: Sequence[tuple[Value, Place]],
) -> None:
    """Write the kernel of a loop, and a task that calls it.

    Args:
        program: where they go.
        work: what is computed.
        nest: the loops; the first array is the result.
        inputs: values and where they lie.
        outputs: the same for the results.

    """
    read = [
        Array(f"x{k}", scalar_kind(value), nest.strides[k + 1])
        for k, (value, _) in enumerate(inputs)
    ]
    many = len(nest.lengths) > 1
    start = {v: a.element("i") for (v, _), a in zip(inputs, read, strict=True)}
    lines, known = compute(work.steps, start)
    for k, (value, _) in enumerate(outputs):
        code = known[value].code
        code = f"select({code}, 1, 0)" if scalar_kind(value) == BOOL else code
        step = nest.strides[0][-1]
        lines.append(f"y{k}_r[{'i' if step in (0, 1) else f'i * {step}'}] = {code}")
    written = [Array(f"y{k}", "", nest.strides[0]) for k in range(len(outputs))]
    names, decode = indices_of(nest.lengths, "r")
    find = [line for array in (*written, *read) for line in array.at_row(names)]
    inner = nest.lengths[-1]
    if many:
        body = [
            "for r in range(lo, hi):",
            *(f"    {line}" for line in (*decode, *find)),
            f"    for i in lanes({inner}):",
            *(f"        {line}" for line in lines),
        ]
    else:
        body = [*find, "for i in lanes(lo, hi):", *(f"    {line}" for line in lines)]
    use_words(program, body)
    count, each = (nest.rows, inner) if many else (inner, 1)
    pieces = pieces_for(count, each * max(len(lines), 1))
    label = outputs[0][0].name or "loop"
    name = program.names.fresh(f"{label}_loop")
    arguments = [(f"y{k}", TYPES[p.memory.kind]) for k, (_, p) in enumerate(outputs)]
    arguments += [(f"x{k}", TYPES[p.memory.kind]) for k, (_, p) in enumerate(inputs)]
    program.functions[name] = function_text(
        name, [*arguments, ("lo", "Int"), ("hi", "Int")], doc_of(work), body, reorder=False
    )
    call = f"{name}({', '.join(p.pointer for _, p in (*outputs, *inputs))}, lo, hi)"
    program.tasks.append(
        Task(
            doc_of(work), pieces, (*bounds(count, pieces), call),
            reads=memories(p for _, p in inputs), writes=memories(p for _, p in outputs),
            flops=len(lines) * int(np.prod(nest.lengths)),
            traffic=moved((*work.inputs, *work.outputs)),
            site=line_of(work),
        )
    )  # fmt: skip


def add_copy(program: Program, places: Places, value: Value, here: Place, layout: Layout) -> Place:
    """A task that copies a value into another layout."""
    block = program.memory(f"{here.memory.name}_copy", layout.size, here.memory.kind)
    there = Place(block, layout)
    nest = nest_of(value.shape, [layout, here.layout])
    if here.memory.kind == "Real" and _is_transposition(nest):
        add_transposition(program, nest, here, there)
        return there
    step = Work("identity", (value,), (value,))
    work = Work("loop", (value,), (value,), steps=(step,))
    add_loop(program, work, nest, [(value, here)], [(value, there)])
    return there


def _is_transposition(nest: Nest) -> bool:
    """Two loops: the inner one is dense in the copy, the outer one in what is copied."""
    if len(nest.lengths) != 2:
        return False
    (outer, inner), source = nest.lengths, nest.strides[1]
    return source[0] == 1 and source[1] >= outer and nest.strides[0] == (inner, 1)


def add_transposition(program: Program, nest: Nest, here: Place, there: Place) -> None:
    """A task that transposes a matrix in squares."""
    program.use("kernels.gemm", "transpose")
    rows, columns = nest.lengths
    pieces = pieces_for(rows, columns * 4)
    call = (
        f"transpose({there.memory.name}, {columns}, {here.pointer}, {nest.strides[1][1]}, "
        f"{columns}, lo, hi)"
    )
    program.tasks.append(
        Task(
            f"{here.memory.name} transposed", pieces, (*bounds(rows, pieces), call),
            (here.memory,), (there.memory,), traffic=2 * rows * columns,
        )
    )  # fmt: skip


# -- sums ------------------------------------------------------------------------------------------
def emit_sum(program: Program, places: Places, work: Work) -> None:
    """A sum or mean over axes, of an array or of what a loop would make."""
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
    _Sum(program, work, nest, list(zip(inputs, here, strict=True)), out, scale).emit()


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
        self.read = [
            Array(f"x{k}", scalar_kind(value), nest.strides[k + 2])
            for k, (value, _) in enumerate(inputs)
        ]
        start = {v: a.element("i") for (v, _), a in zip(inputs, self.read, strict=True)}
        steps = (work.steps or (work,))[:-1]
        self.lines, known = compute(steps, start)
        source = (work.steps or (work,))[-1].inputs[0]
        self.summand = (
            as_real(known[source]) if source in known else number(source.uniform or 0.0).code
        )

    def emit(self) -> None:
        """Sum along the innermost loop, or over rows."""
        summed = [stride == 0 for stride in self.nest.strides[1]]
        if all(summed):
            self._everything()
        elif summed[-1]:
            self._along_rows(summed)
        else:
            self._over_rows(summed)

    def _name(self) -> str:
        return self.program.names.fresh(f"{self.work.outputs[0].name or 'sum'}_sum")

    def _function(self, name: str, body: list[str]) -> None:
        use_words(self.program, body)
        arguments = [("y", "Reals")]
        arguments += [(f"x{k}", TYPES[p.memory.kind]) for k, (_, p) in enumerate(self.inputs)]
        self.program.functions[name] = function_text(
            name, [*arguments, ("lo", "Int"), ("hi", "Int")], doc_of(self.work), body, reorder=True
        )

    def _task(self, name: str, pieces: int, count: int, target: str, writes: Place) -> None:
        blocks = ", ".join([target, *(p.memory.name for _, p in self.inputs)])
        self.program.tasks.append(
            Task(
                doc_of(self.work), pieces, (*bounds(count, pieces), f"{name}({blocks}, lo, hi)"),
                reads=memories(p for _, p in self.inputs), writes=(writes.memory,),
                flops=(len(self.lines) + 1) * int(np.prod(self.nest.lengths)),
                traffic=moved(self.work.inputs), site=line_of(self.work),
            )
        )  # fmt: skip

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
            body = ["total = 0.0", "for r in range(lo, hi):",
                    *(f"    {line}" for line in (*decode, *self._find(names))),
                    f"    for i in lanes({inner}, interleave=4):",
                    *(f"        {line}" for line in loop)]  # fmt: skip
        else:
            count, each = inner, 1
            body = ["total = 0.0", *self._find(names), "for i in lanes(lo, hi, interleave=4):",
                    *(f"    {line}" for line in loop)]  # fmt: skip
        body.append(f"y[0] = {self._scaled('total')}")
        name = self._name()
        self._function(name, body)
        pieces = pieces_for(count, each * len(loop))
        if pieces == 1:
            self._task(name, 1, count, self.out.memory.name, self.out)
            return
        self._partials(name, pieces, count, 1)

    def _partials(self, name: str, pieces: int, count: int, width: int) -> None:
        label = f"{self.out.memory.name}_parts"
        parts = self.program.memory(label, pieces * width)
        at = f"{parts.name} + p * {width}" if width > 1 else f"{parts.name} + p"
        self._task(name, pieces, count, at, Place(parts, row_major((pieces * width,))))
        self.program.use("kernels.reduce", "combine")
        call = f"combine({self.out.memory.name}, {parts.name}, {width}, {pieces}, 0, {width})"
        self.program.tasks.append(
            Task(
                f"{self.out.memory.name}: sum of {pieces} partial results",
                1,
                (call,),
                reads=(parts,),
                writes=(self.out.memory,),
                flops=pieces * width,
                traffic=pieces * width,
            )
        )

    def _along_rows(self, summed: list[bool]) -> None:
        """The innermost loop is summed over: one result for each turn of the kept loops."""
        kept = [k for k, gone in enumerate(summed) if not gone]
        gone = [k for k, is_gone in enumerate(summed[:-1]) if is_gone]
        order = [*kept, *gone, len(summed) - 1]
        self._permute(order)
        lengths = self.nest.lengths
        rows = int(np.prod([lengths[k] for k in range(len(kept))], dtype=np.int64))
        names, decode = indices_of([*lengths[: len(kept)], 0], "r")
        more = [f"j{k}" for k in range(len(gone))]
        body = ["for r in range(lo, hi):", *(f"    {line}" for line in decode), "    total = 0.0"]
        depth = "    "
        for k, variable in enumerate(more):
            body.append(f"{depth}for {variable} in range({lengths[len(kept) + k]}):")
            depth += "    "
        body += [f"{depth}{line}" for line in self._find([*names, *more])]
        body.append(f"{depth}for i in lanes({lengths[-1]}):")
        body += [f"{depth}    {line}" for line in (*self.lines, f"total += {self.summand}")]
        target = Array("y", "", (*self.nest.strides[1][: len(kept)], 0)).at_row(names)[0]
        body += [f"    {target}", f"    y_r[0] = {self._scaled('total')}"]
        name = self._name()
        self._function(name, body)
        each = int(np.prod(lengths, dtype=np.int64)) // max(rows, 1)
        self._task(name, pieces_for(rows, each * (len(self.lines) + 1)), rows,
                   self.out.memory.name, self.out)  # fmt: skip

    def _over_rows(self, summed: list[bool]) -> None:
        """The innermost loop is kept: rows are added to each other, in partial results."""
        gone = [k for k, is_gone in enumerate(summed) if is_gone]
        kept = [k for k, is_gone in enumerate(summed[:-1]) if not is_gone]
        self._permute([*gone, *kept, len(summed) - 1])
        lengths = self.nest.lengths
        rows = int(np.prod([lengths[k] for k in range(len(gone))], dtype=np.int64))
        width, inner = self.out.layout.size, lengths[-1]
        names, decode = indices_of([*lengths[: len(gone)], 0], "r")
        more = [f"j{k}" for k in range(len(kept))]
        strides = self.nest.strides[1][len(gone) :]
        body = [f"for i in lanes({width}):", "    y[i] = 0.0", "for r in range(lo, hi):",
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
        name = self._name()
        self._function(name, body)
        each = int(np.prod(lengths, dtype=np.int64)) // max(rows, 1)
        pieces = pieces_for(rows, each * (len(self.lines) + 1))
        if pieces == 1:
            self._task(name, 1, rows, self.out.memory.name, self.out)
        else:
            self._partials(name, pieces, rows, width)

    def _permute(self, order: list[int]) -> None:
        """Put the loops into another order; the arrays' strides follow."""
        self.nest = Nest(
            tuple(self.nest.lengths[k] for k in order),
            tuple(tuple(strides[k] for k in order) for strides in self.nest.strides),
        )
        self.read = [Array(a.name, a.kind, tuple(a.strides[k] for k in order)) for a in self.read]


def uses_integers(work: Work) -> bool:
    """Does a loop write integers, which only NumPy does here?"""
    return any(scalar_kind(value) == INT for value in work.outputs)
