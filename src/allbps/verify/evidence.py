"""What is judged, and the comparison that judges share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from allbps.backprop import Delta
from allbps.backward import Backward
from allbps.ir import Node
from allbps.noise import noise_of
from allbps.verify.finding import Finding, Index, Verdict, place
from allbps.verify.kinks import MANY, Kink, is_a_slope, kinks_at, one_hot, tied_together
from allbps.verify.replay import Replay, size_of


def bound_of(dtype: np.dtype[Any]) -> float:
    """How far two right δ may be apart: half of the dtype's digits.

    1.5e-8 for float64. The other half is left to rounding: a δ computed in float32 cannot be shown
    right to more than a few of its seven digits.

    >>> f"{bound_of(np.dtype(np.float64)):.1e}"
    '1.5e-08'
    """
    return float(np.sqrt(np.finfo(dtype).eps))


LAST_DIGITS = 16
"""So many units in the last place of the terms of a δ are rounding."""

UNSTABLE = "rounding alone may change it completely, so nothing can be said about it"

UNSTEADY = "a decision on the way hinges on the last digit, and the judge may decide differently"


@dataclass(frozen=True, eq=False)
class Case:
    """A backward pass, the numbers its emitted program gave, and the seed of random choices."""

    backward: Backward
    values: Mapping[str, Any]
    seed: int = 0

    @cached_property
    def deltas(self) -> tuple[Delta, ...]:
        """Every real δ, in teaching order; of an empty array there is nothing to verify.

        Those of complex numbers are checked by what they lead to: the δ of real ones before them.
        """
        return tuple(
            delta for delta in self.backward.steps if delta.primal.size and delta.primal.is_float
        )

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
    def noise(self) -> dict[Node, np.ndarray[Any, Any]]:
        """Primal -> how far rounding alone may move each element of its δ."""
        return self._noise(decided=True)

    @cached_property
    def unsteady(self) -> dict[Node, np.ndarray[Any, Any]]:
        """The same where rounding may also break a tie or cross a threshold."""
        return self._noise(decided=False)

    def _noise(self, *, decided: bool) -> dict[Node, np.ndarray[Any, Any]]:
        found = noise_of(
            [delta.node for delta in self.deltas],
            {x: self.values[x.name] for x in self.backward.graph.inputs},
            np.random.default_rng(self.seed),
            decided=decided,
        )
        floor = self._floor
        return {d.primal: found[d.node] + floor[d.primal] for d in self.deltas}

    @cached_property
    def _floor(self) -> dict[Node, float]:
        """Primal -> what no arithmetic tells from 0 in its δ: the last digits of its terms.

        A δ whose terms cancel to the last digit, as those of a softmax over one element do, is 0 in
        one order of rounding and not in another, and has no noise of its own in either. Its terms
        are as large as δ of the consumer, times what the consumer is per unit of the value.
        """
        last = LAST_DIGITS * float(np.finfo(self._coarsest).eps)
        called = self.backward.traced.deltas
        floor: dict[Node, float] = {}
        for delta in self.backward.steps:
            x, own = delta.primal, [0.0]
            for term in delta.terms:
                y = term.consumer
                of_y = last * self._size(called[y.name], 0.0) + floor.get(y, 0.0)
                own.append(of_y * self._size(y.name, 1.0) / self._size(x.name, 1.0))
            floor[x] = max(own)
        return floor

    def _size(self, name: str, of_zeros: float) -> float:
        """The largest finite absolute value under a name."""
        size = np.abs(self.values.get(name, 0.0)).astype(np.float64)
        return float(np.max(size, initial=0.0, where=np.isfinite(size))) or of_zeros

    @cached_property
    def _coarsest(self) -> np.dtype[Any]:
        """The dtype with the fewest digits on the way."""
        floats = (x.dtype for x in self.backward.graph.nodes if x.is_float)
        return max(floats, key=bound_of)

    def _natural(self, delta: Delta) -> float:
        """How large a δ could have been: the largest number behind a value per unit of it."""
        name = delta.primal.name
        return self.replay.largest_from(name) / size_of(self.replay.values[name])

    def tolerable(self, delta: Delta, scale: float) -> float:
        """The largest difference that may pass for noise: small beside what δ could have been.

        Where rounding moves a δ by more than this it may be wrong in every digit, and nothing is
        said in its favour: the singular vectors of a rotation have such δ.

        Args:
            delta: the δ.
            scale: its largest absolute value.

        """
        return 100 * bound_of(self._coarsest) * max(scale, self._natural(delta))

    @cached_property
    def advice(self) -> str:
        """What would help where precision does not suffice."""
        coarse = [x for x in self.backward.graph.nodes if x.is_float and x.dtype.itemsize < 8]
        if coarse:
            return f"float64 instead of {coarse[0].dtype} would help"
        return "another point, where less cancels, would help"


def compare(
    case: Case,
    judge: str,
    delta: Delta,
    theirs: Any,
    noise: np.ndarray[Any, Any] | float = 0.0,
) -> Finding:
    """Compare a δ with a judge's, element by element.

    A difference that rounding explains makes the finding "noisy", never "agree". Left out are
    elements in whose direction the function has a kink, a tie or a jump, and those for which the
    judge has no finite number.

    Args:
        case: what is judged.
        judge: the judge's name.
        delta: one δ of it.
        theirs: the judge's numbers.
        noise: by how much rounding may move the judge's numbers.

    """
    name, bound = delta.primal.name, bound_of(delta.primal.dtype)
    ours, theirs = case.delta(delta), np.asarray(theirs, dtype=np.float64)
    mute = ~np.isfinite(theirs)
    off = np.where(mute, 0.0, np.abs(ours - theirs))
    scale = _largest(ours, theirs[~mute])
    suspect = off > bound * scale
    noisy = suspect & (off <= case.noise[delta.primal] + noise) if np.any(suspect) else suspect
    if np.any(noisy) and np.max(off[noisy]) > case.tolerable(delta, scale):
        return Finding(judge, name, Verdict.NOT_CHECKED, note=UNSTABLE)
    suspects = np.argwhere(suspect & ~noisy)
    kinks = kinks_at(case.replay, name, (tuple(map(int, i)) for i in suspects))
    if len(kinks) == MANY:  # so many that the rest was not looked at
        off[tuple(suspects.T)] = 0.0
    for index in kinks:
        off[index] = 0.0
    excluded = len(suspects) if len(kinks) == MANY else len(kinks)
    compared = off.size - excluded - int(np.sum(mute))
    worst = tuple(int(k) for k in np.unravel_index(int(np.argmax(off)), off.shape))
    wrong = off[worst] > bound * scale and not noisy[worst]
    found = Finding(
        judge, name, Verdict.DISAGREE if wrong else Verdict.AGREE, float(off[worst]) / scale,
        worst, float(ours[worst]), float(theirs[worst]), compared, excluded,
    )  # fmt: skip
    if wrong and off[worst] <= case.unsteady[delta.primal][worst]:
        return Finding(judge, name, Verdict.NOT_CHECKED, note=UNSTEADY)
    if wrong:
        return found
    if kinks:
        found = at_kinks(case.replay, found, kinks, ours)
    if np.any(noisy) and found.verdict is Verdict.AGREE:
        return replace(found, verdict=Verdict.NOISY, note=_noise_note(case, delta, noisy, noise))
    if compared == 0 and not kinks:
        return Finding(judge, name, Verdict.NOT_CHECKED, note=f"{judge} has no finite number here")
    return found


def at_kinks(
    replay: Replay, found: Finding, kinks: Mapping[Index, Kink], ours: np.ndarray[Any, Any]
) -> Finding:
    """The same finding with what is to say of the elements that have no derivative.

    Where δ is one of the slopes on the two sides of a kink it is a convention, and as right as it
    can be. Otherwise nothing confirms it, however many other elements are right.
    """
    said = [kink.judged(replay, found.node, i, float(ours[i])) for i, kink in kinks.items()]
    found = replace(found, excluded=max(len(kinks), found.excluded))
    objection = next((reason for _, reason in said if reason), "")
    if objection:
        return replace(found, verdict=Verdict.NOT_DIFFERENTIABLE, note=objection)
    odd = [(kink, i) for (i, kink), (fits, _) in zip(kinks.items(), said, strict=True) if not fits]
    if odd:
        kink, i = odd[0]
        at = place(f"δ{found.node}", i)
        note = f"{kink}; {at} is {float(ours[i]):.6g}, which is no slope that was found there"
        return replace(found, verdict=Verdict.NOT_CHECKED, error=None, index=None, note=note)
    kink = next(iter(kinks.values()))
    if not _fit_together(replay, found.node, kinks, ours):
        note = f"{kink}; the δ of what is tied there do not add up to a slope"
        return replace(found, verdict=Verdict.NOT_CHECKED, error=None, index=None, note=note)
    if found.compared == 0 and found.verdict is Verdict.AGREE:
        found = replace(found, verdict=Verdict.CONVENTION, error=None, index=None)
    return replace(found, note=found.note or str(kink))


def _fit_together(
    replay: Replay, name: str, kinks: Mapping[Index, Kink], ours: np.ndarray[Any, Any]
) -> bool:
    """Is δ a slope also where all elements at one tie move together, and one against the rest?"""
    if not tied_together(kinks.values()):
        return True
    if ours.size <= MANY:
        kinks = kinks_at(replay, name, np.ndindex(ours.shape))  # also those found right already
        if not tied_together(kinks.values()):
            return True
    first, *rest = (one_hot(ours.shape, i) for i in kinks)
    return all(
        is_a_slope(replay, name, direction, float(np.sum(ours * direction)))
        for direction in (first + sum(rest), first - sum(rest))
        if rest
    )


def _noise_note(
    case: Case, delta: Delta, noisy: np.ndarray[Any, Any], noise: np.ndarray[Any, Any] | float
) -> str:
    moved = float(np.max((case.noise[delta.primal] + noise)[noisy]))
    return f"rounding alone moves it by up to {moved:.0e}, which explains the difference"


def _largest(ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]) -> float:
    """The largest absolute value of either, 1 where all are zero."""
    return max(float(np.max(np.abs(x), initial=0.0)) for x in (ours, theirs)) or 1.0
