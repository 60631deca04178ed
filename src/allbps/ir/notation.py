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

    """

    template: Template
    numerals: Callable[..., Any] | None = None

    def write(self, operands: Mapping[str, Any], attrs: Mapping[str, Any]) -> Math:
        """Fill it with formulas."""
        return spelled(self.template, {**operands, **attrs})
