"""Colours and strokes of the picture, light and dark; every text stands out at least 4.5 to 1."""

from __future__ import annotations

THEMES = ("auto", "light", "dark")
LIGHT = {
    "ground": "#ffffff",
    "paper": "#ffffff",
    "ink": "#16181b",
    "soft": "#4a5058",
    "line": "#5a6068",
    "given": "#eef1f4",
    "wanted": "#fff4e5",
    "band": "#fdeadb",
    "delta": "#9a3412",
}
DARK = {
    "ground": "#17191c",
    "paper": "#22262a",
    "ink": "#f1f2f3",
    "soft": "#c3c9d0",
    "line": "#9aa2ab",
    "given": "#2e3338",
    "wanted": "#33271b",
    "band": "#432c1a",
    "delta": "#fdba74",
}
RULES = """
.allbps .ground {{ fill: {ground}; }}
.allbps .box {{ fill: {paper}; stroke: {line}; }}
.allbps .given .box {{ fill: {given}; }}
.allbps .wanted .box {{ fill: {wanted}; stroke: {delta}; }}
.allbps .band {{ fill: {band}; stroke: {line}; }}
.allbps .wanted .band {{ stroke: {delta}; }}
.allbps .edge, .allbps .bracket {{ stroke: {line}; }}
.allbps .head {{ fill: {line}; }}
.allbps .back {{ stroke: {delta}; }}
.allbps text {{ fill: {ink}; }}
.allbps text.how, .allbps tspan.how, .allbps .legend text {{ fill: {soft}; }}
.allbps text.delta, .allbps tspan.delta {{ fill: {delta}; }}
.allbps .bracket.delta {{ stroke: {delta}; }}
.allbps .label {{ fill: {delta}; }}
"""
SHAPES = """
.allbps text { font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; }
.allbps .symbol { font-weight: 600; }
.allbps .box { stroke-width: 1.2; }
.allbps .given .box { stroke-dasharray: 4 3; }
.allbps .wanted .box { stroke-width: 1.8; }
.allbps .result .box { stroke-width: 3; }
.allbps .edge, .allbps .back, .allbps .bracket { fill: none; stroke-width: 1.2; }
.allbps .back { stroke-width: 2; }
"""


def style(theme: str) -> str:
    """The rules of a theme, in plain colours that any viewer understands."""
    light, dark = RULES.format(**LIGHT), RULES.format(**DARK)
    if theme == "auto":
        return f"{SHAPES}{light}@media (prefers-color-scheme: dark) {{{dark}}}\n"
    return SHAPES + (dark if theme == "dark" else light)
