"""How much room text takes, without asking a font: rather too much than too little."""

from __future__ import annotations

import unicodedata

FONT = 13.0
"""Size of the letters, in pixels."""
BOLD = 1.12
"""How much wider bold letters are."""
NARROW = frozenset("ijltfrI.,:;'|!()[]·′ ")
OPERATORS = frozenset("=+−×÷±<>≤≥≠≈∼→←⊙∗⋅∞∘~_")
WIDEST = frozenset("mwMW…%@½¼¾‰")


def text_width(text: str, bold: bool = False) -> float:
    """Width in pixels of one line, in the widest of the common sans-serif fonts.

    >>> text_width("Z₁") < text_width("Z₁", bold=True) < text_width("Z₁ = X W₁")
    True
    """
    return sum(map(_em, text)) * FONT * (BOLD if bold else 1.0)


def shortened(text: str, width: float, bold: bool = False) -> str:
    """The text, or as much of it as there is room for.

    >>> shortened("weights", 60.0), shortened("weights", 40.0)
    ('weights', 'we…')
    """
    kept = text
    while kept and text_width(kept if kept == text else f"{kept}…", bold) > width:
        kept = kept[:-1]
    return kept if kept == text else f"{kept}…"


def _em(sign: str) -> float:  # noqa: PLR0911  (a table)
    """Width of one sign, in units of the font size."""
    if sign in NARROW:
        return 0.42
    if sign in WIDEST or unicodedata.east_asian_width(sign) in "WF":
        return 1.02
    if unicodedata.combining(sign):
        return 0.0
    if "<super>" in unicodedata.decomposition(sign) or "<sub>" in unicodedata.decomposition(sign):
        return 0.46
    if sign in OPERATORS:
        return 0.85
    if sign.isupper():
        return 0.79
    return 0.65 if sign.isascii() or sign.isalpha() else 0.95
