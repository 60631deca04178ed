"""Was a hand-in rounded once, at the end, or after every step?

Whoever rounds after every step carries that rounding on, and numbers far from the loss are off by
more than their last digit. Where they are off by no more, again and again, nobody did that.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import log10, pi, sqrt
from typing import Any

import numpy as np

from allbps.verify.precision import ENOUGH_DIGITS

WIDTH = 2.0
"""Units in which a number lies that is right to its last digit: half of one on either side, and as
much again for its own rounding."""


def rounded_once(moves: Iterable[tuple[Any, Any]]) -> bool:
    """Is it out of the question that numbers are right to the last digit by chance?

    Args:
        moves: for each array that is, by how much its numbers would have moved in several runs that
            round after every step, (runs, *shape), and the unit of their last digit.

    """
    columns = [(moved / unit).reshape(len(moved), -1) for moved, unit in moves]
    if not columns:
        return False
    several = len(columns) * log10(2)  # any of the arrays may have been the ones that are right
    return digits_of_chance(np.concatenate(columns, axis=1)) >= ENOUGH_DIGITS + several


def digits_of_chance(moved: Any, width: Any = WIDTH) -> float:
    """How many digits it takes to write how unlikely it is that no number moved: 4 for 1e-4.

    The numbers are normal, and hang together. One after the other, the most uncertain first, each
    is predicted from those before it (a pivoted Cholesky factorisation of the covariance); what is
    left has a density of at most 1/(√(2π) σ), which bounds the chance of an interval.

    Args:
        moved: by how many units each number would have moved: (runs, numbers).
        width: units in which each number lies.

    """
    widths = np.broadcast_to(width, moved.shape[1:])
    rest = moved / sqrt(len(moved))
    digits = 0.0
    for _ in range(len(moved)):
        sizes = np.sqrt(np.sum(np.square(rest), axis=0))
        k = int(np.argmax(sizes))
        chance = widths[k] / (sqrt(2 * pi) * sizes[k]) if sizes[k] else 1.0
        if not chance < 1.0:
            break
        digits -= log10(chance)
        direction = rest[:, k] / sizes[k]
        rest = rest - np.outer(direction, direction @ rest)
    return digits
