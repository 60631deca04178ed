"""Mathematics in LaTeX."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce, singledispatch

from allbps.mathematics.arrays import array_latex
from allbps.mathematics.binding import (
    Binding,
    begins_with_words,
    binding,
    is_applicable,
    needs_dot,
    stands_bare,
    takes_mark,
)
from allbps.mathematics.letters import FUNCTIONS, join, marks, numeral, sign, symbol, with_scripts
from allbps.mathematics.reader import RAISED
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
from allbps.mathematics.visit import has

FENCES = {
    "(": ("(", ")"), "[": ("[", "]"), "⌊": (r"\lfloor ", r"\rfloor "),
    "⌈": (r"\lceil ", r"\rceil "), "|": (r"\lvert ", r"\rvert "), "‖": (r"\lVert ", r"\rVert "),
    "⟨": (r"\langle ", r"\rangle "),
}  # fmt: skip


@singledispatch
def latex(math: Math) -> str:
    r"""LaTeX for a formula.

    >>> from allbps.mathematics.grammar import parse
    >>> latex(parse("δZ₃ = δZ₄ W₂ᵀ")), latex(parse("∂y/∂x"))
    ('\\delta Z_{3} = \\delta Z_{4}\\,W_{2}^{\\top}', '\\frac{\\partial y}{\\partial x}')
    """
    raise TypeError(f"there is no way to print {math!r}")


@latex.register
def _(math: Symbol) -> str:
    return symbol(math.text)


@latex.register
def _(math: Number) -> str:
    return numeral(math.text)


@latex.register
def _(math: Word) -> str:
    return rf"\{math.text}" if math.text in FUNCTIONS else symbol(math.text)


@latex.register
def _(math: Sign) -> str:
    return _signs(math.text)


@latex.register
def _(math: Text) -> str:
    return rf"\text{{{math.text}}}"


@latex.register
def _(math: Matrix) -> str:
    return array_latex(math.values)


@latex.register
def _(math: Row) -> str:
    return reduce(join, map(_in_row, (None, *math.parts), math.parts), "")


def _in_row(before: Math | None, part: Math) -> str:
    """A part of a row; after a word the sign of a number is no difference: ``from {-2}``."""
    text = latex(part)
    is_signed = isinstance(before, Text) and isinstance(part, Number) and text.startswith("-")
    return f"{{{text}}}" if is_signed else text


@latex.register
def _(math: Relation) -> str:
    return _chain(list(map(latex, math.sides)), math.signs, math.tight)


@latex.register
def _(math: Sum) -> str:
    first, *others = math.terms
    rest = [within(term, Binding.PRODUCT) for term in others]
    return _chain([within(first, Binding.SUM), *rest], math.signs, math.tight)


@latex.register
def _(math: Negative) -> str:
    return join(_signs(math.sign), within(math.x, Binding.PRODUCT))


@latex.register
def _(math: Product) -> str:
    left, right = (_factor(math, part, k == 0) for k, part in enumerate((math.left, math.right)))
    if math.kind in (Kind.NUMBERS, Kind.MATRICES) and not needs_dot(math):
        return join(left, right) if math.tight else _side_by_side(math, left, right)
    written = {Kind.NUMBERS: r"\cdot", Kind.MOD: r"\bmod"}.get(math.kind) or sign(math.kind.value)
    return join(join(left, written), right) if math.tight else f"{left} {written} {right}"


@latex.register
def _(math: Fraction) -> str:
    return rf"\frac{{{latex(math.over)}}}{{{latex(math.under)}}}"


@latex.register
def _(math: Script) -> str:
    raised = math.marks[0][0] in RAISED or math.marks[0][0] == "′"
    inner = latex(math.base) if takes_mark(math.base, raised) else fenced(math.base, "(")
    primes = "'" * sum(len(run) for run in math.marks if run[0] == "′")
    low, high = _low_and_high(math.marks)
    doubled = ("_" in inner and low) or ("^" in inner and high)
    if doubled and not inner.endswith((")", "]", "rVert ", "rvert ")):
        inner = f"{{{inner}}}"
    return with_scripts(inner + primes, low, high)


@latex.register
def _(math: Power) -> str:
    return rf"{within(math.base, Binding.ATOM)}^{{{latex(math.exponent)}}}"


@latex.register
def _(math: Root) -> str:
    degree = "[3]" if math.sign == "∛" else ""
    return rf"\sqrt{degree}{{{latex(math.x)}}}"


@latex.register
def _(math: Fence) -> str:
    return fenced(math.inner, math.opening)


@latex.register
def _(math: Applied) -> str:
    bare = is_applicable(math.function, math.opening)
    head = latex(math.function) if bare else fenced(math.function, "(")
    inner = math.inner
    if isinstance(inner, Matrix) and math.opening == "(" and inner.values.ndim <= 2:
        return head + array_latex(inner.values, "pmatrix")  # one pair of brackets is enough
    return head + fenced(inner, math.opening)


@latex.register
def _(math: Big) -> str:
    low, high = _low_and_high(math.marks)
    low = latex(math.low) if math.low is not None else low
    high = latex(math.high) if math.high is not None else high
    return f"{with_scripts(sign(math.sign), low, high)} {within(math.body, Binding.PRODUCT)}"


@latex.register
def _(math: Prefixed) -> str:
    after = latex(math.x) if isinstance(math.x, Symbol) else within(math.x, Binding.POWER)
    return join(sign(math.sign).rstrip(), after)


IF = r"\text{if }"


@latex.register
def _(math: Cases) -> str:
    lines = [
        rf"{latex(value)}, & {'' if begins_with_words(when) else IF}{latex(when)}"
        for value, when in math.rows
    ]
    body = r" \\ ".join([*lines, rf"{latex(math.other)}, & \text{{otherwise}}"])
    return rf"\begin{{cases}} {body} \end{{cases}}"


STOPS = {",", ";", ":"}


def sentence(math: Math) -> Iterator[tuple[bool, str]]:
    r"""A formula with the words around it, cut where a line may break: (is mathematics, LaTeX).

    >>> from allbps.mathematics.grammar import parse
    >>> list(sentence(parse('{y} "holds the numbers of" {x}').parts[1]))
    [(False, ' holds the numbers of ')]
    """
    for part in phrases(math):
        yield (False, part) if isinstance(part, str) else (True, latex(part))


def phrases(math: Math) -> Iterator[Math | str]:
    """The formulas of a sentence, and the words between them."""
    for part in math.parts if isinstance(math, Row) else (math,):
        if isinstance(part, Text) or (isinstance(part, Sign) and part.text.strip() in STOPS):
            yield part.text
        else:
            yield part


def links(math: Math) -> Iterator[tuple[str, Math]]:
    """The sides of a chain ``a = b = c``, each after the first with the sign before it."""
    if isinstance(math, Relation) and not math.tight:
        yield from zip(("", *map(sign, math.signs)), math.sides, strict=True)
    else:
        yield "", math


def terms(math: Math) -> Iterator[tuple[str, Math]]:
    """The operands of a formula that stand outside of brackets, each with the sign before it."""
    match math:
        case Sum(parts, signs, False):
            for mark, part in zip(("", *signs), parts, strict=True):
                bare = binding(part) >= (Binding.PRODUCT if mark else Binding.SUM)
                yield sign(mark) if mark else "", part if bare else Fence(part, "(")
        case Product(kind, left, right, False) if kind not in (Kind.NUMBERS, Kind.MATRICES):
            if stands_bare(math, left, True):
                yield from terms(left)
            else:
                yield "", Fence(left, "(")
            mark = r"\bmod" if kind is Kind.MOD else sign(kind.value)
            yield mark, right if stands_bare(math, right, False) else Fence(right, "(")
        case _:
            yield "", math


def fenced(inner: Math, opening: str) -> str:
    """Between brackets, as tall as it needs."""
    left, right = FENCES[opening]
    if is_tall(inner):
        return rf"\left{left}{latex(inner)}\right{right}"
    return join(left, latex(inner)) + right


def is_tall(math: Math) -> bool:
    """Does a formula need tall brackets?"""
    return has(math, Matrix, Fraction, Cases)


def within(math: Math, least: Binding) -> str:
    """In parentheses unless it binds tightly enough; a fraction bar binds like brackets."""
    if isinstance(math, Fraction) and least <= Binding.PRODUCT:
        return latex(math)
    return latex(math) if binding(math) >= least else fenced(math, "(")


def _chain(sides: list[str], signs: tuple[str, ...], tight: bool) -> str:
    text = sides[0]
    for mark, side in zip(signs, sides[1:], strict=True):
        written = sign(mark)
        text = join(join(text, written), side) if tight else f"{text} {written} {side}"
    return text


def _factor(whole: Product, part: Math, first: bool) -> str:
    bare = stands_bare(whole, part, first) or isinstance(part, Fraction)
    return latex(part) if bare else fenced(part, "(")


def _side_by_side(product: Product, left: str, right: str) -> str:
    """A thin space, so that ``δz y`` is not read as δ of zy; none before a bracket."""
    plain = isinstance(product.right, Matrix) or right.startswith(("(", r"\left"))
    return f"{left} {right}" if plain else rf"{left}\,{right}"


def _signs(text: str) -> str:
    return reduce(join, map(sign, text), "")


def _low_and_high(runs: tuple[str, ...]) -> tuple[str, str]:
    """What stands below and above, of runs of lowered and raised signs."""
    low = reduce(join, (marks(run) for run in runs if run[0] not in RAISED and run[0] != "′"), "")
    high = reduce(join, (marks(run) for run in runs if run[0] in RAISED), "")
    return low, high
