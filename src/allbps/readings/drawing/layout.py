"""Where the boxes and lines of a graph go: a layered layout by the library graphlay."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

import numpy as np

from allbps.readings.drawing.docking import (
    NODE_GAP,
    Docked,
    beside,
    docking,
    grown_boxes,
    margins_for,
    straight,
)
from allbps.readings.drawing.geometry import Box, Link, Point
from allbps.readings.drawing.labels import HEIGHT, anchors
from allbps.readings.drawing.placed import Layout, Tag, extent, in_view
from allbps.readings.drawing.tags import tagged

WIDEST = 1280.0
"""A drawing wider than this runs from top to bottom instead, if that is narrower."""
LAYER_GAP = 44.0
SLOPE = 1.5
"""Segments that lean by less than this many pixels are straightened."""


def arrange(boxes: Sequence[Box], links: Sequence[Link], leaves: Container[int] = ()) -> Layout:
    """Place boxes in layers so that lines seldom cross; the same input gives the same output.

    Args:
        boxes: what to place.
        links: the arrows.
        leaves: boxes that no arrow enters and that may be docked.

    """
    graph = tagged(boxes, links, leaves)
    best = _across_or_down(graph.boxes, graph.links, docking(graph.links, graph.leaves))
    middles = np.array(best.centres)
    halves = np.array([(box.width, box.height) for box in best.boxes]) / 2
    borders = np.hstack([middles - halves, middles + halves])
    texts = [link.label_width for link in graph.links]
    best = in_view(replace(best, anchors=tuple(anchors(best.lines, texts, borders))), texts)
    count = len(boxes)
    ends = zip(graph.tags, best.boxes[count:], best.centres[count:], strict=True)
    return replace(
        best,
        boxes=best.boxes[:count],
        centres=best.centres[:count],
        tags=tuple(Tag(k, links[k].source, box, centre) for k, box, centre in ends),
    )


def _across_or_down(boxes: Sequence[Box], links: Sequence[Link], docked: Docked) -> Layout:
    """From left to right where that is not too wide, otherwise whichever is narrower."""
    across = None
    flow = [link for link in links if link.source not in docked]
    least = _least_width(grown_boxes(boxes, links, docked, across=True), flow)
    if least <= WIDEST:
        across = _arranged(boxes, links, docked, across=True)
        least = across.width
        if least <= WIDEST:
            return across
    down = _arranged(boxes, links, docked, across=False)
    if down.width < least:  # a long chain ends here, without a drawing that nobody would see
        return down
    across = across or _arranged(boxes, links, docked, across=True)
    return down if down.width < across.width else across


def _least_width(boxes: Sequence[Box], links: Sequence[Link]) -> float:
    """A drawing from left to right is at least as wide as the boxes of any path together.

    >>> _least_width([Box(60, 30)] * 3, [Link(0, 1), Link(1, 2)])
    180.0
    """
    ends = [0.0] * len(boxes)
    entering: dict[int, list[int]] = {}
    for link in links:
        entering.setdefault(link.target, []).append(link.source)
    for k, box in enumerate(boxes):
        ends[k] = box.width + max((ends[source] for source in entering.get(k, ())), default=0.0)
    return max(ends, default=0.0)


def _arranged(
    boxes: Sequence[Box],
    links: Sequence[Link],
    docked: Docked,
    across: bool,
) -> Layout:
    """All positions, with layers from left to right (``across``) or from top to bottom.

    Parts of the graph that hang together are laid out by themselves and stand side by side.
    """
    grown = grown_boxes(boxes, links, docked, across)
    centres: dict[int, Point] = {}
    lines: dict[int, list[Point]] = {}
    free = 0.0
    for part in _parts(len(boxes), links):
        inside = {k: link for k, link in enumerate(links) if link.source in part}
        places, routes = _in_layers(grown, inside, part - docked.keys(), docked, across)
        for leaf in sorted(part & docked.keys()):
            target, side = docked[leaf]
            places[leaf] = beside(grown[leaf], grown[target], places[target], side, across)
        for k, link in inside.items():
            if link.source in docked:
                routes[k] = straight(grown, places, link, across)
        (left, top), (right, bottom) = extent(grown, places, routes.values())
        dx, dy = (0.0, free - top) if across else (free - left, 0.0)
        centres.update({k: (x + dx, y + dy) for k, (x, y) in places.items()})
        lines.update({k: [(x + dx, y + dy) for x, y in route] for k, route in routes.items()})
        free += (bottom - top if across else right - left) + NODE_GAP
    return in_view(
        Layout(
            boxes=grown,
            centres=tuple(centres[k] for k in range(len(grown))),
            lines=tuple(tuple(lines[k]) for k in range(len(links))),
        )
    )


def _parts(count: int, links: Sequence[Link]) -> list[set[int]]:
    """Which boxes hang together, in the order of their first."""
    first = list(range(count))

    def first_of(k: int) -> int:
        while first[k] != k:
            first[k] = k = first[first[k]]
        return k

    for link in links:
        one, other = first_of(link.source), first_of(link.target)
        first[max(one, other)] = min(one, other)
    parts: dict[int, set[int]] = {}
    for k in range(count):
        parts.setdefault(first_of(k), set()).add(k)
    return list(parts.values())


def _in_layers(
    boxes: Sequence[Box],
    links: Mapping[int, Link],
    members: Set[int],
    docked: Docked,
    across: bool,
) -> tuple[dict[int, Point], dict[int, list[Point]]]:
    """Box -> centre and link -> corners, for the members of the layers."""
    import graphlay

    graph = graphlay.Graph()
    margins = margins_for(boxes, docked, across)
    for k in sorted(members):
        graph.node(k, width=boxes[k].width, height=boxes[k].height, margin=margins.get(k, {}))
    routed = [k for k, link in links.items() if link.source in members]
    for k in routed:
        size = {"width": links[k].label_width, "height": HEIGHT}
        label: dict[str, Any] = {"label_size": size} if links[k].label_width else {}
        graph.edge(links[k].source, links[k].target, **label)
    found = graphlay.layout(graph, options=_options(across))
    corners = [[(point["x"], point["y"]) for point in edge["points"]] for edge in found.edges]
    return found.positions(), dict(zip(routed, map(_squared, corners), strict=True))


def _options(across: bool) -> dict[str, Any]:
    return {
        "direction": "leftright" if across else "topbottom",
        "spacing": {"layer_gap": LAYER_GAP, "node_gap": NODE_GAP},
        "routing": {
            "style": "orthogonal",
            "bundle_parallel": False,
            "port_sides": "facing_only",
        },
        "labels": {"reservation": "always"},
        # flattening a step looks out for boxes, but not for the margins that docked ones stand in
        "tuning": {"routing": {"step_flatten": 0.0}},
    }


def _squared(corners: list[Point]) -> list[Point]:
    """The same line where what is nearly horizontal or vertical is so exactly.

    >>> _squared([(0.0, 0.0), (40.0, 0.4), (40.2, 30.0)])
    [(0.0, 0.0), (40.0, 0.0), (40.0, 30.0)]
    """
    squared = corners[:1]
    for x, y in corners[1:]:
        x0, y0 = squared[-1]
        corner = (x0 if abs(x - x0) < SLOPE else x, y0 if abs(y - y0) < SLOPE else y)
        if corner != squared[-1]:
            squared.append(corner)
    return squared
