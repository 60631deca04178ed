"""Another value than the one that the formula asks for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from allbps.ir import CONST, INPUT, Node
from allbps.verify.edges import name_of
from allbps.verify.mistakes.declare import Site, Slip, attempt, mistake

NEAREST = 40
"""So many values are tried in place of another, the nearest in time first."""


def _leaves(site: Site, k: int) -> list[Node]:
    """Forward values and upstream δ that the expression of a use starts from."""
    found = {
        x: None
        for node in site.onward.plan(site.terms[k].node)
        for x in node.inputs
        if x in site.onward.right and x.op is not CONST
    }
    return list(found)


@mistake("another value", "Another value of the same shape is used: another layer's cache.", 5)
def another_value(site: Site) -> Iterator[Slip]:
    deltas = {d.node: d.primal for d in site.onward.deltas}
    for k, term in enumerate(site.terms):
        for leaf in _leaves(site, k):
            for other in _others(site, leaf, leaf in deltas):
                text = _instead(leaf, other, deltas)
                part = attempt(
                    site.onward.compute, term.node, {**site.known, leaf: site.known[other]}
                )
                yield Slip(text, site.with_part(k, part))


def _others(site: Site, leaf: Node, is_delta: bool) -> list[Node]:
    if is_delta:
        born = {d.node: d.primal.born for d in site.onward.deltas}
        nodes = [d.node for d in site.onward.deltas if d.primal.born > site.primal.born]
    else:
        deltas = {d.node for d in site.onward.deltas}
        nodes = [x for x in site.onward.right if x not in deltas and x.dtype.kind == "f"]
        born = {x: x.born for x in nodes}
    fitting = [x for x in nodes if x is not leaf and x.shape == leaf.shape]
    near = born.get(leaf, leaf.born)
    return sorted(fitting, key=lambda x: abs(born[x] - near))[:NEAREST]


def _instead(leaf: Node, other: Node, deltas: dict[Node, Node]) -> str:
    if leaf in deltas:
        return f"δ{name_of(deltas[other])} is used instead of δ{name_of(deltas[leaf])}"
    a, b = name_of(other), name_of(leaf)
    if b in a:
        return f"{a} is used instead of {b}"
    if _uses(leaf, other) and leaf.op.name == "sub":
        rest = [name_of(x) for x in leaf.inputs if x is not other]
        return f"{a} is used instead of {b}: {', '.join(rest)} (the target?) is forgotten"
    if _uses(other, leaf) and len(other.inputs) == 1:
        return f"{a} is used instead of {b}: the output instead of the input"
    if _uses(leaf, other) and len(leaf.inputs) == 1:
        return f"{a} is used instead of {b}: the input instead of the output"
    return f"{a} is used instead of {b}: another layer's cache?"


def _uses(node: Node, operand: Node) -> bool:
    return any(x is operand for x in node.inputs)


@mistake("updated weights", "The weights were already updated when δ was passed on.", 1)
def updated(site: Site) -> Iterator[Slip]:
    for k, term in enumerate(site.terms):
        for leaf in _leaves(site, k):
            if leaf.op is not INPUT or leaf not in site.onward.of:
                continue
            if leaf is site.primal:
                continue
            step = -np.asarray(site.known[site.onward.of[leaf].node])
            moved = {**site.known, leaf: site.known[leaf] + step}
            part = attempt(site.onward.compute, term.node, moved)
            if part is not None and np.shape(part) == np.shape(site.parts[k]):
                yield Slip(
                    f"{leaf.name} was already updated, by {{c:.3g}} δ{leaf.name}, when it was used",
                    site.right, part - site.parts[k],
                )  # fmt: skip


@mistake("ones for a value", "A value of the formula is taken as 1.", 6)
def ones(site: Site) -> Iterator[Slip]:
    deltas = {d.node for d in site.onward.deltas}
    for k, term in enumerate(site.terms):
        for leaf in _leaves(site, k):
            if leaf not in deltas and leaf.is_float:
                part = attempt(
                    site.onward.compute, term.node, {**site.known, leaf: np.ones(leaf.shape)[()]}
                )
                yield Slip(f"{name_of(leaf)} is left out: as if it were 1", site.with_part(k, part))


@mistake("square transposed", "A square matrix is used without, or with, its transposition.", 2)
def square(site: Site) -> Iterator[Slip]:
    deltas = {d.node: d.primal for d in site.onward.deltas}
    for k, term in enumerate(site.terms):
        for leaf in _leaves(site, k):
            if leaf.ndim == 2 and leaf.shape[0] == leaf.shape[1] > 1:
                name = f"δ{name_of(deltas[leaf])}" if leaf in deltas else name_of(leaf)
                part = attempt(
                    site.onward.compute,
                    term.node,
                    {**site.known, leaf: np.transpose(site.known[leaf])},
                )
                yield Slip(f"{name} is transposed once too often or too little",
                           site.with_part(k, part))  # fmt: skip
