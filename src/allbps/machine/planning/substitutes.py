"""Which BP rules have a kernel of their own, and when it applies.

A term of a δ knows the node that used the value and as which operand. So the machine recognises a
rule by what it belongs to, not by the nodes that the rule built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from allbps.backprop import Delta
from allbps.ir import CONST, INPUT, Graph, Node, Op, ancestors, placed_at
from allbps.machine.planning.attentions import attentions
from allbps.machine.planning.norms import norms
from allbps.machine.planning.plan import Fused, Stand
from allbps.machine.planning.transposed import transposed
from allbps.ops.comparison import where
from allbps.ops.index import put_op
from allbps.ops.own import OwnOp
from allbps.ops.reduce import sum_
from allbps.ops.shape import detach, reshape

WHOLE = (None, None, None)

Maker = Callable[[Node, Node], "Stand | None"]
"""(upstream δ, consumer) -> what stands for the contribution."""


EXPANDED = ("euclidean_loss", "standardise", "attention_weights", "norm", "cbrt", "logaddexp2")
"""Operations whose expansion is as exact as their own text: it runs, and is joined with others."""


def _is_expanded(op: Op) -> bool:
    return op.name in EXPANDED or isinstance(op, OwnOp)


def substitutes(
    graph: Graph, deltas: Mapping[Node, Delta], real: Any = np.float64
) -> dict[Node, Stand]:
    """Contribution -> what stands for it, for every rule that has a kernel.

    Args:
        graph: the function.
        deltas: its δ.
        real: the dtype that kernels compute in.

    """
    found: dict[Node, Stand] = {}
    for delta in deltas.values():
        for term in delta.terms:
            make = RULES.get((term.consumer.op.name, term.index))
            if make is None:
                continue
            with placed_at(term.consumer.site):
                stand = make(deltas[term.consumer].node, term.consumer)
            if stand is not None:
                found[term.node] = stand
    found.update(_choices([*graph.outputs, *(delta.node for delta in deltas.values())]))
    found.update(_losses(graph, deltas))
    found.update(norms(graph, deltas))
    found.update(attentions(graph, deltas))
    found.update(transposed(graph, deltas))
    for node in graph.nodes:
        with placed_at(node.site):
            if node.op is detach:
                found[node] = node.inputs[0]
            elif _is_expanded(node.op) and node.op.expand is not None:
                found[node] = node.op.expand(*node.inputs, **node.attrs)
            elif node.op.name in COUNTED:
                found[node] = COUNTED[node.op.name](*node.inputs, np.dtype(real).type, **node.attrs)
    return found


# -- masks -----------------------------------------------------------------------------------------
def _choices(wanted: Iterable[Node]) -> Iterator[tuple[Node, Node]]:
    """Numbers that are written at masks, each with the choice that stands for it."""
    for node in ancestors(wanted):
        if node.op is put_op:
            with placed_at(node.site):
                choice = _by_mask(node)
            if choice is not None:
                yield node, choice


def _by_mask(node: Node) -> Node | None:
    """One number written where a mask is true is a choice, however many places there are."""
    x, value, *arrays = node.inputs
    parts = node.attrs["parts"]
    others = [part for part in parts if part not in ("array", WHOLE, Ellipsis)]
    if len(arrays) != 1 or arrays[0].dtype.kind != "b" or value.size != 1 or others:
        return None
    mask = arrays[0]
    ahead = parts[: parts.index("array")]
    behind = x.ndim - mask.ndim - sum(part == WHOLE for part in parts)
    before = sum(behind if part is Ellipsis else 1 for part in ahead)
    shape = (1,) * before + mask.shape + (1,) * (x.ndim - before - mask.ndim)
    one = reshape(value, shape=()) if value.shape else value
    return where(reshape(mask, shape=shape), one, x)


# -- truth values ----------------------------------------------------------------------------------
def _all(x: Node, real: Any, **axes: Any) -> Node:
    """No failure: counted as a sum of reals, which has a kernel."""
    return sum_(where(x, real(0), real(1)), **axes) == 0.0


def _any(x: Node, real: Any, **axes: Any) -> Node:
    return sum_(where(x, real(1), real(0)), **axes) > 0.0


COUNTED: Mapping[str, Callable[..., Node]] = {"all": _all, "any": _any}
"""Reductions of truth values."""


def relu_delta(g: Node, y: Node) -> Stand:
    """By the sign of the result, so that what came before the ReLU need not be kept."""
    return where(y > 0.0, g, 0.0)


# -- convolution and pooling -----------------------------------------------------------------------
def conv_input(g: Node, y: Node) -> Stand:
    x, w = y.inputs
    attrs = {**y.attrs, "shape": x.shape}
    return Fused("conv2d_x", (g, w), attrs, ((x.shape, x.dtype, f"d{x.name}"),), 0, y)


def conv_weights(g: Node, y: Node) -> Stand:
    x, w = y.inputs
    attrs = {**y.attrs, "shape": w.shape}
    return Fused("conv2d_w", (g, x), attrs, ((w.shape, w.dtype, f"d{w.name}"),), 0, y)


def plain_pool(node: Node) -> bool:
    """Does the kernel take it: a window of at most 255 cells, whose numbers fill a byte?"""
    rows, columns = node.attrs["kernel"]
    return bool(rows * columns <= 255)


def max_pool_input(g: Node, y: Node) -> Stand | None:
    (x,) = y.inputs
    if not plain_pool(y):
        return None
    attrs = {**y.attrs, "shape": x.shape}
    return Fused("max_pool_x", (g, y), attrs, ((x.shape, x.dtype, f"d{x.name}"),), 0, y)


def average_pool_input(g: Node, y: Node) -> Stand:
    (x,) = y.inputs
    attrs = {**y.attrs, "shape": x.shape}
    return Fused("avg_pool_x", (g,), attrs, ((x.shape, x.dtype, f"d{x.name}"),), 0, y)


RULES: dict[tuple[str, int], Maker] = {
    ("relu", 0): relu_delta,
    ("conv2d", 0): conv_input,
    ("conv2d", 1): conv_weights,
    ("max_pool2d", 0): max_pool_input,
    ("avg_pool2d", 0): average_pool_input,
}
"""(operation, operand) -> what its BP rule becomes."""


# -- cross-entropy ---------------------------------------------------------------------------------
def _losses(graph: Graph, deltas: Mapping[Node, Delta]) -> dict[Node, Stand]:
    """A mean or sum of cross-entropies that is the loss: value and δ of the logits in one go."""
    found: dict[Node, Stand] = {}
    for node in graph.nodes:
        total = _total_of_rows(graph, node)
        if total is None or not _starts_here(total, deltas):
            continue
        logits, labels = node.inputs
        rows = int(np.prod(labels.shape, dtype=np.int64))
        scale = 1.0 / rows if total.op.name == "mean" else 1.0
        outputs = (
            (total.shape, total.dtype, total.name),
            (logits.shape, logits.dtype, f"d{logits.name}"),
        )

        def stand(index: int, outputs: Any = outputs, scale: float = scale, at: Node = node) -> Any:
            return Fused("cross_entropy_loss", at.inputs, {"scale": scale}, outputs, index, at)

        found[total] = stand(0)
        for delta in deltas.values():
            for term in delta.terms:
                if term.consumer is node and term.index == 0:
                    found[term.node] = stand(1)
    return found


def _total_of_rows(graph: Graph, node: Node) -> Node | None:
    """The loss that ``node``, a cross-entropy of each row, is added up to; nothing else reads it.

    A single example needs no adding up.
    """
    if node.op.name != "cross_entropy" or not is_argument(node.inputs[1]):
        return None  # labels that are an argument are looked at before the kernel trusts them
    uses = graph.users[node]
    if node.shape == () and not uses:
        return node
    if len(uses) != 1 or any(node is out for out in graph.outputs):
        return None
    consumer = uses[0][0]
    whole = consumer.op.name in ("mean", "sum") and consumer.shape == ()
    return consumer if whole else None


def is_argument(node: Node) -> bool:
    """Is this an argument of the function, perhaps in another shape, or a slice of one?"""
    while node.op.name in ("reshape", "transpose", "identity", "getitem"):
        node, *arrays = node.inputs
        if arrays:
            return False
    return node.op is INPUT


def _starts_here(total: Node, deltas: Mapping[Node, Delta]) -> bool:
    """Is δ of the total 1, or not asked for?"""
    if total not in deltas:
        return not deltas
    seed = deltas[total].node
    return seed.op is CONST and bool(np.all(np.asarray(seed.value) == 1))
