"""How an operation is written as mathematics, with the parentheses it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Precedence(IntEnum):
    """How tightly a formula binds; an operand that binds less gets parentheses.

    An atom is what a power may be taken of; only a plain letter also takes an index.
    """

    SUM = 1
    NEGATION = 2
    PRODUCT = 3
    POWER = 4
    ATOM = 5
    LETTER = 6


@dataclass(frozen=True)
class Formula:
    """A piece of mathematics that can stand inside another.

    ``format(formula, "3")`` puts it in parentheses unless it binds at least as tightly as a
    product, so a template says what each place needs: ``"{a:3} ⊙ {b:3}"``.

    >>> f"{Formula('a + b', Precedence.SUM):3} ⊙ c"
    '(a + b) ⊙ c'

    Attributes:
        text: in Unicode.
        precedence: how tightly it binds.
        shape: of the array it stands for.
        is_number: is it a numeral, rather than letters?
        op: name of the operation that made it; empty for a name or a number.

    """

    text: str
    precedence: Precedence = Precedence.ATOM
    shape: tuple[int, ...] = ()
    is_number: bool = False
    op: str = ""

    def __format__(self, spec: str) -> str:
        if spec and self.precedence < int(spec):
            return f"({self.text})"
        return self.text

    def factor(self, *ops: str) -> str:
        """As part of a product, which only products made by ``ops`` join without parentheses."""
        return f"{self:3}" if self.op in ops else f"{self:4}"


Template = str | Callable[..., str | Formula]
"""A ``str.format`` template over the operands and attributes, or a function of them. One that gives
a Formula decides about parentheses itself, or says that the operation is not written at all."""


@dataclass(frozen=True)
class Notation:
    """The mathematics of an operation.

    Attributes:
        text: template in Unicode: ``"{a:1} + {b:1}"``, over operand names and attributes.
        precedence: how tightly the whole binds.
        latex: the same in LaTeX, where the Unicode text translated sign by sign would not do.

    """

    text: Template
    precedence: Precedence = Precedence.ATOM
    latex: Template | None = None

    def render(
        self, template: Template, operands: Mapping[str, Any], attrs: Mapping[str, Any]
    ) -> str | Formula:
        """Fill ``template`` (this notation's text or its LaTeX) with formulas."""
        if isinstance(template, str):
            return template.format(**operands, **attrs)
        return template(**operands, **attrs)
