"""Boxes, points and links: what a drawing is laid out from."""

from __future__ import annotations

from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A box to place, in pixels."""

    width: float
    height: float


@dataclass(frozen=True)
class Link:
    """An arrow to draw.

    Attributes:
        source: index of the box it leaves.
        target: index of the box it enters.
        label_width: of the text beside it, in pixels; 0 for none.

    """

    source: int
    target: int
    label_width: float = 0.0
