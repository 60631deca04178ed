"""Where the boxes and lines of a graph go: a layered layout by the library graphlay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

MARGIN = 16.0
WIDEST = 1100.0
"""A drawing wider than this runs from top to bottom instead, if that is narrower."""


@dataclass(frozen=True)
class Box:
    """A box to place, in pixels."""

    width: float
    height: float


@dataclass(frozen=True)
class Edge:
    """A line from one box to another, its last point at the target's border.

    Attributes:
        points: corners of the line.
        label: text beside it; empty for none.
        anchor: centre of the label.
    """

    points: tuple[tuple[float, float], ...]
    label: str
    anchor: tuple[float, float]


@dataclass(frozen=True)
class Layout:
    """Positions in a drawing whose upper left corner is (0, 0)."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    centres: tuple[tuple[float, float], ...]
    edges: tuple[Edge, ...]


def arrange(boxes: Sequence[Box], edges: Sequence[tuple[int, int, tuple[str, float]]]) -> Layout:
    """Place boxes in layers so that lines seldom cross; the same input gives the same output.

    Args:
        boxes: what to place.
        edges: (source, target, (label, width of the label)).
    """
    across = _arranged(boxes, edges, "leftright")
    if across.width <= WIDEST:
        return across
    down = _arranged(boxes, edges, "topbottom")
    return down if down.width < across.width else across


def _arranged(
    boxes: Sequence[Box], edges: Sequence[tuple[int, int, tuple[str, float]]], direction: str
) -> Layout:
    import graphlay

    graph = graphlay.Graph()
    for k, box in enumerate(boxes):
        graph.node(k, width=box.width, height=box.height)
    for source, target, (label, width) in edges:
        extra: dict[str, Any] = {"label_size": {"width": width, "height": 16.0}} if label else {}
        graph.edge(source, target, **extra)
    options = {
        "direction": direction,
        "spacing": {"layer_gap": 46.0, "node_gap": 26.0},
        "routing": {"style": "orthogonal", "bundle_parallel": False},
    }
    found = graphlay.layout(graph, options=options)
    centres = found.positions()
    lines = [[(p["x"], p["y"]) for p in edge["points"]] for edge in found.edges]
    anchors = [edge["label_anchor"] for edge in found.edges]
    xs, ys = _extent(boxes, centres, lines)
    dx, dy = MARGIN - min(xs), MARGIN - min(ys)
    return Layout(
        width=max(xs) + dx + MARGIN,
        height=max(ys) + dy + MARGIN,
        boxes=tuple(boxes),
        centres=tuple((centres[k][0] + dx, centres[k][1] + dy) for k in range(len(boxes))),
        edges=tuple(
            Edge(
                tuple((x + dx, y + dy) for x, y in line),
                label,
                _anchor(anchor, line, dx, dy),
            )
            for line, anchor, (_, _, (label, _)) in zip(lines, anchors, edges, strict=True)
        ),
    )


def _extent(
    boxes: Sequence[Box], centres: Any, lines: Sequence[Sequence[tuple[float, float]]]
) -> tuple[list[float], list[float]]:
    xs = [x for line in lines for x, _ in line]
    ys = [y for line in lines for _, y in line]
    for k, box in enumerate(boxes):
        x, y = centres[k]
        xs += [x - box.width / 2, x + box.width / 2]
        ys += [y - box.height / 2, y + box.height / 2]
    return xs, ys


def _anchor(
    anchor: Any, line: Sequence[tuple[float, float]], dx: float, dy: float
) -> tuple[float, float]:
    if anchor is not None:
        return anchor["x"] + dx, anchor["y"] + dy
    longest = max(
        pairwise(line),
        key=lambda ends: abs(ends[0][0] - ends[1][0]) + abs(ends[0][1] - ends[1][1]),
    )
    (x0, y0), (x1, y1) = longest
    return (x0 + x1) / 2 + dx, (y0 + y1) / 2 + dy
