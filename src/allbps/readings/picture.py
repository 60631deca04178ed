"""The picture: the computational graph as SVG, with δ beside every value."""

from __future__ import annotations

from collections.abc import Mapping, Set
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


def fits(backward: Backward, hidden: Set[Node] = frozenset()) -> bool:
    """Can all values but the hidden ones be read in one picture?"""
    return sum(x not in hidden for x in backward.traced.graph.nodes) <= LARGEST


def picture(
    backward: Backward,
    values: Mapping[str, Any],
    symbols: Mapping[str, str] | None = None,
    theme: str = "auto",
    only: Set[Node] | None = None,
    hidden: frozenset[Node] = frozenset(),
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
        hidden: values without a card, which stand in the formulas of others.

    Raises:
        ArgumentError: the graph is too large for a picture, or there is no such theme.

    """
    if theme not in THEMES:
        raise ArgumentError(f"unknown theme {theme!r}", expected=", ".join(THEMES), got=repr(theme))
    found = scene(backward, values, symbols, only, hidden)
    return draw(backward.traced.title, found.cards, found.arrows, found.layout, theme)


@dataclass(frozen=True)
class Scene:
    """What a picture shows and where, in pixels.

    Attributes:
        dealer: who made the cards.
        cards: one for each value.
        arrows: one from each value to each that it enters.
        terms: what comes back along each arrow.
        layout: where they stand.
    """

    dealer: Dealer
    cards: tuple[Card, ...]
    arrows: tuple[Arrow, ...]
    terms: tuple[tuple[Term, ...], ...]
    layout: Layout


def scene(
    backward: Backward,
    values: Mapping[str, Any],
    symbols: Mapping[str, str] | None = None,
    only: Set[Node] | None = None,
    hidden: frozenset[Node] = frozenset(),
) -> Scene:
    """Cards, arrows and their places; arguments as of ``picture``.

    Raises:
        ArgumentError: the graph is too large for a picture.
    """
    dealer = Dealer(backward, values, choose_symbols(backward, symbols or {}), only, hidden)
    if len(dealer.shown) > LARGEST:
        raise ArgumentError(
            f"a picture of {len(dealer.shown)} values could not be read",
            expected=f"at most {LARGEST}",
            todo="picture a part of the net, or read the derivation as text",
        )
    cards = [dealer.card(node) for node in dealer.shown]
    uses = {
        (s, t): terms
        for (s, t), terms in _uses(dealer, cards).items()
        if only is None or cards[t].node in only
    }
    labels = [_label(dealer, terms) for terms in uses.values()]
    layout = arrange(
        [Box(card.width, card.height) for card in cards],
        [Link(s, t, text_width(label)) for (s, t), label in zip(uses, labels, strict=True)],
        leaves={k for k, card in enumerate(cards) if not card.node.inputs},
    )
    arrows = tuple(
        Arrow(line, bool(terms), label, anchor)
        for line, anchor, terms, label in zip(
            layout.lines, layout.anchors, uses.values(), labels, strict=True
        )
    )
    return Scene(dealer, tuple(cards), arrows, tuple(uses.values()), layout)


def _uses(dealer: Dealer, cards: list[Card]) -> dict[tuple[int, int], tuple[Term, ...]]:
    """(operand, consumer) -> what the uses there contribute to the operand's δ."""
    backward = dealer.backward
    place = {card.node: k for k, card in enumerate(cards)}
    terms = {
        (term.consumer, term.index): term
        for delta in backward.deltas.values()
        for term in delta.terms
    }
    found: dict[tuple[int, int], tuple[Term, ...]] = {}
    for node in backward.traced.graph.nodes:
        user = dealer.user(node)
        for index, operand in enumerate(node.inputs):
            if operand in place and user in place:
                term = terms.get((node, index))
                ends = place[operand], place[user]
                found[ends] = (*found.get(ends, ()), *([term] if term is not None else []))
    return found


def _label(dealer: Dealer, terms: tuple[Term, ...]) -> str:
    """What stands beside an edge: δx₁ where x has several uses."""
    return ", ".join(map(dealer.contribution, _named(dealer, terms)))


def _named(dealer: Dealer, terms: tuple[Term, ...]) -> tuple[Term, ...]:
    """The contributions that have a name: those to a value with several uses."""
    if not terms:
        return ()
    operand = terms[0].consumer.inputs[terms[0].index]
    return terms if len(dealer.backward.deltas[operand].terms) > 1 else ()
