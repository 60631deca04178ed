"""The compact notation in which mathematics is declared, read once into a tree.

Formulas are written as they are printed, with operands in braces and English in quotes:
``'∂{y}/∂{x} = 1 if {x} > 0, else 0'``, ``'{y} "holds the numbers of" {x}'``. Round brackets that
only group are dropped; whoever prints the tree puts them where they are needed. ``⊙`` between
numbers means an ordinary product.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from allbps.mathematics.reader import Reader
from allbps.mathematics.tree import (
    Formula,
    Kind,
    Math,
    Number,
    Product,
    Slot,
)
from allbps.mathematics.visit import rebuilt


@lru_cache(maxsize=4096)
def parse(text: str) -> Math:
    r"""The tree of a formula in compact notation.

    Raises:
        ValueError: it cannot be read.

    >>> parse("a + b").inline, parse("x (y + 1)²").latex
    ('a + b', 'x (y + 1)^{2}')
    """
    reader = Reader(text)
    found = reader.list("")
    if reader.kind:
        raise ValueError(f"{text!r} cannot be read as mathematics at {reader.lexeme!r}")
    return found


RAISE = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def write(template: str, /, **operands: Any) -> Math:
    """``template`` with its operands filled in: formulas, numbers, or plain names.

    >>> write("{a} ⊙ {b}", a=Formula(parse("x + 1")), b=2).inline
    '(x + 1) · 2'
    """
    return filled(parse(template), operands)


def filled(tree: Math, operands: Mapping[str, Any]) -> Math:
    """The tree with its slots filled; ``⊙`` between numbers is an ordinary product."""
    numbers = all(x.shape == () for x in operands.values() if isinstance(x, Formula))

    def put(part: Math) -> Math:
        if isinstance(part, Slot):
            return _as_math(operands[part.name])
        if numbers and isinstance(part, Product) and part.kind is Kind.ELEMENTS:
            return Product(Kind.NUMBERS, part.left, part.right)
        return part

    return rebuilt(tree, put)


def _as_math(value: Any) -> Math:
    if isinstance(value, Formula):
        return value.math
    if isinstance(value, Math):
        return value
    return parse(value) if isinstance(value, str) else Number(numeral_of(value))


def numeral_of(value: float) -> str:
    """A number that an operation was given, as mathematics prints it.

    >>> numeral_of(-0.5), numeral_of(1e-10)
    ('−0.5', '1·10⁻¹⁰')
    """
    mantissa, e, exponent = f"{value:g}".replace("inf", "∞").replace("-", "−").partition("e")
    if not e:
        return mantissa
    return f"{mantissa}·10{str(int(exponent.replace('−', '-'))).translate(RAISE)}"
