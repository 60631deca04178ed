"""Gradients that were handed in, read as rounded in one way: what is to say of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from allbps.backprop import Delta
from allbps.backward import Backward
from allbps.ir import Node
from allbps.names import is_numbered
from allbps.verify.common import in_common
from allbps.verify.conventions import convention
from allbps.verify.edges import delta_name
from allbps.verify.given import Given
from allbps.verify.marks import Mark, State
from allbps.verify.mistakes import Explanation, Question, explanations
from allbps.verify.mistakes.declare import attempt
from allbps.verify.once import rounded_once
from allbps.verify.onward import Numbers, Onward
from allbps.verify.places import Places
from allbps.verify.precision import Precision, enough
from allbps.verify.scatter import moves_of_rounding, of_arithmetic, of_rounding


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
        found = {
            x: replace(p, scatter=partial(self._scatter, x), known=x in self.known)
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

    # -- verdicts --------------------------------------------------------------------------------
    def verdicts(self) -> dict[Node, Mark | None]:
        """A mark for each gradient, nearest to the loss first; None for what is wrong."""
        found: dict[Node, Mark | None] = {}
        for primal in self.order:
            found[primal] = self._explained(primal, found)
        doubtful = [
            x for x, mark in found.items()
            if mark is not None and mark.note.startswith("read") and not self.precision[x].believed
        ]  # fmt: skip
        for x in doubtful:  # an exact mistake is likelier than a rounding nothing else speaks for
            exactly = self.explanations([x], exactly=True)
            if exactly:
                found[x] = self._few(x, exactly[x]) if self._is_short else None
        return found

    @property
    def _is_short(self) -> bool:
        """Do all gradients look rounded? Who gives some in full does not round others."""
        finite = (p for p in self.grid.values() if np.all(np.isfinite(p.theirs)))
        return all(np.any(p.unit) for p in finite if p.theirs.size)

    def _few(self, primal: Node, names: Sequence[Explanation] = ()) -> Mark:
        """The mark for too few digits to tell rounding from a mistake."""
        note = f"{self._agrees(primal)}, too few digits to tell rounding from a mistake"
        texts = tuple(one.text for one in names)
        return self._mark(primal, State.UNDECIDED, mistakes=texts, note=note)

    def _agrees(self, primal: Node) -> str:
        return f"it agrees to {self.precision[primal].words or 'whole numbers'}"

    def marks(
        self,
        found: Mapping[Node, Mark | None],
        doubted: Mapping[Node, Sequence[Explanation]] | None = None,
    ) -> list[Mark]:
        """Every gradient's mark, in the order in which a lecture shows them.

        Args:
            found: verdicts.
            doubted: those that cannot be decided, with the mistakes that explain them.

        """
        wrong = [x for x, mark in found.items() if mark is None]
        names = self.explanations(wrong) if wrong else {}
        made = dict(found)
        for x in wrong:
            made[x] = self._wrong(x, set(wrong), names, found)
        for x, some in (doubted or {}).items():
            texts = tuple(one.text for one in some)
            made[x] = self._mark(x, State.UNDECIDED, mistakes=texts, note=self._excuse(x))
        return [mark for mark in (made[x] for x in self.given) if mark is not None]

    def marks_of_steps(self, steps: Mapping[Node, Any]) -> list[Mark]:
        """Every gradient's mark where all are what rounding after every step gives.

        Args:
            steps: the δ before their own rounding, which follow from the rounded ones.

        """
        evidence = [p.evidence(steps[x]) for x, p in self.grid.items()]
        if any(p.believed for p in self.grid.values()) or enough(*evidence):
            return [
                self._mark(
                    x,
                    State.RIGHT,
                    note=self._rounded(x, f"read as rounded to {p.words} after every step"),
                )
                for x, p in self.grid.items()
            ]
        return [self._few(x) for x in self.grid]

    @property
    def is_lost(self) -> bool:
        """Is there an array of zeros, not to be told from a forgotten one, where more was due?"""
        return any(
            not np.any(p.theirs) and not p.within(self.true(x), noise=False)
            for x, p in self.grid.items()
        )

    def _excuse(self, primal: Node) -> str:
        words = self.precision[primal].words
        return f"rounding to {words} after every step explains it, and a mistake may as well"

    def _explained(self, primal: Node, before: Mapping[Node, Mark | None]) -> Mark | None:
        """A mark for what is right, follows, or is another convention at a kink; else None."""
        precision = self.precision[primal]
        culprits = self._culprits(primal, before)
        if precision.exactly(self.true(primal)):
            return self._mark(primal, State.RIGHT)
        if precision.exactly(self.follows[primal]):
            return self._follows(primal, culprits)
        by_rounding = self._by_rounding(primal, culprits)
        if by_rounding is not None:
            return by_rounding
        legal = convention(self.onward, self.backward, self.own, primal, self.given, precision)
        return self._follows(primal, culprits, legal) if legal else None

    def _by_rounding(self, primal: Node, culprits: list[Node]) -> Mark | None:
        """The mark for what rounding explains."""
        precision, true = self.precision[primal], self.true(primal)
        sharp = precision.scattered(0.0) if self.once else precision
        if sharp.fits(true):
            return self._confirmed(primal, sharp, true)
        if self._is_short and not precision.believed and precision.within(true, noise=False):
            return self._few(primal)
        return self._by_what_follows(primal, culprits, sharp)

    def _by_what_follows(self, primal: Node, culprits: list[Node], sharp: Precision) -> Mark | None:
        """The mark for what is rounded of what follows from the gradients given."""
        precision, follows, read = self.precision[primal], self.follows[primal], self._read(primal)
        if precision.fits(follows):
            if culprits and not precision.around(self.true(primal)):
                return self._follows(primal, culprits, read)
            return self._confirmed(primal, precision, follows)
        if culprits and precision.believed and precision.within(follows, zeros=True):
            return self._follows(primal, culprits, read)  # what cancels in full is 0
        if self.once and sharp.fits(self._stepped[primal]):
            return self._follows(primal, culprits, read)
        return None

    def _confirmed(self, primal: Node, precision: Precision, numbers: Any) -> Mark:
        """The mark for what rounds to these numbers, unless plainly wrong ones would pass too."""
        if not precision.is_blind(numbers):
            return self._mark(primal, State.RIGHT, note=self._rounded(primal, self._read(primal)))
        words = self.precision[primal].words
        note = f"rounding to {words} on the way may halve it or turn its sign: it says nothing here"
        return self._mark(primal, State.UNDECIDED, note=note)

    def _read(self, primal: Node) -> str:
        words = self.precision[primal].words
        return f"read as rounded to {words}" if words else ""

    @cached_property
    def _stepped(self) -> dict[Node, Any]:
        """What follows from the given numbers as they are written."""
        return self._followed()[1]

    def _rounded(self, primal: Node, read: str) -> str:
        if np.any(self.given[primal].numbers) or not np.any(self.true(primal)):
            return read
        return f"{read}; all of it rounds to 0, so it cannot be told apart from a forgotten one"

    def _follows(self, primal: Node, culprits: list[Node], note: str = "") -> Mark:
        """The mark for what follows from given δ that are wrong, or right if none of them is."""
        if not culprits:
            return self._mark(primal, State.RIGHT, note=note)
        sources = tuple(self.label(x) for x in culprits)
        return self._mark(primal, State.FOLLOWS, note=note, follows_from=sources)

    def label(self, primal: Node) -> str:
        """A gradient as the person writes it, or as we do."""
        one = self.given.get(primal)
        return one.label if one else delta_name(primal)

    def _mark(self, primal: Node, state: State, **more: Any) -> Mark:
        mark = Mark(
            primal.name, state, self.label(primal), self.places.edges(primal),
            where=str(primal.site or ""), **more,
        )  # fmt: skip
        return mark if state is State.RIGHT else replace(mark, **self._worst(primal))

    def _worst(self, primal: Node) -> dict[str, Any]:
        theirs, follows = self.given[primal].numbers, np.asarray(self.follows[primal])
        true = np.asarray(self.true(primal))
        if theirs.shape != follows.shape or not theirs.size:
            return {}
        off = np.abs(theirs - (follows if not np.array_equal(theirs, follows) else true))
        off = np.where(np.isfinite(off), off, np.inf)
        if not np.any(off > 0) or self.precision[primal].fits(follows):
            off = np.abs(theirs - true)
        worst = tuple(int(k) for k in np.unravel_index(int(np.argmax(off)), off.shape))
        return {
            "index": worst, "theirs": float(theirs[worst]),
            "expected": float(follows[worst]), "right": float(true[worst]),
        }  # fmt: skip

    def _culprits(self, primal: Node, before: Mapping[Node, Mark | None]) -> list[Node]:
        """The sources of a δ that are wrong, or that follow from wrong ones."""
        made = {x: before[x] for x in self.places.sources(primal)}
        return [x for x, mark in made.items() if mark is None or mark.state is State.FOLLOWS]

    # -- blame -----------------------------------------------------------------------------------
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

    def _wrong(
        self,
        primal: Node,
        wrong: set[Node],
        names: Mapping[Node, list[Explanation]],
        before: Mapping[Node, Mark | None],
    ) -> Mark:
        theirs, follows = self.given[primal].numbers, np.asarray(self.follows[primal])
        found = names.get(primal, [])
        culprits = self._culprits(primal, before)
        few = not found and self._too_few_digits(primal)
        return self._mark(
            primal, State.UNDECIDED if few else State.WRONG,
            mistakes=tuple(one.text for one in found),
            made_at=found[0].place.name if found else "",
            between=() if few else self._bounds(primal, wrong),
            follows_from=tuple(self.label(x) for x in culprits),
            common="" if found or few else in_common(theirs, follows, self.precision[primal]),
            note=self._note(primal, theirs, follows),
        )  # fmt: skip

    def _too_few_digits(self, primal: Node) -> bool:
        """Does it agree as far as it was written, in too few digits to say that it is right?"""
        p = self.precision[primal]
        if self._is_whole(primal) and any(map(self._tells, self.order)):
            return True
        agrees = p.within(self.true(primal), noise=False) or p.within(self.follows[primal])
        return agrees and not p.believed and bool(np.any(p.theirs))

    def _is_whole(self, primal: Node) -> bool:
        """Does it agree to whole numbers, of which nobody said that they were rounded?"""
        p = self.precision[primal]
        return p.whole(self.true(primal)) or p.whole(self.follows[primal])

    def _tells(self, primal: Node) -> bool:
        return self.precision[primal].is_telling and self._is_whole(primal)

    def _bounds(self, primal: Node, wrong: set[Node]) -> tuple[str, ...]:
        """The last δ that must be right and the first that may be wrong, as they are called."""
        suspects = [x for x in self.places.between(primal) if set(self.places.targets(x)) <= wrong]
        next_ones = {y for x in suspects for y in self.onward.consumers[x]} - set(suspects)
        outermost = sorted(next_ones, key=lambda x: x.born)
        bounds = [self.label(x) for x in outermost if x in self.given or not is_numbered(x.name)]
        joint = [x for x in suspects if set(self.places.targets(x)) == wrong]
        first = joint[0] if joint else primal
        if not bounds:
            return ()
        return (bounds[0], self.label(first))

    def _note(self, primal: Node, theirs: Any, follows: Any) -> str:
        if theirs.shape != follows.shape:
            return f"its shape is {theirs.shape}, and {primal.name} has shape {primal.shape}"
        if not np.all(np.isfinite(theirs)):
            return "it holds numbers that are not finite"
        p = self.precision[primal]
        if self._too_few_digits(primal):
            return f"{self._agrees(primal)}: decimals= says that numbers were rounded"
        return f"read as rounded to {p.words}" if p.believed and p.words else ""
