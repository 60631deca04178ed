"""What is judged, and the comparison that judges share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from allbps.backprop import Delta
from allbps.backward import Backward
from allbps.readings.source import emit
from allbps.verify.kinks import MANY, kinks_at, size_of
from allbps.verify.replay import Replay
from allbps.verify.report import Finding, Verdict


def bound_of(dtype: np.dtype[Any]) -> float:
    """How far two right δ may be apart: half of the dtype's digits.

    1.5e-8 for float64. The other half is left to rounding: a δ computed in float32 cannot be shown
    right to more than a few of its seven digits.

    >>> f"{bound_of(np.dtype(np.float64)):.1e}"
    '1.5e-08'
    """
    return float(np.sqrt(np.finfo(dtype).eps))


@dataclass(frozen=True, eq=False)
class Case:
    """A backward pass, the numbers its emitted program gave, and the seed of random choices."""

    backward: Backward
    values: Mapping[str, Any]
    seed: int = 0

    @cached_property
    def deltas(self) -> tuple[Delta, ...]:
        """Every δ, in teaching order."""
        return self.backward.steps

    @cached_property
    def replay(self) -> Replay:
        """The forward program, to perturb."""
        return Replay(self.backward, self.values)

    def delta(self, delta: Delta) -> np.ndarray[Any, Any]:
        """The numbers of a δ, in double precision."""
        return np.asarray(self.values[delta.node.name], dtype=np.float64)

    def rng(self, name: str) -> np.random.Generator:
        """Random numbers for one value: the same whichever judge asks first."""
        return np.random.default_rng([self.seed, *name.encode()])

    @cached_property
    def _shaken(self) -> list[dict[str, Any]]:
        """The emitted program's own numbers, then those from arguments off by their last digit."""
        program = emit(self.backward)
        rng = np.random.default_rng(self.seed)
        given = {x.name: self.values[x.name] for x in self.backward.graph.inputs}
        shaken = [{name: _shake(x, rng) for name, x in given.items()} for _ in range(4)]
        with np.errstate(all="ignore"):
            return [program.run(arguments) for arguments in (given, *shaken)]

    def rounding(self, delta: Delta) -> np.ndarray[Any, Any]:
        """By how much the last digit of the arguments moves each element of a δ."""
        still, *moved = (np.asarray(run[delta.node.name]) for run in self._shaken)
        moves = [np.abs(each - still) for each in moved]
        return np.asarray(np.max(moves, axis=0), dtype=np.float64)

    def natural(self, delta: Delta) -> float:
        """|L| / |X|: the size of a δ that nothing cancels in."""
        return self.replay.magnitude / size_of(self.replay.values[delta.primal.name])


def _shake(value: Any, rng: np.random.Generator) -> Any:
    array = np.asarray(value)
    if array.dtype.kind != "f":
        return value
    sign = rng.choice([-1.0, 1.0], size=array.shape).astype(array.dtype)
    return (array * (1 + sign * np.finfo(array.dtype).eps))[()]


def compare(case: Case, judge: str, delta: Delta, theirs: Any) -> Finding:
    """Compare a δ with a judge's, element by element.

    Elements in whose direction the function has a kink, a tie or a jump are left out; so are
    differences that rounding of the arguments alone explains.
    """
    name, bound = delta.primal.name, bound_of(delta.primal.dtype)
    ours, theirs = case.delta(delta), np.asarray(theirs, dtype=np.float64)
    scale = float(max(np.max(np.abs(ours)), np.max(np.abs(theirs)))) or 1.0
    error = np.abs(ours - theirs) / scale
    excluded = np.zeros(error.shape, dtype=bool)
    note = ""
    suspects = np.argwhere(~(error <= bound))
    if len(suspects):
        kinks = kinks_at(case.replay, name, (tuple(map(int, i)) for i in suspects))
        for index in kinks:
            excluded[index] = True
        note = str(next(iter(kinks.values()))) if kinks else ""
        if len(suspects) > MANY and len(kinks) == MANY:
            excluded[tuple(suspects.T)] = True
            note += f"; {len(suspects) - MANY} more were not looked at one by one"
        error = np.where(excluded | _is_rounding(case, delta, error * scale, scale), 0.0, error)
    compared = int(error.size - np.sum(excluded))
    worst = tuple(int(k) for k in np.unravel_index(int(np.argmax(error)), error.shape))
    largest = float(error[worst])
    verdict = Verdict.AGREE if largest <= bound else Verdict.DISAGREE
    if compared == 0:
        return Finding(judge, name, Verdict.NOT_DIFFERENTIABLE, excluded=int(error.size), note=note)
    return Finding(
        judge, name, verdict, largest, worst, float(ours[worst]), float(theirs[worst]),
        compared, int(np.sum(excluded)), note,
    )  # fmt: skip


def _is_rounding(
    case: Case, delta: Delta, difference: np.ndarray[Any, Any], scale: float
) -> np.ndarray[Any, Any]:
    """Differences no larger than what the last digits of the arguments do to this δ.

    The cap keeps a tie that such a change breaks from excusing a wrong rule.
    """
    cap = 100 * bound_of(delta.primal.dtype) * max(scale, case.natural(delta))
    return (difference <= 16 * case.rounding(delta)) & (difference <= cap)
