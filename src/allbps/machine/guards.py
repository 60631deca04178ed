"""What a traced function takes for granted, as one truth value that its step works out.

A training step sees it through its loss: where a guard fails the loss becomes NaN, and after a loss
that is not a finite number nothing is updated and an epoch in native code ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from allbps.ir import CONST, INPUT, Node, ancestors, constant, placed_at
from allbps.machine.limits import Limit
from allbps.machine.planning.plan import VIEWS
from allbps.machine.planning.reach import is_trusted
from allbps.ops.comparison import equal, isnan, logical_and, logical_not, logical_or, where
from allbps.ops.questions import all_, all_of
from allbps.ops.shapes import elementwise_bool
from allbps.trace import Guard


def holding(guards: Iterable[Guard]) -> Node | None:
    """Do all of them hold? A node of shape (); None where there are none."""
    return both(*map(_same, guards))


def both(*each: Node | None) -> Node | None:
    """Do these hold, as far as there are any?"""
    known = [node for node in each if node is not None]
    return reduce(logical_and, known) if known else None


def _same(guard: Guard) -> Node:
    """Is the value what it was?"""
    node, seen = guard.node, np.asarray(guard.value)
    with placed_at(guard.site):
        if node.dtype.kind == "b" and node.shape == ():
            return node if seen else logical_not(node)
        same = equal(node, constant(guard.value))
        if seen.dtype.kind == "f" and np.isnan(seen).any():
            same = logical_or(same, logical_and(isnan(node), constant(np.isnan(seen))))
        return all_of(same)


def gated(loss: Node, holds: Node) -> Node:
    """The loss, or NaN where a guard fails."""
    with placed_at(loss.site):
        return where(holds, loss, loss.dtype.type(np.nan))


def vouched_for(guard: Guard, limits: Mapping[Node, Sequence[Limit]]) -> Node | None:
    """The argument whose numbers are looked at before a step so that the guard is sure to hold.

    Such a guard asks every number of an argument by itself (is no label −100?), and holds for every
    number that kernels take.
    """
    if guard.node.op is not all_ or not guard.value or guard.node.shape != ():
        return None
    nodes = ancestors([guard.node])
    arguments = [node for node in nodes if node.op is INPUT]
    if len(arguments) != 1:
        return None
    (argument,) = arguments
    cuts = {node for node in nodes if node.op.name == "getitem"}
    for limit in limits.get(argument, ()):
        if cuts == {view.node for view in limit.views if view.kind == "getitem"}:
            return argument if _holds_for_all(nodes, limit.count) else None
    return None


def _holds_for_all(nodes: Sequence[Node], count: int) -> bool:
    """Is what is asked of each number by itself true of 0, …, count − 1?"""
    known: dict[Node, Any] = {}
    for node in nodes[:-1]:
        if node.op is INPUT:
            known[node] = np.arange(count)
        elif node.op is CONST and node.shape == ():
            known[node] = node.value
        elif node.op.name in (*VIEWS, "getitem") and len(node.inputs) == 1:
            known[node] = known[node.inputs[0]]
        elif node.op.shape is elementwise_bool:
            known[node] = node.op.run([known[x] for x in node.inputs], node.attrs)
        else:
            return False
    return bool(np.all(known[nodes[-1].inputs[0]]))


# -- indices ---------------------------------------------------------------------------------------
def counted_from_the_end(
    wanted: Iterable[Node], values: Mapping[Node, Any]
) -> Iterator[tuple[Node, Node]]:
    """Rows of a table at an argument that holds negative numbers, which kernels do not take.

    Gives each such node and one that says from the start which rows are meant.
    """
    below = {x for x, value in values.items() if x.dtype.kind == "i" and np.any(value < 0)}
    for node in ancestors(wanted) if below else ():
        if not is_trusted(node):
            continue
        table, index = node.inputs
        if below.intersection(ancestors([index])):
            rows = table.shape[0] if node.op.name == "getitem" else node.attrs["shape"][0]
            from_start = where(index < 0, index + rows, index)
            yield node, node.op(table, from_start, **node.attrs)


def has_negative(values: Mapping[Node, Any]) -> frozenset[str]:
    """The names of whole-number arguments with negative numbers."""
    return frozenset(
        x.name for x, value in values.items() if x.dtype.kind == "i" and np.any(value < 0)
    )
