"""Where everything in a drawing stands, once it has been laid out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from allbps.readings.drawing.geometry import Box, Point
from allbps.readings.drawing.labels import HEIGHT

MARGIN = 16.0


@dataclass(frozen=True)
class Tag:
    """A small box beside a use of a value that stands far away.

    Attributes:
        link: which line it is the start of.
        source: the box of the value.
        box: size.
        centre: position.

    """

    link: int
    source: int
    box: Box
    centre: Point


@dataclass(frozen=True)
class Layout:
    """Positions in a drawing whose upper left corner is (0, 0), once it is in view.

    Attributes:
        boxes: sizes, which may have grown to make room for what is docked.
        centres: one for each box.
        lines: the corners of each link, from border to border.
        width: of the drawing.
        height: of the drawing.
        anchors: the centre of the text of each link, once it has been placed.
        tags: where the lines of far uses start, with the text of the line inside.

    """

    boxes: tuple[Box, ...]
    centres: tuple[Point, ...]
    lines: tuple[tuple[Point, ...], ...]
    width: float = 0.0
    height: float = 0.0
    anchors: tuple[Point, ...] = ()
    tags: tuple[Tag, ...] = ()


def extent(
    boxes: Sequence[Box], centres: Mapping[int, Point], lines: Iterable[Sequence[Point]]
) -> tuple[Point, Point]:
    """The upper left and the lower right corner of a drawing."""
    middles = np.array(list(centres.values()))
    halves = np.array([(boxes[k].width, boxes[k].height) for k in centres]) / 2
    corners = np.array([point for line in lines for point in line]).reshape(-1, 2)
    everything = np.concatenate([middles - halves, middles + halves, corners])
    (left, top), (right, bottom) = everything.min(0).tolist(), everything.max(0).tolist()
    return (left, top), (right, bottom)


def in_view(layout: Layout, widths: Sequence[float] = ()) -> Layout:
    """Everything moved so that no box, line or text leaves the margins.

    Args:
        layout: positions, from anywhere.
        widths: of the texts that have been placed; 0 where there is none.

    """
    centres = dict(enumerate(layout.centres))
    texts = [
        ((x - width / 2, y - HEIGHT / 2), (x + width / 2, y + HEIGHT / 2))
        for (x, y), width in zip(layout.anchors, widths, strict=True)
        if width
    ]
    (left, top), (right, bottom) = extent(layout.boxes, centres, [*layout.lines, *texts])
    dx, dy = MARGIN - left, MARGIN - top
    return replace(
        layout,
        width=right + dx + MARGIN,
        height=bottom + dy + MARGIN,
        centres=_moved(layout.centres, dx, dy),
        lines=tuple(_moved(line, dx, dy) for line in layout.lines),
        anchors=_moved(layout.anchors, dx, dy),
    )


def _moved(points: Iterable[Point], dx: float, dy: float) -> tuple[Point, ...]:
    return tuple((x + dx, y + dy) for x, y in points)
