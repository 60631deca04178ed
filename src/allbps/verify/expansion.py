"""The judge expansion: the same function from simpler operations, differentiated by their rules.

An operation that declares an ``expand`` says what it is made of. Its own BP rule and those of the
parts must give the same δ. The parts' rules are ours too, so this judge alone confirms nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from allbps.backprop import backprop, fit
from allbps.ir import CONST, INPUT, Node, ancestors, constant, lift
from allbps.noise import noise_of
from allbps.ops.shape import identity
from allbps.verify.evidence import Case, compare
from allbps.verify.finding import Finding
from allbps.verify.silence import Silence


def judge(case: Case) -> Iterator[Finding]:
    """Compare the δ that come through an operation made of simpler ones.

    Raises:
        Silence: no operation has an expansion.

    """
    nodes = case.backward.traced.graph.nodes
    if not any(node.op.expand for node in nodes):
        raise Silence("no operation here is made of simpler ones")
    with np.errstate(all="ignore"):
        expanded = _expanded(case, nodes)
        deltas = _deltas(case, expanded)
        noise = noise_of(deltas.values(), {}, np.random.default_rng(case.seed))
    through = set(ancestors(x for node in nodes if node.op.expand for x in node.inputs))
    for delta in case.deltas:
        if delta.primal in through:
            theirs = deltas[delta.primal]
            yield compare(case, "expansion", delta, theirs.value, noise[theirs])


def _expanded(case: Case, nodes: tuple[Node, ...]) -> dict[Node, Node]:
    """The forward pass again, with its numbers, each operation expanded where it can be."""
    new: dict[Node, Node] = {}
    for node in nodes:
        if node.op is CONST:
            new[node] = node
        elif node.op is INPUT:
            new[node] = identity(constant(case.values[node.name]))
        else:
            operands = [new[x] for x in node.inputs]
            made = node.op(*operands, **node.attrs)
            if node.op.expand:
                parts = fit(lift(node.op.expand(*operands, **node.attrs)), node)
                if np.array_equal(np.isfinite(parts.value), np.isfinite(made.value)):
                    made = parts  # the simpler operations do not overflow here
            new[node] = identity(made)  # a node of its own, also where it passes a value on
    return new


def _deltas(case: Case, expanded: Mapping[Node, Node]) -> dict[Node, Node]:
    seeds = {
        expanded[y]: constant(seed.value if seed.op is CONST else case.values[seed.name])
        for y, seed in case.backward.seeds.items()
    }
    primals = [delta.primal for delta in case.deltas]
    found = backprop(seeds, [expanded[primal] for primal in primals])
    return {
        primal: found[expanded[primal]].node
        if expanded[primal] in found
        else constant(np.zeros(primal.shape))
        for primal in primals
    }
