"""Signs and names in LaTeX: the one place that knows how a letter is written there."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache, reduce

from allbps.mathematics.reader import LOWERED, RAISED

SIGNS = {
    "−": "-", "±": r"\pm", "·": r"\cdot", "×": r"\times", "⊙": r"\odot", "*": r"\ast",
    "∘": r"\circ", "⊗": r"\otimes", "≡": r"\equiv", "≠": r"\ne", "≤": r"\le", "≥": r"\ge",
    "≈": r"\approx", "→": r"\to", "←": r"\leftarrow", "∈": r"\in", "∧": r"\wedge", "∨": r"\vee",
    "⊻": r"\veebar", "¬": r"\neg", "∀": r"\forall", "∃": r"\exists", "∂": r"\partial",
    "∇": r"\nabla", "∞": r"\infty", "∫": r"\int", "Σ": r"\sum", "Π": r"\prod", "∏": r"\prod",
    "…": r"\dots", "′": "'", "ℓ": r"\ell", "⊥": r"\perp", "⌊": r"\lfloor", "⌋": r"\rfloor",
    "√": r"\surd", "↦": r"\mapsto",
    "𝟏": r"\mathbf{1}", "{": r"\lbrace ", "}": r"\rbrace ", "%": r"\%", "&": r"\&", "#": r"\#",
    "$": r"\$", "_": r"\_", "~": r"\sim", "\\": r"\backslash ", "^": r"\wedge",
}  # fmt: skip
FUNCTIONS = {
    "arccos", "arcsin", "arctan", "cos", "cosh", "det", "exp", "ln", "log", "max", "min", "sin",
    "sinh", "tan", "tanh",
}  # fmt: skip
"""Words that LaTeX knows."""
ACCENTS = {
    "\N{COMBINING CIRCUMFLEX ACCENT}": "hat", "\N{COMBINING MACRON}": "bar",
    "\N{COMBINING TILDE}": "tilde", "\N{COMBINING DOT ABOVE}": "dot",
    "\N{COMBINING DIAERESIS}": "ddot", "\N{COMBINING ACUTE ACCENT}": "acute",
    "\N{COMBINING GRAVE ACCENT}": "grave", "\N{COMBINING BREVE}": "breve",
    "\N{COMBINING CARON}": "check", "\N{COMBINING RING ABOVE}": "mathring",
}  # fmt: skip
UNDERLINE = "\N{COMBINING LOW LINE}"
"""Behind each sign of a numeral that is underlined."""
LATIN_TWINS = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEZHIKMNOPTYXo", strict=True))


@lru_cache(maxsize=4096)  # a symbol stands in many formulas
def symbol(name: str) -> str:
    r"""LaTeX for the symbol of one variable; a name of several letters stays upright.

    Underscores stand as they are where a subscript would make the name look like another: ``x_1``,
    which is called so where ``x1`` has the symbol x₁, and ``_x`` beside ``x``.

    >>> symbol("δZ₁"), symbol("Yᵖ"), symbol("logits"), symbol("x_train"), symbol("_x")
    ('\\delta Z_{1}', 'Y^{p}', '\\mathrm{logits}', 'x_{\\mathrm{train}}', '\\mathrm{\\_x}')
    """
    if name.startswith("δ") and len(name) > 1:
        return rf"\delta {symbol(name[1:])}"
    parts = re.fullmatch(rf"(.+?)([{LOWERED}]*)([{RAISED}]*)", name)
    assert parts is not None, "the pattern takes any text"
    stem, *below = parts[1].split("_")
    if not stem or not all(below) or (below and below[-1].isdigit()):
        return with_scripts(_upright(parts[1]), marks(parts[2]), marks(parts[3]))
    low = ",".join([_upright(part) for part in below] + [marks(parts[2])] * bool(parts[2]))
    return with_scripts(_upright(stem), low, marks(parts[3]))


def with_scripts(base: str, low: str, high: str) -> str:
    """``base`` with a subscript and a superscript."""
    return base + (f"_{{{low}}}" if low else "") + (f"^{{{high}}}" if high else "")


def _upright(word: str) -> str:
    composed = unicodedata.normalize("NFC", word)
    letters = "".join(_greek(c) or sign(c) for c in composed)
    if accented := _accented(word):
        return accented
    single = len(composed) == 1 or word.isdigit()
    return letters.strip() if single else rf"\mathrm{{{letters.strip()}}}"


def _accented(word: str) -> str:
    """One letter with an accent that it has no character for: β̂."""
    letter, *accents = list(unicodedata.normalize("NFD", word))
    if len(accents) != 1 or accents[0] not in ACCENTS:
        return ""
    return rf"\{ACCENTS[accents[0]]}{{{(_greek(letter) or sign(letter)).strip()}}}"


_IN_SCRIPTS = {"·": ".", "ᵀ": r"\top"}
"""What signs mean in a run of raised or lowered ones."""


def marks(scripts: str) -> str:
    """The normal signs of a run of raised or lowered ones."""
    whole = LOWERED + RAISED.replace("ᵀ", "")
    plain = [unicodedata.normalize("NFKC", c) if c in whole else c for c in scripts]
    return reduce(join, (_IN_SCRIPTS.get(c) or sign(c) for c in plain), "").rstrip()


@lru_cache(maxsize=4096)
def numeral(text: str) -> str:
    r"""A numeral: digits, a power of ten, or what is exact: ``−√2/2``, ``ln 5``.

    >>> numeral("−1.2·10⁻⁹"), numeral("−½"), numeral("∞")
    ('-1.2\\cdot10^{-9}', '-\\tfrac{1}{2}', '\\infty')
    """
    from allbps.mathematics.grammar import parse
    from allbps.mathematics.tex import latex

    if UNDERLINE in text:
        return rf"\underline{{{numeral(text.replace(UNDERLINE, ''))}}}"
    power = re.fullmatch(rf"(.*)·10([{RAISED}]+)", text)
    if power:
        return rf"{power[1].replace('−', '-')}\cdot10^{{{marks(power[2])}}}"
    if re.fullmatch(r"[−\d.]+|nan|−?∞|−?½|…", text):
        return "".join(map(sign, text)) if text != "nan" else r"\mathrm{nan}"
    return latex(parse(text))


@lru_cache(maxsize=1024)
def sign(char: str) -> str:
    """One sign."""
    if char in SIGNS:
        return SIGNS[char]
    if char.isascii():
        return char
    if char in LATIN_TWINS:
        return LATIN_TWINS[char]
    if len(char) == 1 and char in LOWERED + RAISED:  # one that stands behind nothing
        return rf"{{}}{'^' if char in RAISED else '_'}{{{marks(char)}}}"
    return _greek(char) or _composite(char) or rf"\text{{{char}}}"  # an engine of Unicode prints it


def _greek(char: str) -> str:
    name = unicodedata.name(char, "") if len(char) == 1 else ""
    letter = re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER (FINAL )?(\w+)", name)
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


def join(first: str, second: str) -> str:
    """Two pieces of LaTeX; a command must not run into the letters after it."""
    runs_on = re.search(r"\\[A-Za-z]+$", first) and re.match(r"[A-Za-z]", second)
    return f"{first} {second}" if runs_on else first + second
