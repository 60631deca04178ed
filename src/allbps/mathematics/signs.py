"""The sign of a formula: two minus signs before one product are none."""

from __future__ import annotations

from dataclasses import replace

from allbps.mathematics.tree import Fraction, Kind, Math, Negative, Number, Product


def negated(math: Math) -> Math:
    """The formula with the other sign, where the first factor has one already.

    >>> from allbps.mathematics.grammar import parse
    >>> negated(parse("−a ⊙ b / c")).inline, negated(parse("a b")).inline
    ('a ⊙ b / c', '−a b')
    """
    return _without_minus(math) or Negative(math)


def _without_minus(math: Math) -> Math | None:
    if isinstance(math, Negative) and math.sign == "−":
        return math.x
    if isinstance(math, Product) and math.kind is not Kind.MOD:
        left = _without_minus(math.left) or _positive(math.left)
        return replace(math, left=left) if left is not None else None
    if isinstance(math, Fraction):
        over = _without_minus(math.over)
        return replace(math, over=over) if over is not None else None
    return None


def _positive(math: Math) -> Math | None:
    """A negative numeral without its sign."""
    return Number(math.text[1:]) if isinstance(math, Number) and math.text[0] == "−" else None
