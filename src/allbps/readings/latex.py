"""The derivation as LaTeX: a document that pdflatex compiles.

Letters that pdflatex has no font for are printed by their names there, and as they are by an engine
that knows Unicode; a document with such letters says so in its first line.
"""

from __future__ import annotations

import re
import unicodedata
from functools import reduce

from allbps.mathematics import Math, letters, parse
from allbps.mathematics.tex import sentence as phrases
from allbps.readings.derivation import Derivation, Step, groups, headings, source_lines
from allbps.readings.equation import LINE, equation
from allbps.readings.letters import definition, has_letters, printable, text_sign

ALIGNED = r"""
% the columns of a matrix end at their last decimals
\makeatletter
\renewcommand*\env@matrix{\hskip-\arraycolsep\let\@ifnextchar\new@ifnextchar
  \array{*\c@MaxMatrixCols r}}
\makeatother
\setcounter{MaxMatrixCols}{99}
"""[1:]
PREAMBLE = (
    r"""\documentclass[11pt]{article}
\usepackage[margin=22mm]{geometry}
\usepackage{amsmath,amssymb,graphicx,textcomp}
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt}
\raggedright
% a formula wider than the line is scaled down to it
\newsavebox{\formula}
\newcommand{\fit}[1]{\sbox{\formula}{$\displaystyle #1$}%
  \ifdim\wd\formula>\linewidth\resizebox{\linewidth}{!}{\usebox{\formula}}%
  \else\usebox{\formula}\fi}
\newcommand{\code}[1]{{\footnotesize\texttt{#1}}}
\newcommand{\step}[2]{\par\medskip\hspace*{0pt}\fit{#1}\hfill\code{#2}\par}
\newcommand{\codestep}[2]{\par\medskip\code{#2}\par\nopagebreak\hspace*{0pt}\fit{#1}\par}
\newcommand{\reason}[1]{\nopagebreak{\small\hspace*{2em}%
  \begin{minipage}[t]{\dimexpr\linewidth-2em}\raggedright #1\end{minipage}\par}}
% a call or a turn of a loop: its name, what goes in and what comes out, its steps indented
\newenvironment{block}[2]{\par\medskip\pagebreak[1]{\bfseries #1}\quad{\small #2}\par\nopagebreak
  \advance\leftskip 1em\advance\linewidth -1em}{\par\medskip}
"""
    + ALIGNED
)
UNICODE_ENGINE = (
    "% !TEX program = lualatex\n"
    "% (or xelatex; pdflatex has no font for some letters here and prints their names)\n"
)
SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    '"': r"\char34{}", "'": r"\textquotesingle{}", "`": r"\textasciigrave{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "°": r"$^{\circ}$",
    "‘": "`", "’": "'", "“": "``", "”": "''", "–": "--", "—": "---",
}  # fmt: skip


def to_latex(derivation: Derivation) -> str:
    """A stand-alone document: ``pdflatex`` needs nothing but amsmath, amssymb and graphicx."""
    return document(derivation.title, body(derivation))


def document(title: str, content: str) -> str:
    """The whole file around ``content``."""
    text = printable(f"\\section*{{{escape(title)}}}\n{content}\n")
    return f"{preamble(PREAMBLE, text)}\\begin{{document}}\n{text}\\end{{document}}\n"


def preamble(own: str, text: str) -> str:
    """What stands before a text: ``own``, with what its letters need."""
    if not has_letters(text):
        return own
    first, rest = own.split("\n", 1)
    return f"{UNICODE_ENGINE}{first}\n{definition()}{rest}"


def body(derivation: Derivation) -> str:
    """What stands between the title and the end."""
    parts = [escape(derivation.doc.partition("\n\n")[0])] if derivation.doc else []
    if derivation.warning:
        parts.append(rf"\textbf{{Warning:}} {escape(derivation.warning)}")
    for heading, steps in derivation.sections():
        parts.append(rf"\subsection*{{{heading}}}")
        parts += _given(steps) if heading == "Given" else _nested(steps)
    return "\n\n".join(parts)


def _nested(steps: list[Step], depth: int = 0) -> list[str]:
    """The steps, those of a block indented below its heading."""
    parts: list[str] = []
    for heading, some in groups(steps, depth):
        if heading is None:
            parts += _steps(some)
            continue
        flow = heading.flow(lambda math: f"${math.latex}$").replace("→", r"$\rightarrow$")
        parts.append(rf"\begin{{block}}{{{code(heading.label)}}}{{{flow}}}")
        parts += [*_nested(some, depth + 1), r"\end{block}"]
    return parts


def escape(text: str) -> str:
    r"""Plain text for LaTeX; words with signs that are neither ASCII nor letters are mathematics.

    >>> escape("50 % of ‖δx‖, größer, 180°")
    '50 \\% of $\\lVert \\delta x\\rVert ,$ gr\\"{o}\\ss{}er, 180$^{\\circ}$'
    """
    return "".join(map(_word, re.split(r"(\s+)", text)))


def code(text: str) -> str:
    r"""A line of the user's source, in which every letter is itself.

    >>> code("y = Σ * x_1")
    'y = $\\Sigma$ * x\\_1'
    """
    signs = (_text_sign(c) or f"${letters.symbol(c)}$" for c in unicodedata.normalize("NFC", text))
    return "".join(signs)


def _word(word: str) -> str:
    signs = [_text_sign(c) for c in unicodedata.normalize("NFC", word)]
    if None not in signs:
        return "".join(filter(None, signs))
    try:
        return f"${parse(word).latex}$"
    except ValueError:  # signs that mean something else here
        return f"${reduce(letters.join, map(letters.sign, word), '').strip()}$"


def _text_sign(char: str) -> str | None:
    """LaTeX for a sign of plain text; None for one that only mathematics has."""
    return SPECIAL.get(char, char) if char.isascii() or char in SPECIAL else text_sign(char)


def sentence(math: Math) -> str:
    """Mathematics inside a sentence; its words become text, where lines can break."""
    return "".join(f"${part}$" if is_math else escape(part) for is_math, part in phrases(math))


def _given(steps: list[Step]) -> list[str]:
    between = "\n\n" if any(step.summary for step in steps) else " \\quad "
    return [between.join(rf"\fit{{{equation(step)}}}" for step in steps)]


def _steps(steps: list[Step]) -> list[str]:
    parts = []
    for step, source, turn in zip(steps, source_lines(steps), headings(steps), strict=True):
        parts += [rf"\paragraph*{{{code(turn)}}}"] if turn else []
        shown = equation(step)
        beside = not source or (r"\begin" not in shown and len(source) < LINE // 2)
        parts.append(rf"\{'step' if beside else 'codestep'}{{{shown}}}{{{code(source)}}}")
        if step.because:
            said = ", ".join(sentence(part) for part in step.why())
            parts.append(rf"\reason{{{said if step.kind == 'seed' else f'because {said}'}}}")
    return parts
