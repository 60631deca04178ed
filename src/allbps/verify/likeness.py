"""Are an output of the graph and that of the function the same but for the order of rounding?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from allbps.ir import Node
from allbps.noise import noise_of
from allbps.trace import Traced
from allbps.verify.finding import Verdict

LAST_DIGITS = 64
"""So many units in the last place apart, two numbers are the same but for the order of rounding."""

Array = np.ndarray[Any, Any]
Apart = tuple[Verdict, str, str]
"""The verdict, the function's number, the graph's."""


def apart(traced: Traced, node: Node, mine: Array, theirs: Any) -> Apart | None:
    """How two values of an output differ, beyond the order of rounding; None where they do not.

    Args:
        traced: the graph with the arguments.
        node: the output.
        mine: the graph's value.
        theirs: the function's.

    """
    other = np.asarray(theirs)
    if mine.shape != other.shape:
        return Verdict.DISAGREE, f"shape {other.shape}", f"shape {mine.shape}"
    if isinstance(theirs, (np.ndarray, np.generic)) and mine.dtype != other.dtype:
        return Verdict.DISAGREE, str(other.dtype), str(mine.dtype)
    off, last = _distance(mine, other), _last_digits(other)
    return None if np.all(off <= last) else _unless_noise(traced, node, mine, other)


def _unless_noise(traced: Traced, node: Node, mine: Array, other: Array) -> Apart | None:
    """The same where they differ by more than the last digits: rounding may have grown."""
    given = {x: traced.values[x] for x in traced.graph.inputs}
    noise = noise_of([node], given, np.random.default_rng(0), decided=False)[node]
    off = _distance(mine, other)
    beyond = off > _last_digits(other) + noise
    if np.any(beyond):
        worst = np.unravel_index(int(np.argmax(np.where(beyond, off, 0.0))), off.shape)
        place = f"[{', '.join(map(str, worst))}] = " if worst else ""
        return Verdict.DISAGREE, f"{place}{other[worst]}", f"{place}{mine[worst]}"
    finite = np.isfinite(other)
    largest = float(np.max(np.abs(other), initial=0.0, where=finite))
    half_of_the_digits = math.sqrt(_eps(other)) * largest
    return None if np.all(off <= half_of_the_digits) else (Verdict.NOISY, "", "")


def _distance(mine: Array, other: Array) -> Array:
    """|mine − other|; NaN is at NaN, and infinitely far from numbers."""
    a, b = mine.astype(np.float64), other.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    return np.where(np.isnan(off), np.inf, off)


def _last_digits(other: Array) -> Array:
    size = np.abs(other.astype(np.float64))
    return np.where(np.isfinite(size), LAST_DIGITS * _eps(other) * size, 0.0)


def _eps(other: Array) -> float:
    return float(np.finfo(other.dtype).eps) if other.dtype.kind == "f" else 0.0
