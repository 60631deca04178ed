r"""The picture as TikZ, for ``\input`` into a LaTeX document that loads the package tikz.

Everything stands where it stands in the SVG; formulas and numbers are set by LaTeX. A picture that
is larger than the page is scaled down to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from allbps.backprop import Term
from allbps.backward import Backward
from allbps.ir import CONST, INPUT, Node
from allbps.mathematics.arrays import slices
from allbps.mathematics.letters import numeral, symbol
from allbps.readings.drawing.cards import GRID, LONGEST, Card, Dealer, grid_of
from allbps.readings.drawing.geometry import Box, Point
from allbps.readings.drawing.placed import Tag
from allbps.readings.drawing.strokes import n
from allbps.readings.drawing.theme import LIGHT
from allbps.readings.latex import code
from allbps.readings.letters import SHORT_DEFINITION, has_letters, printable
from allbps.readings.numbers import cells, number
from allbps.readings.overview import Plan, planned
from allbps.readings.picture import Scene, fits, scene

FRAMES = {
    "given": "draw=allbpsline, dashed, fill=allbpsgiven, rounded corners=6pt",
    "wanted": "draw=allbpsdelta, thick, fill=allbpswanted, rounded corners=6pt",
    "computed": "draw=allbpsline, fill=white, rounded corners=1pt",
    "result": "draw=allbpsink, very thick, fill=white, rounded corners=1pt",
    "tag": "draw=allbpsline, dashed, fill=allbpsgiven, rounded corners=3pt",
}
"""Kind of card -> its frame."""
HEAD = r"""% \usepackage{tikz,amsmath} in the preamble, then \input this file
\begingroup
\providecommand{\allbpsfit}{%
  \ifdim\wd0>\linewidth\setbox0\hbox{\resizebox{\linewidth}{!}{\box0}}\fi
  \ifdim\ht0>.95\textheight\resizebox{!}{.95\textheight}{\box0}\else\box0\fi}%
"""
OPEN = r"""\setbox0\hbox{\begin{tikzpicture}[x=0.75pt, y=-0.75pt, every node/.style={inner sep=0pt},
  forward/.style={allbpsline, -latex}, back/.style={allbpsdelta, thick, to-},
  value/.style={allbpsink, font=\fontsize{8.5}{10}\selectfont},
  delta/.style={allbpsdelta, font=\fontsize{8.5}{10}\selectfont}]
"""
CLOSE = r"""\end{tikzpicture}}%
\allbpsfit
\endgroup
"""


def to_tikz(
    backward: Backward,
    values: Mapping[str, Any],
    symbols: Mapping[str, str] | None = None,
    in_blocks: bool = False,
    hidden: frozenset[Node] = frozenset(),
) -> str:
    """The graph with δ beside every value; of a large net and ``in_blocks``, its pieces.

    Args:
        backward: the graph with its δ nodes.
        values: every number by name.
        symbols: name -> how to write it, where the name itself would not do.
        in_blocks: one box for each call, module or turn of a loop.
        hidden: values without a card, which stand in the formulas of others.
    """
    if in_blocks or not fits(backward, hidden):
        lines = _pieces(planned(backward))
    else:
        lines = _cards(scene(backward, values, symbols, hidden=hidden))
    colours = "".join(
        f"\\definecolor{{allbps{name}}}{{HTML}}{{{value[1:].upper()}}}%\n"
        for name, value in LIGHT.items()
        if name not in ("ground", "paper", "soft")
    )
    body = printable("".join(f"  {line}\n" for line in lines))
    definition = SHORT_DEFINITION.replace("\n", "%\n") * has_letters(body)
    return f"{HEAD}{definition}{colours}{OPEN}{body}{CLOSE}"


# -- cards -----------------------------------------------------------------------------------------
def _cards(found: Scene) -> Iterator[str]:
    cards, layout = found.cards, found.layout
    for one in found.arrows:
        yield from _arrow(one.points, one.carries_delta)
    for card, centre, box in zip(cards, layout.centres, layout.boxes, strict=True):
        yield from _card(found.dealer, card, centre, box)
    for tag in layout.tags:
        yield from _tag(found, tag)
    inside = {tag.link for tag in layout.tags}
    for k, (one, terms) in enumerate(zip(found.arrows, found.terms, strict=True)):
        if one.label and k not in inside:
            text = _contributions(found.dealer, terms)
            yield rf"\node[delta, fill=white, inner sep=1pt] at {_at(*one.anchor)} {{${text}$}};"


def _contributions(dealer: Dealer, terms: Iterable[Term]) -> str:
    """What comes back along an arrow: ``δx₁ = 4``, ``δW₁`` for an array."""

    def one(node: Node) -> str:
        value = f" = {numeral(number(dealer.value(node)))}" if node.shape == () else ""
        return f"{symbol(dealer.symbols[node])}{value}"

    return r",\; ".join(one(term.node) for term in terms)


def _card(dealer: Dealer, card: Card, centre: Point, box: Box) -> Iterator[str]:
    x, (left, top) = centre[0], _corner(centre, box)
    bottom = top + box.height
    upper = bottom - card.lower if card.delta else bottom
    yield _frame(card.kind, left, top, box)
    if card.delta:
        yield (
            rf"\begin{{scope}}\clip[{_rounding(card.kind)}] {_at(left, top)} rectangle"
            rf" {_at(left + box.width, bottom)}; \fill[allbpsband] {_at(left, upper)} rectangle"
            rf" {_at(left + box.width, bottom)};\end{{scope}}"
        )
        yield (
            rf"\draw[{FRAMES[card.kind].partition(', fill')[0]}, {_rounding(card.kind)}]"
            rf" {_at(left, top)} rectangle {_at(left + box.width, bottom)};"
        )
        yield _text("delta", x, (upper + bottom) / 2, [_delta(dealer, card.node)])
    yield _text("value", x, (top + upper) / 2, _rows(dealer, card.node))


def _rows(dealer: Dealer, node: Node) -> list[str]:
    """``W₁ = 0.5``, or ``Z₁ = X W₁`` with its number below."""
    name, value = symbol(dealer.symbols[node]), _value(dealer, node, node)
    if node.op in (INPUT, CONST):
        return [f"{name}{value}"]
    how = dealer.pen.formula(node)
    return [rf"{name} = {how.latex if len(how.inline) <= LONGEST else chr(92) + 'dots'}", value]


def _delta(dealer: Dealer, node: Node) -> str:
    if node in dealer.unreached:
        return rf"\delta {symbol(dealer.symbols[node])} = 0"
    own = dealer.backward.deltas[node].node
    return f"{symbol(dealer.symbols[own])}{_value(dealer, own, node)}"


def _value(dealer: Dealer, node: Node, of: Node) -> str:
    """``= 0.5``, ``=`` with the numbers of a small array, or the shape of a larger one."""
    value = dealer.value(node)
    if np.ndim(value) == 0:
        return f" = {numeral(number(value))}"
    if dealer.is_detailed(of) and grid_of(value):
        ((_, texts),) = slices(cells(value, GRID))
        rows = r"\\".join("&".join(map(numeral, row)) for row in texts.tolist())
        columns = "r" * texts.shape[1]
        return (
            r" = \left[\begingroup\arraycolsep=3pt\def\arraystretch{0.9}"
            rf"\begin{{array}}{{@{{}}{columns}@{{}}}}{rows}\end{{array}}\endgroup\right]"
        )
    lengths = np.shape(value)
    shape = r"\times".join(map(str, lengths)) if len(lengths) > 1 else f"({lengths[0]})"
    return rf"\;\;{shape}"


def _tag(found: Scene, tag: Tag) -> Iterator[str]:
    """The name of a value that stands far away and, below it, what comes back."""
    left, top = _corner(tag.centre, tag.box)
    yield _frame("tag", left, top, tag.box)
    name = symbol(found.dealer.symbols[found.cards[tag.source].node])
    shown = [rf"{name}"]
    if found.arrows[tag.link].label:
        coming = _contributions(found.dealer, found.terms[tag.link])
        shown.append(rf"\color{{allbpsdelta}}{coming}")
    yield _text("value", *tag.centre, shown)


# -- pieces ----------------------------------------------------------------------------------------
def _pieces(plan: Plan) -> Iterator[str]:
    layout = plan.layout
    for line, back in zip(layout.lines, plan.links.values(), strict=True):
        yield from _arrow(line, back)
    for k, (texts, centre, box) in enumerate(
        zip(plan.texts, layout.centres, layout.boxes, strict=True)
    ):
        yield _frame("computed" if k else "given", *_corner(centre, box), box)
        label, count = map(code, texts)
        shown = rf"\textbf{{{label}}}\\{{\footnotesize {count}}}"
        yield rf"\node[value, align=center] at {_at(*centre)} {{{shown}}};"


# -- strokes ---------------------------------------------------------------------------------------
def _arrow(points: Sequence[Point], back: bool) -> Iterator[str]:
    yield rf"\draw[forward] {' -- '.join(_at(*point) for point in points)};"
    if back:  # a head at the start, in its own colour
        (x0, y0), (x1, y1) = points[:2]
        part = min(6.0 / math.hypot(x1 - x0, y1 - y0), 1.0)
        yield rf"\draw[back] {_at(x0, y0)} -- {_at(x0 + part * (x1 - x0), y0 + part * (y1 - y0))};"


def _frame(kind: str, left: float, top: float, box: Box) -> str:
    corner = _at(left + box.width, top + box.height)
    return rf"\draw[{FRAMES[kind]}] {_at(left, top)} rectangle {corner};"


def _rounding(kind: str) -> str:
    return FRAMES[kind].rpartition(", ")[2]


def _text(tone: str, x: float, y: float, rows: Sequence[str]) -> str:
    shown = r"\\[1pt]".join(f"${row.strip()}$" for row in rows)
    return rf"\node[{tone}, align=center] at {_at(x, y)} {{{shown}}};"


def _corner(centre: Point, box: Box) -> Point:
    return centre[0] - box.width / 2, centre[1] - box.height / 2


def _at(x: float, y: float) -> str:
    return f"({n(x)},{n(y)})"
