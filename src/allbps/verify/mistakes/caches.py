"""Another value than the one that the formula asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from allbps.ir import INPUT, Node
from allbps.verify.edges import code_of, delta_name, name_of
from allbps.verify.marks import listed
from allbps.verify.mistakes.declare import WHOLE, Delayed, Site, Slip, mistake

NEAREST = 40
"""So many values are tried in place of another, the nearest in time first."""
FEW = 12
"""Of so many values of a formula every pair is exchanged."""


def _known(node: Node) -> Delayed:
    return lambda site: site.known[node]


def _changed(node: Node, change: Callable[[Any], Any]) -> Delayed:
    return lambda site: change(site.known[node])


@mistake("another value", "Another value of the same shape is used: another layer's cache.", 5)
def another_value(site: Site) -> Iterator[Slip]:
    for k in site.formulas:
        for leaf in site.leaves(k):
            for other in _others(site, leaf, leaf.shape):
                yield Slip(partial(_instead, leaf, other, site.deltas),
                           site.replaced(k, {leaf: _known(other)}))  # fmt: skip


@mistake("another matrix", "Another matrix is used, as its transpose.", 6)
def another_matrix(site: Site) -> Iterator[Slip]:
    for k in site.formulas:
        for leaf in site.leaves(k):
            if leaf.ndim != 2 or leaf.shape[0] == leaf.shape[1] or leaf in site.deltas:
                continue
            for other in _others(site, leaf, leaf.shape[::-1]):
                yield Slip(
                    f"{name_of(other)} is used instead of {name_of(leaf)}: another layer?",
                    site.replaced(k, {leaf: _changed(other, np.transpose)}),
                )  # fmt: skip


@mistake("own factor", "A factor of a product is used for its own δ, not the other factor.", 4)
def own_factor(site: Site) -> Iterator[Slip]:
    for k, term in enumerate(site.terms):
        if term.consumer.op.name != "mul":
            continue
        other = term.consumer.inputs[1 - term.index]
        used = any(x is other for x in site.leaves(k))
        if used and other is not site.primal and other.shape != site.primal.shape:
            yield Slip(
                f"{name_of(site.primal)} is used instead of {name_of(other)}: its own value",
                site.replaced(k, {other: _known(site.primal)}),
            )


@mistake("values exchanged", "Two values of a formula are exchanged.", 3)
def exchanged(site: Site) -> Iterator[Slip]:
    leaves = site.leaves(WHOLE)
    if len(leaves) > FEW:
        return
    for a, b in combinations(leaves, 2):
        if a.shape == b.shape and (a in site.deltas) == (b in site.deltas):
            names = listed([_called(x, site.deltas) for x in (a, b)])
            yield Slip(f"{names} are exchanged", site.replaced(WHOLE, {a: _known(b), b: _known(a)}))


def _called(leaf: Node, deltas: Mapping[Node, Node]) -> str:
    return delta_name(deltas[leaf]) if leaf in deltas else name_of(leaf)


def _others(site: Site, leaf: Node, shape: tuple[int, ...]) -> list[Node]:
    if leaf in site.deltas:
        born = {d: x.born for d, x in site.deltas.items()}
        nodes = [d for d, x in site.deltas.items() if x.born > site.primal.born]
    else:
        nodes = site.onward.floats
        born = {x: x.born for x in nodes}
    fitting = [x for x in nodes if x is not leaf and x.shape == shape]
    near = born.get(leaf, leaf.born)
    return sorted(fitting, key=lambda x: abs(born[x] - near))[:NEAREST]


def _instead(leaf: Node, other: Node, deltas: Mapping[Node, Node]) -> str:
    if leaf in deltas:
        return f"{delta_name(deltas[other])} is used instead of {delta_name(deltas[leaf])}"
    a, b = name_of(other), name_of(leaf)
    said = f"{a} is used instead of {b}"
    if _uses(leaf, other) and leaf.op.name in ("sub", "add", "mul", "div"):
        rest = [code_of(x) for x in leaf.inputs if x is not other]
        target = " (the target?)" if leaf.op.name == "sub" else ""
        return f"{said}: {', '.join(rest) or a}{target} is forgotten"
    if _uses(other, leaf) and len(other.inputs) == 1:
        return f"{said}: the output instead of the input"
    if _uses(leaf, other) and len(leaf.inputs) == 1:
        return f"{said}: the input instead of the output"
    return said if a in b or b in a else f"{said}: another layer's cache?"


def _uses(node: Node, operand: Node) -> bool:
    return any(x is operand for x in node.inputs)


@mistake("updated weights", "The weights were already updated when δ was passed on.", 1)
def updated(site: Site) -> Iterator[Slip]:
    for k in site.formulas:
        for leaf in site.leaves(k):
            if leaf.op is not INPUT or leaf not in site.onward.of or leaf is site.primal:
                continue
            step = -np.asarray(site.known[site.onward.of[leaf].node])
            moved = site.part(k, {**site.known, leaf: site.known[leaf] + step})
            usual = np.asarray(site.right) if k == WHOLE else site.parts[k]
            if moved is not None and np.shape(moved) == np.shape(usual):
                yield Slip(
                    f"{leaf.name} was already updated, by {{c:.3g}} δ{leaf.name}, when it was used",
                    site.right, moved - usual,
                )  # fmt: skip


@mistake("ones for a value", "A value of the formula is taken as 1.", 6)
def ones(site: Site) -> Iterator[Slip]:
    for k in site.formulas:
        for leaf in site.leaves(k):
            if leaf not in site.deltas and leaf.is_float:
                yield Slip(f"{name_of(leaf)} is left out: as if it were 1",
                           site.replaced(k, {leaf: partial(_ones, leaf)}))  # fmt: skip


def _ones(leaf: Node, site: Site) -> Any:
    return np.ones(leaf.shape)[()]


@mistake("mask turned", "A mask of zeros and ones is taken the other way round.", 2)
def mask_turned(site: Site) -> Iterator[Slip]:
    for k in site.formulas:
        for leaf in site.leaves(k):
            value = None if leaf in site.deltas else site.value(leaf)
            if value is not None and value.size > 1 and np.all((value == 0) | (value == 1)):
                other = _changed(leaf, partial(np.subtract, 1))
                yield Slip(f"the mask {name_of(leaf)} is inverted: the wrong side passes",
                           site.replaced(k, {leaf: other}))  # fmt: skip


@mistake("square transposed", "A square matrix is used without, or with, its transposition.", 2)
def square(site: Site) -> Iterator[Slip]:
    for k in site.formulas:
        for leaf in site.leaves(k):
            if leaf.ndim == 2 and leaf.shape[0] == leaf.shape[1] > 1:
                yield Slip(
                    f"{_called(leaf, site.deltas)} is transposed once too often or too little",
                    site.replaced(k, {leaf: _changed(leaf, np.transpose)}),
                )


@mistake("read otherwise", "A value is laid out in another order, or turned round.", 4)
def read_otherwise(site: Site) -> Iterator[Slip]:
    for k in site.formulas:
        steps = site.expression(k)  # that one of these is left out is another mistake
        done = {(x.inputs[0], x.op.name) for x in steps if x.op.name in ("flip", "transpose")}
        for leaf in site.leaves(k):
            if leaf.ndim < 2 or leaf in site.deltas or not leaf.is_float:
                continue
            for undone, said, change in _readings(leaf.ndim):
                if (leaf, undone) not in done:
                    otherwise = site.replaced(k, {leaf: _changed(leaf, change)})
                    yield Slip(f"{name_of(leaf)} is {said}", otherwise)


def _readings(ndim: int) -> Iterator[tuple[str, str, Callable[[Any], Any]]]:
    """(the operation that undoes it, what is said, what is done to the array)."""
    yield "transpose", "reshaped instead of transposed", _relaid
    for axis in range(ndim):
        yield "flip", f"flipped along axis {axis}", partial(np.flip, axis=axis)
    yield "flip", "turned by 180°: flipped along two axes", _turned


def _turned(x: Any) -> Any:
    return np.flip(x, (-2, -1))


def _relaid(x: Any) -> Any:
    return np.transpose(np.reshape(x, x.shape[::-1]))
