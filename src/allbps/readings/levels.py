"""The insides of blocks: what a box of the overview shows once it is opened, level by level."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from allbps.backward import Backward
from allbps.ir import Node
from allbps.readings.overview import drawn, planned, planned_inside
from allbps.readings.picture import LARGEST, picture
from allbps.readings.pieces import Piece


@dataclass(frozen=True)
class Level:
    """The inside of one box.

    Attributes:
        path: which box, ``2.1`` for the first one inside of the second.
        label: what the box is called.
        svg: its parts as boxes or, where it has none, its values as cards.
    """

    path: str
    label: str
    svg: str


def levels(
    backward: Backward,
    values: Mapping[str, Any],
    symbols: Mapping[str, str] | None = None,
    hidden: frozenset[Node] = frozenset(),
) -> Iterator[Level]:
    """The insides of all boxes of the overview, each before those inside of it."""

    def opened(piece: Piece, path: str) -> Iterator[Level]:
        label = piece.label
        while len(piece.parts) == 1:  # a box around one box
            (piece,) = piece.parts
        if piece.parts:
            svg = drawn(planned_inside(backward, piece), label, named=True, level=f"{path}.")
            yield Level(path, label, svg)
            for k, part in enumerate(piece.parts, 1):
                yield from opened(part, f"{path}.{k}")
        elif 1 < len(piece.nodes) <= LARGEST:
            own = frozenset(piece.nodes)
            yield Level(path, label, picture(backward, values, symbols, only=own, hidden=hidden))

    for k, piece in enumerate(planned(backward).parts, 1):
        yield from opened(piece, str(k))
