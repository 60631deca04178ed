"""Where in a backward pass the δ that were handed in lie, and which steps lie between them."""

from __future__ import annotations

from collections.abc import Collection

from allbps.ir import Node
from allbps.names import is_numbered
from allbps.verify.edges import line_of
from allbps.verify.onward import Onward


class Places:
    """The given δ among the steps of a backward pass."""

    def __init__(self, onward: Onward, given: Collection[Node]) -> None:
        self.onward, self.given = onward, given

    def edges(self, primal: Node) -> tuple[str, ...]:
        """The lines a δ comes through; steps inside of a line are followed to its end."""
        found: dict[str, None] = {}
        pending, seen = [primal], {primal}
        while pending:
            for consumer in self.onward.consumers[pending.pop(0)]:
                if consumer in seen:
                    continue
                seen.add(consumer)
                inside = is_numbered(consumer.name) and consumer not in self.given
                if inside and self.onward.consumers[consumer]:
                    pending.append(consumer)
                else:
                    found[line_of(consumer)] = None
        return tuple(found)

    def sources(self, primal: Node) -> list[Node]:
        """The given δ from which this one is computed, with no given one between."""
        return [x for x in self._towards_loss(primal) if x in self.given]

    def _towards_loss(self, primal: Node) -> list[Node]:
        """Primals from whose δ this one is computed, up to given ones, nearest first."""
        found: dict[Node, None] = {}
        pending = [primal]
        while pending:
            for x in self.onward.consumers[pending.pop(0)]:
                if x not in found:
                    found[x] = None
                    if x not in self.given:
                        pending.append(x)
        return list(found)

    def between(self, primal: Node) -> list[Node]:
        """The steps on which a given δ depends and that no other given δ hides: its own first."""
        return [primal, *(x for x in self._towards_loss(primal) if x not in self.given)]

    def targets(self, primal: Node) -> list[Node]:
        """The given δ that depend on a step, with no given one between."""
        if primal in self.given:
            return [primal]
        found: dict[Node, None] = {}
        pending = [primal]
        while pending:
            for x in self.onward.producers[pending.pop()]:
                if x not in found:
                    found[x] = None
                    if x not in self.given:
                        pending.append(x)
        return [x for x in found if x in self.given]
