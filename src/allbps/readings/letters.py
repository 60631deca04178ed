r"""Letters that not every engine of LaTeX can print: a file of plain ASCII for all of them.

pdflatex has no fonts for most alphabets, and LuaLaTeX and XeLaTeX leave out what their font lacks.
So such a letter is ``\letter{…}{…}``, its number and its name: the letter itself where a font of
the machine has it, and its name elsewhere.
"""

from __future__ import annotations

import re
import unicodedata

COMMANDS = {
    "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}",
    "Ł": r"\L{}", "œ": r"\oe{}", "Œ": r"\OE{}", "ı": r"\i{}", "ȷ": r"\j{}", "§": r"\S{}",
    "¶": r"\P{}", "©": r"\copyright{}", "£": r"\pounds{}", "¡": "!`", "¿": "?`",
    "å": r"\aa{}", "Å": r"\AA{}", "\N{NO-BREAK SPACE}": "~",
}  # fmt: skip
"""What has a command in every engine."""
ACCENTS = dict(zip("\u0300\u0301\u0302\u0303\u0308\u0327\u030a\u030c", "`'^~\"crv", strict=True))
"""Combining accent -> the LaTeX command for it."""
FONTS = ("DejaVu Sans", "Noto Sans CJK SC", "Noto Sans", "FandolSong", "Arial Unicode MS")
"""Where a letter is looked for that the text's own font lacks."""


def definition() -> str:
    r"""What ``\letter`` is, for a preamble."""
    found = "{#2}"
    for font in reversed(FONTS):
        found = rf"{{\letterfrom{{{font}}}{{#1}}{found}}}"
    return (
        "% a letter by its number where there is a font with it, otherwise by its name\n"
        "\\usepackage{iftex}\n\\ifpdftex\\newcommand{\\letter}[2]{{\\footnotesize[#2]}}\\else\n"
        "\\usepackage[no-math]{fontspec}\n"
        '\\newcommand{\\letterfrom}[3]{\\IfFontExistsTF{#1}{{\\fontspec{#1}\\iffontchar\\font"#2'
        ' \\char"#2\\else#3\\fi}}{#3}}\n'
        f'\\newcommand{{\\letter}}[2]{{\\iffontchar\\font"#1 \\char"#1\\else{found}\\fi}}\\fi\n'
    )


SHORT_DEFINITION = "\\providecommand{\\letter}[2]{{\\footnotesize[#2]}}\n"
r"""What stands before a fragment with such letters; a text of one's own may have another."""


def has_letters(tex: str) -> bool:
    r"""Does a text use ``\letter``?"""
    return r"\letter{" in tex


def printable(tex: str) -> str:
    r"""The same in ASCII.

    >>> printable("größe"), printable("名")
    ('gr\\"{o}\\ss{}e', '\\letter{540D}{U+540D}')
    """
    return re.sub(r"[^\x00-\x7f][\u0300-\u036f]*", lambda found: _written(found[0]), tex)


def text_sign(char: str) -> str | None:
    """LaTeX for a letter that every engine prints in a text; None for others."""
    if char in COMMANDS:
        return COMMANDS[char]
    letter, *accents = list(unicodedata.normalize("NFD", char))
    if letter.isascii() and len(accents) == 1 and accents[0] in ACCENTS:
        return rf"\{ACCENTS[accents[0]]}{{{letter}}}"
    return None


def _written(text: str) -> str:
    known = text_sign(unicodedata.normalize("NFC", text))
    if known is not None:
        return known
    same = unicodedata.normalize("NFKC", text)  # a ligature, a letter of full width
    if same.isascii() and same.isalnum():
        return same
    return "".join(rf"\letter{{{ord(c):04X}}}{{{named(c)}}}" for c in text)


def named(char: str) -> str:
    """A short name for a letter.

    >>> named("в"), named("В"), named("名"), named("🚀")
    ('ve', 'Ve', 'U+540D', 'rocket')
    """
    name = unicodedata.name(char, "")
    letter = re.search(r"LETTER (?:FINAL )?([A-Z -]+)$", name)
    if letter:
        small = letter[1].lower()
        return small.capitalize() if "CAPITAL" in name else small
    return name.lower() if re.fullmatch(r"[A-Z -]+", name) else f"U+{ord(char):04X}"
