"""Attention as tasks: softmax(scale · q kᵀ) v of every head, and the δ of q, k and v."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from allbps.backprop import Delta
from allbps.ir import Graph, Node

from .kernels.attention import attention_scratch
from .layout import row_major
from .places import Places, memories
from .plan import Fused, Value, Work
from .tasks import Program, Task, bounds, line_of, moved, pieces_for

BLOCK = 32
"""Query rows worked on at a time."""


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


def _sizes(value: Value) -> tuple[int, int, int]:
    """How many heads there are in all, the length of a sequence, the width of a head."""
    T, E = value.shape[-2:]
    return value.size // (T * E), T, E


def emit_attention(program: Program, places: Places, work: Work) -> None:
    """Every head by itself."""
    program.use("kernels.attention", "attention")
    q, k, v = (places.as_layout(x, row_major(x.shape)) for x in work.inputs)
    out, sums = (places.put(x, row_major(x.shape)) for x in work.outputs)
    heads, T, E = _sizes(work.inputs[0])
    block = min(BLOCK, T)
    program.scratch = max(program.scratch, int(attention_scratch(T, E, block)))
    at = f" + head * {T * E}"
    call = (
        f"attention({out.memory.name}{at}, {E}, {sums.memory.name} + head * {T}, "
        f"{q.memory.name}{at}, {k.memory.name}{at}, {v.memory.name}{at}, {E}, scratch, {T}, {E}, "
        f"{work.attrs['scale']!r}, {work.attrs['causal']}, {block})"
    )
    pieces = pieces_for(heads, T * T * E * 4)
    lines = (*bounds(heads, pieces), "for head in range(lo, hi):", f"    {call}")
    program.tasks.append(
        Task(f"{out.memory.name} = attention({work.inputs[0].name or '…'}, …)", pieces, lines,
             memories([q, k, v]), (out.memory, sums.memory), flops=4 * heads * T * T * E,
             traffic=moved((*work.inputs, *work.outputs)), site=line_of(work))
    )  # fmt: skip


def emit_attention_delta(program: Program, places: Places, work: Work, log_sums: Value) -> None:
    """δq, δk and δv of every head."""
    program.use("kernels.attention", "attention_delta")
    g, y, q, k, v = (places.as_layout(x, row_major(x.shape)) for x in work.inputs)
    sums = places.of(log_sums)
    outs = [places.put(x, row_major(x.shape)) for x in work.outputs]
    heads, T, E = _sizes(work.inputs[2])
    block = min(BLOCK, T)
    program.scratch = max(program.scratch, int(attention_scratch(T, E, block)))
    at = f" + head * {T * E}"
    made = ", ".join(f"{out.memory.name}{at}" for out in outs)
    read = ", ".join(f"{x.memory.name}{at}" for x in (q, k, v))
    call = (
        f"attention_delta({made}, {g.memory.name}{at}, {y.memory.name}{at}, {E}, "
        f"{sums.memory.name} + head * {T}, {read}, {E}, scratch, {T}, {E}, "
        f"{work.attrs['scale']!r}, {work.attrs['causal']}, {block})"
    )
    pieces = pieces_for(heads, T * T * E * 10)
    lines = (*bounds(heads, pieces), "for head in range(lo, hi):", f"    {call}")
    program.tasks.append(
        Task(f"{', '.join(o.memory.name for o in outs)}: δ of attention", pieces, lines,
             memories([g, y, q, k, v, sums]), memories(outs), flops=10 * heads * T * T * E,
             traffic=moved((*work.inputs, *work.outputs)), site=line_of(work))
    )  # fmt: skip
