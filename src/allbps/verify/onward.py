"""The backward pass in numbers, each step of which can be done otherwise and followed onward."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import cached_property
from typing import Any

from allbps.backward import Backward
from allbps.ir import CONST, Node

Numbers = MutableMapping[Node, Any]
"""What is known: forward nodes and δ nodes -> their numbers."""
Otherwise = Mapping[Node, Callable[..., Any]]
"""Nodes of one step's expression that are computed by another function of their operands."""


class Onward:
    """A backward pass whose steps are computed one by one from what is known.

    Attributes:
        right: every value and every right δ.
        deltas: the steps in the order they are computed.
        of: primal -> its step.

    """

    def __init__(self, backward: Backward, values: Mapping[str, Any]) -> None:
        self.deltas = tuple(backward.deltas.values())
        self.of = {delta.primal: delta for delta in self.deltas}
        forward = [x for x in backward.traced.graph.nodes if x.name in values]
        self.right: Numbers = {x: values[x.name] for x in (*forward, *backward.given)}
        self.right |= {d.node: values[d.node.name] for d in self.deltas}
        self.seeds = frozenset(backward.seeds)
        self._plans: dict[Node, list[Node]] = {}

    @cached_property
    def consumers(self) -> dict[Node, tuple[Node, ...]]:
        """Primal -> the values that use it and have a δ."""
        return {d.primal: tuple(term.consumer for term in d.terms) for d in self.deltas}

    @cached_property
    def producers(self) -> dict[Node, list[Node]]:
        """Primal -> the primals whose δ is computed from its own."""
        found: dict[Node, list[Node]] = {d.primal: [] for d in self.deltas}
        for primal, consumers in self.consumers.items():
            for consumer in dict.fromkeys(consumers):
                found[consumer].append(primal)
        return found

    def plan(self, node: Node) -> list[Node]:
        """What stands in the expression of ``node`` down to named values, oldest first."""
        if node not in self._plans:
            stack, seen = [node], {node}
            while stack:
                new = [
                    x for x in stack.pop().inputs
                    if x not in seen and x not in self.right and x.op is not CONST
                ]  # fmt: skip
                seen.update(new)
                stack.extend(new)
            self._plans[node] = sorted(seen, key=lambda x: x.born)
        return self._plans[node]

    def compute(
        self, node: Node, known: Mapping[Node, Any], otherwise: Otherwise | None = None
    ) -> Any:
        """``node`` from what is known, some steps of its expression done otherwise."""
        local: dict[Node, Any] = {}
        for x in self.plan(node):
            if x.op is CONST:
                local[x] = x.value
                continue
            if not x.inputs:
                local[x] = known[x]
                continue
            operands = [
                local[i] if i in local else i.value if i.op is CONST else known[i]
                for i in x.inputs
            ]  # fmt: skip
            instead = otherwise.get(x) if otherwise else None
            local[x] = instead(*operands) if instead else x.op.run(operands, x.attrs)
        return local[node]

    def walk(
        self,
        known: Mapping[Node, Any],
        changed: Mapping[Node, Any],
        stops: Mapping[Node, Any],
    ) -> Iterator[tuple[Node, Any]]:
        """Each δ that changes when those of some primals do, in order: (primal, numbers).

        Args:
            known: the numbers before.
            changed: primal -> its new δ.
            stops: primals whose δ stays as it is known, whatever would follow.

        """
        new: dict[Node, Any] = {self.of[x].node: g for x, g in changed.items()}
        scope = ChainMap(new, known)  # type: ignore[arg-type]
        touched = set(changed)
        for primal in self._beyond(changed, stops):
            if any(x in touched for x in self.consumers[primal]) and primal not in changed:
                numbers = self.compute(self.of[primal].node, scope)
                if primal not in stops:
                    new[self.of[primal].node] = numbers
                    touched.add(primal)
                yield primal, numbers

    def _beyond(self, start: Mapping[Node, Any], stops: Mapping[Node, Any]) -> list[Node]:
        """Primals whose δ may change, in the order of the backward pass."""
        seen: set[Node] = set()
        stack = list(start)
        while stack:
            for primal in self.producers[stack.pop()]:
                if primal not in seen:
                    seen.add(primal)
                    if primal not in stops:
                        stack.append(primal)
        return sorted(seen, key=lambda x: -x.born)

    def pulled(self, known: Mapping[Node, Any], y: Node, g: Any, x: Node) -> Any:
        """δx where δy is ``g`` and every way from x to the loss leads through y."""
        for primal, numbers in self.walk(known, {y: g}, {}):
            if primal is x:
                return numbers
        return None if y is not x else g

    def gates(self, x: Node, stops: Mapping[Node, Any]) -> Iterator[Node]:
        """Values nearer to the loss through which every way from ``x`` leads, nearest first."""
        pending = {x}
        for _ in range(64):
            first = min(pending, key=lambda n: n.born)
            if first is not x and len(pending) == 1:
                yield first
            if first in self.seeds or (first is not x and first in stops):
                return
            pending.discard(first)
            pending.update(self.consumers[first])
