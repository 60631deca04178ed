"""Values used far away: where their lines would be too long, a tag repeats them beside the use.

A loop of n steps that reads the same argument in each has n lines from one box, and the longest
runs past all n steps. Their length together grows with n², and with it the work of keeping them
apart; and no reader follows one of a hundred parallel lines. So a drawing has a budget for them.
Once it is spent, a use that is far away has a tag instead: a small box with the name of the value
and what the use contributes to its δ. For the layout a tag is one more argument used once.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from allbps.readings.drawing.depths import depths
from allbps.readings.drawing.geometry import Box, Link
from allbps.readings.drawing.measure import BOLD

BUDGET = 300
"""So many layers may be passed by all lines together before far uses get tags."""
REACH = 12
"""Lines over so many layers are drawn in any case."""
PADDING, LINE, ROUND = 9.0, 18.0, 11.0
"""Beside the texts, for each of them, and at the corners."""


@dataclass(frozen=True)
class Tagged:
    """A graph in which far uses have tags.

    Attributes:
        boxes: those given, then one for each tag.
        links: those given; where there is a tag, the link leaves the tag and has no text.
        leaves: boxes that may be docked, the tags among them.
        tags: for each tag, the link it stands for.

    """

    boxes: tuple[Box, ...]
    links: tuple[Link, ...]
    leaves: frozenset[int]
    tags: tuple[int, ...]


def tagged(boxes: Sequence[Box], links: Sequence[Link], leaves: Container[int]) -> Tagged:
    """The graph with tags where it needs any."""
    count = len(boxes)
    far = far_uses(count, links, leaves)
    changed = list(links)
    for place, k in enumerate(far):
        changed[k] = replace(links[k], source=count + place, label_width=0.0)
    small = tuple(tag_box(boxes[links[k].source], links[k].label_width) for k in far)
    docked = {k for k in range(count) if k in leaves}.union(range(count, count + len(far)))
    return Tagged((*boxes, *small), tuple(changed), frozenset(docked), far)


def far_uses(count: int, links: Sequence[Link], leaves: Container[int]) -> tuple[int, ...]:
    """The links that get tags: none, as long as all lines are within the budget.

    >>> chain = [Link(k, k + 1) for k in range(99)]
    >>> far_uses(100, [*chain, Link(1, 9), Link(1, 99)], leaves={0})
    ()
    >>> far_uses(100, [*chain, Link(1, 9), *[Link(1, 99)] * 4], leaves={0})
    (100, 101, 102, 103)
    """
    depth = depths(count, links, leaves)
    spans = [depth[link.target] - depth[link.source] for link in links]
    if sum(span - 1 for span in spans) <= BUDGET:
        return ()
    return tuple(k for k, span in enumerate(spans) if span > REACH)


def tag_box(source: Box, label_width: float) -> Box:
    """Room for the name of the value and, below it, for the text of the link.

    The text, δ with the name and a number, is longer than the name if both are set alike; the
    name is bold. Where there is no text, the card of the value is wide enough for its name.
    """
    if label_width:
        return Box(BOLD * label_width + 2 * PADDING, 2 * LINE + 4.0)
    return Box(source.width, LINE + 4.0)
