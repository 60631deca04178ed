"""Attention, recognised as a whole: weights and the product with the values, and the δ of both.

It may be written with ``attention_weights`` or as a softmax of products; what is added to these and
the keys that a mask hides are part of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from allbps.backprop import Delta
from allbps.ir import CONST, Graph, Node, placed_at
from allbps.machine.planning.plan import Fused, Made
from allbps.ops.comparison import where
from allbps.ops.shape import swaps_last_two

QUERY, KEY, VALUE, SCORES = range(4)
"""Which result of the kernel is whose δ."""


@dataclass(frozen=True)
class Attention:
    """softmax(scale · q kᵀ + added) v, as a graph has it.

    Attributes:
        q, k, v: what attends to what.
        scale: above 0.
        causal: does a query see no later key?
        added: what is added to the scores, of their shape or broadcast to it.
        hides: does -∞ in it mean that nobody looks at what the score is?
        product: the result.
        uses: (node, operand) that contributes to a δ -> whose.

    """

    q: Node
    k: Node
    v: Node
    scale: float
    causal: bool
    added: Node | None
    hides: bool
    product: Node
    uses: Mapping[tuple[Node, int], int]

    @property
    def fits(self) -> bool:
        """The same leading axes of all, one dtype, and nothing that the kernel gets wrong."""
        q, k, v = self.q, self.k, self.v
        alike = q.shape[:-2] == k.shape[:-2] == v.shape[:-2] and q.dtype == k.dtype == v.dtype
        scores = (*q.shape[:-1], k.shape[-2])
        return alike and q.ndim >= 2 and self.scale > 0 and _widens(self.added, scores, q.dtype)

    def forward(self, index: int = 0) -> Fused:
        """What stands for the product."""
        y, numbers = self.product, (*self.q.shape[:-2], 2, self.q.shape[-2])
        outputs = ((y.shape, y.dtype, y.name), (numbers, y.dtype, f"{y.name}_softmax"))
        return Fused("attention", self._inputs, self._attrs, outputs, index, y)

    def backward(self, delta: Node, index: int) -> Fused:
        """What stands for a δ, given that of the product."""
        y, scores = self.product, (*self.q.shape[:-1], self.k.shape[-2])
        made: tuple[Made, ...] = tuple(
            (x.shape, x.dtype, f"d{x.name}") for x in (self.q, self.k, self.v)
        )
        made += ((scores, y.dtype, f"d{y.name}_scores"),)
        inputs = (delta, y, *self._inputs)
        return Fused("attention_x", inputs, self._attrs, made, index, y)

    @property
    def _inputs(self) -> tuple[Node, ...]:
        added = () if self.added is None else (self.added,)
        return (self.q, self.k, self.v, *added)

    @property
    def _attrs(self) -> Mapping[str, object]:
        return {"scale": self.scale, "causal": self.causal, "hides": self.hides}


def _widens(added: Node | None, scores: tuple[int, ...], dtype: np.dtype[np.generic]) -> bool:
    """Is what is added of the scores' shape, or broadcast to it along all axes but the last?"""
    if added is None:
        return True
    shape = (1,) * (len(scores) - added.ndim) + added.shape
    same = all(n in (1, length) for n, length in zip(shape, scores, strict=False))
    return same and shape[-1:] == scores[-1:] and added.ndim <= len(scores) and added.dtype == dtype


def attentions(graph: Graph, deltas: Mapping[Node, Delta]) -> dict[Node, Fused]:
    """Products of attention weights and values that nothing else needs the weights of."""
    found: dict[Node, Fused] = {}
    for node in graph.nodes:
        if node.op.name != "matmul":
            continue
        with placed_at(node.site):
            whole = _attention(graph, node)
        if whole is not None and whole.fits:
            found.update(_stands(whole, deltas))
    return found


def _stands(whole: Attention, deltas: Mapping[Node, Delta]) -> Iterator[tuple[Node, Fused]]:
    yield whole.product, whole.forward()
    if whole.product not in deltas:
        return
    for delta in deltas.values():
        for term in delta.terms:
            which = whole.uses.get((term.consumer, term.index))
            if which is not None:
                yield term.node, whole.backward(deltas[whole.product].node, which)


# -- how it may be written -------------------------------------------------------------------------
def _attention(graph: Graph, product: Node) -> Attention | None:
    """The attention that a product is the end of."""
    weights, v = product.inputs
    seen: Node | None = None
    if _alone(graph, weights) and weights.op is where and _is_number(weights.inputs[2], 0.0):
        seen, weights = weights.inputs[:2]  # where nothing is seen, zeros
    if not _alone(graph, weights):
        return None
    uses = {(product, 1): VALUE}
    if weights.op.name == "attention_weights" and seen is None:
        (q, k), attrs = weights.inputs, weights.attrs
        uses |= {(weights, 0): QUERY, (weights, 1): KEY}
        return Attention(q, k, v, attrs["scale"], attrs["causal"], None, False, product, uses)
    if weights.op.name != "softmax" or weights.attrs["axis"] not in (-1, weights.ndim - 1):
        return None
    scores = _scores(graph, weights.inputs[0], seen)
    if scores is None:
        return None
    q, turned = scores.product.inputs
    k, added = turned.inputs[0], scores.added
    uses |= {(weights, 0): SCORES, (scores.product, 0): QUERY, (turned, 0): KEY}
    return Attention(q, k, v, scores.scale, False, added, scores.hides, product, uses)


def _alone(graph: Graph, node: Node) -> bool:
    """Is it read once, and no result?"""
    return len(graph.users[node]) == 1 and not any(node is out for out in graph.outputs)


@dataclass(frozen=True)
class _Scores:
    """scale · product + added."""

    product: Node
    scale: float = 1.0
    added: Node | None = None
    hides: bool = False


STEPS = 6
"""Steps behind a product that are looked through: a scale, a mask, and what is added to it."""


def _scores(graph: Graph, node: Node, seen: Node | None, left: int = STEPS) -> _Scores | None:
    """Scores taken apart; ``seen`` is the mask behind the softmax, if there is one."""
    if not left or not _alone(graph, node):
        return None
    if node.op is where:
        return _hidden(graph, node, seen, left - 1)
    take = TAKEN_APART.get(node.op.name)
    return None if seen is not None or take is None else take(graph, node, left - 1)


def _hidden(graph: Graph, node: Node, seen: Node | None, left: int) -> _Scores | None:
    """Scores where a mask is true."""
    condition, inner, lowest = node.inputs
    found = _scores(graph, inner, None, left)
    if found is None or found.hides or not _hides(condition, lowest, seen):
        return None
    real = node.dtype.type
    shown = real(0) if found.added is None else found.added
    return replace(found, added=where(condition, shown, real(-np.inf)), hides=True)


def _added(graph: Graph, node: Node, left: int) -> _Scores | None:
    """Scores and something more."""
    for inner, more in (node.inputs, node.inputs[::-1]):
        found = _scores(graph, inner, None, left)
        if found is not None and not found.hides:
            return replace(found, added=more if found.added is None else found.added + more)
    return None


def _product(graph: Graph, node: Node, left: int) -> _Scores | None:
    """A product whose right operand is the transpose of something, made for this alone."""
    right = node.inputs[1]
    turns = right.op.name == "transpose" and swaps_last_two(right.attrs["axes"])
    return _Scores(node) if turns and _alone(graph, right) else None


def _scaled(graph: Graph, node: Node, left: int) -> _Scores | None:
    """Scores times a number, or by one."""
    x, y = node.inputs
    if node.op.name == "mul" and x.op is CONST:
        x, y = y, x
    found = _scores(graph, x, None, left) if y.op is CONST and y.size == 1 else None
    if found is None or found.added is not None or node.shape != x.shape:
        return None
    number = float(np.asarray(y.value).reshape(()))
    if number == 0:
        return None
    return replace(found, scale=found.scale * (number if node.op.name == "mul" else 1 / number))


TAKEN_APART = {"add": _added, "mul": _scaled, "div": _scaled, "matmul": _product}
"""What scores may be made by -> how they are taken apart."""


def _hides(condition: Node, lowest: Node, seen: Node | None) -> bool:
    """Is choosing so before a softmax the same as giving no weight where it is false?

    That is so where a row of nothing else gets zeros behind the softmax, or where there is none.
    """
    if lowest.op is not CONST or np.size(lowest.value) != 1:
        return False
    if np.asarray(lowest.value).reshape(()) > np.finfo(lowest.dtype).min / 2:
        return False
    if seen is not None:
        return seen is condition or (
            seen.op is CONST and condition.op is CONST
            and np.array_equal(np.asarray(seen.value), np.asarray(condition.value))
        )  # fmt: skip
    return condition.op is CONST and bool(np.all(np.any(condition.value, axis=-1)))


def _is_number(node: Node, number: float) -> bool:
    return node.op is CONST and bool(np.all(np.asarray(node.value) == number))
