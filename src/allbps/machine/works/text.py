"""The text of generated kernels: arrays, indices, and what is computed for one element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from allbps.machine.language.written import Written
from allbps.machine.planning.loops import operand, scalar_kind
from allbps.machine.planning.plan import Value, Work
from allbps.machine.planning.scalar import (
    BOOL,
    INT,
    VOCABULARY,
    Scalar,
    as_kind,
    as_real,
    number,
    scalar_of,
    whole_number,
    wrapped,
)
from allbps.machine.works.tasks import Cut, Program

TYPES = {"Real": "Reals", "Int": "Ints", "Byte": "Bytes"}


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

    @property
    def target(self) -> str:
        """Its element there, to assign to; an innermost loop over one that stays is one turn."""
        step = self.strides[-1]
        return f"{self.name}_r[{'i' if step in (0, 1) else f'i * {step}'}]"

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


def over(
    lengths: Sequence[int], bare: Sequence[Array], read: Sequence[Array], lines: Sequence[str]
) -> tuple[list[str], Cut]:
    """The text of independent loops, and how their turns are cut.

    Args:
        lengths: of the loops.
        bare: arrays whose rows are found, and not read from before.
        read: arrays that are read.
        lines: what the innermost loop does.

    """
    names, decode = indices_of(lengths, "r")
    find = [array.at_row(names)[0] for array in bare]
    find += [line for array in read for line in array.at_row(names)]
    inner, many = lengths[-1], len(lengths) > 1
    if many:
        body = [
            "for r in range(lo, hi):",
            *(f"    {line}" for line in (*decode, *find)),
            f"    for i in lanes({inner}):",
            *(f"        {line}" for line in lines),
        ]
    else:
        body = [*find, "for i in lanes(lo, hi):", *(f"    {line}" for line in lines)]
    count, each = (prod(lengths[:-1]), inner) if many else (inner, 1)
    return body, Cut.of(count, each * max(len(lines), 1))


def compute(
    steps: Sequence[Work], start: Mapping[Value, Scalar]
) -> tuple[list[str], dict[Value, Scalar]]:
    """Lines that do the steps for one element, and the name of each result."""
    known = dict(start)
    lines = []
    for k, step in enumerate(steps):
        operands = [element_of(value, known) for value in step.inputs]
        if step.kind in ("broadcast_to", "identity"):
            known[step.outputs[0]] = as_kind(operands[0], scalar_kind(step.outputs[0]))
            continue
        assert step.node is not None
        found = scalar_of(step.node, operands)
        kind = scalar_kind(step.outputs[0])
        code = found.code if found.kind == kind else as_real(found)
        if kind == INT:
            code = wrapped(code, step.outputs[0].dtype)
        lines.append(f"t{k} = {code}")
        known[step.outputs[0]] = operand(step.outputs[0], f"t{k}")
    return lines, known


def element_of(value: Value, known: Mapping[Value, Scalar]) -> Scalar:
    """An element that has been worked out, or is the same everywhere."""
    if value in known:
        return known[value]
    uniform = value.uniform
    assert uniform is not None
    if value.dtype.kind == "i":
        return whole_number(int(np.asarray(value.constant).flat[0]))
    return number(uniform)


def written(
    program: Program,
    wish: str,
    arguments: Mapping[str, str],
    doc: str,
    body: Sequence[str],
    *,
    reorder: bool = False,
) -> Written:
    """A kernel with this body over items ``lo`` to ``hi``; layers of one size share theirs.

    Args:
        program: where it goes.
        wish: what it is called if it is new.
        arguments: names and kinds.
        doc: what it computes.
        body: its lines.
        reorder: may sums be added up in another order?

    """
    given = ", ".join(f"{arg}: {kind}" for arg, kind in {**arguments, **BOUNDS}.items())
    head = "@kernel(reorder=True)" if reorder else "@kernel"
    lines = "\n".join(f"    {line}" for line in body)
    key = f"{head}({given})\n{lines}"
    if key not in program.written:
        name = program.names.fresh(wish)
        text = f'{head}\ndef {name}({given}) -> None:\n    """{doc}"""\n{lines}\n'
        program.written[key] = Written(name, text, VOCABULARY)
    return program.written[key]


BOUNDS = {"lo": "Int", "hi": "Int"}


def kinds_of(work: Work) -> str:
    """The operations of a loop."""
    return ", ".join(step.kind for step in work.steps or (work,)) + "."


def doc_of(work: Work) -> str:
    """What a loop computes, as names and operations."""
    made = ", ".join(v.name for v in work.outputs if v.name)
    return f"{made}: {kinds_of(work)}" if made else kinds_of(work)
