"""Tasks as text: the one place where calls, their operands and their pieces are written.

What the machine itself names in a step begins with an underscore; memory and kernels that were
written for the program begin with a letter. So no name of a user's can meet one of the machine's.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from allbps.machine.kernels.team import barrier, first_piece, next_piece
from allbps.machine.language.calls import Call, Finite
from allbps.machine.language.operands import (
    HI,
    ITEM,
    LO,
    PIECE,
    At,
    Memory,
    Number,
    Operand,
    Operation,
    Scratch,
    Variable,
    Whole,
)
from allbps.machine.language.words import Kernel, Word
from allbps.machine.language.written import Written
from allbps.machine.works.tasks import Cut, Task

FEW = 4
"""Tasks that are asked for one after the other, the largest first."""
FEWEST_SHARES = 8
"""Pieces of a task that is worth dealing out by examples."""


class Imports:
    """What a text uses of other modules, by the name it has there."""

    def __init__(self) -> None:
        self._source: dict[str, tuple[str, str]] = {}

    def name(self, what: Any) -> str:
        """The name in the text of a kernel, a word, or a function of Python's."""
        if isinstance(what, Written):
            return what.name
        function = what.function if isinstance(what, (Kernel, Word)) else what
        source = function.__module__, function.__name__
        name = f"_{function.__name__}"
        while self._source.setdefault(name, source) != source:
            name = f"{name}_"
        return name

    def plain(self, module: str, name: str) -> str:
        """A word of kernels, which keeps its own name."""
        self._source[name] = f"allbps.machine.{module}", name
        return name

    def lines(self) -> Iterator[str]:
        """The lines that import all of it."""
        by_module: dict[str, list[str]] = {}
        for name, (module, own) in sorted(self._source.items()):
            by_module.setdefault(module, []).append(own if own == name else f"{own} as {name}")
        for module, names in sorted(by_module.items()):
            yield f"from {module} import {', '.join(names)}"


class Printer:
    """Writes tasks, and remembers what their text needs to import."""

    def __init__(self) -> None:
        self.imports = Imports()

    def word(self, what: Any, *arguments: object) -> str:
        """A call of a word of the language, a kernel, or a function of Python's."""
        return f"{self.imports.name(what)}({', '.join(map(str, arguments))})"

    def region(self, region: Sequence[Task]) -> Iterator[str]:
        """The pieces of all tasks of a region, handed out one after the other, then a barrier."""
        tasks = sorted(region, key=lambda task: -task.flops)
        pieces = sum(task.cut.pieces for task in tasks)
        for task in tasks:
            yield f"# {task.label}"  # no line numbers: an edit elsewhere must not recompile
        if pieces == 1:
            yield "if _tid == 0:"
            yield from indented(self._piece(tasks[0], "0"))
        else:
            who = "_tid", "_threads", pieces
            yield f"_piece = {self.word(first_piece, '_team', *who)}"
            yield f"while _piece < {pieces}:"
            yield from indented(self._alike(tasks))
            yield f"    _piece = {self.word(next_piece, '_team', '_piece', *who)}"
        yield self.barrier()

    def barrier(self) -> str:
        """Wait for all threads."""
        return self.word(barrier, "_team", "_threads")

    def _alike(self, tasks: Sequence[Task]) -> Iterator[str]:
        """Lines that do piece ``_piece`` of all tasks.

        Those that are cut alike go side by side, a share of each after a share of each, so that a
        thread does the same examples in all of them; the others follow.
        """
        shares = _shares(tasks)
        alike = [task for task in tasks if shares and task.cut.pieces % shares == 0]
        if len(alike) < 2:
            yield from self._dispatch(tasks, "_piece")
            return
        each = sum(task.cut.pieces for task in alike) // shares
        rest = [task for task in tasks if task not in alike]
        lines = self._dispatch(alike, f"_piece % {each}", shares, f"_piece // {each}")
        if not rest:
            yield from lines
            return
        yield f"if _piece < {each * shares}:"
        yield from indented(lines)
        yield "else:"
        yield from indented(self._dispatch(rest, f"_piece - {each * shares}"))

    def _dispatch(
        self, tasks: Sequence[Task], at: str, shares: int = 1, share: str = "0", start: int = 0
    ) -> Iterator[str]:
        """Lines that do piece ``at`` of share ``share`` of tasks, whose first has number ``start``.

        By halves, so that many tasks are not a long chain of questions.
        """
        if len(tasks) == 1:
            here = f"{at} - {start}" if start else at
            each = tasks[0].cut.pieces // shares
            number = here if shares == 1 else share if each == 1 else f"{share} * {each} + {here}"
            yield from self._piece(tasks[0], number)
            return
        half = (len(tasks) + 1) // 2 if len(tasks) > FEW else 1
        middle = start + sum(task.cut.pieces for task in tasks[:half]) // shares
        yield f"if {at} < {middle}:"
        yield from indented(self._dispatch(tasks[:half], at, shares, share, start))
        yield "else:"
        yield from indented(self._dispatch(tasks[half:], at, shares, share, middle))

    def _piece(self, task: Task, number: str) -> Iterator[str]:
        """One piece: its number, its items, and its calls."""
        used = frozenset().union(*(call.variables for call in task.calls))
        yield f"{written(PIECE)} = {number}"
        if used & {LO, HI, ITEM}:
            yield f"{written(LO)}, {written(HI)} = {self._bounds(task.cut)}"
        for call in task.calls:
            yield from self._call(call)

    def _bounds(self, cut: Cut) -> str:
        p, count, pieces = written(PIECE), written(cut.count), cut.pieces
        if pieces == 1:
            return f"0, {count}"
        if cut.block > 1:
            assert isinstance(cut.count, int)
            blocks, size = -(-cut.count // cut.block), cut.block
            end = self.word(builtins.min, f"({p} + 1) * {blocks} // {pieces} * {size}", count)
            return f"{p} * {blocks} // {pieces} * {size}, {end}"
        if isinstance(cut.count, int) and cut.count % pieces == 0:
            each = cut.count // pieces
            return f"{p} * {each}, {p} * {each} + {each}"
        return f"{p} * {count} // {pieces}, ({p} + 1) * {count} // {pieces}"

    def _call(self, call: Call) -> Iterator[str]:
        line = self.word(call.kernel, *map(written, call.arguments.values()))
        if ITEM in call.variables:
            items = self.word(builtins.range, written(LO), written(HI))
            yield f"for {written(ITEM)} in {items}:"
            line = f"    {line}"
        if call.conditions:
            yield f"if {' and '.join(map(condition, call.conditions))}:"
            line = f"    {line}"
        yield line


def _shares(tasks: Sequence[Task]) -> int:
    """Into how many shares the pieces of the larger tasks fall; 0 where all have few."""
    return min((n for task in tasks if (n := task.cut.pieces) >= FEWEST_SHARES), default=0)


def written(operand: Operand) -> str:
    """An operand in the text of a step."""
    match operand:
        case Variable(name):
            text = f"_{name}"
        case Operation(left, sign, right):
            text = f"{_closed(left, sign)} {sign} {_closed(right, sign, right=True)}"
        case Memory(name=name):
            text = name
        case At(memory, start):
            text = f"{memory.name} + {_closed(start, '*')}"
        case Number(memory, at):
            text = f"{memory.name}[{at}]"
        case Scratch(first=first, start=start):
            behind = [written(x) for x in (first, start) if x != 0]
            text = f"_scratch + ({' + '.join(behind)})" if behind else "_scratch"
        case _:
            text = repr(operand)
    return text


def _closed(number: Whole | int, sign: str, *, right: bool = False) -> str:
    """A whole number beside a sign, in parentheses where it needs them."""
    weak = isinstance(number, Operation) and number.sign in "+-"
    needs = isinstance(number, Operation) and (right or (weak and sign not in "+-"))
    return f"({written(number)})" if needs else written(number)


def condition(holds: Finite) -> str:
    """A condition in the text of a step."""
    name = holds.number.name
    return f"{name}[0] - {name}[0] == 0.0"


def indented(lines: Iterable[str]) -> Iterator[str]:
    """The lines one level deeper."""
    return (f"    {line}" if line else "" for line in lines)
