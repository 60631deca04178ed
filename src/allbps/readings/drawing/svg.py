"""Cards and arrows drawn as one SVG file: no script, no font of its own, no request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from allbps.readings.drawing import tags
from allbps.readings.drawing.cards import (
    BRACKET,
    COLUMN_GAP,
    GRID_LINE,
    PADDING,
    Card,
    Row,
    column_widths,
)
from allbps.readings.drawing.geometry import Box, Point
from allbps.readings.drawing.labels import HEIGHT
from allbps.readings.drawing.legend import entries, legend
from allbps.readings.drawing.measure import FONT, shortened, text_width
from allbps.readings.drawing.placed import MARGIN, Layout, Tag
from allbps.readings.drawing.strokes import arrow, n, safe
from allbps.readings.drawing.theme import style

ROUND = {"given": 13.0, "wanted": 13.0, "computed": 2.0, "result": 2.0}
"""Kind of card -> radius of its corners."""


@dataclass(frozen=True)
class Arrow:
    """A line from a value to where it is used.

    Attributes:
        points: its corners.
        carries_delta: does a δ come back along it?
        label: text beside it; empty for none.
        anchor: the centre of the label.

    """

    points: tuple[Point, ...]
    carries_delta: bool
    label: str
    anchor: Point


def draw(
    name: str, cards: Sequence[Card], arrows: Sequence[Arrow], layout: Layout, theme: str
) -> str:
    """The whole file, as text."""
    kinds = {card.kind for card in cards}
    kinds |= {"forward"} if arrows else set()
    kinds |= {"back"} if any(one.carries_delta for one in arrows) else set()
    kinds |= {"tag"} if layout.tags else set()
    explained = entries(kinds, MARGIN, layout.width - MARGIN, layout.height)
    width, height = layout.width, explained[-1].y + MARGIN
    told = "\n".join(card.tooltip.splitlines()[0] for card in cards)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="allbps" role="img"'
        f' width="{n(width)}" height="{n(height)}" viewBox="0 0 {n(width)} {n(height)}">',
        f"<title>Computational graph of {safe(name)}</title>",
        f"<desc>{safe(told)}</desc>",
        f"<style>{style(theme)}</style>",
        f'<rect class="ground" width="{n(width)}" height="{n(height)}"/>',
    ]
    for one in arrows:
        lines += arrow(one.points, True, one.carries_delta)
    for card, centre, box in zip(cards, layout.centres, layout.boxes, strict=True):
        lines += _card(card, centre, box)
    for tag in layout.tags:
        lines += _tag(tag, cards[tag.source], arrows[tag.link].label)
    inside = {tag.link for tag in layout.tags}
    for k, one in enumerate(arrows):
        lines += _label(one) if one.label and k not in inside else ()
    return "\n".join([*lines, *legend(explained), "</svg>"])


def _label(one: Arrow) -> Iterator[str]:
    (x, y), width = one.anchor, text_width(one.label)
    yield (
        f'<rect class="ground" x="{n(x - width / 2)}" y="{n(y - HEIGHT / 2)}"'
        f' width="{n(width)}" height="{n(HEIGHT)}"/>'
    )
    yield (
        f'<text class="label" x="{n(x)}" y="{n(y + 0.35 * FONT)}"'
        f' text-anchor="middle">{safe(one.label)}</text>'
    )


def _tag(tag: Tag, card: Card, label: str) -> Iterator[str]:
    """The name of a value that stands far away and, below it, the text of the line."""
    (x, y), box = tag.centre, tag.box
    left, top = x - box.width / 2, y - box.height / 2
    name = Row(shortened(card.rows[0].symbol, box.width - 2 * tags.PADDING, bold=True), "")
    rest = Row("", label)
    # not the whole tooltip: it tells all uses, and a value used n times has up to n tags
    equation = card.tooltip.splitlines()[0]
    yield f'<g class="tag"><title>{safe(equation)}</title>'
    yield (
        f'<rect class="box" x="{n(left)}" y="{n(top)}" width="{n(box.width)}"'
        f' height="{n(box.height)}" rx="{n(tags.ROUND)}"/>'
    )
    top += (box.height - name.height - (rest.height if label else 0.0)) / 2
    yield from _rows([name], x, top, "how")
    if label:
        yield from _rows([rest], x, top + name.height, "delta")
    yield "</g>"


# -- cards -----------------------------------------------------------------------------------------
def _card(card: Card, centre: Point, box: Box) -> Iterator[str]:
    x, y = centre
    left, top = x - box.width / 2, y - box.height / 2
    radius = ROUND[card.kind]
    name = safe(card.node.name)
    yield f'<g class="{card.kind}" data-node="{name}"><title>{safe(card.tooltip)}</title>'
    yield (
        f'<rect class="box" x="{n(left)}" y="{n(top)}" width="{n(box.width)}"'
        f' height="{n(box.height)}" rx="{n(radius)}"/>'
    )
    upper = box.height - card.lower if card.delta else box.height
    free = upper - sum(row.height for row in card.rows)
    yield '<g class="value">'
    yield from _rows(card.rows, x, top + free / 2, "how")
    yield "</g>"
    if card.delta:
        yield '<g class="own-delta">'
        yield _band(left, top + upper, box.width, card.lower, radius)
        yield from _rows([card.delta], x, top + upper + PADDING / 2, "delta")
        yield "</g>"
    yield "</g>"


def _band(left: float, top: float, width: float, height: float, radius: float) -> str:
    """The lower part of a card, with its round corners."""
    right, bottom, r = left + width, top + height, radius
    return (
        f'<path class="band" d="M{n(left)},{n(top)}H{n(right)}V{n(bottom - r)}'
        f"A{n(r)},{n(r)} 0 0 1 {n(right - r)},{n(bottom)}H{n(left + r)}"
        f'A{n(r)},{n(r)} 0 0 1 {n(left)},{n(bottom - r)}Z"/>'
    )


def _rows(rows: Sequence[Row], x: float, top: float, tone: str) -> Iterator[str]:
    for row in rows:
        middle = top + row.height / 2
        if row.grid:
            yield from _with_grid(row, x - row.width / 2, middle, tone)
        else:
            yield _text(row, x, middle, tone, "middle")
        top += row.height


def _with_grid(row: Row, left: float, middle: float, tone: str) -> Iterator[str]:
    """Text, then the numbers between brackets."""
    start = left + row.text_width
    if row.symbol or row.text:
        yield _text(row, start - 2, middle, tone, "end")
    widths, height = column_widths(row.grid), GRID_LINE * len(row.grid)
    top, end = middle - height / 2, start + sum(widths) + 2 * BRACKET
    for edge, inward in ((start + 1, 3.0), (end - 1, -3.0)):
        yield (
            f'<path class="bracket {tone}" d="M{n(edge + inward)},{n(top)}H{n(edge)}'
            f'V{n(top + height)}H{n(edge + inward)}"/>'
        )
    for r, texts in enumerate(row.grid):
        right = start + BRACKET - COLUMN_GAP / 2
        baseline = top + GRID_LINE * (r + 0.5) + 0.35 * FONT
        for text, width in zip(texts, widths, strict=True):
            right += width
            yield (
                f'<text class="{tone}" x="{n(right)}" y="{n(baseline)}"'
                f' text-anchor="end">{safe(text)}</text>'
            )


def _text(row: Row, x: float, middle: float, tone: str, anchor: str) -> str:
    symbol = f'<tspan class="symbol {tone if tone == "delta" else ""}">{safe(row.symbol)}</tspan>'
    plain = f'<tspan class="{tone}">{safe(row.text)}</tspan>'
    return (
        f'<text x="{n(x)}" y="{n(middle + 0.35 * FONT)}" text-anchor="{anchor}">'
        f"{symbol if row.symbol else ''}{plain if row.text else ''}</text>"
    )
