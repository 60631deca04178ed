"""Kinks, ties and jumps: where a function has no derivative, found without a list of functions.

Step a value by ±h and watch everything computed from it. The second difference of a smooth result
shrinks like h², that of a kink like h, that of a jump not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from allbps.verify.finding import Index, place
from allbps.verify.replay import OutsideDomainError, Replay

NEAR = 1e-7
"""A kink nearer than this part of the value's size counts as being at it."""
SIDES = (1e-4, 1e-5, 1e-6)
"""Steps to either side of a kink, in units of the value, each a tenth of the one before."""
LADDER = tuple(1e-3 / 8**k for k in range(10))
"""Steps among which there are two inside the domain, and short enough to see both sides."""
SIDEWAYS = 1e-5
"""How far slopes on the two sides may be apart, and at two steps, and be the same."""
SHARPER = 0.1
"""A slope is of second order: off by a hundredth of what it was at a step ten times as long. So
much of what it changed by is allowed."""
SHARPEST = 1e-9
"""Nearer than this no slope is known."""
MANY = 256
"""Elements of one array that are looked at one by one."""


@dataclass(frozen=True)
class Kink:
    """A result that turns or jumps where we stand.

    Attributes:
        node: the value that does.
        op: the operation that computes it.
        index: the first such element.
        where: the user's line.
        count: how many of its elements do.

    """

    node: str
    op: str
    index: Index
    where: str
    count: int = 1

    def judged(self, replay: Replay, name: str, place: Index, ours: float) -> tuple[bool, str]:
        """Is a δ at this kink a convention, one of the slopes there? If it is wrong, why.

        It is wrong where the kinks of the parts cancel, so that there is a derivative, and it is
        not that; where it lies beyond the slopes on both sides, as conventions at several kinks may
        come to; and where the value jumps on both sides. At a jump on one side the slope on the
        other counts. Nothing is said at an edge of the domain.

        Args:
            replay: the forward program.
            name: the value that δ belongs to.
            place: the element of it in whose direction the kink is.
            ours: δ there.

        """
        direction = one_hot(np.shape(replay.values[name]), place)
        steps = (*SIDES, _nearest(replay, name, place))
        slopes = [replay.slopes(name, direction, step) for step in steps]
        jumps = [_jumps(one_side, steps, ours) for one_side in zip(*slopes, strict=True)]
        if all(jumps):
            return False, f"{self}; the value there is off the values on both sides: no slope"
        known: list[tuple[float, float]] = []
        for step, before, sides in zip(SIDES[1:], slopes, slopes[1:], strict=False):
            sloped = [side for side, jump in zip(sides, jumps, strict=True) if not jump]
            left, right = sloped[0], sloped[-1]
            size, slack = max(abs(left), abs(right)), replay.slack(name, step)
            allowed = _sharpness(before, sides, max(size, abs(ours))) + slack
            if min(left, right) - allowed <= ours <= max(left, right) + allowed:
                return True, ""
            # steps beyond which a result saturates give slopes near 0 that are not the same
            alike = SIDEWAYS * size + slack
            if any(max(abs(left - a), abs(right - b)) <= alike for a, b in known):
                if abs(left - right) <= alike:
                    return False, f"{self}; δ is {ours:.6g}, but the slope there is {right:.6g}"
                between = f"the slopes there are {left + 0.0:.9g} and {right + 0.0:.9g}"
                return False, f"{self}; δ is {ours:.9g}, and {between}"
            known.append((left, right))
        return False, ""

    def __str__(self) -> str:
        at = f" ({self.where})" if self.where else ""
        return f"{self.op} has a kink, a tie or a jump at {place(self.node, self.index)}{at}"


def kink_along(replay: Replay, name: str, direction: Any) -> Kink | None:
    """The first result that has a kink when ``name`` moves along ``direction``, or None."""
    here = replay.values[name]
    noise = float(np.max(replay.noise[name], initial=0.0))
    size = max(replay.unit(name), 10 * noise / NEAR)  # a tie within rounding is a tie
    try:
        far, near = (
            [replay.moved(name, here + sign * step * size * direction) for sign in (1, -1)]
            for step in (10 * NEAR, NEAR)
        )
    except OutsideDomainError:
        return None
    for node, _ in replay.downstream(name):
        middle = _numbers(replay.values[node.name])
        largest = max(_largest(values[node.name]) for values in (replay.values, *far))
        with np.errstate(all="ignore"):
            bend = [
                np.abs(_numbers(up[node.name]) - 2 * middle + _numbers(down[node.name]))
                for up, down in (far, near)
            ]
        blur = 1e4 * np.finfo(np.float64).eps * largest + replay.noise[node.name]
        # smooth: a hundredth; kink: a tenth; jump: the same
        turned = (bend[1] > blur) & (bend[1] > 0.05 * bend[0])
        if np.any(turned):
            index = tuple(int(k) for k in np.argwhere(turned)[0])
            where = str(node.site or "")
            return Kink(node.name, node.op.name, index, where, int(np.sum(turned)))
    return None


def tied_together(kinks: Iterable[Kink]) -> bool:
    """Do all elements with a kink meet in one number, such as the largest of several?

    Then the result turns the same way in each direction, and what holds of one element holds of
    several that move together: their δ lie between the slopes. It is not so of separate kinks, one
    of which may turn up and another down.
    """
    several = list(kinks)
    places = {(kink.node, kink.index) for kink in several}
    return len(places) == 1 and all(kink.count == 1 for kink in several)


def is_a_slope(replay: Replay, name: str, direction: Any, ours: float) -> bool:
    """Does a number lie between the slopes to either side along a direction, as far as is known?"""
    before = replay.slopes(name, direction, SIDES[0])
    for step in SIDES[1:]:
        sides = replay.slopes(name, direction, step)
        size = max(*map(abs, sides), abs(ours))
        allowed = _sharpness(before, sides, size) + replay.slack(name, step)
        off = max(min(sides) - ours, ours - max(sides))
        if not off > allowed * float(np.sum(np.abs(direction))):
            return True
        before = sides
    return False


def hidden_kink(replay: Replay, name: str, direction: Any, ours: float) -> bool:
    """Is there a kink too small to be seen in the results, with ``ours`` one of its slopes?

    A tie between numbers that are flat to half of their digits turns by less than they are rounded.
    The slopes on its two sides differ all the same, by as much at one step as at the next.
    """
    before = np.inf
    for step in LADDER:
        left, right = sorted(replay.slopes(name, direction, step))
        slack, gap = replay.slack(name, step), right - left
        between = gap > 10 * slack and left - slack <= ours <= right + slack
        if between and before < 2 * gap < 4 * before:
            return True
        before = gap if between else np.inf
    return False


def _nearest(replay: Replay, name: str, place: Index) -> float:
    """A step of a few last digits, in units of the value: only a jump is still there."""
    here, unit = float(replay.values[name][place]), replay.unit(name)
    return 4 * float(np.spacing(abs(here) or min(1.0, unit))) / unit


def _jumps(slopes: Sequence[float], steps: Sequence[float], ours: float) -> bool:
    """Is what the slopes rise by the same over all steps, however short?

    Then it is a jump by which the value here is off what is beside it, and no slope. A result that
    saturates looks so too, but not over the shortest step, or its slope is as steep.
    """
    rises = [abs(slope) * step for slope, step in zip(slopes, steps, strict=True)]
    if abs(ours) * steps[-1] > 0.01 * rises[-1]:
        return False
    return min(rises) > 0.5 * max(rises) > 0


def _sharpness(before: Sequence[float], slopes: Sequence[float], size: float) -> float:
    """How well slopes are known, given those of a step ten times as long."""
    changes = [abs(a - b) for a, b in zip(before, slopes, strict=True) if np.isfinite(a - b)]
    turned = SHARPER * max(changes, default=np.inf)
    return min(SIDEWAYS * size, max(SHARPEST * size, turned))


def _largest(value: Any) -> float:
    """The largest finite absolute value, 0 for zeros."""
    size = np.abs(_numbers(value))
    return float(np.max(size, initial=0.0, where=np.isfinite(size)))


def _numbers(value: Any) -> np.ndarray[Any, Any]:
    return np.asarray(value, dtype=np.result_type(value, np.float64))


def one_hot(shape: Index, index: Index) -> Any:
    """1 at ``index``, 0 elsewhere."""
    direction = np.zeros(shape)
    direction[index] = 1.0
    return direction[()]


def kinks_at(replay: Replay, name: str, places: Iterator[Index]) -> dict[Index, Kink]:
    """Those of the elements of ``name`` in whose direction there is a kink, up to ``MANY``."""
    found = {}
    shape = np.shape(replay.values[name])
    for _, index in zip(range(MANY), places, strict=False):
        kink = kink_along(replay, name, one_hot(shape, index))
        if kink is not None:
            found[index] = kink
    return found
