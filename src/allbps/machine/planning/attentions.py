"""Attention, recognised as a whole: weights and the product with the values, and the δ of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from allbps.backprop import Delta
from allbps.ir import Graph, Node
from allbps.machine.planning.plan import Fused


def attentions(graph: Graph, deltas: Mapping[Node, Delta]) -> dict[Node, Fused]:
    """Products of attention weights and values that nothing else needs the weights of."""
    found: dict[Node, Fused] = {}
    for weights in graph.nodes:
        if weights.op.name != "attention_weights":
            continue
        uses = graph.users[weights]
        if len(uses) != 1 or any(weights is out for out in graph.outputs):
            continue
        product, index = uses[0]
        if product.op.name == "matmul" and index == 0 and _fits(weights, product):
            found.update(_stands(weights, product, deltas))
    return found


def _fits(weights: Node, product: Node) -> bool:
    """The same leading axes, sequence and width for queries, keys and values."""
    q, k = weights.inputs
    v = product.inputs[1]
    alike = q.shape == k.shape == v.shape and q.dtype == k.dtype == v.dtype
    return alike and q.ndim >= 2


def _stands(
    weights: Node, product: Node, deltas: Mapping[Node, Delta]
) -> Iterator[tuple[Node, Fused]]:
    (q, k), v = weights.inputs, product.inputs[1]
    rows = (*q.shape[:-1],)
    outputs = ((q.shape, q.dtype, product.name), (rows, q.dtype, f"{product.name}_log_sums"))
    yield product, Fused("attention", (q, k, v), weights.attrs, outputs, 0, product)
    if product not in deltas:
        return
    made = tuple((x.shape, x.dtype, f"d{x.name}") for x in (q, k, v))
    inputs = (deltas[product].node, product, q, k, v)
    uses = {(weights, 0): 0, (weights, 1): 1, (product, 1): 2}
    for delta in deltas.values():
        for term in delta.terms:
            which = uses.get((term.consumer, term.index))
            if which is not None:
                yield term.node, Fused("attention_x", inputs, weights.attrs, made, which, product)
