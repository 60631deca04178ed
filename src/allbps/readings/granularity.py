"""How fine a derivation is: a step for each operation or each line, or lines in blocks."""

from __future__ import annotations

from collections.abc import Container, Iterable

from allbps.backward import Backward
from allbps.errors import ArgumentError
from allbps.ir import CONST, INPUT, Node, ancestors
from allbps.ir.site import Part
from allbps.names import is_numbered

STEPS = ("operation", "line", "block")
LONGEST = 30
"""A formula of more operations than this is not written on one line."""


def hidden(backward: Backward, by: str) -> frozenset[Node]:
    """The values without a step of their own, whose formulas stand inside of others.

    By line these are the unnamed values that one other takes, and their δ, as far as no formula
    becomes too long. By block the other must stand in the same block.

    Raises:
        ArgumentError: there is no such granularity.
    """
    if by not in STEPS:
        raise ArgumentError(f"unknown granularity {by!r}", expected=", ".join(STEPS), got=by)
    if by == "operation":
        return frozenset()
    graph = backward.traced.graph
    results = set(graph.outputs)
    inner = {
        node
        for node in graph.nodes
        if is_numbered(node.name)
        and node.op not in (INPUT, CONST)
        and node not in results
        and len(graph.users.get(node, ())) == 1
        and (by == "line" or _within(node) == _within(graph.users[node][0][0]))
    }
    return _with_deltas(backward, _short_enough(backward, inner))


def holder(backward: Backward, node: Node, unseen: Container[Node]) -> Node:
    """The value with a step of its own into whose formula a hidden one goes; itself if it has."""
    while node in unseen:
        ((node, _),) = backward.traced.graph.users[node]
    return node


def _within(node: Node) -> tuple[Part, ...]:
    return node.site.within if node.site else ()


def _short_enough(backward: Backward, inner: set[Node]) -> set[Node]:
    """Without those that would make a formula of the forward or of the backward pass too long."""
    kept = set(inner)
    for node in backward.traced.graph.nodes:
        if node not in kept and _size(node, kept) > LONGEST:
            kept -= _inside(node, kept)
    for delta in backward.deltas.values():
        unseen = _with_deltas(backward, kept)
        if delta.node not in unseen and _size(delta.node, unseen) > LONGEST:
            wanted = _inside(delta.node, unseen)
            kept -= {d.primal for d in backward.deltas.values() if d.node in wanted} | wanted
    return kept


def _with_deltas(backward: Backward, inner: set[Node]) -> frozenset[Node]:
    """The hidden values and their δ."""
    found = set(inner)
    for primal, delta in backward.deltas.items():
        if primal in inner:
            found.add(delta.node)
            found.update(term.node for term in delta.terms if len(delta.terms) > 1)
    shown = {delta.node for primal, delta in backward.deltas.items() if primal not in inner}
    return frozenset(found - shown)


def _size(root: Node, inner: Iterable[Node]) -> int:
    """How many operations a formula has that spells out what is hidden."""
    unseen = set(inner)
    sizes: dict[Node, int] = {}
    for node in ancestors([root]):
        open_ = node is root or node in unseen or not (node.name or node.op in (CONST, INPUT))
        sizes[node] = 1 + sum(sizes[x] for x in node.inputs) if open_ else 0
        sizes[node] = min(sizes[node], 10 * LONGEST)
    return sizes[root]


def _inside(root: Node, unseen: Iterable[Node]) -> set[Node]:
    """What is hidden in the formula of ``root``."""
    all_unseen = set(unseen)
    found: set[Node] = set()
    stack = list(root.inputs)
    while stack:
        node = stack.pop()
        if node in all_unseen and node not in found:
            found.add(node)
        if node in all_unseen or not (node.name or node.op in (CONST, INPUT)):
            stack.extend(node.inputs)
    return found
