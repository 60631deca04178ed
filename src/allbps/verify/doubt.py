"""What rounding may explain is not called wrong.

A person rounds where they like: forward values, δ, steps inside of a line, some of them and others
not. What any of that can do to a gradient is measured. A gradient that is off by no more cannot be
decided, unless a mistake explains it, with all the gradients that hang on it, to so many digits
that rounding would have to hit them by chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from allbps.ir import Node
from allbps.verify.marks import Mark, State
from allbps.verify.mistakes import Explanation
from allbps.verify.once import WIDTH, digits_of_chance
from allbps.verify.precision import Precision
from allbps.verify.scatter import Rounding, reach_of
from allbps.verify.verdicts import Verdicts

TELLING = 7.0
"""Digits by which a mistake has to beat rounding. Thousands are tried for one hand-in, and the best
of them is what is compared."""

SLACK = 2.0
"""So many times as far off as a mistake, and so many units, is as near as that."""
REST = 0.05
"""So much of a difference may be left, and what was rounded elsewhere explain it."""

MOST_STEPS = 4
"""So many steps that were rounded, and others that were not, are put together."""

USUAL = 3.0
"""More than so many medians is unusual; of normal numbers, one in 23 is that far out."""


def doubted(verdicts: Verdicts, found: Mapping[Node, Mark | None]) -> Sequence[Mark]:
    """Marks of verdicts; what rounding explains, and no mistake explains better, is not decided."""
    reading = verdicts.reading
    made = dict(zip(reading.given, verdicts.marks(found), strict=True))
    doubt = _Doubt(verdicts, [x for x, mark in found.items() if mark is None])
    for primal in reading.order:
        made[primal] = doubt.revised(primal, made)
    return list(made.values())


class _Doubt:
    """What rounding after any steps can do to the gradients of one reading."""

    def __init__(self, verdicts: Verdicts, wrong: Sequence[Node]) -> None:
        self.verdicts, self.reading, self.wrong = verdicts, verdicts.reading, wrong

    def revised(self, primal: Node, made: Mapping[Node, Mark]) -> Mark:
        """The mark of one gradient, given those nearer to the loss as they are now."""
        mark = made[primal]
        if mark.state is State.FOLLOWS:
            sources = [x for x in self.reading.places.sources(primal) if _is_off(made[x])]
            labels = tuple(self.reading.label(x) for x in sources)
            return replace(mark, follows_from=labels) if sources else self._undecided(primal, mark)
        if mark.state is not State.WRONG or self._explained(primal) is None:
            return mark
        names = self.names.get(primal, [])
        return mark if any(map(self.is_telling, names)) else self._undecided(primal, mark)

    def _undecided(self, primal: Node, mark: Mark) -> Mark:
        words = self.reading.precision[primal].words
        note = f"rounding to {words} after some of the steps explains it"
        if mark.mistakes:
            note += ", and a mistake may as well"
        return replace(
            mark, state=State.UNDECIDED, note=note, common="", between=(), follows_from=(),
            todo=self.verdicts.to_decide,
        )  # fmt: skip

    @property
    def names(self) -> Mapping[Node, list[Explanation]]:
        """The mistakes that explain what is wrong."""
        return self.reading.explanations(self.wrong)

    def is_telling(self, one: Explanation) -> bool:
        """Would rounding have to hit what this mistake gives by chance?"""
        if one.misses:  # which rounding explains, and this mistake does not
            return False
        columns, widths = [], []
        for x, numbers in one.gives.items():
            explained, precision = self._explained(x), self.reading.precision[x]
            if explained is None:
                return True
            start, moves = explained
            if _is_hit(precision, start + moves):
                continue  # so rounding gives the same, such as zeros, as easily
            off = np.maximum(np.abs(precision.theirs - start) - 0.5 * precision.unit, 0.0)
            moves = _usual(off, moves) / precision.unit
            columns.append(moves.reshape(len(moves), -1))
            off = np.abs(precision.theirs - numbers) / precision.unit
            widths.append(np.ravel(np.maximum(WIDTH, 2 * off)))
        if not columns:
            return False
        digits = digits_of_chance(np.hstack(columns), np.hstack(widths))
        return digits >= TELLING and not self._is_few_steps(one)

    def _is_few_steps(self, one: Explanation) -> bool:
        """Does rounding after a few steps alone come as near to theirs as this mistake does?

        A row that rounds to 0 is as good as left out, and what is averaged over twelve numbers is
        off by 4 % where 1/12 is 0.08.
        """
        for start_of, moves in zip(
            (self.reading.follows.__getitem__, self.reading.true), self._moves_of_one, strict=True
        ):
            gaps, steps = [], []
            for x, numbers in one.gives.items():
                gap = self.reading.precision[x].theirs - start_of(x)
                near = _as_near(self.reading.precision[x], numbers, gap)
                gaps.append(np.ravel(gap / near))
                steps.append((moves[x] / near).reshape(len(moves[x]), -1))
            if _is_reached(np.concatenate(gaps), np.hstack(steps)):
                return True
        return False

    def _explained(self, primal: Node) -> tuple[Any, Any] | None:
        """The numbers from which rounding leads to theirs, and how it moves them, if it does."""
        reading, precision = self.reading, self.reading.precision[primal]
        if np.shape(precision.theirs) != primal.shape:
            return None
        near, far = (moves[primal] for moves in self._moves)
        for numbers, moves in ((reading.follows[primal], near), (reading.true(primal), far)):
            if precision.scattered(reach_of(moves)).within(numbers, zeros=True):
                return numbers, moves
        return None

    @cached_property
    def _moves(self) -> tuple[Mapping[Node, Any], Mapping[Node, Any]]:
        """Primal -> by how much rounding moves what follows from theirs, and the right δ."""
        near, far = self._roundings
        moves = far.by_chance()
        return (near.by_chance() if near is not far else moves), moves

    @cached_property
    def _moves_of_one(self) -> tuple[Mapping[Node, Any], Mapping[Node, Any]]:
        """As ``_moves``, where one step alone is rounded, each in a run of its own."""
        near, far = self._roundings
        moves = far.of_one_step()
        return (near.of_one_step() if near is not far else moves), moves

    @cached_property
    def _roundings(self) -> tuple[Rounding, Rounding]:
        """Of steps that start from theirs, and from the right δ."""
        reading = self.reading
        far = Rounding(
            reading.backward, reading.onward, reading.own, reading.grid, from_own=False
        )  # fmt: skip
        goes_on = any(reading.onward.producers[x] for x in reading.grid)
        return (replace(far, from_own=True) if goes_on else far), far


def _is_off(mark: Mark) -> bool:
    return mark.state in (State.WRONG, State.FOLLOWS)


def _as_near(precision: Precision, mistaken: Any, gap: Any) -> Any:
    """How far off numbers are that are as near to theirs as those of a mistake."""
    least = max(SLACK * np.max(precision.unit), REST * np.max(np.abs(gap), initial=0.0))
    return np.maximum(least, SLACK * np.abs(precision.theirs - mistaken))


def _is_reached(gap: Any, moves: Any) -> bool:
    """Do a few of these moves together leave no more than 1 of a gap? The best is taken first."""
    rest, left = gap, moves
    for _ in range(MOST_STEPS):
        off = rest - left
        best = int(np.argmin(np.sum(np.square(off), axis=1)))
        if np.sum(np.square(off[best])) >= np.sum(np.square(rest)):
            return False
        rest, left = off[best], np.delete(left, best, axis=0)
        if np.all(np.abs(rest) <= 1) or not len(left):
            return bool(np.all(np.abs(rest) <= 1))
    return False


def _is_hit(precision: Precision, runs: Any) -> bool:
    """Are theirs the rounded numbers of one of these runs?"""
    near = np.abs(runs - precision.theirs) <= 0.5 * precision.unit * (1 + 1e-6)
    return bool(np.any(np.all(near.reshape(len(near), -1), axis=1)))


def _usual(off: Any, moves: Any) -> Any:
    """Moves as they usually are of a person whose numbers are off by so much.

    Rare moves that are far larger, where a number near 0 divides another, are allowed for; but a
    number that may be anywhere is most often near. And who is nowhere off by what is usual has
    rounded less.
    """
    middle = np.median(np.abs(moves), axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        most = np.max(np.where(off > 0, off / middle, 0.0), initial=0.0)
    return np.clip(moves, -USUAL * middle, USUAL * middle) * min(1.0, most)
