"""Backpropagation: from a loss back to what it depends on, by building more graph.

Every δ is itself a node, made from the same operations as the forward pass. What every rule would
otherwise repeat happens here once: contributions of several uses are summed, a contribution is
fitted to the shape and dtype of its operand, and the starting factor 1 is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from allbps.errors import NoRuleError, NotDifferentiableError
from allbps.ir import (
    CONST,
    Node,
    NotDifferentiable,
    NotImplementedRule,
    Rule,
    Zero,
    ancestors,
    births,
    constant,
    placed_at,
)
from allbps.ops.arithmetic import accumulate, mul
from allbps.ops.complexes import real
from allbps.ops.function import astype
from allbps.ops.index import gathered
from allbps.ops.reduce import sum_
from allbps.ops.shape import broadcast_to, identity
from allbps.ops.shapes import in_groups
from allbps.ops.sides import sides_here


@dataclass(frozen=True)
class Term:
    """What one use of a value contributes to its δ.

    Attributes:
        node: the contribution, in the shape of the primal.
        consumer: the forward node that used the value.
        index: as which operand.
        rule: the BP rule that made it.

    """

    node: Node
    consumer: Node
    index: int
    rule: Rule


@dataclass(frozen=True)
class Delta:
    """δ of one primal: the sum of its terms, in the order of its uses.

    Attributes:
        primal: the forward node.
        node: the δ, of the primal's shape and dtype.
        terms: one per use; none for an output, whose δ is given.

    """

    primal: Node
    node: Node
    terms: tuple[Term, ...]


def seed_of(y: Node) -> Node:
    """δy = 1 for a scalar loss: where a backward pass starts."""
    return constant(np.ones(y.shape, y.dtype)[()])


def backprop(
    seeds: Mapping[Node, Node], wrt: Iterable[Node], *, called: Mapping[str, str] | None = None
) -> dict[Node, Delta]:
    """δ for everything between ``wrt`` and the outputs.

    Args:
        seeds: output -> its given δ.
        wrt: where to stop; a δ is built only for nodes that depend on one of these.
        called: name of a value -> what its δ is called, where every δ is to get a node and a name
            of its own for a person to read (``dX``, terms ``dX_1``, ``dX_2``); without, nodes are
            shared.

    Returns:
        primal -> Delta, outputs first. A ``wrt`` that no output depends on is missing.

    Raises:
        NoRuleError: an operation on the way has no rule.
        NotDifferentiableError: an operation on the way has no derivative.

    """
    order = _active(list(seeds), set(wrt))
    active = set(order)
    terms: dict[Node, list[Term]] = {node: [] for node in order}
    deltas: dict[Node, Delta] = {}
    for node in reversed(order):
        with placed_at(node.site):
            delta = _total(node, terms.pop(node), seeds.get(node), called)
            if delta is None:
                continue
            deltas[node] = delta
            for index, operand in enumerate(node.inputs):
                if operand in active:
                    term = _term(delta.node, node, index)
                    if term is not None:
                        terms[operand].append(term)
    return deltas


def _active(outputs: Sequence[Node], wrt: set[Node]) -> list[Node]:
    """Real and complex nodes through which an output depends on ``wrt``, oldest first."""
    if not wrt:
        return []
    first = min(node.born for node in wrt)
    found: set[Node] = set()
    order = []
    for node in ancestors(outputs, not_before=first):
        if node in wrt or (node.is_inexact and any(x in found for x in node.inputs)):
            found.add(node)
            order.append(node)
    return order


def _total(
    node: Node, terms: list[Term], seed: Node | None, called: Mapping[str, str] | None
) -> Delta | None:
    """The δ of ``node``: its seed plus the contributions of its uses, first use first."""
    terms = sorted(terms, key=lambda term: (term.consumer.born, term.index))
    if called is not None and len(terms) > 1:
        terms = [
            Term(_named(term.node, name), term.consumer, term.index, term.rule)
            for term, name in zip(terms, _numbered(node.name, len(terms), called), strict=True)
        ]
    parts = [term.node for term in terms] + ([seed] if seed is not None else [])
    if not parts:
        return None
    if called is None:
        parts = gathered(parts)
    total = parts[0] if len(parts) == 1 else in_groups(accumulate, parts)
    if called is not None:
        total = _named(total, called[node.name])
    return Delta(node, total, tuple(terms))


def _numbered(name: str, count: int, called: Mapping[str, str]) -> list[str]:
    """``dx_1``, ``dx_2``, …; ``dx__1``, … where a value or the δ of one is called so."""
    taken = {*called, *called.values()}
    stem = f"d{name}_"
    while True:
        found = [f"{stem}{k}" for k in range(1, count + 1)]
        if taken.isdisjoint(found):
            return found
        stem += "_"


def _named(node: Node, name: str) -> Node:
    """``node`` under a name of its own; one that has a name already is referred to."""
    if node.op is CONST:  # with a dtype, or the number would be folded into what follows
        node = constant(np.asarray(node.value, node.dtype)[()])
    if node.name == name:
        return node
    if node.name or node.op is CONST:
        node = identity(node)
    return Node(
        node.op, node.inputs, node.shape, node.dtype,
        attrs=node.attrs, value=node.value, name=name, site=node.site, traces=node.traces,
    )  # fmt: skip


def _term(g: Node, consumer: Node, index: int) -> Term | None:
    """What operand ``index`` of ``consumer`` receives from the upstream ``g``."""
    rule = consumer.op.rule(index)
    if isinstance(rule, Zero):
        return None
    if isinstance(rule, NotDifferentiable):
        raise NotDifferentiableError(
            f"{consumer.op.name} has no derivative: {rule.because}", where=str(consumer.site or "")
        )
    if isinstance(rule, NotImplementedRule):
        raise NoRuleError(
            f"{consumer.op.name} has no BP rule yet: {rule.because}",
            where=str(consumer.site or ""),
            todo="declare one (docs/adding-an-op.md), or write it with operations that have one",
        )
    attrs = {**consumer.attrs, "index": index} if consumer.op.variadic else consumer.attrs
    sides, since = sides_here(), births()
    built = rule.build(g, consumer, *consumer.inputs, **attrs)
    if sides is not None and sides.is_nested and built.born >= since:
        built = sides.of(built, since, consumer)
    return Term(fit(_without_one(built, g), consumer.inputs[index]), consumer, index, rule)


def _without_one(built: Node, g: Node) -> Node:
    """``1 · local`` is ``local``: the δ of the loss itself need not appear in formulas."""
    one = g.inputs[0] if g.op is identity else g
    if built.op is mul and one.op is CONST and one.shape == () and one.value == 1:
        first, second = built.inputs
        return second if first is g else first if second is g else built
    return built


def fit(contribution: Node, primal: Node) -> Node:
    """``contribution`` in the shape and dtype of ``primal``.

    Summed over the axes along which the primal was broadcast, repeated along those that a rule
    left out, cast where a mixed-precision operation promoted it.
    """
    shape = primal.shape
    if contribution.shape != shape:
        contribution = _fit_shape(contribution, shape)
    if contribution.is_complex and primal.is_float:
        contribution = real(contribution)  # what an imaginary part would do is not asked
    if contribution.dtype != primal.dtype:
        contribution = astype(contribution, dtype=primal.dtype)
    return contribution


def _fit_shape(node: Node, shape: tuple[int, ...]) -> Node:
    extra = node.ndim - len(shape)
    if extra > 0:
        node = sum_(node, axis=tuple(range(extra)) if extra > 1 else 0, keepdims=False)
    stretched = tuple(
        k for k, (n, m) in enumerate(zip(node.shape[::-1], shape[::-1], strict=False))
        if m == 1 and n != 1
    )  # fmt: skip
    if stretched:
        axes = tuple(sorted(node.ndim - 1 - k for k in stretched))
        node = sum_(node, axis=axes, keepdims=True)
    if node.shape == shape:
        return node
    return broadcast_to(node, shape=shape)
