"""How tightly mathematics binds: where parentheses are needed, and where a dot."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

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
    Row,
    Script,
    Sum,
    Symbol,
    Text,
    Word,
)


class Binding(IntEnum):
    """How tightly a formula binds; an operand that binds less gets parentheses.

    An atom is what a power may be taken of; only a plain letter also takes an index.
    """

    LIST = 0
    SUM = 1
    NEGATION = 2
    PRODUCT = 3
    POWER = 4
    ATOM = 5
    LETTER = 6


_LOWER = frozenset("₀₁₂₃₄₅₆₇₈₉ₐₑₒₓₔₕₖₗₘₙₚₛₜᵢᵣᵤᵥⱼ₊₋₌₍₎ᵦᵧᵨᵩᵪ")
_HIGHER = frozenset("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱᵃᵇᶜᵈᵉᶠᵍʰʲᵏˡᵐᵒᵖʳˢᵗᵘᵛʷˣʸᶻᵀᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵁⱽᵂ")


def binding(math: Math) -> Binding:
    """How tightly a formula binds."""
    own = _OWN_BINDING.get(type(math))
    return own(math) if own is not None else _BINDINGS.get(type(math), Binding.ATOM)


def _of_symbol(math: Any) -> Binding:
    if not _HIGHER.isdisjoint(math.text):
        return Binding.POWER
    plain = math.text[0] != "δ" and _LOWER.isdisjoint(math.text)
    return Binding.LETTER if plain else Binding.ATOM


def _of_number(math: Any) -> Binding:
    if math.text.startswith("−"):
        return Binding.NEGATION
    return Binding.PRODUCT if "·" in math.text else Binding.ATOM


def _of_script(math: Any) -> Binding:
    raised = any(not _HIGHER.isdisjoint(mark) for mark in math.marks)
    return Binding.POWER if raised else Binding.ATOM


def _of_product(math: Any) -> Binding:
    while isinstance(math, (Product, Fraction)):
        math = math.left if isinstance(math, Product) else math.over
    negative = isinstance(math, Number) and math.text.startswith("−")
    return Binding.NEGATION if negative else Binding.PRODUCT


_OWN_BINDING: dict[type[Math], Callable[[Any], Binding]] = {
    Symbol: _of_symbol, Number: _of_number, Script: _of_script,
    Product: _of_product, Fraction: _of_product,
    Prefixed: lambda math: min(Binding.ATOM, binding(math.x)),
}  # fmt: skip
_BINDINGS: dict[type[Math], Binding] = {
    Matrix: Binding.LETTER,
    Row: Binding.LIST, Relation: Binding.LIST, Text: Binding.LIST, Cases: Binding.LIST,
    Sum: Binding.SUM, Negative: Binding.NEGATION, Product: Binding.PRODUCT,
    Fraction: Binding.PRODUCT, Big: Binding.PRODUCT, Power: Binding.POWER,
}  # fmt: skip


_JOINS: dict[Kind | None, tuple[set[Kind | None], set[Kind | None]]] = {
    Kind.NUMBERS: ({Kind.NUMBERS, Kind.ELEMENTS, Kind.MATRICES}, set(Kind) | {None}),
    Kind.ELEMENTS: ({Kind.NUMBERS, Kind.ELEMENTS}, {Kind.NUMBERS, Kind.ELEMENTS, None}),
    Kind.MATRICES: ({Kind.MATRICES}, set()),
    Kind.DOT: ({Kind.DOT}, set()),
    Kind.CROSS: ({Kind.CROSS}, set()),
    Kind.MOD: (set(Kind) | {None}, set()),
    Kind.WINDOWS: (set(), set()),
    None: ({Kind.NUMBERS, Kind.ELEMENTS, Kind.MATRICES, None}, set()),
}
"""Kind of a product, None for a quotient -> the kinds that stand bare as its left and its right
factor."""


def stands_bare(whole: Product | Fraction, part: Math, first: bool) -> bool:
    """Does a factor need no parentheses?"""
    kind = whole.kind if isinstance(whole, Product) else None
    tight = binding(part)
    if isinstance(part, Number):  # −2 x, with the sign in front
        return tight >= Binding.POWER or (first and kind in (Kind.NUMBERS, None))
    if isinstance(part, Big) and not first:  # log Σ exp(x)
        return kind is Kind.NUMBERS or isinstance(getattr(whole, "left", None), Word)
    if tight < Binding.POWER and isinstance(part, (Product, Fraction)):
        inner = part.kind if isinstance(part, Product) else None
        return inner in _JOINS[kind][not first] and (first or tight >= Binding.PRODUCT)
    return tight >= Binding.POWER


def takes_mark(base: Math, raised: bool) -> bool:
    """Does a base take a raised or lowered sign without parentheses?"""
    if isinstance(base, Word) or (isinstance(base, Applied) and not raised):
        return True
    if isinstance(base, Script) and raised and "," in "".join(base.marks):
        return False  # (x₁,:)ᵀ: the comma ends what is lowered
    if isinstance(base, Symbol) and not raised:
        return base.text[0] != "δ" and _LOWER.isdisjoint(base.text)
    return binding(base) >= (Binding.ATOM if raised else Binding.LETTER)


def begins_with_words(math: Math) -> bool:
    """Is it English, rather than a formula?"""
    return isinstance(math.parts[0] if isinstance(math, Row) else math, Text)


def is_applicable(function: Math, opening: str) -> bool:
    """Do its arguments follow a function, or an index an array, without parentheses around it?"""
    if opening == "[" and isinstance(function, Symbol):
        return binding(function) >= Binding.ATOM
    return isinstance(function, (Word, Symbol, Script, Applied, Matrix, Prefixed, Fence))


def begins_with_digit(math: Math) -> bool:
    """Is the first sign of a formula a digit, so that a number before it needs a dot?"""
    match math:
        case Number(text):
            return text[0].isdigit()
        case Product(left=left):
            return stands_bare(math, left, True) and begins_with_digit(left)
        case Fraction(over=over):
            return stands_bare(math, over, True) and begins_with_digit(over)
        case Script(base=base) | Power(base=base):
            return isinstance(base, Number) and begins_with_digit(base)
        case _:
            return False


def needs_dot(product: Product) -> bool:
    """Do two numbers side by side need a dot between them?"""
    if product.kind is not Kind.NUMBERS:
        return False
    both = isinstance(product.left, Number) and isinstance(product.right, Number)
    right = product.right
    return both or (stands_bare(product, right, False) and begins_with_digit(right))
