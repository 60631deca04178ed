"""Arguments used in one place do not take part in the layers of a drawing: they are docked.

A docked box stands right beside its consumer, joined by one straight arrow. So W₁ hangs below
``Z₁ = X W₁``, and its line can cross no other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence

from allbps.readings.drawing.geometry import Box, Link, Point

DOCK_GAP, NODE_GAP = 26.0, 26.0
PORT_GAP, MOST_PORTS = 18.0, 20
"""Room for each arrow on a side of a box, for so many of them."""

Docked = Mapping[int, tuple[int, int]]
"""Leaf -> (the box it is docked to, the side: 1 below or right, −1 above or left)."""


def docking(links: Sequence[Link], leaves: Container[int]) -> dict[int, tuple[int, int]]:
    """Which boxes to dock.

    A box takes one leaf on each side. Where all that enters it could be docked, the first stays
    in the layers, for the flow to begin with.

    >>> docking([Link(0, 2), Link(1, 2), Link(3, 4), Link(2, 4)], leaves={0, 1, 3})
    {1: (2, 1), 3: (4, 1)}
    """
    uses = Counter(link.source for link in links)
    entering: dict[int, list[int]] = {}
    for link in links:
        entering.setdefault(link.target, []).append(link.source)
    docked = {}
    for target, sources in entering.items():
        single = [source for source in sources if source in leaves and uses[source] == 1]
        free = single[1:] if len(single) == len(sources) else single
        docked.update({leaf: (target, side) for leaf, side in zip(free, (1, -1), strict=False)})
    return docked


def grown_boxes(
    boxes: Sequence[Box],
    links: Sequence[Link],
    docked: Docked,
    across: bool,
) -> tuple[Box, ...]:
    """Boxes as wide or high as their arrows need, and as long as what is docked to them."""
    leaving = Counter(link.source for link in links)
    entering = Counter(link.target for link in links)
    need = {k: PORT_GAP * min(max(leaving[k], entering[k]), MOST_PORTS) for k in range(len(boxes))}
    length = dict.fromkeys(range(len(boxes)), 0.0)
    for leaf, (target, _) in docked.items():
        own = boxes[leaf].width if across else boxes[leaf].height
        length[target] = max(length[target], own)
    return tuple(
        Box(max(box.width, length[k]), max(box.height, need[k]))
        if across
        else Box(max(box.width, need[k]), max(box.height, length[k]))
        for k, box in enumerate(boxes)
    )


def margins_for(boxes: Sequence[Box], docked: Docked, across: bool) -> dict[int, dict[str, float]]:
    """Room to leave beside a box for what is docked to it."""
    rooms = {
        leaf: DOCK_GAP + (boxes[leaf].height if across else boxes[leaf].width) + NODE_GAP
        for leaf in docked
    }
    # between two boxes only the larger of their margins is kept free, so that what is docked on
    # the second side allows for what the neighbour may have docked on its first
    facing = max((rooms[leaf] for leaf, (_, side) in docked.items() if side > 0), default=0.0)
    margins: dict[int, dict[str, float]] = {}
    for leaf, (target, side) in docked.items():
        room = {"cross_pos": rooms[leaf]} if side > 0 else {"cross_neg": rooms[leaf] + facing}
        margins.setdefault(target, {}).update(room)
    return margins


def beside(leaf: Box, target: Box, centre: Point, side: int, across: bool) -> Point:
    """The centre of a docked box."""
    x, y = centre
    if across:
        return x, y + side * (target.height / 2 + DOCK_GAP + leaf.height / 2)
    return x + side * (target.width / 2 + DOCK_GAP + leaf.width / 2), y


def straight(
    boxes: Sequence[Box], centres: Mapping[int, Point], link: Link, across: bool
) -> list[Point]:
    """The arrow from a docked box to its consumer."""
    (x, y), (u, v) = centres[link.source], centres[link.target]
    leaf, target = boxes[link.source], boxes[link.target]
    if across:
        side = 1 if y > v else -1
        return [(x, y - side * leaf.height / 2), (u, v + side * target.height / 2)]
    side = 1 if x > u else -1
    return [(x - side * leaf.width / 2, y), (u + side * target.width / 2, v)]
