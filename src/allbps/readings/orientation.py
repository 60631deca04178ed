"""Which vectors are columns: those that a matrix multiplies from the left, and their kin."""

from __future__ import annotations

from allbps.backward import Backward
from allbps.ir import Node, ancestors


def columns(backward: Backward) -> frozenset[Node]:
    """The vectors that are set upright; a page never shows the same one both ways.

    A vector right of a matrix is a column, and so is the product. What is computed from columns
    element by element, or has the δ of one, is a column too. All other vectors are rows.
    """
    graph = backward.graph
    nodes = ancestors((*graph.outputs, *(d.node for d in backward.deltas.values())))
    kin = _Kin()
    upright: set[Node] = set()
    for node in nodes:
        if node.op.name == "matmul":
            upright |= _upright(node)
            continue
        if node.ndim == 1:
            for x in node.inputs:
                if x.shape == node.shape:
                    kin.join(x, node)
    for primal, delta in backward.deltas.items():
        if primal.ndim == 1:
            kin.join(primal, delta.node)
            for term in delta.terms:
                if term.node.shape == primal.shape:
                    kin.join(primal, term.node)
    found = {kin.of(node) for node in upright}
    return frozenset(node for node in nodes if node.ndim == 1 and kin.of(node) in found)


def _upright(product: Node) -> set[Node]:
    left, right = product.inputs
    found = {right} if right.ndim == 1 else set()
    if right.ndim == 1 and left.ndim == 2:
        found.add(product)
    return found


class _Kin:
    """Sets of vectors that stand the same way."""

    def __init__(self) -> None:
        self.parent: dict[Node, Node] = {}

    def of(self, node: Node) -> Node:
        while (above := self.parent.get(node, node)) is not node:
            self.parent[node] = self.parent.get(above, above)
            node = above
        return node

    def join(self, a: Node, b: Node) -> None:
        self.parent[self.of(a)] = self.of(b)
