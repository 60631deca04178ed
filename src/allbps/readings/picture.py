"""The picture: the computational graph as SVG, with δ beside every value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from allbps.backprop import Term
from allbps.backward import Backward
from allbps.errors import ArgumentError
from allbps.ir import Node
from allbps.readings.drawing.cards import Card, Dealer
from allbps.readings.drawing.geometry import Box, Link
from allbps.readings.drawing.layout import arrange
from allbps.readings.drawing.measure import text_width
from allbps.readings.drawing.placed import Layout
from allbps.readings.drawing.svg import Arrow, draw
from allbps.readings.drawing.theme import THEMES
from allbps.readings.symbols import symbols as choose_symbols

LARGEST = 1000
"""Pictures of more values than this cannot be read."""


def picture(
    backward: Backward,
    values: Mapping[str, Any],
    symbols: Mapping[str, str] | None = None,
    theme: str = "auto",
    only: Set[Node] | None = None,
) -> str:
    """The forward graph, from arguments to result, with the δ of every value on its card.

    Every edge points forward; a second head at its start tells that a δ comes back along it.
    Where a value is used several times, the edges carry its contributions δx₁, δx₂, ….

    Args:
        backward: the graph with its δ nodes.
        values: every number by name.
        symbols: name -> how to write it, where the name itself would not do.
        theme: "light", "dark", or "auto" for what the reader's device prefers.
        only: these values and what they are computed from; all where None.

    Raises:
        ArgumentError: the graph is too large for a picture, or there is no such theme.

    """
    if theme not in THEMES:
        raise ArgumentError(f"unknown theme {theme!r}", expected=", ".join(THEMES), got=repr(theme))
    found = scene(backward, values, symbols, only)
    return draw(backward.traced.title, found.cards, found.arrows, found.layout, theme)


@dataclass(frozen=True)
class Scene:
    """What a picture shows and where, in pixels.

    Attributes:
        dealer: who made the cards.
        cards: one for each value.
        arrows: one for each use.
        terms: what comes back along each arrow, if anything does.
        layout: where they stand.
    """

    dealer: Dealer
    cards: tuple[Card, ...]
    arrows: tuple[Arrow, ...]
    terms: tuple[Term | None, ...]
    layout: Layout


def scene(
    backward: Backward,
    values: Mapping[str, Any],
    symbols: Mapping[str, str] | None = None,
    only: Set[Node] | None = None,
) -> Scene:
    """Cards, arrows and their places; arguments as of ``picture``.

    Raises:
        ArgumentError: the graph is too large for a picture.
    """
    dealer = Dealer(backward, values, choose_symbols(backward, symbols or {}), only)
    if len(dealer.shown) > LARGEST:
        raise ArgumentError(
            f"a picture of {len(dealer.shown)} values could not be read",
            expected=f"at most {LARGEST}",
            todo="picture a part of the net, or read the derivation as text",
        )
    cards = [dealer.card(node) for node in dealer.shown]
    uses = [use for use in _uses(backward, cards) if only is None or cards[use[1]].node in only]
    labels = [_label(dealer, term) for _, _, term in uses]
    layout = arrange(
        [Box(card.width, card.height) for card in cards],
        [Link(s, t, text_width(label)) for (s, t, _), label in zip(uses, labels, strict=True)],
        leaves={k for k, card in enumerate(cards) if not card.node.inputs},
    )
    arrows = tuple(
        Arrow(line, term is not None, label, anchor)
        for line, anchor, (_, _, term), label in zip(
            layout.lines, layout.anchors, uses, labels, strict=True
        )
    )
    return Scene(dealer, tuple(cards), arrows, tuple(term for _, _, term in uses), layout)


def _uses(backward: Backward, cards: list[Card]) -> Iterator[tuple[int, int, Term | None]]:
    """(operand, consumer, what it contributes to the operand's δ, if anything)."""
    place = {card.node: k for k, card in enumerate(cards)}
    terms = {
        (term.consumer, term.index): term
        for delta in backward.deltas.values()
        for term in delta.terms
    }
    for node in backward.traced.graph.nodes:
        for index, operand in enumerate(node.inputs):
            if operand in place and node in place:
                yield place[operand], place[node], terms.get((node, index))


def _label(dealer: Dealer, term: Term | None) -> str:
    """What stands beside an edge: δx₁ where x has several uses."""
    if term is None:
        return ""
    operand: Node = term.consumer.inputs[term.index]
    several = len(dealer.backward.deltas[operand].terms) > 1
    return dealer.contribution(term) if several else ""
