"""Tasks: what a step does, cut into pieces that any thread may do, and the memory they touch."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.machine.planning.layout import Layout, Shape
from allbps.machine.planning.plan import Value, Work
from allbps.machine.planning.windows import window

_COUNTERS = ("t", "tid", "threads", "team", "a", "i", "p", "lo", "hi", "piece", "head", "examples")
_OTHERS = (
    "once", "step", "order", "losses", "done", "scratch", "rates", "clock", "kernel", "delta",
)  # fmt: skip
RESERVED = frozenset((*_COUNTERS, *_OTHERS, "real", "select", "lanes", "double"))
"""Names that the generated source uses itself."""


@dataclass(eq=False)
class Memory:
    """A block of numbers.

    Attributes:
        name: a variable's name in the generated source.
        size: how many numbers.
        kind: Real, Int, Byte or Double.
        kept: does it hold something between steps (parameters, arguments, constants, results)?
        start: numbers to fill it with once, if any.

    """

    name: str
    size: int
    kind: str = "Real"
    kept: bool = False
    start: NDArray[Any] | None = None


@dataclass(frozen=True)
class Place:
    """Where a value lies: a block of memory, how its axes lie in it, and where it begins."""

    memory: Memory
    layout: Layout
    start: int = 0

    @property
    def pointer(self) -> str:
        """Its first element in source."""
        return f"{self.memory.name} + {self.start}" if self.start else self.memory.name

    @property
    def whole(self) -> bool:
        """Is it all of its block, and not a part cut out of it?"""
        return self.start == 0 and self.layout.steps is None

    def window(self, parts: Sequence[Any]) -> Place | None:
        """The part that an index picks, left there; None where an axis is scattered in memory."""
        found = window(self.layout, parts)
        return found and Place(self.memory, found[0], self.start + found[1])


@dataclass(frozen=True)
class Rows:
    """A result made row by row: piece p makes rows p·count // pieces to (p+1)·count // pieces.

    Attributes:
        count, width: rows, and numbers in each.
        into: source of a piece, given what points at row 0.

    """

    count: int
    width: int
    into: Callable[[str], tuple[str, ...]]


@dataclass(eq=False)
class Task:
    """Part of a step whose pieces may run at once.

    Attributes:
        label: what it does, for people.
        pieces: how many there are; a function of shapes alone, so that no bit depends on threads.
        lines: source of one piece, ``p`` being its number.
        reads, writes: the memory it touches.
        flops, traffic: arithmetic operations, and numbers moved.
        call: instead of source, a Python function: an operation without a kernel.
        after: memory whose writers must be done, though it is not read.
        rows: how the pieces make the result, where each makes whole rows of it.

    """

    label: str
    pieces: int
    lines: tuple[str, ...]
    reads: tuple[Memory, ...]
    writes: tuple[Memory, ...]
    flops: int = 0
    traffic: int = 0
    call: Callable[[], None] | None = None
    after: tuple[Memory, ...] = ()
    site: str = ""
    region: int = -1
    rows: Rows | None = None


class Names:
    """Hands out identifiers that are not taken."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self._last: dict[str, int] = {}  # the number last tried behind each word

    def fresh(self, wish: str) -> str:
        """``wish`` as an identifier, with a number behind it if it is taken."""
        word = re.sub(r"\W", "_", wish.encode("ascii", "replace").decode()).strip("_") or "t"
        if word[0].isdigit() or keyword.iskeyword(word) or word in RESERVED:
            word = f"v_{word}"
        name, k = word, self._last.get(word, 1)
        while name in self.taken:
            k += 1
            name = f"{word}_{k}"
        self._last[word] = k
        self.taken.add(name)
        return name


@dataclass
class Program:
    """Everything that the generated source is made of.

    Attributes:
        real: the dtype of its numbers.
        memories: every block of memory.
        tasks: in an order in which they can be done.
        functions: generated kernels, text by name.
        shared: names of generated kernels by all that tells them apart.
        imports: kernels and words that the source uses: name -> module.
        scratch: Reals of scratch memory for each thread.
        convolution: how 3×3 convolutions are done: "direct", "winograd", or "auto".

    """

    real: np.dtype[Any]
    memories: list[Memory] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    functions: dict[str, str] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    scratch: int = 0
    convolution: str = "auto"
    names: Names = field(default_factory=Names)

    def memory(self, name: str, size: int, kind: str = "Real", **more: Any) -> Memory:
        """A new block."""
        block = Memory(self.names.fresh(name), max(int(size), 1), kind, **more)
        self.memories.append(block)
        return block

    def use(self, module: str, *names: str) -> None:
        """Import kernels; ``module`` is relative to the machine."""
        for name in names:
            self.imports[name] = module
            self.names.taken.add(name)

    def dtype(self, memory: Memory) -> np.dtype[Any]:
        """What a block is made of."""
        other: dict[str, np.dtype[Any]] = {
            "Int": np.dtype(np.int64),
            "Byte": np.dtype(np.uint8),
            "Double": np.dtype(np.float64),
        }
        return other.get(memory.kind, self.real)


def kind_of(dtype: np.dtype[Any]) -> str:
    """The kind of memory for a dtype."""
    return {"b": "Byte", "u": "Byte", "i": "Int"}.get(dtype.kind, "Real")


def pieces_for(count: int, each: int) -> int:
    """Into how many pieces to cut ``count`` items of ``each`` operations: at most 32."""
    return max(1, min(32, count, count * max(each, 1) // 16384))


def bounds(count: int, pieces: int) -> tuple[str, ...]:
    """Lines that set ``lo`` and ``hi`` for piece ``p`` of ``count`` items."""
    if pieces == 1:
        return (f"lo, hi = 0, {count}",)
    if count % pieces == 0:
        each = count // pieces
        return (f"lo, hi = p * {each}, p * {each} + {each}",)
    return (f"lo, hi = p * {count} // {pieces}, (p + 1) * {count} // {pieces}",)


def line_of(work: Work) -> str:
    """The user's line behind a work."""
    return f"line {work.site.line}" if work.site is not None else ""


def moved(values: Iterable[Value]) -> int:
    """Numbers read or written by a work on these values."""
    return sum(value.size for value in values)


def shown(shape: Shape) -> str:
    """A shape for a comment."""
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
