"""How an operation is written as mathematics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from allbps.mathematics import Math, filled, parse

Template = str | Callable[..., Math]
"""Mathematics over operands and attributes: in the compact notation of ``allbps.mathematics``, or a
function of them that gives a tree."""


def spelled(template: Template, values: Mapping[str, Any]) -> Math:
    """A template with formulas for its operands and numbers for its attributes."""
    return filled(parse(template), values) if isinstance(template, str) else template(**values)


@dataclass(frozen=True)
class Notation:
    """The mathematics of an operation.

    Attributes:
        template: over operand names and attributes: ``"{a} + {b}"``.
        numerals: how the value is printed where it is not an array of numbers: of the value, the
            operands' shapes and the attributes, an array of texts.
        meaning: writes what a word of the template stands for, from the same operands, or None;
            said wherever a formula has it.
        marked: which numbers of the first operand decide the value, as a mask: of the operands'
            values and the attributes.

    """

    template: Template
    numerals: Callable[..., Any] | None = None
    meaning: Callable[..., Math | None] | None = None
    marked: Callable[..., Any] | None = None

    def explained(self, operands: Mapping[str, Any], attrs: Mapping[str, Any]) -> Math | None:
        """What a word of it stands for; None where it has none that needs it."""
        return self.meaning(**operands, **attrs) if self.meaning is not None else None

    def write(self, operands: Mapping[str, Any], attrs: Mapping[str, Any]) -> Math:
        """Fill it with formulas."""
        return spelled(self.template, {**operands, **attrs})
