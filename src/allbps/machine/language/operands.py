"""What a call of a kernel is given: blocks of memory, places in them, and whole numbers.

Numbers that are known only while a step runs (which piece it is, where it begins) are variables of
the step's text; sums and products of them are small trees. Nothing here is text: that is written
at the end, in one place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from numpy.typing import NDArray


@dataclass(frozen=True)
class Whole:
    """A whole number that is known while a step runs."""

    def __add__(self, other: Whole | int) -> Whole:
        return self if other == 0 else Operation(self, "+", other)

    def __sub__(self, other: Whole | int) -> Whole:
        return self if other == 0 else Operation(self, "-", other)

    def __mul__(self, other: Whole | int) -> Whole:
        return self if other == 1 else Operation(self, "*", other)

    def __floordiv__(self, other: Whole | int) -> Whole:
        return self if other == 1 else Operation(self, "//", other)

    def __mod__(self, other: Whole | int) -> Whole:
        return Operation(self, "%", other)


@dataclass(frozen=True)
class Variable(Whole):
    """A variable of the step's text."""

    name: str


@dataclass(frozen=True)
class Operation(Whole):
    """Two whole numbers and a sign between them."""

    left: Whole | int
    sign: str
    right: Whole | int


PIECE = Variable("p")
"""The number of a piece of work."""
LO, HI = Variable("lo"), Variable("hi")
"""Its items: from lo to below hi."""
ITEM = Variable("item")
"""One of its items: a call that is given this is made for each of them."""


@dataclass(eq=False)
class Memory:
    """A block of numbers.

    Attributes:
        name: a variable's name in the generated source.
        size: how many numbers.
        kind: Real, Int, Byte or Double.
        kept: does it hold something between steps (parameters, arguments, constants, results)?
        start: numbers to fill it with once, if any.
        shared: do tasks that write it write places of their own, so that none waits for another?

    """

    name: str
    size: int
    kind: str = "Real"
    kept: bool = False
    start: NDArray[Any] | None = None
    shared: bool = False

    def __add__(self, start: Whole | int) -> At:
        return At(self, start)


@dataclass(frozen=True)
class At:
    """A place in a block of memory."""

    memory: Memory
    start: Whole | int

    def __add__(self, more: Whole | int) -> At:
        if isinstance(self.start, int) and not isinstance(more, int):
            return At(self.memory, more + self.start)
        return At(self.memory, self.start + more)  # type: ignore[operator]


@dataclass(frozen=True)
class Scratch:
    """Memory of the thread that makes the call, behind what comes ``first``: so many Reals."""

    size: int
    first: int = 0
    start: Whole | int = 0

    @property
    def end(self) -> int:
        """How much of it is needed in all."""
        return self.first + self.size

    def __add__(self, more: Whole | int) -> Scratch:
        assert self.start == 0
        return Scratch(self.size, self.first, more)


@dataclass(frozen=True)
class Number:
    """A number that is read from memory."""

    memory: Memory
    at: int = 0


RATES = Memory("_rates", 0, kept=True)
"""The row of the table of rates that belongs to a step."""

Pointer: TypeAlias = Memory | At | Scratch
Operand: TypeAlias = Pointer | Whole | Number | int | float
