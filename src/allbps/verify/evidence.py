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
from allbps.verify.finding import Finding, Verdict
from allbps.verify.kinks import MANY, kinks_at, size_of
from allbps.verify.replay import Replay


def bound_of(dtype: np.dtype[Any]) -> float:
    """How far two right δ may be apart: half of the dtype's digits.

    1.5e-8 for float64. The other half is left to rounding: a δ computed in float32 cannot be shown
    right to more than a few of its seven digits.

    >>> f"{bound_of(np.dtype(np.float64)):.1e}"
    '1.5e-08'
    """
    return float(np.sqrt(np.finfo(dtype).eps))


SHAKES = 8
"""How often the last digits of the arguments are changed to see what rounding does."""


@dataclass(frozen=True, eq=False)
class Case:
    """A backward pass, the numbers its emitted program gave, and the seed of random choices."""

    backward: Backward
    values: Mapping[str, Any]
    seed: int = 0

    @cached_property
    def deltas(self) -> tuple[Delta, ...]:
        """Every δ, in teaching order; of an empty array there is nothing to verify."""
        return tuple(delta for delta in self.backward.steps if delta.primal.size)

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
        shaken = [{name: _shake(x, rng) for name, x in given.items()} for _ in range(SHAKES)]
        with np.errstate(all="ignore"):
            return [program.run(arguments) for arguments in (given, *shaken)]

    def rounding(self, delta: Delta) -> float:
        """By how much the last digit of the arguments moves a δ."""
        still, *moved = (np.asarray(run[delta.node.name]) for run in self._shaken)
        return float(max(np.max(np.abs(each - still)) for each in moved))

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

    Left out are elements in whose direction the function has a kink, a tie or a jump; elements for
    which the judge has no finite number; and differences that rounding of the arguments explains.
    """
    name, bound = delta.primal.name, bound_of(delta.primal.dtype)
    ours, theirs = case.delta(delta), np.asarray(theirs, dtype=np.float64)
    mute = ~np.isfinite(theirs)
    off = np.where(mute, 0.0, np.abs(ours - theirs))
    scale = _largest(ours, theirs[~mute])
    suspects = np.argwhere(off > bound * scale)
    kinks = kinks_at(case.replay, name, (tuple(map(int, i)) for i in suspects))
    for index in kinks:
        off[index] = 0.0
    if len(kinks) == MANY:  # so many that the rest was not looked at
        off[tuple(suspects.T)] = 0.0
    elif len(kinks) < len(suspects):
        off[off <= _rounding(case, delta, scale)] = 0.0
    excluded = len(suspects) if len(kinks) == MANY else len(kinks)
    compared = off.size - excluded - int(np.sum(mute))
    note = str(next(iter(kinks.values()))) if kinks else ""
    if compared == 0:
        verdict = Verdict.NOT_DIFFERENTIABLE if excluded else Verdict.NOT_CHECKED
        return Finding(judge, name, verdict, excluded=excluded, note=note or "it is not finite")
    worst = tuple(int(k) for k in np.unravel_index(int(np.argmax(off)), off.shape))
    error = float(off[worst]) / scale
    verdict = Verdict.AGREE if error <= bound else Verdict.DISAGREE
    return Finding(
        judge, name, verdict, error, worst, float(ours[worst]), float(theirs[worst]),
        compared, excluded, note,
    )  # fmt: skip


def _largest(ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]) -> float:
    """The largest absolute value of either, 1 where all are zero."""
    return max(float(np.max(np.abs(x), initial=0.0)) for x in (ours, theirs)) or 1.0


def _rounding(case: Case, delta: Delta, scale: float) -> float:
    """A difference no larger than this may come from the last digits of the arguments.

    The cap keeps a tie that such a change breaks from excusing a wrong rule.
    """
    cap = 100 * bound_of(delta.primal.dtype) * max(scale, case.natural(delta))
    return min(16 * case.rounding(delta), cap)
