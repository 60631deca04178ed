"""What is to say of each gradient of a hand-in that is read in one way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from allbps.ir import Node
from allbps.names import is_numbered
from allbps.verify.common import in_common
from allbps.verify.conventions import convention
from allbps.verify.marks import Mark, State
from allbps.verify.mistakes import Explanation
from allbps.verify.precision import Precision, enough
from allbps.verify.reading import Reading

MORE_DIGITS = "give more digits, or say decimals= if that is how they were rounded"


class Verdicts:
    """The marks that a reading of a hand-in leads to."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    def found(self) -> dict[Node, Mark | None]:
        """A mark for each gradient, nearest to the loss first; None for what is wrong."""
        reading, found = self.reading, dict[Node, Mark | None]()
        for primal in reading.order:
            found[primal] = self._explained(primal, found)
        doubtful = [
            x for x, mark in found.items()
            if mark is not None and mark.note.startswith("read")
            and not reading.precision[x].believed
        ]  # fmt: skip
        for x in doubtful:  # an exact mistake is likelier than a rounding nothing else speaks for
            exactly = reading.explanations([x], exactly=True)
            if exactly:
                found[x] = self._few(x, exactly[x]) if reading.is_short else None
        return found

    def _few(self, primal: Node, names: Sequence[Explanation] = ()) -> Mark:
        """The mark for too few digits to tell rounding from a mistake."""
        note = f"{self._agrees(primal)}, too few digits to tell rounding from a mistake"
        texts = tuple(one.text for one in names)
        return self._mark(
            primal, State.UNDECIDED, mistakes=texts, note=note, todo=MORE_DIGITS
        )  # fmt: skip

    def _agrees(self, primal: Node) -> str:
        return f"it agrees to {self.reading.precision[primal].words or 'whole numbers'}"

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
        names = self.reading.explanations(wrong) if wrong else {}
        made = dict(found)
        for x in wrong:
            made[x] = self._wrong(x, set(wrong), names, found)
        for x, some in (doubted or {}).items():
            texts = tuple(one.text for one in some)
            made[x] = self._mark(
                x, State.UNDECIDED, mistakes=texts, note=self._excuse(x), todo=self.to_decide
            )
        return [mark for mark in (made[x] for x in self.reading.given) if mark is not None]

    @property
    def to_decide(self) -> str:
        """What to do where rounding on the way may have moved numbers by more than they show."""
        said = any(p.believed for p in self.reading.grid.values())
        then = "" if said else ", then say decimals="
        return f"keep more digits on the way and round only at the end{then}"

    def marks_of_steps(self, steps: Mapping[Node, Any]) -> list[Mark]:
        """Every gradient's mark where all are what rounding after every step gives.

        Args:
            steps: the δ before their own rounding, which follow from the rounded ones.

        """
        evidence = [p.evidence(steps[x]) for x, p in self.reading.grid.items()]
        if any(p.believed for p in self.reading.grid.values()) or enough(*evidence):
            return [
                self._mark(
                    x,
                    State.RIGHT,
                    note=self._rounded(x, f"read as rounded to {p.words} after every step"),
                )
                for x, p in self.reading.grid.items()
            ]
        return [self._few(x) for x in self.reading.grid]

    def _excuse(self, primal: Node) -> str:
        words = self.reading.precision[primal].words
        return f"rounding to {words} after every step explains it, and a mistake may as well"

    def _explained(self, primal: Node, before: Mapping[Node, Mark | None]) -> Mark | None:
        """A mark for what is right, follows, or is another convention at a kink; else None."""
        reading, precision = self.reading, self.reading.precision[primal]
        culprits = self._culprits(primal, before)
        if precision.exactly(reading.true(primal)):
            return self._mark(primal, State.RIGHT)
        if precision.exactly(reading.follows[primal]):
            return self._follows(primal, culprits)
        by_rounding = self._by_rounding(primal, culprits)
        if by_rounding is not None:
            return by_rounding
        legal = convention(
            reading.onward, reading.backward, reading.own, primal, reading.given, precision
        )
        return self._follows(primal, culprits, legal) if legal else None

    def _by_rounding(self, primal: Node, culprits: list[Node]) -> Mark | None:
        """The mark for what rounding explains."""
        precision, true = self.reading.precision[primal], self.reading.true(primal)
        sharp = precision.scattered(0.0) if self.reading.once else precision
        if sharp.fits(true):
            return self._confirmed(primal, sharp, true)
        if self.reading.is_short and not precision.believed and precision.within(true, noise=False):
            return self._few(primal)
        return self._by_what_follows(primal, culprits, sharp)

    def _by_what_follows(self, primal: Node, culprits: list[Node], sharp: Precision) -> Mark | None:
        """The mark for what is rounded of what follows from the gradients given."""
        reading, read = self.reading, self._read(primal)
        precision, follows = reading.precision[primal], reading.follows[primal]
        if precision.fits(follows):
            if culprits and not precision.around(reading.true(primal)):
                return self._follows(primal, culprits, read)
            return self._confirmed(primal, precision, follows)
        if culprits and precision.believed and precision.within(follows, zeros=True):
            return self._follows(primal, culprits, read)  # what cancels in full is 0
        if reading.once and sharp.fits(reading.stepped[primal]):
            return self._follows(primal, culprits, read)
        return None

    def _confirmed(self, primal: Node, precision: Precision, numbers: Any) -> Mark:
        """The mark for what rounds to these numbers, unless plainly wrong ones would pass too."""
        if not precision.is_blind(numbers):
            return self._mark(primal, State.RIGHT, note=self._rounded(primal, self._read(primal)))
        words = self.reading.precision[primal].words
        note = f"rounding to {words} on the way may halve it or turn its sign: it says nothing here"
        return self._mark(primal, State.UNDECIDED, note=note, todo=self.to_decide)

    def _read(self, primal: Node) -> str:
        words = self.reading.precision[primal].words
        return f"read as rounded to {words}" if words else ""

    def _rounded(self, primal: Node, read: str) -> str:
        if np.any(self.reading.given[primal].numbers) or not np.any(self.reading.true(primal)):
            return read
        return f"{read}; all of it rounds to 0, so it cannot be told apart from a forgotten one"

    def _follows(self, primal: Node, culprits: list[Node], note: str = "") -> Mark:
        """The mark for what follows from given δ that are wrong, or right if none of them is."""
        if not culprits:
            return self._mark(primal, State.RIGHT, note=note)
        sources = tuple(self.reading.label(x) for x in culprits)
        return self._mark(primal, State.FOLLOWS, note=note, follows_from=sources)

    def _mark(self, primal: Node, state: State, **more: Any) -> Mark:
        mark = Mark(
            primal.name, state, self.reading.label(primal), self.reading.places.edges(primal),
            where=str(primal.site or ""), **more,
        )  # fmt: skip
        return mark if state is State.RIGHT else replace(mark, **self._worst(primal))

    def _worst(self, primal: Node) -> dict[str, Any]:
        reading, theirs = self.reading, self.reading.given[primal].numbers
        follows, true = np.asarray(reading.follows[primal]), np.asarray(reading.true(primal))
        if theirs.shape != follows.shape or not theirs.size:
            return {}
        off = np.abs(theirs - (follows if not np.array_equal(theirs, follows) else true))
        off = np.where(np.isfinite(off), off, np.inf)
        if not np.any(off > 0) or reading.precision[primal].fits(follows):
            off = np.abs(theirs - true)
        worst = tuple(int(k) for k in np.unravel_index(int(np.argmax(off)), off.shape))
        return {
            "index": worst, "theirs": float(theirs[worst]),
            "expected": float(follows[worst]), "right": float(true[worst]),
        }  # fmt: skip

    def _culprits(self, primal: Node, before: Mapping[Node, Mark | None]) -> list[Node]:
        """The sources of a δ that are wrong, or that follow from wrong ones."""
        made = {x: before[x] for x in self.reading.places.sources(primal)}
        return [x for x, mark in made.items() if mark is None or mark.state is State.FOLLOWS]

    def _wrong(
        self,
        primal: Node,
        wrong: set[Node],
        names: Mapping[Node, list[Explanation]],
        before: Mapping[Node, Mark | None],
    ) -> Mark:
        reading, theirs = self.reading, self.reading.given[primal].numbers
        follows, found = np.asarray(reading.follows[primal]), names.get(primal, [])
        culprits = self._culprits(primal, before)
        few = not found and self._too_few_digits(primal)
        return self._mark(
            primal, State.UNDECIDED if few else State.WRONG,
            mistakes=tuple(one.text for one in found),
            made_at=found[0].place.name if found else "",
            between=() if few else self._bounds(primal, wrong),
            follows_from=tuple(reading.label(x) for x in culprits),
            common="" if found or few else in_common(theirs, follows, reading.precision[primal]),
            note=self._note(primal, theirs, follows),
            todo=MORE_DIGITS if few else "",
        )  # fmt: skip

    def _too_few_digits(self, primal: Node) -> bool:
        """Does it agree as far as it was written, in too few digits to say that it is right?"""
        reading, p = self.reading, self.reading.precision[primal]
        if self._is_whole(primal) and any(map(self._tells, reading.order)):
            return True
        agrees = p.within(reading.true(primal), noise=False) or p.within(reading.follows[primal])
        return agrees and not p.believed and bool(np.any(p.theirs))

    def _is_whole(self, primal: Node) -> bool:
        """Does it agree to whole numbers, of which nobody said that they were rounded?"""
        p = self.reading.precision[primal]
        return p.whole(self.reading.true(primal)) or p.whole(self.reading.follows[primal])

    def _tells(self, primal: Node) -> bool:
        return self.reading.precision[primal].is_telling and self._is_whole(primal)

    def _bounds(self, primal: Node, wrong: set[Node]) -> tuple[str, ...]:
        """The last δ that must be right and the first that may be wrong, as they are called."""
        reading, places = self.reading, self.reading.places
        suspects = [x for x in places.between(primal) if set(places.targets(x)) <= wrong]
        next_ones = {y for x in suspects for y in reading.onward.consumers[x]} - set(suspects)
        outermost = sorted(next_ones, key=lambda x: x.born)
        bounds = [
            reading.label(x) for x in outermost if x in reading.given or not is_numbered(x.name)
        ]
        joint = [x for x in suspects if set(places.targets(x)) == wrong]
        first = joint[0] if joint else primal
        return (bounds[0], reading.label(first)) if bounds else ()

    def _note(self, primal: Node, theirs: Any, follows: Any) -> str:
        if theirs.shape != follows.shape:
            return f"its shape is {theirs.shape}, and {primal.name} has shape {primal.shape}"
        if not np.all(np.isfinite(theirs)):
            return "it holds numbers that are not finite"
        p = self.reading.precision[primal]
        if self._too_few_digits(primal):
            return f"{self._agrees(primal)}: decimals= says that numbers were rounded"
        return f"read as rounded to {p.words}" if p.believed and p.words else ""
