"""The numbers that rounding after every step gives: who hands in these has made no mistake.

Measured spreads allow for errors that fall either way. Numbers below half of the last place fall
one way only: all of them become 0, and what is summed of them is lost. So the backward pass is done
as a person does it who rounds every δ and goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from allbps.ir import Node
from allbps.names import is_numbered
from allbps.verify.onward import Onward
from allbps.verify.precision import Precision, to_unit


def as_stepped(onward: Onward, grid: Mapping[Node, Precision]) -> dict[Node, Any] | None:
    """The δ before their own rounding, where all given numbers are those of rounding every step.

    Args:
        onward: the right backward pass.
        grid: primal -> what was given for it, and how that looks.

    Returns:
        primal -> what was rounded to the given numbers; None where they are others.

    """
    units = [float(p.unit) for p in grid.values() if np.ndim(p.unit) == 0 and p.unit]
    if len(units) < len(grid):
        return None
    for found in _ways(onward, min(units)):
        if all(_is(p, found[x], min(units)) for x, p in grid.items()):
            return {x: found[x] for x in grid}
    return None


def _ways(onward: Onward, unit: float) -> Iterator[dict[Node, Any]]:
    """Each δ before it is rounded; of the user's lines as wholes, or of every step inside them."""
    for inside in (False, True):
        known, found = dict(onward.right), {}
        for delta in onward.deltas:
            g = onward.compute(delta.node, known) if delta.terms else known[delta.node]
            found[delta.primal] = g
            rounds = delta.terms and (inside or not is_numbered(delta.primal.name))
            known[delta.node] = to_unit(g, unit) if rounds else g
        yield found


def _is(given: Precision, numbers: Any, unit: float) -> bool:
    """Do these round to what was given, and to more than nothing where they are more?"""
    numbers = np.asarray(numbers)
    if numbers.shape != given.theirs.shape:
        return False
    return bool(np.all(np.abs(given.theirs - to_unit(numbers, unit)) <= 1e-6 * unit))
