"""The backward pass in numbers, each step of which can be done otherwise and followed onward."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping
from functools import cached_property
from typing import Any, NamedTuple

from allbps.backward import Backward
from allbps.ir import CONST, INPUT, Node, Op
from allbps.names import is_numbered

Numbers = MutableMapping[Node, Any]
"""What is known: forward nodes and δ nodes -> their numbers."""
Otherwise = Mapping[Node, Callable[..., Any]]
"""Nodes of one step's expression that are computed by another function of their operands."""


class Step(NamedTuple):
    """One operation of an expression.

    Attributes:
        node: what it computes.
        function: how.
        operands: from what, and where that is found: CONST a constant, None a step of the same
            expression, INPUT what is known.

    """

    node: Node
    function: Callable[..., Any]
    operands: list[tuple[Node, Op | None]]


class Onward:
    """A backward pass whose steps are computed one by one from what is known.

    Attributes:
        right: every value and every right δ.
        deltas: the steps in the order they are computed.
        of: primal -> its step.
        memory: what others found out about a value, under their own names.

    """

    def __init__(self, backward: Backward, values: Mapping[str, Any]) -> None:
        self.deltas = tuple(backward.deltas.values())
        self.of = {delta.primal: delta for delta in self.deltas}
        forward = [x for x in backward.traced.graph.nodes if x.name in values]
        self.right: Numbers = {x: values[x.name] for x in (*forward, *backward.given)}
        self.right |= {d.node: values[d.node.name] for d in self.deltas}
        self.seeds = frozenset(backward.seeds)
        self.memory: dict[tuple[str, Node], list[Any]] = {}
        self._plans: dict[tuple[Node, bool], list[Node]] = {}
        self._steps: dict[tuple[Node, bool], list[Step]] = {}
        self._reached: dict[tuple[frozenset[Node], frozenset[Node]], list[Node]] = {}

    @cached_property
    def primals(self) -> dict[Node, Node]:
        """Node of a δ -> its primal."""
        return {d.node: d.primal for d in self.deltas}

    @cached_property
    def forward(self) -> list[Node]:
        """Every value of the forward pass."""
        return [x for x in self.right if x not in self.primals]

    @cached_property
    def floats(self) -> list[Node]:
        """Those made of floating-point numbers."""
        return [x for x in self.forward if x.dtype.kind == "f"]

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

    def plan(self, node: Node, named: bool = False) -> list[Node]:
        """What stands in the expression of ``node`` down to values that are known, oldest first.

        Args:
            node: a value, mostly a part of a δ.
            named: down to what the person named: what has only a number is an expression itself.

        """
        key = node, named
        if key not in self._plans:
            stack, seen = [node], {node}
            while stack:
                new = [
                    x for x in stack.pop().inputs
                    if x not in seen and x.op is not CONST and not self._is_known(x, named)
                ]  # fmt: skip
                seen.update(new)
                stack.extend(new)
            self._plans[key] = sorted(seen, key=lambda x: x.born)
        return self._plans[key]

    def _is_known(self, x: Node, named: bool) -> bool:
        if x not in self.right or not x.inputs:
            return x in self.right
        return not (named and self._is_unnamed(x))

    def _is_unnamed(self, x: Node) -> bool:
        """Is it a step inside of a line, or the δ of one?"""
        return is_numbered(x.name) or is_numbered(x.name[1:])

    def compute(
        self,
        node: Node,
        known: Mapping[Node, Any],
        otherwise: Otherwise | None = None,
        named: bool = False,
    ) -> Any:
        """``node`` from what is known, some steps of its expression done otherwise.

        ``named`` is what it is for ``plan``.
        """
        local: dict[Node, Any] = {}
        for step in self._steps_of(node, named):
            operands = [
                i.value if kind is CONST else local[i] if kind is None else known[i]
                for i, kind in step.operands
            ]
            x = step.node
            instead = otherwise.get(x) if otherwise else None
            local[x] = (instead or step.function)(*operands)
        return local[node] if node in local else node.value if node.op is CONST else known[node]

    def _steps_of(self, node: Node, named: bool) -> list[Step]:
        """The steps of an expression, ready to run."""
        if (node, named) not in self._steps:
            inner = {x for x in self.plan(node, named) if x.inputs}
            self._steps[node, named] = [
                Step(
                    x,
                    x.op.function(len(x.inputs), x.attrs),
                    [(i, CONST if i.op is CONST else None if i in inner else INPUT)
                     for i in x.inputs],
                )
                for x in self.plan(node, named)
                if x in inner
            ]  # fmt: skip
        return self._steps[node, named]

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
        scope = dict(known) | {self.of[x].node: g for x, g in changed.items()}
        for primal in self._beyond(changed, stops):
            if primal not in changed:
                numbers = self.compute(self.of[primal].node, scope)
                if primal not in stops:
                    scope[self.of[primal].node] = numbers
                yield primal, numbers

    def order(self, start: Collection[Node], stops: Collection[Node]) -> list[Node]:
        """These primals, and those whose δ may change with theirs, as they are computed."""
        return sorted({*start, *self._beyond(start, stops)}, key=lambda x: -x.born)

    def _beyond(self, start: Collection[Node], stops: Collection[Node]) -> list[Node]:
        """Primals whose δ may change, in the order of the backward pass."""
        key = frozenset(start), frozenset(stops)
        if key not in self._reached:
            self._reached[key] = self._reach(start, stops)
        return self._reached[key]

    def _reach(self, start: Collection[Node], stops: Collection[Node]) -> list[Node]:
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
