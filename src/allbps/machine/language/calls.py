"""Calls of kernels as objects: checked against the kernel's signature when they are made.

What a call reads, writes and needs follows from it: the memory that it is given, and what the
kernel does with that (see :mod:`.effects`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from allbps.machine.language.effects import effects
from allbps.machine.language.errors import KernelError
from allbps.machine.language.operands import (
    At,
    Memory,
    Number,
    Operand,
    Operation,
    Scratch,
    Variable,
    Whole,
)
from allbps.machine.language.syntax import kinds
from allbps.machine.language.words import POINTEES, Routine

T = TypeVar("T")


@dataclass(frozen=True)
class Finite:
    """A condition: a number in memory, which is a loss, is finite."""

    number: Memory


@dataclass(frozen=True)
class Call:
    """A call of a kernel.

    Attributes:
        kernel: what is called.
        arguments: its operands, in the order of its signature.
        conditions: all must hold, or the call is not made.

    """

    kernel: Routine
    arguments: Mapping[str, Operand]
    conditions: tuple[Finite, ...] = ()

    def when(self, *conditions: Finite) -> Call:
        """The same call, made only if some conditions hold."""
        return replace(self, conditions=(*self.conditions, *conditions))

    @cached_property
    def reads(self) -> tuple[Memory, ...]:
        """The memory that it reads."""
        numbers = [x.memory for x in self.arguments.values() if isinstance(x, Number)]
        conditions = [condition.number for condition in self.conditions]
        return once((*self._blocks(effects(self.kernel).reads), *numbers, *conditions))

    @cached_property
    def writes(self) -> tuple[Memory, ...]:
        """The memory that it writes."""
        return once(self._blocks(effects(self.kernel).writes))

    @property
    def blocks(self) -> tuple[Memory, ...]:
        """All memory that it names."""
        return once((*self._blocks(self.arguments), *self.reads))

    @property
    def scratch(self) -> int:
        """How many Reals of scratch memory it needs."""
        return max((x.end for x in self.arguments.values() if isinstance(x, Scratch)), default=0)

    @cached_property
    def variables(self) -> frozenset[Variable]:
        """The variables of the step's text that it needs."""
        starts = [x.start if isinstance(x, (At, Scratch)) else x for x in self.arguments.values()]
        return frozenset().union(*map(_variables, starts))

    def _blocks(self, names: Iterable[str]) -> list[Memory]:
        given = [self.arguments[name] for name in self.arguments if name in names]
        return [m for m in map(_memory, given) if m is not None]


def call_of(kernel: Routine, arguments: Mapping[str, Operand]) -> Call:
    """A call, checked.

    Raises:
        KernelError: an argument is missing, unknown or of another kind.

    """
    wanted = kinds(kernel)
    for verb, names in (
        ("needs", wanted.keys() - arguments.keys()),
        ("has no", arguments.keys() - wanted.keys()),
    ):
        if names:
            raise KernelError(f"{kernel.name} {verb} {', '.join(sorted(names))}")
    for name, kind in wanted.items():
        if kind not in kinds_of(arguments[name]):
            given = arguments[name]
            raise KernelError(f"{kernel.name}: {name} is {kind}, but {given!r} was given")
    return Call(kernel, {name: arguments[name] for name in wanted})


def kinds_of(operand: Operand) -> frozenset[str]:
    """The kinds of arguments that an operand can be given for."""
    memory = _memory(operand)
    if memory is not None:
        return frozenset(kind for kind, element in POINTEES.items() if element == memory.kind)
    if isinstance(operand, Number):
        return frozenset((operand.memory.kind,))
    return next(found for kind, found in PLAIN.items() if isinstance(operand, kind))


PLAIN = {
    bool: frozenset(("Bool",)),
    int: frozenset(("Int", "Real", "Double")),
    float: frozenset(("Real", "Double")),
    Whole: frozenset(("Int",)),
    Scratch: frozenset(("Reals",)),
}
"""Type of an operand -> the kinds of arguments it can be given for; the first that fits counts."""


def once(items: Iterable[T]) -> tuple[T, ...]:
    """The items, each once, in order."""
    return tuple(dict.fromkeys(items))


def _memory(operand: Operand) -> Memory | None:
    if isinstance(operand, At):
        return operand.memory
    return operand if isinstance(operand, Memory) else None


def _variables(number: object) -> frozenset[Variable]:
    match number:
        case Variable():
            return frozenset((number,))
        case Operation(left, _, right):
            return _variables(left) | _variables(right)
    return frozenset()
