r"""The derivation as LaTeX for somebody else's document: aligned equations, and Beamer frames.

A fragment has no preamble and no macros of its own; it needs amsmath alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from allbps.readings.derivation import Derivation, Step
from allbps.readings.equation import aligned, split
from allbps.readings.latex import ALIGNED, code, escape, preamble, sentence
from allbps.readings.letters import SHORT_DEFINITION, has_letters, printable

A_FRAME = 7
"""About so many lines fit on a frame."""
HEAD = (
    r"""\documentclass[aspectratio=169]{beamer}
\usepackage{amsmath}
\setbeamertemplate{navigation symbols}{}
\usefonttheme{professionalfonts}
% a formula wider than the frame is scaled down to it
\newsavebox{\formula}
\newcommand{\fit}[1]{\sbox{\formula}{$\displaystyle #1$}%
  \ifdim\wd\formula>\linewidth\resizebox{\linewidth}{!}{\usebox{\formula}}%
  \else\usebox{\formula}\fi}
"""
    + ALIGNED
)


def to_fragment(derivation: Derivation) -> str:
    """``align*`` environments with the relation signs below each other, to paste into a text."""
    parts = []
    for heading, steps in _stretches(derivation):
        rows = " \\\\\n".join(" \\\\*\n".join(_rows(step)) for step in steps)  # \\\\*: no new page
        parts.append(f"% {heading}\n\\begin{{align*}}\n{rows}\n\\end{{align*}}\n")
    text = _by_decimals(printable("\n".join(parts)))
    whole = f"\\begingroup\\allowdisplaybreaks\n{text}\\endgroup\n"
    return SHORT_DEFINITION * has_letters(text) + whole


def _by_decimals(text: str) -> str:
    r"""The matrices as arrays with their columns at the right, which needs no preamble.

    >>> _by_decimals(r"\begin{bmatrix} 1.5 & 2 \\ -0.5 & 0 \end{bmatrix}")
    '\\left[\\begin{array}{@{}rr@{}} 1.5 & 2 \\\\ -0.5 & 0 \\end{array}\\right]'
    """
    return _MATRIX.sub(_array, text)


_MATRIX = re.compile(r"\\begin\{([bp])matrix\} (.*?) \\end\{\1matrix\}")


def _array(found: re.Match[str]) -> str:
    left, right = {"b": ("[", "]"), "p": ("(", ")")}[found[1]]
    columns = found[2].partition(r"\\")[0].count("&") + 1
    return (
        rf"\left{left}\begin{{array}}{{@{{}}{'r' * columns}@{{}}}} {found[2]}"
        rf" \end{{array}}\right{right}"
    )


def _stretches(derivation: Derivation) -> Iterator[tuple[str, list[Step]]]:
    """Sections, in the stretches of one block each: ``Forward: t = 0, cell``."""
    for section, steps in derivation.sections():
        for within, some in groupby(steps, lambda step: step.within):
            blocks = ", ".join(heading.label for heading in within)
            yield f"{section}: {code(blocks)}" if blocks else section, list(some)


def _rows(step: Step) -> Iterator[str]:
    """The lines of one step: its equation at the signs, then the reason."""
    left, lines = split(step)
    first, *more = lines or [""]
    yield f"{left} &{first}"
    yield from (f"&{line}" for line in more)
    if step.because:
        yield rf"&\qquad\text{{{_reason(step)}}}"


def _reason(step: Step) -> str:
    said = ", ".join(map(sentence, step.why()))
    return said if step.kind == "seed" else f"because {said}"


def to_beamer(derivation: Derivation) -> str:
    """A document of frames, on which the steps appear one after another."""
    frames = [
        frame for heading, steps in _stretches(derivation) for frame in _frames(heading, steps)
    ]
    title = printable(rf"\title{{{escape(derivation.title)}}}")
    body = printable("\n\n".join([r"\frame{\titlepage}", *frames]))
    head = preamble(HEAD, title + body)
    return f"{head}{title}\n\\date{{}}\n\\begin{{document}}\n\n{body}\n\n\\end{{document}}\n"


def _frames(heading: str, steps: Sequence[Step]) -> Iterator[str]:
    page: list[str] = []
    used = 0
    for step in steps:
        text, height = _shown(step)
        if page and used + height > A_FRAME:
            yield _frame(heading, page)
            page, used = [], 0
        page.append(text)
        used += height
    yield _frame(heading, page)


def _shown(step: Step) -> tuple[str, int]:
    """One step on a frame, and about how many lines it takes."""
    left, lines = split(step)
    whole = " ".join([left, *lines])
    if len(lines) > 1:
        whole = f"\\begin{{aligned}}\n{aligned(left, lines)}\n\\end{{aligned}}"
    text = rf"\fit{{{whole}}}\par"
    if step.because:
        text += f"\n{{\\footnotesize\\quad {_reason(step)}\\par}}"
    rows = max((line.count(r"\\") for line in lines), default=0) + 1
    return text, rows * max(len(lines), 1) + bool(step.because)


def _frame(heading: str, parts: Sequence[str]) -> str:
    body = "\n\\pause\\medskip\n\n".join(parts)
    return f"\\begin{{frame}}{{{heading}}}\n{body}\n\\end{{frame}}"
