"""Text to a tree, with the place of every part for messages."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from allbps.errors import FormulaError
from allbps.extras import needs

LONGEST = 300
"""Characters of a formula; so its tree has no more levels than that."""
LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


@dataclass(frozen=True)
class Part:
    """A part of a formula.

    Attributes:
        kind: "number", "name", "call", "infix", "product", "negative", "transpose", "power",
            "normsquared".
        said: the number, the name, the function or the sign; empty for others.
        parts: what it is made of.
        start, end: where it stands in the text.
    """

    kind: str
    said: str
    parts: tuple[Part, ...]
    start: int
    end: int

    def walk(self) -> Iterator[Part]:
        """Every part, operands before what is made of them."""
        waiting, order = [self], []
        while waiting:
            part = waiting.pop()
            order.append(part)
            waiting.extend(part.parts)
        return reversed(order)


def parse(text: str) -> Part:
    """The tree of a formula.

    Raises:
        FormulaError: it is too long, or not a formula; with the place.
        MissingExtraError: the parser's library is not installed.

    >>> parse("X W").kind, parse("softmax(x yᵀ)").said, parse("x₁ᵀ").parts[0].said
    ('product', 'softmax', 'x1')
    """
    if not text.strip():
        raise FormulaError("there is no formula", expected="for example ReLU(X W) W")
    if len(text) > LONGEST:
        raise FormulaError(
            "the formula is too long", expected=f"at most {LONGEST} characters",
            got=f"{len(text)} characters",
        )  # fmt: skip
    with needs("lark", extra="serve", purpose="formulas"):
        import lark
    try:
        tree = _parser().parse(_with_closing_bars(text))
    except lark.UnexpectedInput as error:
        at_end = getattr(getattr(error, "token", None), "type", "") == "$END"
        place = len(text) if at_end else error.pos_in_stream or 0
        raise _unexpected(text, place) from None
    return _read(tree.children[0], text)


def _with_closing_bars(text: str) -> str:
    """Every second bar of a norm as ∥: so a bar after a factor closes, and opens nothing."""
    first, *rest = text.replace("||", " ‖").replace("∥", "‖").split("‖")
    return first + "".join(f"{'‖∥'[k % 2]}{piece}" for k, piece in enumerate(rest))


def _unexpected(text: str, place: int) -> FormulaError:
    if place >= len(text.rstrip()):
        return mistake("the formula ends too early", text, len(text), len(text) + 1)
    if text[place] == "^":
        more = {"todo": "a power is a number, x^3 or x^0.5; ᵀ is the transpose"}
    else:
        more = {}
    return mistake(f"{text[place]!r} cannot stand here", text, place, place + 1, **more)


def mistake(what: str, text: str, start: int, end: int, **more: str) -> FormulaError:
    """The error that points at a part of a formula."""
    spot = f"{text}\n            {' ' * start}{'^' * max(end - start, 1)}"
    return FormulaError(what, where=spot, **more)


@cache
def _parser() -> Any:
    import lark

    grammar = files("allbps.formula").joinpath("grammar.lark").read_text("utf-8")
    return lark.Lark(grammar, parser="lalr", propagate_positions=True)


def _read(tree: Any, text: str) -> Part:
    start, end = tree.meta.start_pos, tree.meta.end_pos
    if tree.data == "group":
        return _read(tree.children[0], text)
    inner = [child for child in tree.children if hasattr(child, "data")]
    tokens = [str(child) for child in tree.children if not hasattr(child, "data")]
    said = _said(tree.data, tokens)
    if tree.data == "name" and (keyword.iskeyword(said) or not said.isidentifier()):
        raise mistake(f"{said} cannot be a name", text, start, end, expected="letters and digits")
    return Part(str(tree.data), said, tuple(_read(child, text) for child in inner), start, end)


def _said(kind: str, tokens: list[str]) -> str:
    said = tokens[0] if tokens else ""
    if kind == "call":
        return said.rstrip("(").translate(LOWERED)
    if kind == "power":
        return re.sub(r"^[*^]+", "", said).translate(RAISED)
    return {"½": "0.5"}.get(said, unicodedata.normalize("NFKC", said.translate(LOWERED)))
