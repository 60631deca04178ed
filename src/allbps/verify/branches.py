"""Branches that hold at one point alone: ``0 * x if x == 0 else x`` at 0.

A graph is the function's where everything that was looked at is decided as it was. Where the point
lies on the border of that, one side is a convention, as at any kink. But where the function is
another on all sides, δ of the graph is nobody's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from allbps.ir import Node, ancestors
from allbps.noise import run_nodes
from allbps.trace import Guard, Traced
from allbps.tree import leaves

FAR, NEAR = 1e-4, 1e-6
"""Steps, in units of the arguments."""
ROUNDING = 1e4
"""How many last digits of a result may be rounding."""
DIRECTIONS = 4
"""Random ones, beside those in which equal numbers keep the order that they were found in."""

Run = Callable[[Mapping[Node, Any]], Any]
"""The function on plain arguments: what it returns, None where it has no value."""


def alone(traced: Traced, run: Run) -> Guard | None:
    """The first branch that holds at this point and on no side of it, if there is one.

    Args:
        traced: the function's graph, with the values it was traced on.
        run: the function on plain arrays.

    """
    if not traced.guards or not any(x.dtype.kind == "f" for x in traced.values):
        return None
    first = None
    for direction in _directions(traced):
        moved = _moved(traced, direction, NEAR)
        turned = _turned(traced, moved)
        if turned is None or not _is_another(traced, run, direction, moved):
            return None
        first = first or turned
    return first


def _directions(traced: Traced) -> Iterator[dict[Node, Any]]:
    rng = np.random.default_rng(0)
    moving = [x for x in traced.values if x.dtype.kind == "f"]
    ramp = {x: np.arange(1.0, x.size + 1).reshape(x.shape) / x.size for x in moving}
    drawn = [{x: rng.normal(size=x.shape) for x in moving} for _ in range(DIRECTIONS)]
    for direction in (ramp, {x: 1.5 - ramp[x] for x in moving}, *drawn):
        yield direction
        yield {x: -direction[x] for x in moving}


def _moved(traced: Traced, direction: Mapping[Node, Any], step: float) -> dict[Node, Any]:
    moved = dict(traced.values)
    for x, along in direction.items():
        value = np.asarray(traced.values[x])
        size = float(np.mean(np.abs(value))) or 1.0 if value.size else 1.0
        moved[x] = (value + step * size * along).astype(value.dtype)
    return moved


def _turned(traced: Traced, moved: Mapping[Node, Any]) -> Guard | None:
    """The first value that was looked at and is another where the arguments are moved."""
    nodes = [guard.node for guard in traced.guards]
    values = run_nodes(ancestors(nodes), moved)
    for guard in traced.guards:
        now, was = np.asarray(values[guard.node]), np.asarray(guard.value)
        if was.dtype.kind in "biu" and (now.shape != was.shape or np.any(now != was)):
            return guard
    return None


def _is_another(
    traced: Traced, run: Run, direction: Mapping[Node, Any], moved: Mapping[Node, Any]
) -> bool:
    """Do the function and its graph part in this direction, by a jump or at an angle?"""
    near, noise = _apart(traced, run, moved)
    if near <= noise:
        return False
    far, _ = _apart(traced, run, _moved(traced, direction, FAR))
    return near > 0.3 * (NEAR / FAR) * far


def _apart(traced: Traced, run: Run, moved: Mapping[Node, Any]) -> tuple[float, float]:
    """How far the function is from its graph, and how far rounding may put them apart."""
    returned = run(moved)
    outputs = traced.graph.outputs
    theirs = [] if returned is None else [np.asarray(leaf) for leaf in leaves(returned)]
    if [np.shape(leaf) for leaf in theirs] != [node.shape for node in outputs]:
        return 0.0, 0.0
    values = run_nodes(ancestors(outputs), moved)
    apart = noise = 0.0
    for node, leaf in zip(outputs, theirs, strict=True):
        if not node.is_float or leaf.dtype.kind != "f" or not leaf.size:
            continue
        with np.errstate(all="ignore"):
            gap = np.nan_to_num(np.abs(leaf - values[node]), nan=0.0, posinf=0.0)
            size = np.nan_to_num(np.abs(leaf) + np.abs(values[node]), nan=0.0, posinf=0.0)
        apart = max(apart, float(np.max(gap)))
        noise = max(noise, ROUNDING * float(np.finfo(node.dtype).eps) * float(np.max(size)))
    return apart, noise
