"""Branches that are decided on their border: ``0 * x if x == 0 else x`` at 0.

A graph is the function's where everything that was looked at is decided as it was. Where the point
lies on the border of that, the function goes on with another graph on a side of it, maybe on all,
and δ is that of the one alone. It is a convention, as at any kink, where it is one of the slopes
of the function itself; else it is nobody's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from allbps.ir import Node, ancestors
from allbps.noise import run_nodes
from allbps.trace import Guard, Traced
from allbps.tree import leaves

STEPS = (1e-4, 1e-6)
"""Far and near, in units of the arguments."""
ROUNDING = 1e4
"""How many last digits of a result may be rounding."""
SLACK = 10
"""By how much of what a slope changed from step to step it may still be off."""
SAME = 1e-6
"""How near to one another slopes are the same, in their own size."""
PLACES = 32
"""Elements that may be off by a convention at a branch."""
DIRECTIONS = 4
"""Random ones, beside those in which equal numbers keep the order that they were found in."""

Run = Callable[[Mapping[Node, Any]], Any]
"""The function on plain arguments: what it returns, None where it has no value."""


@dataclass(frozen=True)
class Slope:
    """How a value changes along a direction, and how far that may be off; NaN at a jump."""

    value: float
    error: float

    def is_near(self, other: float) -> bool:
        """Is it the same, as far as is known?"""
        return abs(self.value - other) <= self.error + SAME * (abs(self.value) + abs(other))


def on_a_border(traced: Traced, deltas: Mapping[Node, Any], run: Run) -> Guard | None:
    """The branch on whose border δ is the slope of the function on no side, if there is one.

    Args:
        traced: the function's graph, with the values it was traced on.
        deltas: argument -> its δ, for those that are differentiated.
        run: the function on plain arrays.

    """
    outputs = traced.graph.outputs
    if not traced.guards or not deltas or len(outputs) != 1 or outputs[0].size != 1:
        return None
    first, here = None, cache(lambda: _number(run(traced.values)))
    for direction in _directions(deltas):
        ours = sum(float(np.sum(deltas[x] * along)) for x, along in direction.items())
        turned = _turned_beside(traced, direction)
        if turned == [None, None]:
            return None  # here the graph is the function's on both sides
        sides = [_slope(traced, direction, sign, run, here()) for sign in (1.0, -1.0)]
        for guard, side in zip(turned, sides, strict=True):
            if guard is None and side is not None and side.is_near(ours):
                return None  # and here on one
        known = [side for side in sides if side is not None]
        sloped = [side for side in known if not np.isnan(side.value)]
        if _is_outside(ours, sloped) if sloped else len(known) == 2:
            first = first or turned[0] or turned[1]
    return first


def other_slopes(traced: Traced, ours: Any, node: Node, theirs: Any, run: Run) -> Guard | None:
    """The branch on whose border these numbers are slopes of the function too, if there is one.

    Args:
        traced: the function's graph, with the values it was traced on.
        ours: δ of the argument ``node``.
        node: the argument.
        theirs: what somebody has for it.
        run: the function on plain arrays.

    """
    if np.shape(theirs) != node.shape or not traced.guards:
        return None
    apart = np.abs(theirs - ours) > SAME * (np.abs(theirs) + np.abs(ours))
    places = np.argwhere(apart)
    if not 0 < len(places) <= PLACES:
        return None
    found, here = None, cache(lambda: _number(run(traced.values)))
    for along in _among(node, apart, places):
        direction = {node: along}
        turned = _turned_beside(traced, direction)
        if turned == [None, None]:
            return None
        sides = [_slope(traced, direction, sign, run, here()) for sign in (1.0, -1.0)]
        sloped = [side for side in sides if side is not None and not np.isnan(side.value)]
        if len(sloped) < 2 or _is_outside(float(np.sum(theirs * along)), sloped):
            return None
        found = found or turned[0] or turned[1]
    return found


def _among(node: Node, apart: Any, places: Any) -> Iterator[Any]:
    """Directions through the elements that differ: each by itself, and some of all together."""
    for place in places:
        direction = np.zeros(node.shape)
        direction[tuple(place)] = 1.0
        yield direction
    rng = np.random.default_rng(0)
    for _ in range(DIRECTIONS):
        yield rng.normal(size=node.shape) * apart


def _is_outside(ours: float, sides: list[Slope]) -> bool:
    low, high = (pick(side.value for side in sides) for pick in (min, max))
    return not low <= ours <= high and not any(side.is_near(ours) for side in sides)


def _directions(deltas: Mapping[Node, Any]) -> Iterator[dict[Node, Any]]:
    rng = np.random.default_rng(0)
    ramp = {x: np.arange(1.0, x.size + 1).reshape(x.shape) / max(x.size, 1) for x in deltas}
    yield ramp
    yield {x: 1.5 - ramp[x] for x in deltas}
    for _ in range(DIRECTIONS):
        yield {x: rng.normal(size=x.shape) for x in deltas}


def _moved(traced: Traced, direction: Mapping[Node, Any], step: float) -> dict[Node, Any]:
    unit = _unit(traced, direction)
    moved = dict(traced.values)
    for x, along in direction.items():
        moved[x] = (traced.values[x] + step * unit * along).astype(x.dtype)
    return moved


def _unit(traced: Traced, direction: Mapping[Node, Any]) -> float:
    sizes = [float(np.max(np.abs(traced.values[x]), initial=0.0)) for x in direction]
    return max(sizes) or 1.0


def _turned_beside(traced: Traced, direction: Mapping[Node, Any]) -> list[Guard | None]:
    """``_turned`` on both sides, the nearest that are looked at."""
    return [_turned(traced, _moved(traced, direction, h)) for h in (STEPS[-1], -STEPS[-1])]


def _turned(traced: Traced, moved: Mapping[Node, Any]) -> Guard | None:
    """The first value that was looked at and is another where the arguments are moved."""
    values = run_nodes(ancestors([guard.node for guard in traced.guards]), moved)
    for guard in traced.guards:
        now, was = np.asarray(values[guard.node]), np.asarray(guard.value)
        if was.dtype.kind in "biu" and (now.shape != was.shape or np.any(now != was)):
            return guard
    return None


def _slope(
    traced: Traced, direction: Mapping[Node, Any], sign: float, run: Run, here: float
) -> Slope | None:  # fmt: skip
    """The function's own slope on a side, given its value here; None where it has none."""
    unit = _unit(traced, direction)
    slopes = []
    for step in STEPS:
        there = _number(run(_moved(traced, direction, sign * step)))
        slopes.append(sign * (there - here) / (step * unit))
    far, near = slopes
    dtype = traced.graph.outputs[0].dtype
    rounding = ROUNDING * float(np.finfo(dtype).eps) * abs(here) / (STEPS[-1] * unit)
    apart = abs(far - near)
    if not np.isfinite(apart):
        return None
    if abs(near) > 0.1 * STEPS[0] / STEPS[-1] * abs(far) + rounding:
        return Slope(float("nan"), 0.0)  # it rises by as much however short the step
    return Slope(near, SLACK * apart * STEPS[-1] / STEPS[0] + 1e-3 * apart + rounding)


def _number(returned: Any) -> float:
    numbers = [] if returned is None else [np.asarray(leaf) for leaf in leaves(returned)]
    if len(numbers) != 1 or numbers[0].size != 1 or numbers[0].dtype.kind != "f":
        return float("nan")
    return float(numbers[0].item())
