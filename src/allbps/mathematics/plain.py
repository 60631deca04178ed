"""Mathematics in Unicode: as a line of text, or in pieces that a terminal can lay out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch

from allbps.mathematics.arrays import in_line
from allbps.mathematics.binding import (
    Binding,
    begins_with_words,
    binding,
    is_applicable,
    needs_dot,
    stands_bare,
    takes_mark,
)
from allbps.mathematics.reader import CLOSING, RAISED
from allbps.mathematics.tree import (
    Applied,
    Big,
    Cases,
    Fence,
    Fraction,
    Kind,
    Math,
    Matrix,
    Negative,
    Number,
    Power,
    Prefixed,
    Product,
    Relation,
    Root,
    Row,
    Script,
    Sign,
    Sum,
    Symbol,
    Text,
    Word,
)


@dataclass(frozen=True)
class Group:
    """Pieces between brackets, which grow with them."""

    opening: str
    inner: Pieces


@dataclass(frozen=True)
class Mark:
    """Raised or lowered signs at what stands before them."""

    text: str
    raised: bool


Piece = str | Matrix | Group | Mark
"""A line may break at a piece that is a single space."""
Pieces = tuple[Piece, ...]
SPACE: Piece = " "


def inline(
    math: Math, array: Callable[[Matrix], str] = lambda matrix: in_line(matrix.values)
) -> str:
    """On one line, each array as ``array`` writes it.

    >>> from allbps.mathematics.grammar import parse
    >>> inline(parse("δZ₃ = δZ₄ W₂ᵀ"))
    'δZ₃ = δZ₄ W₂ᵀ'
    """
    return _joined(pieces(math), array)


def _joined(parts: Pieces, array: Callable[[Matrix], str]) -> str:
    text = ""
    for part in parts:
        match part:
            case Matrix():
                text += array(part)
            case Group(opening, inner):
                text += opening + _joined(inner, array) + CLOSING[opening]
            case Mark():
                text += part.text
            case _:
                text += part
    return text


@singledispatch
def pieces(math: Math) -> Pieces:
    """A formula in pieces."""
    raise TypeError(f"there is no way to print {math!r}")


@pieces.register(Symbol)
@pieces.register(Number)
@pieces.register(Word)
def _(math: Symbol | Number | Word) -> Pieces:
    return (math.text,)


@pieces.register(Sign)
@pieces.register(Text)
def _(math: Sign | Text) -> Pieces:
    return _words(math.text)


@pieces.register
def _(math: Matrix) -> Pieces:
    return (math,)


@pieces.register
def _(math: Row) -> Pieces:
    return tuple(piece for part in math.parts for piece in pieces(part))


@pieces.register
def _(math: Relation) -> Pieces:
    return _chain(tuple(map(pieces, math.sides)), math.signs, math.tight)


@pieces.register
def _(math: Sum) -> Pieces:
    first, *others = math.terms
    rest = (_within(term, Binding.PRODUCT) for term in others)
    return _chain((_within(first, Binding.SUM), *rest), math.signs, math.tight)


@pieces.register
def _(math: Negative) -> Pieces:
    return (*_words(math.sign), *_within(math.x, Binding.PRODUCT))


@pieces.register
def _(math: Product) -> Pieces:
    left, right = _factor(math, math.left, True), _factor(math, math.right, False)
    if math.kind in (Kind.NUMBERS, Kind.MATRICES) and not needs_dot(math):
        return (*left, *right) if math.tight else (*left, SPACE, *right)
    sign = "·" if math.kind is Kind.NUMBERS else math.kind.value
    return _chain((left, right), (sign,), math.tight)


@pieces.register
def _(math: Fraction) -> Pieces:
    sides = _factor(math, math.over, True), _factor(math, math.under, False)
    return _chain(sides, ("/",), math.tight)


@pieces.register
def _(math: Script) -> Pieces:
    raised = [mark[0] in RAISED or mark[0] == "′" for mark in math.marks]
    inner = pieces(math.base)
    base = inner if takes_mark(math.base, raised[0]) else (Group("(", inner),)
    return (*base, *(Mark(mark, high) for mark, high in zip(math.marks, raised, strict=True)))


@pieces.register
def _(math: Power) -> Pieces:
    return (*_within(math.base, Binding.ATOM), "^", *_within(math.exponent, Binding.ATOM))


@pieces.register
def _(math: Root) -> Pieces:
    return (math.sign, *_within(math.x, Binding.ATOM))


@pieces.register
def _(math: Fence) -> Pieces:
    return (Group(math.opening, pieces(math.inner)),)


@pieces.register
def _(math: Applied) -> Pieces:
    bare = is_applicable(math.function, math.opening)
    head = pieces(math.function) if bare else _within(math.function, Binding.ATOM)
    return (*head, Group(math.opening, pieces(math.inner)))


@pieces.register
def _(math: Big) -> Pieces:
    found: list[Piece] = [math.sign, *(Mark(mark, False) for mark in math.marks)]
    if math.low is not None:
        bounds = pieces(math.low)
        if math.high is not None:
            bounds = (*bounds, SPACE, "…", SPACE, *pieces(math.high))
        found.append(Group("[", bounds))
    return (*found, SPACE, *_within(math.body, Binding.PRODUCT))


@pieces.register
def _(math: Prefixed) -> Pieces:
    x = math.x
    return (math.sign, *(pieces(x) if isinstance(x, Symbol) else _within(x, Binding.POWER)))


@pieces.register
def _(math: Cases) -> Pieces:
    said = [piece for value, when in math.rows for piece in _case(value, when)]
    return (*said, *pieces(math.other))


def _case(value: Math, when: Math) -> Pieces:
    """``1 if x > 0, else``, or ``δy at 1, else``."""
    condition = pieces(when)
    link = () if begins_with_words(when) else ("if", SPACE)
    return (*pieces(value), SPACE, *link, *condition, ",", SPACE, "else", SPACE)


def _words(text: str) -> Pieces:
    """Words and the spaces between them."""
    found: list[Piece] = []
    for k, word in enumerate(text.split(" ")):
        found += [SPACE] * bool(k) + [word] * bool(word)
    return tuple(found)


def _within(math: Math, least: Binding) -> Pieces:
    inner = pieces(math)
    return inner if binding(math) >= least else (Group("(", inner),)


def _chain(sides: tuple[Pieces, ...], signs: tuple[str, ...], tight: bool) -> Pieces:
    found = list(sides[0])
    for sign, side in zip(signs, sides[1:], strict=True):
        found += [sign, *side] if tight else [SPACE, sign, SPACE, *side]
    return tuple(found)


def _factor(whole: Product | Fraction, part: Math, first: bool) -> Pieces:
    inner = pieces(part)
    return inner if stands_bare(whole, part, first) else (Group("(", inner),)
