"""What shows itself in a notebook: HTML with a style that touches nothing else on the sheet."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

# the notebook's own colours, and δ in one that stands out in its light and in its dark theme
STYLE = """
.allbps-sheet { --delta: #9a3412; --soft: #545a62; --line: #c9cdd2; font-size: 1em; line-height: 1.5; }
[data-jp-theme-light=false] .allbps-sheet, .vscode-dark .allbps-sheet { --delta: #fdba74; --soft: #a9b0b8; --line: #4a5058; }
.allbps-sheet h3 { font-size: 1em; margin: 1em 0 .3em; }
.allbps-sheet figure { margin: .4em 0; overflow-x: auto; }
.allbps-sheet svg { max-width: 100%; height: auto; }
.allbps-sheet math { font-size: 1.08em; font-family: "Latin Modern Math", "STIX Two Math", "Cambria Math", "DejaVu Math TeX Gyre", "Noto Sans Math", math; }
.allbps-sheet mtd:not([style]) { text-align: right; justify-items: end; }
.allbps-sheet .step { margin: .4em 0; overflow-x: auto; }
.allbps-sheet .step.given { display: inline-block; max-width: 100%; margin: .2em 1.6em .2em 0; vertical-align: middle; }
.allbps-sheet .eq { display: flex; align-items: baseline; width: fit-content; line-height: 1.35; text-align: left; }
.allbps-sheet .side { display: inline-block; max-width: 100%; margin: .1em 0; padding-left: 1.4em; text-indent: -1.4em; }
.allbps-sheet .step > code { display: block; color: var(--soft); background: none; padding: 0; font-size: .86em; }
.allbps-sheet .step.contribution > .eq, .allbps-sheet .step.delta > .eq, .allbps-sheet .step.seed > .eq { color: var(--delta); }
.allbps-sheet .because { color: var(--soft); margin: .1em 0 0 1.5em; font-size: .94em; }
.allbps-sheet .said { margin: .2em 0; white-space: pre-wrap; }
.allbps-sheet table { border-collapse: collapse; margin: .5em 0; font-size: .92em; }
.allbps-sheet th, .allbps-sheet td { text-align: left; padding: .2em .9em .2em 0; border: 0; border-bottom: 1px solid var(--line); background: none; }
.allbps-sheet td.number { text-align: right; font-variant-numeric: tabular-nums; }
"""  # noqa: E501 - one rule a line


def sheet(html: str) -> str:
    """HTML that was made by a reading, with the style it needs; several may stand on one page."""
    return f'<div class="allbps-sheet"><style>{STYLE}</style>\n{html}\n</div>'


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int]) -> str:
    """A table of texts; the columns ``numbers`` are aligned at the right.

    >>> table(["a"], [["<b>"]], numbers=[])
    '<table><tr><th>a</th></tr><tr><td>&lt;b&gt;</td></tr></table>'
    """
    head = "".join(f"<th>{escape(text)}</th>" for text in headings)
    body = "".join(f"<tr>{_cells(row, numbers)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _cells(row: Sequence[str], numbers: Sequence[int]) -> str:
    kinds = {True: ' class="number"', False: ""}
    return "".join(f"<td{kinds[k in numbers]}>{escape(t)}</td>" for k, t in enumerate(row))


def paragraph(text: str) -> str:
    """A paragraph that keeps its lines; nothing where there is no text."""
    return f'<p class="said">{escape(text)}</p>' if text else ""
