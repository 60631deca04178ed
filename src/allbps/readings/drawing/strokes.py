"""The strokes of a drawing: coordinates, safe text, arrows."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from html import escape

from allbps.readings.drawing.geometry import Point


def n(value: float) -> str:
    """A coordinate with at most one decimal.

    >>> n(12.0), n(3.14159), n(-0.01)
    ('12', '3.1', '0')
    """
    return f"{round(value, 1) + 0.0:g}" if abs(value) < 1e5 else f"{value:.0f}"


def safe(text: str) -> str:
    """Text that may stand in XML: escaped, and without control characters."""
    return escape(re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "�", text))


def arrow(points: Sequence[Point], forward: bool, back: bool) -> Iterator[str]:
    """A line with a full head at its end (``forward``) and an open one at its start (``back``)."""
    corners = " ".join(f"{n(x)},{n(y)}" for x, y in points)
    yield f'<polyline class="edge" points="{corners}"/>'
    if forward:
        yield f'<path class="head" d="{head(points[-2], points[-1], 8.0)}Z"/>'
    if back:
        yield f'<path class="back" d="{head(points[1], points[0], 6.0)}"/>'


def head(before: Point, tip: Point, size: float) -> str:
    """A path around the tip of an arrow that comes from ``before``."""
    (x0, y0), (x1, y1) = before, tip
    length = math.hypot(x1 - x0, y1 - y0)
    ux, uy = (x1 - x0) / length * size, (y1 - y0) / length * size
    left = (x1 - ux - uy / 2, y1 - uy + ux / 2)
    right = (x1 - ux + uy / 2, y1 - uy - ux / 2)
    (a, b), (c, d) = left, right
    return f"M{n(a)},{n(b)}L{n(x1)},{n(y1)}L{n(c)},{n(d)}"
