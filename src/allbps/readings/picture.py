"""The picture: the computational graph as SVG, with δ beside every value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from allbps.backward import Backward
from allbps.errors import ArgumentError
from allbps.ir import CONST, INPUT, Node
from allbps.readings.formula import Writer
from allbps.readings.layout import Box, Edge, Layout, arrange
from allbps.readings.numbers import number
from allbps.readings.symbols import symbols as choose_symbols

LARGEST = 400
"""Pictures of more values than this cannot be read."""
FONT, LINE, PADDING = 13.0, 17.0, 9.0
LONGEST = 34
"""Characters of a formula in a box; the whole one is in the tooltip."""

STYLE = """
.allbps { font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; }
.allbps .box { fill: #ffffff; stroke: #5a6068; stroke-width: 1.2; }
.allbps .given .box { fill: #eef1f4; stroke-dasharray: 4 3; }
.allbps .wanted .box { fill: #fff6e9; stroke: #9a3412; stroke-width: 1.8; }
.allbps .result .box { stroke-width: 2.6; }
.allbps .edge { fill: none; stroke: #5a6068; stroke-width: 1.2; }
.allbps .tip { fill: #5a6068; }
.allbps .symbol { font-weight: 600; fill: #16181b; }
.allbps .how { fill: #4a5058; }
.allbps .delta { fill: #9a3412; }
.allbps .halo { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; }
@media (prefers-color-scheme: dark) {
.allbps .box { fill: #1f2226; stroke: #9aa2ab; }
.allbps .given .box { fill: #2a2e33; }
.allbps .wanted .box { fill: #33261a; stroke: #fdba74; }
.allbps .edge { stroke: #9aa2ab; }
.allbps .tip { fill: #9aa2ab; }
.allbps .symbol { fill: #f1f2f3; }
.allbps .how { fill: #c3c9d0; }
.allbps .delta { fill: #fdba74; }
.allbps .halo { stroke: #17191c; }
}
"""


@dataclass(frozen=True)
class Card:
    """What stands in one box.

    Attributes:
        node: the value.
        kind: "given", "wanted" (its δ was asked for), "middle" or "result".
        symbol: how the value is written.
        how: how it is computed, shortened; empty for arguments.
        value: its number or shape.
        delta: its δ with number or shape; empty where there is none.
        title: the tooltip.
    """

    node: Node
    kind: str
    symbol: str
    how: str
    value: str
    delta: str
    title: str

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """(style, text) from top to bottom."""
        head = f"{self.symbol} = {self.how}" if self.how else self.symbol
        rows = [("symbol", head), ("how", self.value), ("delta", self.delta)]
        return tuple((style, text) for style, text in rows if text)


def picture(
    backward: Backward, values: Mapping[str, Any], symbols: Mapping[str, str] | None = None
) -> str:
    """The forward graph, inputs to result, with the δ of every value in its box.

    Where a value is used several times, the edges carry its contributions δx₁, δx₂, ….

    Args:
        backward: the graph with its δ nodes.
        values: every number by name.
        symbols: name -> how to write it, where the name itself would not do.

    Raises:
        ArgumentError: the graph is too large for a picture.
    """
    written = choose_symbols(backward, symbols or {})
    cards = list(_cards(backward, values, written))
    if len(cards) > LARGEST:
        raise ArgumentError(
            f"a picture of {len(cards)} values could not be read",
            expected=f"at most {LARGEST}",
            todo="picture a part of the net, or read the derivation as text",
        )
    edges = list(_edges(backward, written, {card.node for card in cards}))
    layout = arrange(
        [Box(_width(card), 2 * PADDING + LINE * len(card.lines)) for card in cards],
        [(s, t, label) for s, t, label in _numbered(cards, edges)],
    )
    return "\n".join(_svg(backward, cards, layout))


# -- what to show ----------------------------------------------------------------------------------
def _cards(
    backward: Backward, values: Mapping[str, Any], written: Mapping[Node, str]
) -> Iterator[Card]:
    graph = backward.traced.graph
    pen = Writer(written, in_latex=False)
    unused = [x for x in graph.inputs if x not in graph.users]
    for node in (*unused, *graph.nodes):
        if node.op is CONST and not node.name:
            continue
        how = pen.formula(node).inline if node.op not in (INPUT, CONST) else ""
        delta = backward.deltas.get(node)
        mark = f"δ{written[node]}" if not delta else written[delta.node]
        shown = f"{mark} {_measure(values[delta.node.name])}" if delta else ""
        title = f"{written[node]} = {how}" if how else written[node]
        reasons = (
            [f"{written.get(delta.node, mark)} = {_formula(pen, delta.node)}"] if delta else []
        )
        yield Card(
            node=node,
            kind=_kind(backward, node),
            symbol=written[node],
            how=how if len(how) <= LONGEST else f"{how[: LONGEST - 1]}…",
            value=_measure(values[node.name]),
            delta=shown,
            title="\n".join([title, *reasons, *([str(node.site)] if node.site else [])]),
        )


def _formula(pen: Writer, node: Node) -> str:
    return "given" if node.op is INPUT else pen.formula(node).inline


def _kind(backward: Backward, node: Node) -> str:
    if node in set(backward.traced.graph.outputs):
        return "result"
    if node.op is not INPUT:
        return "middle"
    return "wanted" if node in set(backward.wrt) else "given"


def _measure(value: Any) -> str:
    """``= 0.25`` for a number, ``3×2`` for an array."""
    shape = np.shape(value)
    return f"= {number(value)}" if shape == () else "×".join(map(str, shape))


def _edges(
    backward: Backward, written: Mapping[Node, str], shown: set[Node]
) -> Iterator[tuple[Node, Node, str]]:
    """(operand, consumer, label): labelled where a value has several contributions."""
    for node in backward.traced.graph.nodes:
        for index, operand in enumerate(node.inputs):
            if operand in shown:
                yield operand, node, _contribution(backward, written, node, index)


def _contribution(
    backward: Backward, written: Mapping[Node, str], consumer: Node, index: int
) -> str:
    delta = backward.deltas.get(consumer.inputs[index])
    if delta is None or len(delta.terms) < 2:
        return ""
    for term in delta.terms:
        if term.consumer is consumer and term.index == index:
            return written[term.node]
    return ""


def _numbered(
    cards: list[Card], edges: list[tuple[Node, Node, str]]
) -> Iterator[tuple[int, int, tuple[str, float]]]:
    place = {card.node: k for k, card in enumerate(cards)}
    for source, target, label in edges:
        yield place[source], place[target], (label, text_width(label))


# -- how wide text is ------------------------------------------------------------------------------
NARROW = set("iljtfrI.,:;'|!()[]· ₁₂₃₄₅₆₇₈₉₀ᵀᵖ²")


def text_width(text: str, bold: bool = False) -> float:
    """Width in pixels, rather too much than too little in any common sans-serif font."""
    width = sum(0.42 if c in NARROW else 0.95 if c in "mwMW…⊙‖Σ" else 0.68 for c in text)
    return width * FONT * (1.06 if bold else 1.0)


def _width(card: Card) -> float:
    widest = max(text_width(text, style == "symbol") for style, text in card.lines)
    return 2 * PADDING + max(widest, 30.0)


# -- the drawing -----------------------------------------------------------------------------------
def _svg(backward: Backward, cards: list[Card], layout: Layout) -> Iterator[str]:
    name = escape(backward.traced.function)
    width, height = layout.width, layout.height
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="allbps" role="img" width="{width:g}"'
        f' height="{height:g}" viewBox="0 0 {width:g} {height:g}">'
    )
    yield f"<title>Computational graph of {name}</title>"
    yield f"<desc>{escape('; '.join(card.title.splitlines()[0] for card in cards))}</desc>"
    yield f"<style>{STYLE}</style>"
    for edge in layout.edges:
        yield from _arrow(edge)
    for card, (x, y), box in zip(cards, layout.centres, layout.boxes, strict=True):
        yield from _box(card, x, y, box)
    for edge in layout.edges:
        if edge.label:
            x, y = edge.anchor
            yield (
                f'<text class="delta halo" x="{x:.1f}" y="{y + 4:.1f}"'
                f' text-anchor="middle">{escape(edge.label)}</text>'
            )
    yield "</svg>"


def _arrow(edge: Edge) -> Iterator[str]:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in edge.points)
    yield f'<polyline class="edge" points="{points}"/>'
    (x0, y0), (x1, y1) = edge.points[-2:]
    length = max(np.hypot(x1 - x0, y1 - y0), 1e-9)
    ux, uy = (x1 - x0) / length, (y1 - y0) / length
    left = (x1 - 8 * ux - 4 * uy, y1 - 8 * uy + 4 * ux)
    right = (x1 - 8 * ux + 4 * uy, y1 - 8 * uy - 4 * ux)
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in ((x1, y1), left, right))
    yield f'<polygon class="tip" points="{corners}"/>'


def _box(card: Card, x: float, y: float, box: Box) -> Iterator[str]:
    left, top = x - box.width / 2, y - box.height / 2
    radius = 12 if card.kind in ("given", "wanted") else 3
    yield f'<g class="{card.kind}"><title>{escape(card.title)}</title>'
    yield (
        f'<rect class="box" x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}"'
        f' height="{box.height:.1f}" rx="{radius}"/>'
    )
    for k, (style, text) in enumerate(card.lines):
        baseline = top + PADDING + LINE * k + 12.5
        yield (
            f'<text class="{style}" x="{x:.1f}" y="{baseline:.1f}"'
            f' text-anchor="middle">{escape(text)}</text>'
        )
    yield "</g>"
