"""Unicode mathematics as LaTeX, sign by sign: the one place that knows both.

Single characters of the private planes may stand for pieces that are LaTeX already (a symbol, an
array); what they stand for is filled in by the caller.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache, reduce

SIGNS = {
    "−": "-", "±": r"\pm", "·": r"\cdot", "×": r"\times", "⊙": r"\odot", "*": r"\ast",
    "∘": r"\circ", "⊗": r"\otimes", "≡": r"\equiv", "≠": r"\ne", "≤": r"\le", "≥": r"\ge",
    "≈": r"\approx", "→": r"\to", "←": r"\leftarrow", "∈": r"\in", "∧": r"\wedge", "∨": r"\vee",
    "⊻": r"\veebar", "¬": r"\neg", "∂": r"\partial", "∇": r"\nabla", "∞": r"\infty",
    "∫": r"\int", "Σ": r"\sum", "∏": r"\prod", "…": r"\dots", "′": "'", "ℓ": r"\ell",
    "𝟏": r"\mathbf{1}", "{": r"\lbrace ", "}": r"\rbrace ", "%": r"\%", "&": r"\&", "#": r"\#",
    "$": r"\$", "_": r"\_", "~": r"\sim", "\\": r"\backslash ", "^": r"\wedge",
}  # fmt: skip
RELATIONS = set("≡≠≤≥≈←∈=<>")
OPERATORS = RELATIONS | set("−±·×⊙*∘⊗→∧∨⊻+/,;")
FENCES = {
    "(": ("(", ")"), "[": ("[", "]"), "⌊": (r"\lfloor ", r"\rfloor "),
    "⌈": (r"\lceil ", r"\rceil "), "|": (r"\lvert ", r"\rvert "), "‖": (r"\lVert ", r"\rVert "),
    "⟨": (r"\langle ", r"\rangle "),
}  # fmt: skip
CLOSING = {"(": ")", "[": "]", "⌊": "⌋", "⌈": "⌉", "|": "|", "‖": "‖", "⟨": "⟩"}
FUNCTIONS = {
    "arccos", "arcsin", "arctan", "cos", "cosh", "det", "exp", "log", "max", "min", "sin", "sinh",
    "tan", "tanh",
}  # fmt: skip
ACCENTS = {
    "\N{COMBINING CIRCUMFLEX ACCENT}": "hat", "\N{COMBINING MACRON}": "bar",
    "\N{COMBINING TILDE}": "tilde", "\N{COMBINING DOT ABOVE}": "dot",
    "\N{COMBINING DIAERESIS}": "ddot", "\N{COMBINING ACUTE ACCENT}": "acute",
    "\N{COMBINING GRAVE ACCENT}": "grave", "\N{COMBINING BREVE}": "breve",
    "\N{COMBINING CARON}": "check", "\N{COMBINING RING ABOVE}": "mathring",
}  # fmt: skip
LATIN_TWINS = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEZHIKMNOPTYXo", strict=True))
PIECE = "[\U000f0000-\U0010fffd]"


def _raised_or_lowered(mark: str) -> str:
    return "".join(
        chr(code)
        for code in (*range(0x00B2, 0x00BA), *range(0x02B0, 0x02E5), *range(0x1D2C, 0x1D6B),
                     *range(0x2070, 0x209D), 0x2C7C, 0x2C7D)
        if unicodedata.decomposition(chr(code)).startswith(mark)
    )  # fmt: skip


LOWERED, RAISED = _raised_or_lowered("<sub>"), _raised_or_lowered("<super>")
LEXEME = re.compile(
    rf"(?P<piece>{PIECE})"
    r"|(?P<number>\d+(?:\.\d+)?)"
    rf"|(?P<low>(?::,)*[{LOWERED}](?:[{LOWERED}]|,[{LOWERED}:]|≠(?=[{LOWERED}]))*)"
    rf"|(?P<high>[{RAISED}](?:[{RAISED}]|·(?=[{RAISED}]))*)"
    r"|(?P<word>[A-Za-z]+)"
    r"|(?P<space>\s+)"
    r"|(?P<sign>.)"
)
Lexeme = tuple[str, str]


def latex(text: str) -> str:
    r"""LaTeX for mathematics in Unicode.

    >>> latex("δZ₃ = δZ₄ W₂ᵀ")
    '\\delta Z_{3} = \\delta Z_{4} W_{2}^{\\top}'
    >>> latex("∂y/∂x = 1 where x > 0, else 0")
    '\\frac{\\partial y}{\\partial x} = 1\\text{ where }x > 0,\\text{ else }0'
    """
    return _Reader(text).all()


def phrases(tex: str) -> Iterator[tuple[bool, str]]:
    r"""LaTeX cut at its words, so that a line may break there: (is mathematics, text).

    >>> list(phrases(latex("y holds the numbers of x")))
    [(True, 'y'), (False, ' holds the numbers of '), (True, 'x')]
    """
    depth = start = 0
    for found in re.finditer(r"\\text\{([^{}]*)\}|\\left|\\right|\\begin|\\end|[{}]", tex):
        sign = found[0]
        if found[1] is not None and depth == 0:
            yield from _with_stops(tex[start : found.start()])
            yield False, found[1]
            start = found.end()
        depth += (sign in (r"\left", r"\begin", "{")) - (sign in (r"\right", r"\end", "}"))
    yield from _with_stops(tex[start:])


def _with_stops(tex: str) -> Iterator[tuple[bool, str]]:
    """Mathematics, and as text the stops between it and the words around it."""
    parts = re.fullmatch(r"([,;:]\s*)?\s*(.*?)\s*([,;:]\s*)?", tex, re.S)
    assert parts is not None, "the pattern takes any text"
    for k, part in enumerate(parts.groups()):
        if part:
            yield k == 1, part


@lru_cache(maxsize=4096)  # a symbol stands in many formulas
def symbol_latex(symbol: str) -> str:
    r"""LaTeX for the symbol of one variable; a name of several letters stays upright.

    >>> symbol_latex("δZ₁"), symbol_latex("Yᵖ"), symbol_latex("logits"), symbol_latex("x_train")
    ('\\delta Z_{1}', 'Y^{p}', '\\mathrm{logits}', 'x_{\\mathrm{train}}')
    """
    if symbol.startswith("δ") and len(symbol) > 1:
        return rf"\delta {symbol_latex(symbol[1:])}"
    parts = re.fullmatch(rf"(.+?)([{LOWERED}]*)([{RAISED}]*)", symbol)
    assert parts is not None, "the pattern takes any text"
    stem, *below = parts[1].strip("_").split("_")
    low = ",".join([_upright(part) for part in below if part] + [_plain(parts[2])] * bool(parts[2]))
    return with_scripts(_upright(stem or "x"), low, _plain(parts[3]))


def with_scripts(base: str, low: str, high: str) -> str:
    """``base`` with a subscript and a superscript."""
    return base + (f"_{{{low}}}" if low else "") + (f"^{{{high}}}" if high else "")


def _upright(word: str) -> str:
    letters = "".join(_greek(c) or _sign(c) for c in unicodedata.normalize("NFC", word))
    single = len(word) == 1 or len(unicodedata.normalize("NFC", word)) == 1 or word.isdigit()
    return letters.strip() if single else rf"\mathrm{{{letters.strip()}}}"


_IN_SCRIPTS = {"·": ".", "ᵀ": r"\top"}
"""What signs mean in a run of raised or lowered ones."""


def _plain(scripts: str) -> str:
    """The normal signs of a run of raised or lowered ones."""
    whole = LOWERED + RAISED.replace("ᵀ", "")
    plain = [unicodedata.normalize("NFKC", c) if c in whole else c for c in scripts]
    return reduce(_join, (_IN_SCRIPTS.get(c) or _sign(c) for c in plain), "").rstrip()


@lru_cache(maxsize=1024)
def _sign(char: str) -> str:
    if char in SIGNS:
        return SIGNS[char]
    if char.isascii():
        return char
    if char in LATIN_TWINS:
        return LATIN_TWINS[char]
    return _greek(char) or _composite(char) or rf"\text{{{char}}}"  # an engine of Unicode prints it


def _greek(char: str) -> str:
    letter = re.fullmatch(
        r"GREEK (SMALL|CAPITAL) LETTER (FINAL )?(\w+)", unicodedata.name(char, "")
    )
    if letter is None:
        return ""
    word = letter[3].lower().replace("lamda", "lambda")
    if letter[1] == "CAPITAL":
        return rf"\{word.capitalize()} "
    small = "varsigma" if letter[2] else {"phi": "varphi"}.get(word, word)
    return rf"\{small} "


def _composite(char: str) -> str:
    """A fraction, or a letter with an accent."""
    fraction = unicodedata.normalize("NFKC", char).split("⁄")
    if len(fraction) == 2:
        return rf"\tfrac{{{fraction[0]}}}{{{fraction[1]}}}"
    letter, *accents = list(unicodedata.normalize("NFD", char))
    if accents == ["\N{COMBINING CEDILLA}"]:
        return rf"\text{{\c{{{letter}}}}}"
    return rf"\{ACCENTS[accents[0]]}{{{letter}}}" if accents and accents[0] in ACCENTS else ""


class _Reader:
    """Reads lexemes from left to right; fences are matched beforehand."""

    def __init__(self, text: str) -> None:
        text = _composed(text)
        self.lexemes: list[Lexeme] = [(m.lastgroup or "", m[0]) for m in LEXEME.finditer(text)]
        self.closing = matched(self.lexemes)
        self.place = 0

    def all(self) -> str:
        return self.until(len(self.lexemes))

    def until(self, end: int) -> str:
        """LaTeX for the lexemes before ``end``."""
        text = ""
        while self.place < end:
            text = _join(text, self.piece(text))
        return text

    def peek(self, ahead: int = 0) -> Lexeme:
        place = self.place + ahead
        return self.lexemes[place] if 0 <= place < len(self.lexemes) else ("", "")

    def piece(self, before: str) -> str:
        """The next atom, space or run of words."""
        kind, sign = self.peek()
        if kind == "space":
            return self.space(before)
        if kind == "word" and self.is_prose(before):
            return self.prose()
        if sign == "∂":
            top = self.derivative()
            if self.peek()[1] == "/" and self.peek(1)[1] == "∂":
                self.place += 1
                return rf"\frac{{{top}}}{{{self.derivative()}}}"
            return top
        return self.atom()

    def space(self, before: str) -> str:
        self.place += 1
        upright = before.endswith("}") and re.search(r"\\mathrm\{\w+\}\S*$", before)
        kind, sign = self.peek()
        operand = kind in ("piece", "word", "number") or sign in CLOSING
        return r"\thinspace " if upright and operand and not self.is_prose(before) else " "

    def derivative(self) -> str:
        """∂ and what it belongs to: ``∂J(i, j)``."""
        self.place += 1
        if self.peek()[0] == "space" or self.peek()[1] in ("", "/"):
            return r"\partial"
        is_delta = self.peek()[1] == "δ"
        text = _join(r"\partial", self.atom())
        if is_delta:
            text = _join(text, self.atom())
        return _join(text, self.atom()) if self.peek()[1] == "(" else text

    def atom(self) -> str:
        """A base with its subscripts and superscripts."""
        base = self.base()
        low = high = primes = ""
        while self.peek()[0] in ("low", "high") or self.peek()[1] == "′":
            kind, sign = self.peek()
            self.place += 1
            if kind == "low":
                low += _plain(sign)
            elif kind == "high":
                high += _plain(sign)
            else:
                primes += "'"
        return with_scripts(base + primes, low, high)

    def base(self) -> str:
        kind, sign = self.peek()
        here = self.place
        self.place += 1
        if sign == "√":
            return rf"\sqrt{{{self.radicand()}}}"
        if sign in ("Σ", "∏") and self.peek()[1] == "[" and self.place in self.closing:
            return _sign(sign) + self.bounds()
        if here in self.closing:
            inner = self.until(self.closing[here])
            self.place += 1
            return fenced(inner, sign)
        if kind == "word" and len(sign) > 1:
            return rf"\{sign}" if sign in FUNCTIONS else rf"\mathrm{{{sign}}}"
        if self.peek()[1] in ACCENTS:
            self.place += 1
            return rf"\{ACCENTS[self.peek(-1)[1]]}{{{_sign(sign).strip()}}}"
        return _sign(sign) if kind in ("sign", "low", "high") else sign

    def bounds(self) -> str:
        """``[i = a … b]`` below and above the sign before it."""
        end = self.closing[self.place]
        inside = range(self.place + 1, end)
        dots = next((k for k in inside if self.lexemes[k][1] == "…"), end)
        self.place += 1
        low = self.until(dots).strip()
        self.place = min(dots + 1, end)
        high = self.until(end).strip()
        self.place = end + 1
        return with_scripts("", low, high)

    def radicand(self) -> str:
        if self.place in self.closing:
            end = self.closing[self.place]
            self.place += 1
            inner = self.until(end)
            self.place += 1
            return inner
        return self.base()

    def is_prose(self, before: str) -> bool:
        """Is the next word plain English, rather than a name or a function?"""
        kind, word = self.peek()
        after_kind, after = self.peek(1)
        name = after_kind in ("low", "high", "number") or after in ("(", "[", "′")
        name |= word.isupper() or self.peek(1 + (after_kind == "space"))[1] in RELATIONS
        marked = before.endswith((r"\delta ", r"\partial"))
        return kind == "word" and len(word) > 1 and word not in FUNCTIONS and not (name or marked)

    def prose(self) -> str:
        """A run of words with the spaces around it."""
        words = ""
        if self.peek(-1)[0] == "space" and self.peek(-2)[1] not in OPERATORS - set(",;"):
            words = " "
        while self.peek()[0] in ("word", "space") or self.peek()[1] in ("'", "-"):
            kind, sign = self.peek()
            if kind == "word" and words.strip() and not (sign == "a" or self.is_prose(" ")):
                break
            if kind == "space" and self.peek(1)[1] in OPERATORS - {"−"}:
                break
            words += sign
            self.place += 1
        return rf"\text{{{words}}}"


def fenced(inner: str, opening: str = "(") -> str:
    """``inner`` between parentheses or the like, as tall as it needs."""
    left, right = FENCES[opening]
    if re.search(PIECE_TALL, inner) or r"\frac" in inner:
        return rf"\left{left}{inner}\right{right}"
    return _join(left, inner) + right


PIECE_TALL = "[\U000f0000-\U000ffffd]"
"""Pieces of this plane stand for arrays, which need tall parentheses."""


def _composed(text: str) -> str:
    """Letters with accents as one character, raised and lowered ones as they are."""
    return unicodedata.normalize("NFC", text)


def matched(lexemes: list[Lexeme]) -> dict[int, int]:
    """Place of an opening fence -> place of the closing one."""
    found: dict[int, int] = {}
    open_: list[int] = []
    for place, (kind, sign) in enumerate(lexemes):
        if kind != "sign":
            continue
        if open_ and sign == CLOSING[lexemes[open_[-1]][1]]:
            found[open_.pop()] = place
        elif sign in CLOSING:
            open_.append(place)
    return found


def _join(first: str, second: str) -> str:
    """Two pieces of LaTeX; a command must not run into the letters after it."""
    if second.startswith(r"\text{ ") and first.endswith(" "):
        first = first.rstrip()
    command = re.search(r"\\[A-Za-z]+$", first)
    runs_on = command and re.match(rf"[A-Za-z]|{PIECE}", second)
    return f"{first} {second}" if runs_on else first + second


def expand(text: str, meaning: Callable[[str], str]) -> str:
    """``text`` with its pieces replaced; braces keep a second subscript or superscript apart."""

    def one(found: re.Match[str]) -> str:
        inner = meaning(found[0])
        following = found.string[found.end() : found.end() + 1]
        clash = following in ("_", "^") and following in inner
        return f"{{{inner}}}" if clash else inner

    return re.sub(PIECE, one, text)
