"""Which mistakes explain a hand-in: each is made at each place, followed onward and compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from allbps.ir import Node
from allbps.verify.edges import delta_name, name_of, timeless
from allbps.verify.mistakes.declare import MISTAKES, Mistake, Site, Slip
from allbps.verify.mistakes.explanation import Explanation, Question
from allbps.verify.mistakes.linear import Linear
from allbps.verify.mistakes.repeated import Repeated, turn_of
from allbps.verify.onward import Numbers, Onward
from allbps.verify.precision import Precision, enough

SHAKES = 6
"""How often the given δ are moved within their rounding to see what a slip makes of that."""
MOST_MISSES = 4
"""Wrong δ, the nearest first, that a mistake may fail to explain before it explains one."""
CERTAIN_DIGITS = 15
"""Digits that must agree before two mistakes together are named."""
MOST_COLUMNS = 100
"""Numbers of a step of which each is followed onward by itself: fewer than mistakes are tried."""
MOST_TRIES = 20_000
"""Mistakes that are tried for one hand-in before the search ends, the nearest places first."""


@dataclass(frozen=True, eq=False)
class _Try:
    """A slip, and where it comes from: the mistake's slip number ``index`` at a site."""

    slip: Slip
    mistake: Mistake
    index: int
    site: Site
    question: Question
    near: Linear | None = None


@dataclass(frozen=True, eq=False)
class _Fit:
    """What is said of a slip that fits, what it gives for wrong δ, and whether it misses one."""

    text: str
    gives: Mapping[Node, Any]
    misses: bool = False
    delta: Any = None


@dataclass(frozen=True, eq=False)
class Search:
    """One hand-in, and what of it is to be explained.

    Attributes:
        onward: the right backward pass.
        own, follows: every number with the person's δ in place of ours; what follows from that
            where they gave one.
        theirs: the given δ.
        precision: how each of them is compared.
        wrong: those that are to be explained.

    """

    onward: Onward
    own: Numbers
    follows: Mapping[Node, Any]
    theirs: Mapping[Node, Any]
    precision: Mapping[Node, Precision]
    wrong: frozenset[Node]

    def found(self, questions: Sequence[Question]) -> Iterator[Explanation]:
        """Every mistake at every place that explains a wrong δ, nearest places first."""
        tries = 0
        for distance, question in enumerate(questions):
            site = self._site(question.place)
            if site is None:
                continue
            self._sites.clear()
            near = self._near(site, question)
            for mistake in MISTAKES.values():
                self._slips.clear()
                for index, slip in enumerate(mistake.slips(site)):
                    tries += 1
                    one = _Try(slip, mistake, index, site, question, near)
                    fit = self._fits(one)
                    if fit is not None and not self._is_harmless(one):
                        yield self._explanation(fit, mistake, question, distance)
            if tries > MOST_TRIES:
                return

    def after(self, first: Explanation, unexplained: Sequence[Node]) -> Search:
        """The search for what else is wrong where one mistake is known to have been made."""
        own, follows = dict(self.own), dict(self.follows)
        own[self.onward.of[first.place].node] = first.delta
        for primal, numbers in self.onward.walk(self.own, {first.place: first.delta}, self.theirs):
            if primal in self.theirs:
                follows[primal] = numbers
            else:
                own[self.onward.of[primal].node] = numbers
        return replace(self, own=own, follows=follows, wrong=frozenset(unexplained))

    def is_certain(self, gives: Mapping[Node, Any]) -> bool:
        """Do so many digits agree that two mistakes are no way to explain just anything?"""
        rough = [x for x, g in gives.items() if not self.precision[x].exactly(g)]
        digits = sum(self.precision[x].evidence(gives[x])[0] for x in rough)
        return not rough or digits >= CERTAIN_DIGITS

    def repeated(self) -> Iterator[Explanation]:
        """Mistakes made wherever a line ran, that explain all of the wrong δ."""
        for trial in Repeated(self.onward, self.own, self.theirs, self.wrong).trials():
            mine = {x: trial.gives[x] for x in self.wrong}
            fits = all(self.precision[x].fits_alone(g) for x, g in mine.items())
            if fits and self._visible(mine) and self._believed(mine):
                place = trial.group.usual
                text = f"where {delta_name(place)} is computed, {trial.group.when}: {trial.text}"
                said, rank = timeless(text, turn_of(place)), (-len(mine), trial.mistake.rank, 0)
                yield Explanation(said, trial.text, place, trial.mistake, mine, False, rank)

    def _site(self, place: Node) -> Site | None:
        delta = self.onward.of[place]
        if not delta.terms:
            return None
        right = self.onward.compute(delta.node, self.own)
        return Site(self.onward, self.own, place, np.asarray(right), self.theirs)

    def _explanation(
        self,
        fit: _Fit,
        mistake: Mistake,
        question: Question,
        distance: int,
    ) -> Explanation:
        slip = text = fit.text
        elsewhere = question.place not in self.theirs
        if elsewhere and mistake.name == "zeros":
            slip = text = f"nothing comes through {name_of(question.place)}: that path is left out"
        elif elsewhere:
            text = f"where {delta_name(question.place)} is computed, {text}"
        part = len(fit.gives) < len(question.targets)
        rank = (-len(fit.gives), mistake.rank + 2 * part + elsewhere, distance)
        return Explanation(
            text, slip, question.place, mistake, fit.gives, fit.misses, rank, fit.delta
        )

    def _fits(self, one: _Try) -> _Fit | None:
        """What a slip gives for the wrong δ that it explains, if it explains any.

        A δ that is right, although it depends on the same step, was computed from a right copy.
        """
        if one.slip.along is not None:
            return self._fits_along(one)
        delta = one.slip.at(one.site)
        if delta is None or (one.near is not None and not one.near.reaches(delta)):
            return None
        predicted: dict[Node, Any] = {}
        misses = 0
        for target, numbers in self._predicted(delta, one.site):
            if self._fit(target, numbers, one):
                predicted[target] = numbers
                continue
            misses += target in self.wrong
            if misses >= min(MOST_MISSES, len(one.question.targets)) and not predicted:
                return None
        mine = {x: numbers for x, numbers in predicted.items() if x in self.wrong}
        if mine and self._visible(mine) and self._believed(mine):
            return _Fit(one.slip.said, mine, misses > 0, delta)
        return None

    def _fit(self, target: Node, numbers: Any, one: _Try) -> bool:
        p = self.precision[target]
        if p.fits_alone(numbers):
            return True
        if not self.loose or not p.close(numbers):
            return False
        return p.scattered(self._noise(target, numbers, one)).within(numbers)

    def _noise(self, target: Node, numbers: Any, one: _Try) -> Any:
        """How far the rounding of the given δ moves what a slip makes of them."""
        squares = []
        for k in range(SHAKES):
            site, slip = self._again(k, one)
            delta = slip.at(site) if slip is not None else None
            if delta is None:
                return 0.0
            there = dict(self._predicted(delta, site)).get(target)
            squares.append(np.square(there - numbers))
        return np.sqrt(np.mean(squares, axis=0))

    def _again(self, k: int, one: _Try) -> tuple[Site, Slip | None]:
        """The same mistake where the given δ are shaken."""
        place = one.site.primal
        if (place, k) not in self._sites:
            own = self.shaken[k]
            right = self.onward.compute(self.onward.of[place].node, own)
            self._sites[place, k] = replace(one.site, known=own, right=np.asarray(right))
        site, key = self._sites[place, k], (place, k, one.mistake.name)
        if callable(one.slip.delta):
            return site, one.slip
        if key not in self._slips:
            self._slips[key] = list(one.mistake.slips(site))
        return site, self._same(one, self._slips[key])

    @staticmethod
    def _same(one: _Try, slips: Iterable[Slip]) -> Slip | None:
        """The same slip among those of other numbers."""
        slip = next(islice(slips, one.index, None), None)
        return slip if slip is not None and slip.said == one.slip.said else None

    def _near(self, site: Site, question: Question) -> Linear | None:
        """What a step leads to, where it is cheaper to know that than to follow each mistake."""
        if site.primal in self.theirs or site.primal.size > MOST_COLUMNS:
            return None
        wrong = [x for x in question.targets if x in self.wrong]
        return Linear(lambda delta: dict(self._predicted(delta, site)), site,
                      {x: self.precision[x] for x in wrong})  # fmt: skip

    @cached_property
    def _sites(self) -> dict[tuple[Node, int], Site]:
        return {}

    @cached_property
    def _slips(self) -> dict[tuple[Node, int, str], list[Slip]]:
        return {}

    @cached_property
    def loose(self) -> bool:
        """Are there given δ from which others are computed, and that may have been others?"""
        return any(not p.known and self.onward.producers[x] for x, p in self.precision.items())

    @cached_property
    def shaken(self) -> list[Numbers]:
        """Every number, where the given δ are as they may have been before they were rounded."""
        rng = np.random.default_rng(0)
        found: list[MutableMapping[Node, Any]] = []
        for _ in range(SHAKES):
            known = dict(self.own)
            for delta in self.onward.deltas:
                p = self.precision.get(delta.primal)
                if p is not None and p.known:
                    continue
                if p is not None:
                    dither = rng.uniform(-0.5, 0.5, np.shape(known[delta.node]))
                    unit = p.unit if np.shape(p.unit) in ((), dither.shape) else np.max(p.unit)
                    known[delta.node] = known[delta.node] + unit * dither
                elif delta.terms:
                    known[delta.node] = self.onward.compute(delta.node, known)
            found.append(known)
        return found

    def _predicted(self, delta: Any, site: Site) -> Iterator[tuple[Node, Any]]:
        """(given primal, what follows there) if the step at a site gives ``delta``."""
        if site.primal in self.theirs:
            yield site.primal, np.asarray(delta)
        elif np.shape(delta) == site.primal.shape:
            walk = self.onward.walk(site.known, {site.primal: delta}, self.theirs)
            yield from ((x, np.asarray(g)) for x, g in walk if x in self.theirs)

    def _believed(self, predicted: Mapping[Node, Any]) -> bool:
        """Do the digits that agree speak for rounding, where the numbers are not exact?"""
        rough = {
            x: self.precision[x] for x, g in predicted.items() if not self.precision[x].exactly(g)
        }
        if all(p.believed for p in rough.values()):
            return True
        return enough(*(p.evidence(predicted[x]) for x, p in rough.items()))

    def _is_harmless(self, one: _Try) -> bool:
        """Would it change nothing in a right backward pass?

        Such as δJ for δ(J + b): from given numbers that do not quite agree it gives others, and is
        still no mistake.
        """
        if one.slip.along is not None:
            return False
        right = np.asarray(self.onward.right[self.onward.of[one.site.primal].node])
        site = replace(one.site, known=self.onward.right, right=right)
        slip = one.slip if callable(one.slip.delta) else self._same(one, one.mistake.slips(site))
        return slip is not None and self._alike(slip.at(site), right)

    def _visible(self, predicted: Mapping[Node, Any]) -> bool:
        """Does the mistake change anything?"""
        return any(
            x in self.wrong and not self._alike(predicted[x], self.follows[x]) for x in predicted
        )

    @staticmethod
    def _alike(a: Any, b: Any) -> bool:
        return np.shape(a) == np.shape(b) and bool(np.allclose(a, b, rtol=1e-9, atol=0))

    def _fits_along(self, one: _Try) -> _Fit | None:
        """As ``_fits``, with the number ``c`` that fits best."""
        here = dict(self._predicted(one.slip.delta, one.site))
        there = dict(self._predicted(one.slip.delta + one.slip.along, one.site))
        if not here or any(np.shape(here[x]) != np.shape(self.theirs[x]) for x in here):
            return None
        slope = np.concatenate([np.ravel(there[x] - here[x]) for x in here])
        gap = np.concatenate([np.ravel(self.theirs[x] - here[x]) for x in here])
        if slope.size < 4 or not np.all(np.isfinite(slope)) or not np.any(slope):
            return None
        c = float(slope @ gap / (slope @ slope))
        predicted = {x: here[x] + c * (there[x] - here[x]) for x in here}
        fits = 1e-6 < c < 1e3 and all(
            self.precision[x].fits_alone(g) for x, g in predicted.items()
        )  # fmt: skip
        mine = {x: numbers for x, numbers in predicted.items() if x in self.wrong}
        if fits and mine and self._believed(predicted) and self._visible(predicted):
            return _Fit(one.slip.said.format(c=c), mine)
        return None
