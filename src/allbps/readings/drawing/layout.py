"""Where the boxes and lines of a graph go: a layered layout by the library graphlay."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
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

MARGIN = 16.0
WIDEST = 1280.0
"""A drawing wider than this runs from top to bottom instead, if that is narrower."""
LAYER_GAP = 44.0
SLOPE = 1.5
"""Segments that lean by less than this many pixels are straightened."""


@dataclass(frozen=True)
class Layout:
    """Positions in a drawing whose upper left corner is (0, 0).

    Attributes:
        width: of the drawing.
        height: of the drawing.
        boxes: sizes, which may have grown to make room for what is docked.
        centres: one for each box.
        lines: the corners of each link, from border to border.
        anchors: the centre of the text of each link, once it has been placed.

    """

    width: float
    height: float
    boxes: tuple[Box, ...]
    centres: tuple[Point, ...]
    lines: tuple[tuple[Point, ...], ...]
    anchors: tuple[Point, ...] = ()


def arrange(boxes: Sequence[Box], links: Sequence[Link], leaves: Container[int] = ()) -> Layout:
    """Place boxes in layers so that lines seldom cross; the same input gives the same output.

    Args:
        boxes: what to place.
        links: the arrows.
        leaves: boxes that no arrow enters and that may be docked.

    """
    docked = docking(links, leaves)
    best = _arranged(boxes, links, docked, across=True)
    if best.width > WIDEST:
        down = _arranged(boxes, links, docked, across=False)
        best = down if down.width < best.width else best
    middles = np.array(best.centres)
    halves = np.array([(box.width, box.height) for box in best.boxes]) / 2
    borders = np.hstack([middles - halves, middles + halves])
    return replace(
        best, anchors=tuple(anchors(best.lines, [link.label_width for link in links], borders))
    )


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
        (left, top), (right, bottom) = _extent(grown, places, routes.values())
        dx, dy = (0.0, free - top) if across else (free - left, 0.0)
        centres.update({k: (x + dx, y + dy) for k, (x, y) in places.items()})
        lines.update({k: [(x + dx, y + dy) for x, y in route] for k, route in routes.items()})
        free += (bottom - top if across else right - left) + NODE_GAP
    return _in_view(grown, centres, [lines[k] for k in range(len(links))])


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


def _extent(
    boxes: Sequence[Box], centres: Mapping[int, Point], lines: Iterable[Sequence[Point]]
) -> tuple[Point, Point]:
    """The upper left and the lower right corner of a drawing."""
    middles = np.array(list(centres.values()))
    halves = np.array([(boxes[k].width, boxes[k].height) for k in centres]) / 2
    corners = np.array([point for line in lines for point in line]).reshape(-1, 2)
    everything = np.concatenate([middles - halves, middles + halves, corners])
    (left, top), (right, bottom) = everything.min(0).tolist(), everything.max(0).tolist()
    return (left, top), (right, bottom)


def _in_view(
    boxes: tuple[Box, ...], centres: Mapping[int, Point], lines: Sequence[Sequence[Point]]
) -> Layout:
    """Everything moved so that nothing has a negative coordinate."""
    (left, top), (right, bottom) = _extent(boxes, centres, lines)
    dx, dy = MARGIN - left, MARGIN - top
    return Layout(
        width=right + dx + MARGIN,
        height=bottom + dy + MARGIN,
        boxes=boxes,
        centres=tuple((centres[k][0] + dx, centres[k][1] + dy) for k in range(len(boxes))),
        lines=tuple(tuple((x + dx, y + dy) for x, y in line) for line in lines),
    )
