"""Where a mistake may have been made, and one that would explain a hand-in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from allbps.ir import Node
from allbps.verify.mistakes.declare import Mistake


@dataclass(frozen=True)
class Question:
    """A step that may have been done wrongly.

    Attributes:
        place: the primal whose δ it computes.
        targets: the given δ that depend on it, with no given one between.

    """

    place: Node
    targets: tuple[Node, ...]


@dataclass(frozen=True)
class Explanation:
    """A mistake that gives the numbers that were handed in.

    Attributes:
        text: what was done, and where if not at the given δ itself.
        slip: what was done alone.
        place: the primal whose δ was computed wrongly.
        mistake: as it is declared.
        gives: the wrong δ that it explains, and the numbers that it gives there.
        delta: δ of the place that came of it; None where there is no single place.
        misses: does it give other numbers than theirs for another wrong δ?
        rank: the smaller, the likelier.

    """

    text: str
    slip: str
    place: Node
    mistake: Mistake
    gives: Mapping[Node, Any]
    misses: bool
    rank: tuple[int, ...]
    delta: Any = None

    @property
    def covers(self) -> frozenset[Node]:
        """The wrong δ that it explains."""
        return frozenset(self.gives)
