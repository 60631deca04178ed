"""Where the text beside a line goes: on the line, off all boxes, other lines and other texts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from allbps.readings.drawing.geometry import Point

Rectangles = NDArray[np.float64]
"""One row (left, top, right, bottom) each."""

HEIGHT = 16.0
ROOM_FOR_HEADS = 7.0
STRIDE, MOST = 10.0, 60
"""How far apart the places tried on a segment are, and how many at most."""
ON_BOX, ON_TEXT, ON_LINE, ON_CORNER = 10_000, 1000, 10, 1
"""What it costs to cover these."""


def anchors(
    lines: Sequence[Sequence[Point]], widths: Sequence[float], boxes: Rectangles
) -> list[Point]:
    """The centre of the text of each line, the first of its cheapest places.

    Args:
        lines: corners of each line; its segments are horizontal or vertical.
        widths: of the texts; 0 where there is none.
        boxes: what the texts must not cover.

    >>> anchors([[(0, 0), (100, 0), (100, 30)]], [20.0], np.zeros((0, 4)))
    [(50.0, 0.0)]
    """
    segments, owner = _segments(lines)
    placed: list[Rectangles] = []
    found: list[Point] = []
    for k, (line, width) in enumerate(zip(lines, widths, strict=True)):
        if not width:
            found.append(line[0])
            continue
        obstacles = (
            (ON_BOX, boxes),
            (ON_TEXT, np.array(placed).reshape(-1, 4)),
            (ON_LINE, segments[owner != k]),
        )
        best = _cheapest(line, width, obstacles)
        found.append(best)
        placed.append(_around(best, width))
    return found


def _cheapest(
    line: Sequence[Point], width: float, obstacles: Sequence[tuple[int, Rectangles]]
) -> Point:
    lowest, best = math.inf, line[0]
    for centre, fit in _places(line, width):
        cost = fit + _cost(centre, width, obstacles)
        if cost < lowest:
            lowest, best = cost, centre
        if cost == 0:
            break
    return best


def _segments(lines: Sequence[Sequence[Point]]) -> tuple[Rectangles, NDArray[np.int64]]:
    """Every segment as a rectangle without thickness, and the line it belongs to."""
    owned = [(k, *a, *b) for k, line in enumerate(lines) for a, b in pairwise(line)]
    table = np.array(owned, np.float64).reshape(-1, 5)
    corners = table[:, 1:].reshape(-1, 2, 2)
    return np.hstack([corners.min(1), corners.max(1)]), table[:, 0].astype(np.int64)


def _places(line: Sequence[Point], width: float) -> Iterator[tuple[Point, int]]:
    """Candidate centres with the cost of a bad fit: longest segment first, from its middle out."""
    for (ax, ay), (bx, by) in sorted(pairwise(line), key=_length, reverse=True):
        length = _length(((ax, ay), (bx, by)))
        need = (width if ay == by else HEIGHT) + 2 * ROOM_FOR_HEADS
        count = min(MOST, 2 * int(length / 2 / STRIDE)) + 1
        for fraction in sorted(np.linspace(0, 1, count + 2)[1:-1].tolist(), key=_off_middle):
            fits = 2 * min(fraction, 1 - fraction) * length >= need
            yield (ax + fraction * (bx - ax), ay + fraction * (by - ay)), 0 if fits else ON_CORNER


def _off_middle(fraction: float) -> float:
    return round(abs(fraction - 0.5), 9)


def _length(ends: tuple[Point, Point]) -> float:
    (ax, ay), (bx, by) = ends
    return abs(ax - bx) + abs(ay - by)


def _around(centre: Point, width: float) -> Rectangles:
    x, y = centre
    return np.array([x - width / 2, y - HEIGHT / 2, x + width / 2, y + HEIGHT / 2])


def _cost(centre: Point, width: float, obstacles: Iterable[tuple[int, Rectangles]]) -> int:
    left, top, right, bottom = _around(centre, width)
    covered = 0
    for cost, r in obstacles:
        apart = (r[:, 0] >= right) | (r[:, 2] <= left) | (r[:, 1] >= bottom) | (r[:, 3] <= top)
        covered += cost * int(np.count_nonzero(~apart))
    return covered
