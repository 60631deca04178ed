"""δ of an array that was used slice by slice: the slices' δ side by side, instead of a sum.

In the graph every slice sends back an array of zeros with its δ inside, and these are added. Where
the slices do not overlap, nothing has to be added: each δ is a part of the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from allbps.machine.planning.plan import Plan, Value, Work
from allbps.machine.planning.windows import indexed, is_window
from allbps.ops.index import numpy_index

FEW = 512
"""Slices of one array up to which pairs of them are compared."""


def join_slices(plan: Plan) -> Plan:
    """Sums of slices' δ that do not overlap become one ``assemble`` each."""
    removed: set[Work] = set()
    placed: dict[Work, Work] = {}
    for total in plan.works:
        if total.kind != "accumulate" or _inside(plan, total):
            continue
        parts, sums = _terms(plan, total)
        if parts and _apart(parts):
            removed.update(parts, sums)
            placed[total] = _assemble(plan, parts, total)
    return plan.rewritten(removed - placed.keys(), placed)


def _inside(plan: Plan, total: Work) -> bool:
    """Is the sum itself a term of another?"""
    reader = plan.only_reader(total.outputs[0])
    return reader is not None and reader.kind == "accumulate"


def _terms(plan: Plan, total: Work) -> tuple[list[Work], list[Work]]:
    """The slices' δ that a sum of sums adds, and the sums; nothing if it adds anything else."""
    parts, sums, pending = [], [], [total]
    while pending:
        work = pending.pop()
        sums.append(work)
        for value in work.inputs:
            term = plan.maker.get(value)
            if term is None or plan.only_reader(value) is None:
                return [], []
            if term.kind == "accumulate":
                pending.append(term)
            elif term.kind == "put_add" and is_window(term) and term.inputs[0].size:
                parts.append(term)
            else:
                return [], []
    return parts, sums


def _apart(parts: Sequence[Work]) -> bool:
    """Do no two of the slices overlap?"""
    if len(parts) > FEW:
        return False
    boxes = [indexed(work.attrs["parts"], work.outputs[0].shape) for work in parts]
    return all(_disjoint(a, b) for a, b in combinations(boxes, 2))


def _disjoint(a: Sequence[range], b: Sequence[range]) -> bool:
    return any(set(x).isdisjoint(y) for x, y in zip(a, b, strict=True))


def _assemble(plan: Plan, parts: Sequence[Work], total: Work) -> Work:
    """One work that puts every δ into its place."""
    size = sum(work.inputs[0].size for work in parts)
    attrs: dict[str, Any] = {
        "parts": tuple(work.attrs["parts"] for work in parts),
        "covers": size == total.outputs[0].size,
        "like": _sliced(plan, parts[0]),
    }
    return Work(
        "assemble", tuple(work.inputs[0] for work in parts), total.outputs, attrs, total.node
    )


def assembled(work: Work, values: Sequence[Any]) -> Any:
    """What an ``assemble`` says, with NumPy: for numbers that no kernel takes."""
    made = np.zeros(work.outputs[0].shape, work.outputs[0].dtype)
    for value, parts in zip(values, work.attrs["parts"], strict=True):
        made[numpy_index(parts, [])] = value
    return made


def _sliced(plan: Plan, part: Work) -> Value | None:
    """The array whose slice the δ belongs to."""
    for work in plan.works:
        if work.kind == "getitem" and work.attrs["parts"] == part.attrs["parts"]:
            source = work.inputs[0]
            if (
                source.shape == part.outputs[0].shape
                and work.outputs[0].shape == part.inputs[0].shape
            ):
                return source
    return None


Landing = tuple[Work, int, tuple[Work, ...]]
"""An assembly, which of its parts, and the views between a result and that part."""


def landings(plan: Plan) -> dict[Value, Landing]:
    """Results that nobody reads but an assembly, which could be written there at once."""
    maker = plan.maker
    found: dict[Value, Landing] = {}
    for work in plan.works:
        for k, part in enumerate(work.inputs if work.kind == "assemble" else ()):
            value, chain = _viewed(part, maker)
            between = (value, *(view.outputs[0] for view in chain))
            if value in maker and all(plan.only_reader(v) is not None for v in between):
                found[value] = work, k, tuple(chain)
    return found


def _viewed(part: Value, maker: Mapping[Value, Work]) -> tuple[Value, list[Work]]:
    """The value that a part is a view of, and the views, the last one first."""
    chain: list[Work] = []
    value = part
    while value in maker and maker[value].kind in ("reshape", "transpose"):
        chain.append(maker[value])
        value = chain[-1].inputs[0]
    return value, chain
