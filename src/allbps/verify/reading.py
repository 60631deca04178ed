"""Gradients that were handed in, read as rounded in one way: what they are compared with."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from allbps.backprop import Delta
from allbps.backward import Backward
from allbps.ir import Node
from allbps.verify.edges import delta_name
from allbps.verify.given import Given
from allbps.verify.mistakes import Explanation, Question, explanations
from allbps.verify.mistakes.declare import attempt
from allbps.verify.once import rounded_once
from allbps.verify.onward import Numbers, Onward
from allbps.verify.places import Places
from allbps.verify.precision import Precision, enough
from allbps.verify.scatter import most_of_arithmetic, moves_of_rounding, of_arithmetic, of_rounding


class Reading:
    """All gradients of one hand-in, compared with what they should be.

    Attributes:
        given: primal -> the gradient that was handed in.
        order: the primals, nearest to the loss first.
        known: those whose δ is right to the last digit that was kept, where numbers are read as
            rounded once: what was computed from them was computed from the right ones.
        own, follows: every number with the person's δ in place of ours; what follows from that
            where they gave one.
        precision: how each gradient is compared.

    """

    def __init__(
        self,
        backward: Backward,
        onward: Onward,
        given: Mapping[Node, Given],
        grid: Mapping[Node, Precision],
        *,
        once: bool,
    ) -> None:
        """Read a hand-in.

        Args:
            backward: the right backward pass.
            onward: the same in numbers.
            given: primal -> the gradient that was handed in.
            grid: how each of them looks.
            once: as rounded at the end, or after every step?

        """
        self.backward, self.onward, self.given, self.grid = backward, onward, given, grid
        self.once = once
        self.places = Places(onward, self.given)
        self.order = sorted(self.given, key=lambda x: -x.born)
        self.known = self._known() if once else frozenset()
        self.own, self.follows = self._followed(self.known)
        self.precision = self._precisions()
        self._explanations: dict[tuple[tuple[Node, ...], bool], dict[Node, list[Explanation]]] = {}

    def _known(self) -> frozenset[Node]:
        sharp = {x: p for x, p in self.grid.items() if p.within(self.true(x), noise=False)}
        said = any(p.believed for p in self.grid.values())
        spoken = enough(*(p.evidence(self.true(x)) for x, p in sharp.items()))
        if said or spoken:
            return frozenset(sharp)
        return frozenset(x for x in sharp if self.grid[x].exactly(self.true(x)))

    def _followed(self, known: Collection[Node] = ()) -> tuple[Numbers, dict[Node, Any]]:
        """Every number with the person's δ in place of ours, and what follows where they gave one.

        A δ of another shape, or with NaN in it, cannot be followed: ours stays. But where NumPy
        goes on with such a shape, and that gives the person's next δ, it is what they did.
        """
        onward, own, follows = self.onward, dict(self.onward.right), {}
        touched: set[Node] = set()
        odd: dict[Node, Any] = {}  # δ of another shape
        for delta in onward.deltas:
            primal = delta.primal
            if any(x in touched for x in onward.consumers[primal]):
                own[delta.node] = onward.compute(delta.node, own)
                touched.add(primal)
            follows[primal] = own[delta.node]
            one = self.given.get(primal)
            if primal in known:
                own[delta.node] = self.true(primal)
                touched.discard(primal)
            elif one and np.all(np.isfinite(one.numbers)):
                if odd and self._goes_on(delta, {**own, **odd}, one):
                    follows[primal] = one.numbers[()]
                if one.numbers.shape == primal.shape:
                    own[delta.node] = one.numbers[()]
                    touched.add(primal)
                else:
                    odd[delta.node] = one.numbers
        return own, {x: follows[x] for x in self.given}

    def _goes_on(self, delta: Delta, known: Numbers, given: Given) -> bool:
        """Does a step from these numbers, whatever their shapes, give what was handed in?"""
        numbers = attempt(self.onward.compute, delta.node, known, None, True)
        if numbers is None or np.shape(numbers) != given.numbers.shape:
            return False
        return bool(np.allclose(numbers, given.numbers, rtol=1e-6, atol=0))

    def true(self, primal: Node) -> Any:
        """The right δ."""
        return self.onward.right[self.onward.of[primal].node]

    # -- precision -------------------------------------------------------------------------------
    def _precisions(self) -> dict[Node, Precision]:
        most = most_of_arithmetic(self.onward)
        found = {
            x: replace(p, scatter=partial(self._scatter, x), most=most[x], known=x in self.known)
            for x, p in self.grid.items()
        }
        rough = {x: p for x, p in found.items() if np.any(p.unit) and not self._exact(x, p)}
        if not rough:
            return found
        near, far = self._noise(rough)
        rough = {
            x: replace(p, noise=self._fitting(x, near[x]), far=self._fitting(x, far[x]))
            for x, p in rough.items()
        }
        evidence = {
            x: max(p.evidence(self.true(x)), p.evidence(self.follows[x])) for x, p in rough.items()
        }
        for x, p in rough.items():
            others = [e for other, e in evidence.items() if other is not x]
            believed = p.believed or (bool(others) and enough(*others))
            support = sum(e[0] for e in others), sum(e[1] for e in others)
            rough[x] = replace(p, believed=believed, support=support)
        return found | rough

    def _noise(self, rough: Mapping[Node, Precision]) -> tuple[dict[Node, Any], dict[Node, Any]]:
        """Primal -> how far rounding moves what follows from the given δ, and the right one."""
        none = dict.fromkeys(self.onward.of, 0.0)
        if not self.once:
            near, far = (
                of_rounding(
                    self.onward, self.own, self._units, self._coarsest, from_own=from_own
                )
                for from_own in (True, False)
            )  # fmt: skip
            return near, far
        if all(x in self.known for x in rough):
            return none, none
        units = {x: 0.0 if x in self.known else unit for x, unit in self._units.items()}
        return of_rounding(self.onward, self.own, units, 0.0, from_own=True), none

    @property
    def _units(self) -> dict[Node, Any]:
        return {x: p.unit for x, p in self.grid.items()}

    @property
    def _coarsest(self) -> float:
        return max(float(np.max(p.unit)) for p in self.grid.values())

    @property
    def is_rounded(self) -> bool:
        """Are there numbers that are not given in full, or look so?"""
        return any(np.any(p.unit) and not self._exact(x, p) for x, p in self.precision.items())

    @cached_property
    def is_evident(self) -> bool:
        """Are so many gradients right to the last digit that nobody rounded after every step?"""
        if not self.known:
            return False
        moves = moves_of_rounding(
            self.onward, self.own, self._units, self._coarsest, from_own=False
        )  # fmt: skip
        return rounded_once((moves[x], self.grid[x].unit) for x in self.known)

    def _exact(self, primal: Node, precision: Precision) -> bool:
        return precision.exactly(self.true(primal)) or precision.exactly(self.follows[primal])

    def _scatter(self, primal: Node) -> Any:
        return self._fitting(primal, self._arithmetic[primal])

    def _fitting(self, primal: Node, spread: Any) -> Any:
        """A spread for each number that was given; of another shape, the largest for all."""
        same = self.given[primal].numbers.shape == primal.shape
        return spread if same else np.max(spread, initial=0.0)

    @cached_property
    def _arithmetic(self) -> dict[Node, Any]:
        return of_arithmetic(self.backward, self.onward)

    @property
    def is_short(self) -> bool:
        """Do all gradients look rounded? Who gives some in full does not round others."""
        finite = (p for p in self.grid.values() if np.all(np.isfinite(p.theirs)))
        return all(np.any(p.unit) for p in finite if p.theirs.size)

    @property
    def is_lost(self) -> bool:
        """Is there an array of zeros, not to be told from a forgotten one, where more was due?"""
        return any(
            not np.any(p.theirs) and not p.within(self.true(x), noise=False)
            for x, p in self.grid.items()
        )

    def label(self, primal: Node) -> str:
        """A gradient as the person writes it, or as we do."""
        one = self.given.get(primal)
        return one.label if one else delta_name(primal)

    @cached_property
    def stepped(self) -> dict[Node, Any]:
        """What follows from the given numbers as they are written."""
        return self._followed()[1]

    def explanations(
        self, wrong: Sequence[Node], exactly: bool = False
    ) -> dict[Node, list[Explanation]]:
        """Wrong gradients -> the mistakes that explain them."""
        key = tuple(wrong), exactly
        if key not in self._explanations:
            self._explanations[key] = self._search(wrong, exactly)
        return self._explanations[key]

    def _search(self, wrong: Sequence[Node], exactly: bool) -> dict[Node, list[Explanation]]:
        places: dict[Node, None] = {}
        for primal in wrong:
            places.update(dict.fromkeys(self.places.between(primal)))
        questions = [Question(place, tuple(self.places.targets(place))) for place in places]
        precision = self.precision
        if exactly:
            precision = {x: replace(p, unit=0.0) for x, p in precision.items()}
        theirs = {x: self.given[x].numbers for x in self.given}
        return explanations(
            self.onward, self.own, self.follows, theirs, precision, wrong, questions
        )
