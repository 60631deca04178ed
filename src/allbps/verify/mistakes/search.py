"""Which mistakes explain a hand-in: each is made at each place, followed onward and compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from allbps.ir import Node
from allbps.verify.edges import delta_name
from allbps.verify.mistakes.declare import MISTAKES, Mistake, Site, Slip
from allbps.verify.onward import Numbers, Onward
from allbps.verify.precision import Precision, enough

MOST_NAMES = 4
MARGIN = 3
"""A general mistake is not named beside one that is so much more special."""
MOST_TRIES = 20_000
"""Mistakes that are tried for one hand-in before the search ends, the nearest places first."""


@dataclass(frozen=True)
class Question:
    """A step that may have been done wrongly.

    Attributes:
        place: the primal whose δ it computes.
        targets: the given δ that depend on it, with no given one between.

    """

    place: Node
    targets: tuple[Node, ...]


@dataclass(frozen=True)
class Explanation:
    """A mistake that gives the numbers that were handed in.

    Attributes:
        text: what was done, and where if not at the given δ itself.
        slip: what was done alone.
        place: the primal whose δ was computed wrongly.
        mistake: as it is declared.
        covers: the wrong δ that it explains.
        rank: the smaller, the likelier.

    """

    text: str
    slip: str
    place: Node
    mistake: Mistake
    covers: frozenset[Node]
    rank: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Search:
    onward: Onward
    own: Numbers
    follows: Mapping[Node, Any]
    theirs: Mapping[Node, Any]
    precision: Mapping[Node, Precision]
    wrong: frozenset[Node]

    def found(self, questions: Sequence[Question]) -> Iterator[Explanation]:
        tries = 0
        for distance, question in enumerate(questions):
            site = self._site(question.place)
            if site is None:
                continue
            for mistake in MISTAKES.values():
                for slip in mistake.slips(site):
                    tries += 1
                    if slip.delta is not None:
                        text = self._fits(slip, site, question)
                        if text:
                            yield self._explanation(text, mistake, question, distance)
            if tries > MOST_TRIES:
                return

    def _site(self, place: Node) -> Site | None:
        delta = self.onward.of[place]
        if not delta.terms:
            return None
        right = self.onward.compute(delta.node, self.own)
        return Site(self.onward, self.own, place, np.asarray(right), self.theirs)

    def _explanation(
        self, text: str, mistake: Mistake, question: Question, distance: int
    ) -> Explanation:
        covers = frozenset(question.targets) & self.wrong
        slip = text
        if question.place not in self.theirs:
            text = f"where {delta_name(question.place)} is computed, {text}"
        rank = (-len(covers), mistake.rank, distance)
        return Explanation(text, slip, question.place, mistake, covers, rank)

    def _fits(self, slip: Slip, site: Site, question: Question) -> str:
        """The slip's text if it gives the numbers that were handed in, else nothing."""
        if slip.along is not None:
            return self._fits_along(slip, site, question)
        predicted: dict[Node, Any] = {}
        for target, numbers in self._predicted(slip.delta, site):
            if not self.precision[target].fits_alone(numbers):
                return ""
            predicted[target] = numbers
        if set(predicted) != set(question.targets) or not self._believed(predicted):
            return ""
        return slip.text if self._visible(predicted) else ""

    def _predicted(self, delta: Any, site: Site) -> Iterator[tuple[Node, Any]]:
        """(given primal, what follows there) if the step at a site gives ``delta``."""
        if site.primal in self.theirs:
            yield site.primal, np.asarray(delta)
        elif np.shape(delta) == site.primal.shape:
            walk = self.onward.walk(self.own, {site.primal: delta}, self.theirs)
            yield from ((x, np.asarray(g)) for x, g in walk if x in self.theirs)

    def _believed(self, predicted: Mapping[Node, Any]) -> bool:
        """Do the digits that agree speak for rounding, where the numbers are not exact?"""
        rough = {
            x: self.precision[x] for x, g in predicted.items() if not self.precision[x].exactly(g)
        }
        if all(p.believed for p in rough.values()):
            return True
        return enough(*(p.evidence(predicted[x]) for x, p in rough.items()))

    def _visible(self, predicted: Mapping[Node, Any]) -> bool:
        """Does the mistake change anything?"""
        return any(
            x in self.wrong and not self._alike(predicted[x], self.follows[x]) for x in predicted
        )

    @staticmethod
    def _alike(a: Any, b: Any) -> bool:
        return np.shape(a) == np.shape(b) and bool(np.allclose(a, b, rtol=1e-9, atol=0))

    def _fits_along(self, slip: Slip, site: Site, question: Question) -> str:
        """As ``_fits``, with the number ``c`` that fits best."""
        here = dict(self._predicted(slip.delta, site))
        there = dict(self._predicted(slip.delta + slip.along, site))
        if set(here) != set(question.targets) or any(
            np.shape(here[x]) != np.shape(self.theirs[x]) for x in here
        ):
            return ""
        slope = np.concatenate([np.ravel(there[x] - here[x]) for x in here])
        gap = np.concatenate([np.ravel(self.theirs[x] - here[x]) for x in here])
        if slope.size < 4 or not np.all(np.isfinite(slope)) or not np.any(slope):
            return ""
        c = float(slope @ gap / (slope @ slope))
        if not 1e-6 < c < 1e3:
            return ""
        predicted = {x: here[x] + c * (there[x] - here[x]) for x in here}
        fits = all(self.precision[x].fits_alone(g) for x, g in predicted.items())
        if fits and self._believed(predicted) and self._visible(predicted):
            return slip.text.format(c=c)
        return ""


def explanations(
    onward: Onward,
    own: Numbers,
    follows: Mapping[Node, Any],
    theirs: Mapping[Node, Any],
    precision: Mapping[Node, Precision],
    wrong: Sequence[Node],
    questions: Sequence[Question],
) -> dict[Node, list[Explanation]]:
    """Wrong δ -> the mistakes that explain it, the likeliest first.

    One mistake that explains several wrong δ is likelier than one for each.
    """
    search = _Search(onward, own, follows, theirs, precision, frozenset(wrong))
    found: dict[tuple[str, frozenset[Node]], Explanation] = {}
    for one in search.found(questions):  # the same mistake a step further says no more
        found.setdefault((one.slip, one.covers), one)
    named = {}
    for primal in wrong:
        mine = sorted((one for one in found.values() if primal in one.covers), key=_likeliest)
        best = [one for one in mine if len(one.covers) == len(mine[0].covers)]
        special = [one for one in best if one.mistake.rank <= best[0].mistake.rank + MARGIN]
        named[primal] = special[:MOST_NAMES]
    return {primal: names for primal, names in named.items() if names}


def _likeliest(one: Explanation) -> tuple[int, ...]:
    return one.rank
