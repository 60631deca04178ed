"""Mathematics as a small tree: what a formula is made of, before anybody prints it.

A tree says what is a sum and what a product; where parentheses are needed is a matter of the
printers, which ask ``binding`` how tightly a part binds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


@dataclass(frozen=True, slots=True)
class Math:
    """A piece of mathematics."""

    @property
    def inline(self) -> str:
        """In Unicode, on one line, arrays as ``[1 2; 3 4]``."""
        from allbps.mathematics.plain import inline

        return inline(self)

    @property
    def latex(self) -> str:
        """In LaTeX."""
        from allbps.mathematics.tex import latex

        return latex(self)


@dataclass(frozen=True, slots=True)
class Sign(Math):
    """A sign that is neither a number nor a variable: ``…``, ``∞``, a comma with its space."""

    text: str


@dataclass(frozen=True, slots=True)
class Number(Math):
    """A numeral, as it is printed: ``−0.5``, ``1.2·10⁻⁹``, ``½``."""

    text: str


@dataclass(frozen=True, slots=True)
class Symbol(Math):
    """The name of a variable, with what stands below and above it: ``Z₁``, ``Yᵖ``, ``δW_in``."""

    text: str


@dataclass(frozen=True, slots=True)
class Word(Math):
    """The name of a function or a constant, upright: ``pad``, ``log``."""

    text: str


@dataclass(frozen=True, slots=True)
class Text(Math):
    """Plain English between formulas, with the spaces around it."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Matrix(Math):
    """An array of numbers, or of numerals as they are printed."""

    values: Any


@dataclass(frozen=True, slots=True)
class Row(Math):
    """Parts one after another: the items of a list, or formulas and words."""

    parts: tuple[Math, ...]


@dataclass(frozen=True, slots=True)
class Relation(Math):
    """``a = b ≤ c``.

    Attributes:
        sides: what stands between the signs.
        signs: one fewer.
        tight: printed without spaces.

    """

    sides: tuple[Math, ...]
    signs: tuple[str, ...]
    tight: bool = False


@dataclass(frozen=True, slots=True)
class Sum(Math):
    """``a + b − c``; ``signs`` are one fewer than the terms."""

    terms: tuple[Math, ...]
    signs: tuple[str, ...]
    tight: bool = False


@dataclass(frozen=True, slots=True)
class Negative(Math):
    """``−x``, or another sign before x: ``±x``, ``¬x``, ``∃ x``."""

    x: Math
    sign: str = "−"


class Kind(Enum):
    """Which product."""

    NUMBERS = "numbers side by side, or a number and an array"
    MATRICES = "a matrix product"
    ELEMENTS = "⊙"
    WINDOWS = "*"
    DOT = "·"
    CROSS = "×"
    MOD = "mod"


@dataclass(frozen=True, slots=True)
class Product(Math):
    """Two factors."""

    kind: Kind
    left: Math
    right: Math
    tight: bool = False


@dataclass(frozen=True, slots=True)
class Fraction(Math):
    """``over / under``."""

    over: Math
    under: Math
    tight: bool = False


@dataclass(frozen=True, slots=True)
class Script(Math):
    """A base with raised and lowered signs, in the order in which they are printed."""

    base: Math
    marks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Power(Math):
    """A base with a formula as its exponent."""

    base: Math
    exponent: Math


@dataclass(frozen=True, slots=True)
class Root(Math):
    """``√x`` or ``∛x``."""

    x: Math
    sign: str = "√"


@dataclass(frozen=True, slots=True)
class Fence(Math):
    """Something between brackets that mean something: ``|x|``, ``‖x‖``, ``[x > 0]``."""

    inner: Math
    opening: str


@dataclass(frozen=True, slots=True)
class Applied(Math):
    """``f(x, y)``, or an element ``x[2]``."""

    function: Math
    inner: Math
    opening: str = "("


@dataclass(frozen=True, slots=True)
class Big(Math):
    """A sum or product over an index, of what stands after it.

    Attributes:
        sign: ``Σ`` or ``Π``.
        body: what is summed.
        marks: what stands below and above, as raised and lowered signs: ``ₖ₌₁``, ``ⁿ``.
        low: or the lower bound, as a formula.
        high: and the upper one.

    """

    sign: str
    body: Math
    marks: tuple[str, ...] = ()
    low: Math | None = None
    high: Math | None = None


@dataclass(frozen=True, slots=True)
class Prefixed(Math):
    """``∂x``, ``δx``, ``dx``."""

    sign: str
    x: Math


@dataclass(frozen=True, slots=True)
class Cases(Math):
    """``1 if x > 0, else 0``: values with their conditions, then the value of all others."""

    rows: tuple[tuple[Math, Math], ...]
    other: Math


@dataclass(frozen=True, slots=True)
class Slot(Math):
    """The place of an operand in a formula that is still to be filled."""

    name: str


@dataclass(frozen=True)
class Formula:
    """Mathematics that stands for an array.

    Attributes:
        math: how it is written.
        shape: of the array.
        column: is it a vector that stands upright?

    """

    math: Math
    shape: tuple[int, ...] = ()
    column: bool = False
