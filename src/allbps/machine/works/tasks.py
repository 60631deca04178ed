"""Tasks: what a step does, cut into pieces that any thread may do, as calls of kernels."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from allbps.machine.kernels.reduce import combine
from allbps.machine.language.calls import Call, once
from allbps.machine.language.operands import HI, LO, PIECE, Memory, Pointer, Whole
from allbps.machine.language.written import Written
from allbps.machine.planning.layout import Layout
from allbps.machine.planning.plan import Work
from allbps.machine.planning.scalar import VOCABULARY
from allbps.machine.planning.windows import window

MOST_PIECES = 32
WORTH_A_PIECE = 16384
"""Operations that pay for handing out a piece."""


class NoKernelError(Exception):
    """No kernel does this work; raised before memory is given to any of its results."""


@dataclass(frozen=True)
class Place:
    """Where a value lies: a block of memory, how its axes lie in it, and where it begins."""

    memory: Memory
    layout: Layout
    start: int = 0

    @property
    def pointer(self) -> Pointer:
        """Its first element."""
        return self.memory + self.start if self.start else self.memory

    @property
    def whole(self) -> bool:
        """Is it all of its block, and not a part cut out of it?"""
        return self.start == 0 and self.layout.steps is None

    def window(self, parts: Sequence[Any]) -> Place | None:
        """The part that an index picks, left there; None where an axis is scattered in memory."""
        found = window(self.layout, parts)
        return found and Place(self.memory, found[0], self.start + found[1])


@dataclass(frozen=True)
class Cut:
    """Items cut into pieces: a function of shapes alone, so that no bit depends on threads.

    Attributes:
        count: how many items there are.
        pieces: into how many pieces they are cut.
        block: pieces begin at multiples of it.

    """

    count: int | Whole
    pieces: int
    block: int = 1

    @classmethod
    def of(cls, count: int, each: int, block: int = 1) -> Cut:
        """Pieces for ``count`` items of ``each`` operations.

        >>> Cut.of(100, each=1000)
        Cut(count=100, pieces=6, block=1)

        """
        blocks, work = -(-count // block), count * max(each, 1)
        pieces = max(1, min(MOST_PIECES, blocks, work // WORTH_A_PIECE))
        return cls(count, pieces, block if pieces > 1 else 1)


ONCE = Cut(1, 1)
"""All of it in one piece."""


@dataclass(frozen=True)
class Rows:
    """A result made row by row: each piece of the task makes whole rows of it.

    Attributes:
        count: how many.
        pieces: into how many pieces they are cut.
        width: numbers in each.
        into: the calls of a piece, given what points at row 0.
        finer: the same in so many pieces, where there may be more of them.

    """

    count: int
    pieces: int
    width: int
    into: Callable[[Pointer], tuple[Call, ...]]
    finer: Callable[[int], Rows] | None = None

    @property
    def cut(self) -> Cut:
        """The rows in pieces."""
        return Cut(self.count, self.pieces)

    @property
    def most(self) -> int:
        """Numbers of the largest piece."""
        return -(-self.count // self.pieces) * self.width

    def within(self, most: int) -> Rows | None:
        """The same in pieces of at most so many numbers, where that can be."""
        if self.most <= most:
            return self
        rows = most // self.width
        return self.finer(-(-self.count // rows)) if rows and self.finer is not None else None


@dataclass(frozen=True)
class Stretch:
    """What belongs to each row in a block of memory: ``width`` numbers, row 0 at ``start``."""

    start: int
    width: int

    @classmethod
    def of(
        cls, rows: int, lengths: Sequence[int], strides: Sequence[int], start: int = 0
    ) -> Stretch | None:
        """That of an array in a nest of loops whose first is cut into ``rows``; None for a mess."""
        each = lengths[0] // rows
        width = strides[0] * each
        if width <= 0 or min(strides) < 0:
            return None
        last = (each - 1) * strides[0]
        last += sum((n - 1) * step for n, step in zip(lengths[1:], strides[1:], strict=True))
        inside = start % width
        return cls(start - inside, width) if inside + last < width else None

    def by_row_with(self, other: Stretch, rows: int) -> bool:
        """Do rows of the one and the other meet only where they have the same number?"""
        before = self.start + rows * self.width <= other.start
        behind = other.start + rows * other.width <= self.start
        return self == other or before or behind


@dataclass(frozen=True)
class ByRow:
    """A task whose rows can be done one by one: the calls for rows LO..HI.

    Attributes:
        calls: they.
        own: memory of which each row has a stretch of its own; all else is read as a whole.

    """

    calls: tuple[Call, ...]
    own: Mapping[Memory, Stretch]


def owned(stretches: Iterable[tuple[Memory, Stretch | None]]) -> dict[Memory, Stretch]:
    """The memory of which each row has one stretch of its own."""
    found: dict[Memory, set[Stretch | None]] = {}
    for memory, stretch in stretches:
        found.setdefault(memory, set()).add(stretch)
    return {
        memory: stretch
        for memory, (stretch, *more) in found.items()
        if stretch is not None and not more
    }


@dataclass(frozen=True)
class InPython:
    """An operation without a kernel: a Python function, and the memory that it touches."""

    run: Callable[[], None]
    reads: tuple[Memory, ...]
    writes: tuple[Memory, ...]


@dataclass(eq=False)
class Task:
    """Part of a step whose pieces may run at once.

    Attributes:
        label: what it does, for people.
        cut: its pieces.
        calls: what a piece does, in order.
        flops, traffic: arithmetic operations, and numbers moved.
        site: the user's line behind it.
        rows: how the pieces make the result, where each makes whole rows of it.
        python: instead of calls, a Python function.
        by_row: the same cut into so many rows, where that can be done.
        small_rows: how many rows it has, if it is a product so small that waiting shows.
        joined: the tasks that it is made of, each row of which it takes through all of them.

    """

    label: str
    cut: Cut
    calls: tuple[Call, ...]
    flops: int = 0
    traffic: int = 0
    site: str = ""
    rows: Rows | None = None
    python: InPython | None = None
    by_row: Callable[[int], ByRow | None] | None = None
    small_rows: int = 0
    joined: tuple[Task, ...] = ()

    @cached_property
    def reads(self) -> tuple[Memory, ...]:
        """The memory that it reads."""
        return once(m for part in self._parts for m in part.reads)

    @cached_property
    def writes(self) -> tuple[Memory, ...]:
        """The memory that it writes."""
        return once(m for part in self._parts for m in part.writes)

    @cached_property
    def blocks(self) -> tuple[Memory, ...]:
        """All memory that it names, whether or not it looks at it."""
        return once((*(m for call in self.calls for m in call.blocks), *self.reads, *self.writes))

    @property
    def _parts(self) -> Sequence[Call | InPython]:
        return self.calls if self.python is None else (self.python,)


class Names:
    """Hands out identifiers that are not taken; each begins with a letter and ends with none `_`.

    What the machine itself calls something in a step begins with an underscore, so the two never
    meet.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._last: dict[str, int] = {}  # the number last tried behind each word

    def fresh(self, wish: str) -> str:
        """``wish`` as an identifier, with a number behind it if it is taken."""
        word = re.sub(r"\W", "_", wish.encode("ascii", "replace").decode()).strip("_") or "t"
        if not word[0].isalpha() or keyword.iskeyword(word):
            word = f"v_{word}"
        name, k = word, self._last.get(word, 1)
        while name in self._taken:
            k += 1
            name = f"{word}_{k}"
        self._last[word] = k
        self._taken.add(name)
        return name


@dataclass
class Program:
    """Everything that a step is made of.

    Attributes:
        real: the dtype of its numbers.
        convolution: how 3×3 convolutions are done: "direct", "winograd", or "auto".
        memories: every block of memory.
        tasks: in an order in which they can be done.
        written: kernels of its own, by all that tells them apart.
        names: of memory and kernels; none is a word that the text of a kernel may use.

    """

    real: np.dtype[Any]
    convolution: str = "auto"
    memories: list[Memory] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    written: dict[str, Written] = field(default_factory=dict)
    names: Names = field(default_factory=lambda: Names(VOCABULARY))

    def memory(self, name: str, size: int, kind: str = "Real", **more: Any) -> Memory:
        """A new block."""
        block = Memory(self.names.fresh(name), max(int(size), 1), kind, **more)
        self.memories.append(block)
        return block

    def add(
        self,
        label: str,
        cut: Cut,
        *calls: Call,
        flops: int = 0,
        traffic: int | None = None,
        work: Work | None = None,
        rows: Rows | None = None,
        python: InPython | None = None,
        site: str = "",
        by_row: Callable[[int], ByRow | None] | None = None,
        small_rows: int = 0,
    ) -> None:
        """A task; what it moves and its line are those of ``work``, where there is one."""
        if traffic is None:
            values = (*work.inputs, *work.outputs) if work is not None else ()
            traffic = sum(value.size for value in values)
        if work is not None and work.site is not None:
            site = f"line {work.site.line}"
        self.tasks.append(
            Task(label, cut, calls, flops, traffic, site, rows, python, by_row, small_rows)
        )

    def add_each(self, work: Work, out: Memory, count: int, each: int, call: Call) -> None:
        """A call for ``count`` items of ``each`` operations, under the name of what it makes."""
        label = f"{out.name} = {work.kind}({', '.join(x.name or '…' for x in work.inputs)})"
        self.add(label, Cut.of(count, each), call, flops=each * count, work=work)

    @property
    def scratch(self) -> int:
        """Reals of scratch memory for each thread."""
        return max((call.scratch for task in self.tasks for call in task.calls), default=0)

    def dtype(self, memory: Memory) -> np.dtype[Any]:
        """What a block is made of."""
        return DTYPES.get(memory.kind, self.real)


DTYPES: dict[str, np.dtype[Any]] = {
    "Int": np.dtype(np.int64),
    "Byte": np.dtype(np.uint8),
    "Double": np.dtype(np.float64),
}
"""Kind of memory -> its dtype, but for Reals."""


def kind_of(dtype: np.dtype[Any]) -> str:
    """The kind of memory for a dtype."""
    return {"b": "Byte", "S": "Byte", "i": "Int", "u": "Int"}.get(dtype.kind, "Real")


@dataclass(frozen=True)
class Partial:
    """Partial results, one for each piece of a task, and how they are put together.

    Attributes:
        memory: all of them, one behind the other.
        width: numbers of each.
        count: how many there are.

    """

    memory: Memory
    width: int
    count: int

    @property
    def own(self) -> Pointer:
        """Where a piece puts its own."""
        return self.memory + PIECE * self.width if self.count > 1 else self.memory

    def combine(
        self, program: Program, *results: tuple[Memory, int, int], work: Work | None = None
    ) -> None:
        """A task that adds them in order, if they are not the result already.

        Args:
            program: where it goes.
            results: blocks, each with where its numbers begin in a partial result, and how many.
            work: what is computed.

        """
        one = len(results) == 1
        if one and results[0][0] is self.memory:
            return
        cut = Cut.of(self.width, self.count) if one else ONCE
        calls = [
            combine.on(
                out=out, partials=self.memory + first if first else self.memory,
                stride=self.width, count=self.count, lo=LO if one else 0, hi=HI if one else length,
            )
            for out, first, length in results
        ]  # fmt: skip
        label = f"{', '.join(out.name for out, *_ in results)}: sum of {self.count} partial results"
        size = self.width * self.count
        program.add(label, cut, *calls, flops=size, traffic=size, work=work)


def partial(
    program: Program, name: str, width: int, cut: Cut, into: Memory | None = None
) -> Partial:
    """Memory for partial results of ``width`` numbers of the pieces of a task.

    Where there is one piece, and what it makes is all of the result, that is ``into``.
    """
    if into is not None and cut.pieces == 1:
        return Partial(into, width, 1)
    return Partial(program.memory(f"{name}_parts", cut.pieces * width), width, cut.pieces)
