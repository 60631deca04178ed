"""The judge finite differences: change a value a little and see what the loss does.

Central differences at shrinking steps, extrapolated to step 0 (C. J. F. Ridders, "Accurate
computation of F'(x) and F'(x)F''(x)", Adv. Eng. Software 4 (1982) 75-76), which also gives an
estimate of their own error. Nothing is claimed that this estimate does not support.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations
from typing import Any

import numpy as np

from allbps.backprop import Delta
from allbps.verify.evidence import UNSTABLE, UNSTEADY, Case, at_kinks, bound_of
from allbps.verify.finding import Finding, Index, Verdict
from allbps.verify.kinks import MANY, Kink, hidden_kink, kink_along, kinks_at, one_hot
from allbps.verify.silence import Silence

STATEMENTS = 400_000
"""How much of the forward program may be run, in statements: about a second."""
PROBES = 16
"""Directions and elements tried for one array."""
RUNS = 6
"""Forward runs that a direction takes where nothing is in the way."""
STARTS = (1e-2, 1e-4, 1e-6, 1e-8)
"""First steps, in units of the value: the smaller ones for kinks nearby."""

HIDDEN = "there is a kink or a tie that rounding hides; δ is one of the slopes there"

SETTLED = (Verdict.AGREE, Verdict.DISAGREE)
SHRINKS = 5
"""How often a first step that leaves the domain is cut to an eighth."""
SUPPORTS = (16, 4, 1)
"""Elements that a direction touches where a kink is in the way of all at once: few cross few."""


@dataclass(frozen=True)
class Slope:
    """A derivative, and how far it may be off."""

    value: float
    error: float


def slope(difference: Callable[[float], float], start: float, enough: float) -> Slope:
    """The limit of central differences, halving the step from ``start``.

    Args:
        difference: step -> central difference, not finite where a step leaves the domain.
        start: first step; shrunk until it stays in the domain.
        enough: an error that need not be improved on.

    >>> found = slope(lambda h: (np.exp(h) - np.exp(-h)) / (2 * h), 1e-1, 1e-12)
    >>> print(f"{found.value:.10f}")
    1.0000000000

    """
    before = [difference(start)]
    for _ in range(SHRINKS):
        if np.isfinite(before[0]):
            break
        start /= 8
        before = [difference(start)]
    best = Slope(before[0], np.inf)
    for k in range(1, 6):
        row = [difference(start / 2**k)]
        for j, coarse in enumerate(before):
            better = row[j] + (row[j] - coarse) / (4 ** (j + 1) - 1)
            error = max(abs(better - row[j]), abs(better - coarse))
            row.append(better)
            if error <= best.error:
                best = Slope(better, error)
        if best.error <= enough or not abs(row[-1] - before[-1]) < 2 * best.error:
            break
        before = row
    return best


def judge(case: Case) -> Iterator[Finding]:
    """Compare every δ with finite differences, as far as the number of runs allows.

    Raises:
        Silence: the forward program is too long to be run even a few times.

    """
    work = [RUNS * case.replay.work_from(delta.primal.name) for delta in case.deltas]
    affordable = STATEMENTS * len(work) // max(sum(work), 1)
    if affordable == 0:
        raise Silence(f"{len(case.replay)} statements take too much work to repeat")
    chosen = _chosen(case, affordable)
    probes = min(max(affordable // len(chosen), 1), PROBES)
    for k, delta in enumerate(case.deltas):
        if k in chosen:
            yield _Probe(case, delta).finding(probes)


def _chosen(case: Case, affordable: int) -> set[int]:
    """Which δ are tried: all of them, or as many as can be, evenly spread."""
    n = len(case.deltas)
    return {int(k) for k in np.linspace(0, n - 1, min(n, affordable)).round()}


class _Probe:
    """One δ, tried along random directions and at elements."""

    def __init__(self, case: Case, delta: Delta) -> None:
        self.case, self.delta = case, delta
        self.name = delta.primal.name
        self.ours = case.delta(delta)
        self.bound = bound_of(delta.primal.dtype)
        self.scale = float(np.max(np.abs(self.ours)))
        self.kinks: dict[Index, Kink] = {}
        self.found: list[Finding] = []

    def finding(self, probes: int) -> Finding:
        """The verdict on this δ from about ``probes`` comparisons."""
        elements = self._elements(probes)
        sampled = len(elements) < self.ours.size
        if sampled or probes == 1:
            rng = self.case.rng(self.name)
            for _ in range(1 if probes < 8 else 2):
                self._direction(rng)
        if probes > 1 or not sampled:
            for index in elements:
                self._hear(self._try(one_hot(self.ours.shape, index), index), index)
        return self._verdict()

    def _elements(self, probes: int) -> list[Index]:
        """All elements, or a random few of many."""
        size = self.ours.size
        few = np.arange(size)
        if size > probes:
            few = self.case.rng(self.name).choice(few, size=max(probes - 2, 0), replace=False)
        return [tuple(int(k) for k in np.unravel_index(int(i), self.ours.shape)) for i in few]

    def _hear(self, said: Finding | Kink, index: Index) -> None:
        if isinstance(said, Kink):
            self.kinks[index] = said
        else:
            self.found.append(said)

    def _direction(self, rng: np.random.Generator) -> None:
        """All elements at once, each with a weight of its own, none of them near 0.

        Where that does not settle it, as few of them as it takes to meet no kink.
        """
        sign = rng.choice([-1.0, 1.0], size=self.ours.shape)
        dense = np.array(sign * rng.uniform(0.5, 1.5, size=self.ours.shape))
        if dense.size <= MANY and kink_along(self.case.replay, self.name, dense):
            self.kinks |= kinks_at(self.case.replay, self.name, np.ndindex(dense.shape))
        for direction in chain([dense], self._sparser(dense, rng)):
            said = self._try(direction, None)
            if isinstance(said, Finding) and said.verdict in SETTLED:
                break
        if isinstance(said, Finding):
            self.found.append(said)

    def _sparser(self, dense: Any, rng: np.random.Generator) -> Iterator[Any]:
        if self.kinks:
            smooth = np.ones(dense.shape, dtype=bool)
            for index in self.kinks:
                smooth[index] = False
            if np.any(smooth):
                yield dense * smooth
        for count in SUPPORTS:
            if count < dense.size:
                few = rng.choice(dense.size, size=count, replace=False)
                chosen = np.zeros(dense.size)
                chosen[few] = dense.reshape(-1)[few]
                yield chosen.reshape(dense.shape)

    def _try(self, direction: Any, index: Index | None) -> Finding | Kink:
        """Compare ⟨δ, direction⟩ with the slope along it; or the kink that is in the way."""
        ours = float(np.sum(self.ours * direction))
        guesses: list[tuple[float, Slope]] = []
        for start in self._starts(index):
            guess = self._slope(direction, start)
            if np.isfinite(guess.value):
                if self._agrees(ours, guess):
                    return self._say(Verdict.AGREE, index, ours, guess.value)
                guesses.append((start, guess))
            kink = None if len(guesses) > 1 else kink_along(self.case.replay, self.name, direction)
            if kink is not None:
                return kink
        return self._weigh(direction, index, ours, guesses)

    def _agrees(self, ours: float, guess: Slope) -> bool:
        allowed = self.bound * max(self.scale, abs(guess.value))
        off = abs(ours - guess.value)
        return off == 0 or (off <= allowed and guess.error <= allowed)

    def _weigh(
        self, direction: Any, index: Index | None, ours: float, guesses: list[tuple[float, Slope]]
    ) -> Finding:
        """No estimate agrees and no kink explains it: wrong, noisy, or too rough to tell?"""
        if not guesses:
            note = "there is no finite value nearby: every step leaves the domain"
            return self._say(Verdict.NOT_CHECKED, index, ours, 0.0, note)
        start, best = min(guesses, key=lambda guess: guess[1].error)
        off = abs(ours - best.value)
        noise = float(np.sum(self.case.noise[self.delta.primal] * np.abs(direction)))
        noise += 2 * self.case.replay.uncertainty / start
        if best.value == 0.0:  # so flat that no digit moved
            noise += self.case.replay.resolution(self.name) / start
        if off <= noise and off > self.case.tolerable(self.delta, self.scale):
            return self._say(Verdict.NOT_CHECKED, index, ours, best.value, UNSTABLE)
        if off <= noise:
            note = f"rounding hides differences below {noise:.0e} here"
            return self._say(Verdict.NOISY, index, ours, best.value, note)
        rounding = [(guess, 2 * self.case.replay.uncertainty / start) for start, guess in guesses]
        if not _contradicted(ours, rounding):
            note = f"too small for finite differences, which are accurate to ±{best.error:.0e} here"
            return self._say(Verdict.NOT_CHECKED, index, ours, best.value, note)
        excuse = self._excuse(direction, ours, off)
        verdict = Verdict.NOT_CHECKED if excuse else Verdict.DISAGREE
        return self._say(verdict, index, ours, best.value, excuse)

    def _excuse(self, direction: Any, ours: float, off: float) -> str:
        """Why a slope may differ from a right δ; empty where it may not."""
        if off <= np.sum(self.case.unsteady[self.delta.primal] * np.abs(direction)):
            return UNSTEADY
        return HIDDEN if hidden_kink(self.case.replay, self.name, direction, ours) else ""

    def _starts(self, index: Index | None) -> list[float]:
        """First steps: relative to the whole array, then to the element itself."""
        value = np.asarray(self.case.replay.values[self.name])
        sizes = {self.case.replay.unit(self.name)}
        if index is not None and value[index] != 0 and np.isfinite(value[index]):
            sizes.add(abs(float(value[index])))
        return sorted({start * size for start in STARTS for size in sizes}, reverse=True)

    def _slope(self, direction: Any, start: float) -> Slope:
        replay = self.case.replay
        found = slope(
            lambda step: replay.difference(self.name, direction, step),
            start,
            0.1 * self.bound * self.scale,
        )
        return Slope(found.value, max(found.error, replay.uncertainty / start))

    def _say(
        self, verdict: Verdict, index: Index | None, ours: float, theirs: float, note: str = ""
    ) -> Finding:
        error = abs(ours - theirs) / (max(self.scale, abs(theirs)) or 1.0)
        return Finding("differences", self.name, verdict, error, index, ours, theirs, note=note)

    def _verdict(self) -> Finding:
        """What all comparisons of this δ come to; an element says more than a direction."""
        wrong, right, noisy = (
            [f for f in self.found if f.verdict is verdict]
            for verdict in (Verdict.DISAGREE, Verdict.AGREE, Verdict.NOISY)
        )
        if not (wrong or right or noisy or self.kinks):
            note = self.found[0].note if self.found else "every direction tried meets a kink"
            return Finding("differences", self.name, Verdict.NOT_CHECKED, note=note)
        rough = [f for f in noisy if not right or _error(f) > self.bound]
        found = (
            max(wrong, key=lambda f: (f.index is not None, _error(f)), default=None)
            or max(rough or right, key=_error, default=None)
            or Finding("differences", self.name, Verdict.AGREE)
        )
        found = replace(found, compared=len(wrong) + len(right), excluded=len(self.kinks))
        if self.kinks and not wrong:
            return at_kinks(self.case.replay, found, self.kinks, self.ours)
        return found


def _contradicted(ours: float, guesses: Sequence[tuple[Slope, float]]) -> bool:
    """Do two estimates, given with their rounding, speak for one other number, and none for ours?

    A kink or a saturation between two steps can fool the estimate of the larger one, and its
    estimate of its own error, but not that of all.
    """
    for (a, noise_a), (b, noise_b) in combinations(guesses, 2):
        off = abs(ours - a.value)
        alike = abs(a.value - b.value) <= 0.1 * max(abs(a.value), abs(b.value)) + noise_a + noise_b
        far = all(abs(ours - guess.value) > 10 * guess.error for guess in (a, b))
        if alike and far and noise_a + noise_b < off:
            heard = (guess.value for guess, noise in guesses if noise < off)
            return all(abs(value - a.value) < abs(value - ours) for value in heard)
    return False


def _error(finding: Finding) -> float:
    return finding.error or 0.0
