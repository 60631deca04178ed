"""Reading the compact notation, lexeme by lexeme, by rising binding."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from allbps.mathematics.tree import (
    Applied,
    Big,
    Cases,
    Fence,
    Fraction,
    Kind,
    Math,
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
    Slot,
    Sum,
    Symbol,
    Text,
    Word,
)

RELATIONS = set("≡≠≤≥≈←∈=<>→")
SUMS = set("+−±∧∨⊻")
PRODUCTS = {
    "⊙": Kind.ELEMENTS, "*": Kind.WINDOWS, "·": Kind.DOT, "×": Kind.CROSS, "mod": Kind.MOD,
}  # fmt: skip
BEFORE = set("−±¬~∀∃#")
CLOSING = {"(": ")", "[": "]", "⌊": "⌋", "⌈": "⌉", "|": "|", "‖": "‖", "⟨": "⟩"}


def _raised_or_lowered(mark: str) -> str:
    return "".join(
        chr(code)
        for code in (*range(0x00B2, 0x00BA), *range(0x02B0, 0x02E5), *range(0x1D2C, 0x1D6B),
                     *range(0x2070, 0x209D), 0x2C7C, 0x2C7D)
        if unicodedata.decomposition(chr(code)).startswith(mark)
    )  # fmt: skip


LOWERED, RAISED = _raised_or_lowered("<sub>"), _raised_or_lowered("<super>")
_LEXEME = re.compile(
    r'"(?P<text>[^"]*)"'
    r"|\{(?P<slot>\w+)\}"
    r"|(?P<number>[0-9]+(?:\.[0-9]+)?(?:·10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?|½)"
    rf"|(?P<mark>(?::,)*[{LOWERED}](?:[{LOWERED}]|,[{LOWERED}:]|≠(?=[{LOWERED}]))*"
    rf"|[{RAISED}](?:[{RAISED}]|·(?=[{RAISED}]))*|′+)"
    r"|(?P<word>[A-Za-z][A-Za-z_]+\d*)"
    r"|(?P<space>\s+)"
    r"|(?P<sign>.[\u0300-\u036f]*)"
)


class Reader:
    """Reads lexemes from left to right, by rising binding."""

    def __init__(self, text: str) -> None:
        text = unicodedata.normalize("NFC", text)
        self.lexemes = [(m.lastgroup or "", m[m.lastgroup or 0]) for m in _LEXEME.finditer(text)]
        self.place = 0
        self.open: list[str] = []

    # -- looking -----------------------------------------------------------------------------------
    @property
    def kind(self) -> str:
        return self.look()[0]

    @property
    def lexeme(self) -> str:
        return self.look()[1]

    def look(self, ahead: int = 0) -> tuple[str, str]:
        place = self.place + ahead
        return self.lexemes[place] if place < len(self.lexemes) else ("", "")

    def take(self) -> str:
        self.place += 1
        return self.lexemes[self.place - 1][1]

    def skip(self) -> bool:
        """Pass over a space; was there one?"""
        spaced = self.kind == "space"
        self.place += spaced
        return spaced

    def next_sign(self) -> str:
        """The next sign or word, spaces aside."""
        kind, text = self.look(self.kind == "space")
        return text if kind in ("sign", "word") else ""

    # -- rules -------------------------------------------------------------------------------------
    def list(self, closing: str) -> Math:
        """Items with commas or English between them, up to a closing bracket or the end."""
        parts: list[Math] = []
        self.skip()
        while self.kind and not (self.lexeme == closing and self.kind == "sign"):
            if self.kind == "text":
                parts.append(Text(f"{' ' * _needs_space(parts)}{self.take()}"))
                if self.skip() and self.kind:
                    parts[-1] = Text(f"{parts[-1].text} ")  # type: ignore[attr-defined]
            elif self.kind == "sign" and self.lexeme in ",;:…":
                sign = self.take()
                spaced = self.skip()
                if sign == "…" and parts and isinstance(parts[-1], Sign | Text):
                    parts.append(Sign("… " if spaced else "…"))
                else:
                    before = " " * (sign == "…" and spaced)
                    parts.append(Sign(f"{before}{sign}{' ' * spaced}"))
            else:
                parts.append(self.relation())
                if (self.kind == "space" and self.look(1)[0] in ("", "text")) or (
                    self.kind == "space" and self.look(1)[1] == "…"
                ):
                    self.skip()
                elif self.kind == "space":
                    raise ValueError(f"mathematics stops at {self.look(1)[1]!r}")
                elif self.kind == "sign" and self.lexeme not in ",;:…" and self.lexeme != closing:
                    raise ValueError(f"mathematics stops at {self.lexeme!r}")
        return parts[0] if len(parts) == 1 else Row(tuple(parts))

    def end_of_item(self, closing: str) -> None:
        """A formula ends before a comma, English, a closing bracket or the end."""
        self.place += self.kind == "space" and (
            self.look(1)[0] in ("", "text") or self.look(1)[1] == "…"
        )
        if self.kind == "space":
            raise ValueError(f"mathematics stops at {self.look(1)[1]!r}")
        if self.kind == "sign" and self.lexeme not in ",;:…" and self.lexeme != closing:
            raise ValueError(f"mathematics stops at {self.lexeme!r}")

    def relation(self) -> Math:
        sides, signs, tight = [self.sum()], [], False
        while self.next_sign() in RELATIONS:
            tight = not self.skip()
            signs.append(self.take())
            self.skip()
            sides.append(self.cases(self.sum()))
        whole = sides[0] if not signs else Relation(tuple(sides), tuple(signs), tight)
        return whole if signs else self.cases(whole)

    def cases(self, value: Math) -> Math:
        rows = []
        other = value
        while self.next_sign() == "if":
            self.skip()
            self.take()
            self.skip()
            rows.append((other, self.condition()))
            self.expect(",")
            self.skip()
            self.expect("else")
            self.skip()
            other = self.sum()
        return Cases(tuple(rows), other) if rows else value

    def condition(self) -> Math:
        parts: list[Math] = []
        while self.lexeme != ",":
            if self.kind == "text":
                parts.append(Text(f"{' ' if parts else ''}{self.take()}"))
                if self.skip():
                    parts[-1] = Text(f"{parts[-1].text} ")  # type: ignore[attr-defined]
            else:
                parts.append(self.relation())
                self.skip()
        return parts[0] if len(parts) == 1 else Row(tuple(parts))

    def expect(self, text: str) -> None:
        if self.lexeme != text:
            raise ValueError(f"{text!r} is missing before {self.lexeme!r}")
        self.take()

    def sum(self) -> Math:
        terms, signs, tight = [self.negative()], [], False
        while self.next_sign() in SUMS:
            tight = not self.skip()
            signs.append(self.take())
            self.skip()
            terms.append(self.product())
        return terms[0] if not signs else Sum(tuple(terms), tuple(signs), tight)

    def negative(self) -> Math:
        if self.kind == "sign" and self.lexeme in BEFORE:
            sign = self.take()
            sign += " " if self.skip() else ""
            if sign == "−" and self.kind == "number" and self.look(1)[0] != "mark":
                number = Number(f"−{self.take()}")
                return self.product(number)
            return Negative(self.negative() if self.lexeme in BEFORE else self.product(), sign)
        return self.product()

    def product(self, first: Math | None = None) -> Math:
        left = self.factor() if first is None else first
        while True:
            sign = self.next_sign()
            if sign in PRODUCTS:
                tight = not self.skip()
                self.take()
                self.skip()
                left = Product(PRODUCTS[sign], left, self.factor(), tight)
            elif sign == "/":
                tight = not self.skip()
                self.take()
                self.skip()
                left = Fraction(left, self.factor(), tight)
            elif self.kind == "space" and self.begins_factor(1):
                self.skip()
                right = self.factor()
                scalar = isinstance(left, Number)
                left = Product(Kind.NUMBERS if scalar else Kind.MATRICES, left, right)
            elif isinstance(left, Number) and self.kind == "sign" and self.lexeme[0].isalpha():
                left = Product(Kind.NUMBERS, left, self.factor(), tight=True)
            else:
                return left

    def begins_factor(self, ahead: int) -> bool:
        kind, text = self.look(ahead)
        if kind in ("slot", "number"):
            return True
        if kind == "word":
            return text not in ("if", "else", "mod", "where")
        if kind != "sign" or text in RELATIONS | SUMS or text in PRODUCTS:
            return False
        if self.open and text == CLOSING[self.open[-1]] and text in "|‖":
            return False
        return text not in "/,;:…)]⌋⌉⟩"

    def factor(self) -> Math:
        base = self.base()
        while True:
            if self.kind == "mark":
                base = _marked(base, self.take())
            elif self.lexeme in ("(", "[") and self.kind == "sign" and _may_be_applied(base):
                opening = self.lexeme
                base = Applied(base, self.fenced(), opening)
            elif self.lexeme == "^" and self.kind == "sign":
                self.take()
                base = Power(base, self.base())
            else:
                return base

    def fenced(self) -> Math:
        opening = self.take()
        self.open.append(opening)
        inner = self.list(CLOSING[opening])
        self.expect(CLOSING[opening])
        self.open.pop()
        return inner

    def base(self) -> Math:
        kind, text = self.look()
        if kind in _LEAVES:
            return _LEAVES[kind](self.take())
        if kind == "mark" or not kind:
            raise ValueError(f"a formula cannot begin with {text!r}")
        if text in "∂δd" and self.prefixes():
            return self.prefixed()
        if text in "¬√∛":
            sign = self.take()
            return Negative(self.factor(), sign) if sign == "¬" else Root(self.factor(), sign)
        if text in "ΣΠ":
            return self.big()
        return self.bracketed() if text in CLOSING else _letter(self.take())

    def bracketed(self) -> Math:
        """What brackets hold; round ones that only group leave no trace."""
        opening = self.lexeme
        inner = self.fenced()
        return Fence(inner, opening) if opening != "(" or isinstance(inner, Row) else inner

    def prefixed(self) -> Math:
        sign = self.take()
        inner = self.base()
        while self.kind == "mark" and (sign == "∂" or isinstance(inner, Symbol | Word)):
            inner = _marked(inner, self.take())
        return Prefixed(sign, inner)

    def prefixes(self) -> bool:
        """Is the letter at hand a prefix of what follows it?"""
        text = self.lexeme
        kind, following = self.look(1)
        if kind == "slot" or (text == "∂" and following == "δ"):
            return True
        if text == "d":
            return False
        return kind == "word" or (kind == "sign" and following[0].isalpha())

    def big(self) -> Math:
        sign = self.take()
        low: Math | None = None
        high: Math | None = None
        marks = []
        if self.lexeme == "[":
            inner = self.fenced()
            low, high = _bounds(inner)
        while self.kind == "mark":
            marks.append(self.take())
        self.skip()
        return Big(sign, self.product(), tuple(marks), low, high)


_LEAVES: dict[str, Callable[[str], Math]] = {"slot": Slot, "number": Number, "word": Word}


def _letter(sign: str) -> Math:
    return Symbol(sign) if sign[0].isalpha() else Sign(sign)


def _needs_space(parts: list[Math]) -> bool:
    """Does English begin with a space after these parts?"""
    last = parts[-1] if parts else None
    return last is not None and not (isinstance(last, Sign) and last.text.endswith(" "))


def _may_be_applied(base: Math) -> bool:
    if isinstance(base, Script):
        base = base.base
    return isinstance(base, (Word, Symbol, Slot, Prefixed, Applied)) or base == Sign("⊥")


def _marked(base: Math, mark: str) -> Math:
    if isinstance(base, Script):
        return Script(base.base, (*base.marks, mark))
    return Script(base, (mark,))


def _bounds(inner: Math) -> tuple[Math, Math | None]:
    """``i = a … b`` as lower and upper bound."""
    if isinstance(inner, Row):
        for k, part in enumerate(inner.parts):
            if isinstance(part, Sign) and part.text.strip() == "…":
                return _one(inner.parts[:k]), _one(inner.parts[k + 1 :])
    return inner, None


def _one(parts: tuple[Math, ...]) -> Math:
    return parts[0] if len(parts) == 1 else Row(parts)
