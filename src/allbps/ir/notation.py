"""How an operation is written as mathematics, with the parentheses it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Precedence(IntEnum):
    """How tightly a formula binds; an operand that binds less gets parentheses."""

    SUM = 1
    NEGATION = 2
    PRODUCT = 3
    POWER = 4
    ATOM = 5


@dataclass(frozen=True)
class Formula:
    """A piece of mathematics that can stand inside another.

    ``format(formula, "3")`` puts it in parentheses unless it binds at least as tightly as a
    product, so a template says what each place needs: ``"{a:3} ⊙ {b:3}"``.

    >>> f"{Formula('a + b', Precedence.SUM):3} ⊙ c"
    '(a + b) ⊙ c'
    """

    text: str
    precedence: Precedence = Precedence.ATOM
    shape: tuple[int, ...] = ()
    is_number: bool = False

    def __format__(self, spec: str) -> str:
        if spec and self.precedence < int(spec):
            return f"({self.text})"
        return self.text


Template = str | Callable[..., str]
"""A ``str.format`` template over the operands and attributes, or a function of them."""


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

    def render(self, template: Template, operands: dict[str, Any], attrs: dict[str, Any]) -> str:
        """Fill ``template`` (this notation's text or its LaTeX) with formulas."""
        if isinstance(template, str):
            return template.format(**operands, **attrs)
        return template(**operands, **attrs)
