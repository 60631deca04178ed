"""Batch norm and layer norm, recognised as a whole, with gain and shift.

In the graph they are standardise, a product and a sum. The kernels do all three, and of the
backward pass δx, δgain and δshift together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from allbps.backprop import Delta
from allbps.ir import Graph, Node
from allbps.machine.planning.plan import Fused, Made
from allbps.ops.shapes import normal_axes


def norms(graph: Graph, deltas: Mapping[Node, Delta]) -> dict[Node, Fused]:
    """Nodes that a norm's kernel stands for."""
    found: dict[Node, Fused] = {}
    for node in graph.nodes:
        kind = _kind(node) if node.op.name == "standardise" else None
        scaled = _alone(graph, node, "mul") if kind else None
        end = _alone(graph, scaled, "add") if scaled is not None else None
        if kind is None or scaled is None or end is None:
            continue
        gain, shift = _other(scaled, node), _other(end, scaled)
        if _fits(kind, node, gain) and _fits(kind, node, shift) and (end in deltas or not deltas):
            found.update(_stands(graph, kind, node, scaled, end, gain, shift, deltas))
    return found


def _kind(node: Node) -> str | None:
    """Layer norm goes over the last axis, batch norm over all but the second."""
    axes, ndim = normal_axes(node.attrs["axes"], node.ndim), node.ndim
    if axes == (ndim - 1,):
        return "layer_norm"
    return "batch_norm" if axes == _all_but_channels(ndim) else None


def _all_but_channels(ndim: int) -> tuple[int, ...]:
    return (0, *range(2, ndim))


def _alone(graph: Graph, node: Node, name: str) -> Node | None:
    """The one node that reads ``node``, if it is such an operation."""
    uses = graph.users[node]
    wanted = any(node is out for out in graph.outputs)
    fits = len(uses) == 1 and uses[0][0].op.name == name and not wanted
    return uses[0][0] if fits else None


def _other(node: Node, operand: Node) -> Node:
    return node.inputs[1] if node.inputs[0] is operand else node.inputs[0]


def _fits(kind: str, node: Node, vector: Node) -> bool:
    """One number for each channel, of the same dtype."""
    if vector.dtype != node.dtype:
        return False
    if kind == "layer_norm":
        return vector.shape == node.shape[-1:]
    shape = (node.shape[1], *(1 for _ in node.shape[2:]))
    return vector.shape in (shape, (1, *shape))


def _stands(
    graph: Graph, kind: str, node: Node, scaled: Node, end: Node, gain: Node, shift: Node,
    deltas: Mapping[Node, Delta],
) -> Iterator[tuple[Node, Fused]]:  # fmt: skip
    x = node.inputs[0]
    attrs = {"eps": node.attrs["eps"]}
    channels = x.shape[-1] if kind == "layer_norm" else x.shape[1]
    rows = x.size // channels if kind == "layer_norm" else channels
    outputs: tuple[Made, ...] = (
        (x.shape, x.dtype, end.name),
        ((rows, 2), x.dtype, f"{end.name}_moments"),
    )
    if kind == "batch_norm":
        outputs += (((channels,), x.dtype, "mean"), ((channels,), x.dtype, "squares"))
        for node_too, index in _statistics(graph, x):
            yield node_too, Fused(kind, (x, gain, shift), attrs, outputs, index, end)
    yield end, Fused(kind, (x, gain, shift), attrs, outputs, 0, end)
    if end not in deltas:
        return
    made = tuple((v.shape, v.dtype, f"d{v.name}") for v in (x, gain, shift))
    inputs = (deltas[end].node, end, x, gain)
    uses = {(node, 0): 0, (scaled, _index(scaled, gain)): 1, (end, _index(end, shift)): 2}
    for delta in deltas.values():
        for term in delta.terms:
            which = uses.get((term.consumer, term.index))
            if which is not None:
                yield term.node, Fused(f"{kind}_x", inputs, attrs, made, which, end)


def _statistics(graph: Graph, x: Node) -> Iterator[tuple[Node, int]]:
    """Nodes that are the mean of each channel, or its squared deviations summed: index 2 and 3."""
    for mean, _ in graph.users[x]:
        if mean.op.name != "mean" or not _over_images(mean):
            continue
        if not mean.attrs["keepdims"]:
            yield mean, 2
            continue
        for deviation, index in graph.users[mean]:
            if deviation.op.name == "sub" and index == 1 and deviation.inputs[0] is x:
                yield from ((total, 3) for total in _sums_of_squares(graph, deviation))


def _sums_of_squares(graph: Graph, x: Node) -> Iterator[Node]:
    for square, _ in graph.users[x]:
        if square.op.name == "power" and square.attrs["exponent"] == 2:
            for total, _ in graph.users[square]:
                if total.op.name == "sum" and _over_images(total) and not total.attrs["keepdims"]:
                    yield total


def _over_images(node: Node) -> bool:
    axis, ndim = node.attrs["axis"], node.inputs[0].ndim
    return isinstance(axis, tuple) and normal_axes(axis, ndim) == _all_but_channels(ndim)


def _index(node: Node, operand: Node) -> int:
    return 0 if node.inputs[0] is operand else 1
