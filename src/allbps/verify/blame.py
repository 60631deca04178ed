"""Which step of a hand-written backward pass is wrong, and which simple mistake explains it.

Each given δ is compared with the right one, and with what follows from the person's own δ nearer
to the loss. The first that does not even follow is wrong; later ones may be consequences. Between
two given δ lie steps that were not given: mistakes are tried at each of them, followed onward, and
compared with all given δ that depend on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from allbps.backward import Backward
from allbps.ir import Node
from allbps.names import is_numbered
from allbps.verify.common import in_common
from allbps.verify.conventions import convention
from allbps.verify.edges import delta_name, statement
from allbps.verify.given import Given
from allbps.verify.marks import Mark, State
from allbps.verify.mistakes import Explanation, Question, explanations
from allbps.verify.onward import Numbers, Onward
from allbps.verify.precision import Precision, enough, looks
from allbps.verify.scatter import of_arithmetic, of_rounding


def marks(
    backward: Backward,
    values: Mapping[str, Any],
    given: Mapping[str, Given],
    decimals: int | None = None,
) -> tuple[Mark, ...]:
    """Mark gradients, nearest to the loss first.

    Args:
        backward: the right backward pass.
        values: its numbers.
        given: primal's name -> the gradient to be marked.
        decimals: to how many they were rounded, if that is known.

    """
    with np.errstate(all="ignore"):
        hand_in = _HandIn(backward, values, given, decimals)
        found = tuple(hand_in.marks())
    marked = {mark.node for mark in found}
    return (*found, *(_unreached(n, one) for n, one in given.items() if n not in marked))


def _unreached(name: str, given: Given) -> Mark:
    state = State.WRONG if np.any(given.numbers) else State.RIGHT
    note = "the result does not depend on it: its gradient is 0"
    return Mark(name, state, given.label, note=note)


class _HandIn:
    """All gradients of one hand-in, compared with what they should be."""

    def __init__(
        self,
        backward: Backward,
        values: Mapping[str, Any],
        given: Mapping[str, Given],
        decimals: int | None,
    ) -> None:
        self.backward = backward
        self.onward = Onward(backward, values)
        self.given = {d.primal: given[d.primal.name] for d in backward.steps
                      if d.primal.name in given}  # fmt: skip
        self.order = sorted(self.given, key=lambda x: -x.born)
        self.own, self.follows = self._followed()
        self.precision = self._precisions(decimals)

    def _followed(self) -> tuple[Numbers, dict[Node, Any]]:
        """Every number with the person's δ in place of ours, and what follows where they gave one.

        A δ of another shape, or with NaN in it, cannot be followed: ours stays.
        """
        onward, own, follows = self.onward, dict(self.onward.right), {}
        touched: set[Node] = set()
        for delta in onward.deltas:
            primal = delta.primal
            if any(x in touched for x in onward.consumers[primal]):
                own[delta.node] = onward.compute(delta.node, own)
                touched.add(primal)
            follows[primal] = own[delta.node]
            one = self.given.get(primal)
            if one and one.numbers.shape == primal.shape and np.all(np.isfinite(one.numbers)):
                own[delta.node] = one.numbers[()]
                touched.add(primal)
        return own, {x: follows[x] for x in self.given}

    def true(self, primal: Node) -> Any:
        """The right δ."""
        return self.onward.right[self.onward.of[primal].node]

    # -- precision -------------------------------------------------------------------------------
    def _precisions(self, decimals: int | None) -> dict[Node, Precision]:
        pairs = {x: (one.numbers, one.dtype) for x, one in self.given.items()}
        found = {
            x: replace(p, scatter=partial(self._scatter, x))
            for x, p in looks(pairs, decimals).items()
        }
        rough = {x: p for x, p in found.items() if np.any(p.unit) and not self._exact(x, p)}
        if not rough:
            return found
        units = {x: p.unit for x, p in found.items()}
        coarsest = max(float(np.max(p.unit)) for p in rough.values())
        near = of_rounding(self.onward, self.own, units, coarsest, from_own=True)
        far = of_rounding(self.onward, self.own, units, coarsest, from_own=False)
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
            rough[x] = replace(p, believed=believed)
        return found | rough

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
    def marks(self) -> Iterator[Mark]:
        """One mark for each gradient, nearest to the loss first."""
        found: dict[Node, Mark | None] = {}
        for primal in self.order:
            found[primal] = self._explained(primal, found)
        wrong = {x: None for x, mark in found.items() if mark is None}
        doubtful = [
            x for x, mark in found.items()
            if mark is not None and mark.note.startswith("read") and not self.precision[x].believed
        ]  # fmt: skip
        for x in doubtful:  # an exact mistake is likelier than a rounding nothing else speaks for
            exactly = self._explanations([x], exactly=True)
            if exactly:
                wrong[x] = None
        names = self._explanations(list(wrong)) if wrong else {}
        for primal in self.backward_order:
            mark = None if primal in wrong else found[primal]
            yield mark if mark is not None else self._wrong(primal, set(wrong), names, found)

    @property
    def backward_order(self) -> list[Node]:
        """Given primals in the order in which a lecture shows their δ."""
        return list(self.given)

    def _explained(self, primal: Node, before: Mapping[Node, Mark | None]) -> Mark | None:
        """A mark for what is right, follows, or is another convention at a kink; else None."""
        precision = self.precision[primal]
        true, follows = self.true(primal), self.follows[primal]
        culprits = [x for x in self.sources(primal) if not before[x]]
        read = f"read as rounded to {precision.words}" if precision.words else ""
        if precision.exactly(true):
            return self._mark(primal, State.RIGHT)
        if precision.exactly(follows):
            return self._follows(primal, culprits)
        if precision.fits(true):
            return self._mark(primal, State.RIGHT, note=self._rounded(primal, read))
        if precision.fits(follows):
            return self._follows(primal, [] if precision.around(true) else culprits, read)
        legal = convention(self.onward, self.backward, self.own, primal, self.given, precision)
        return self._follows(primal, culprits, legal) if legal else None

    def _rounded(self, primal: Node, read: str) -> str:
        if np.any(self.given[primal].numbers) or not np.any(self.true(primal)):
            return read
        return f"{read}; all of it rounds to 0, so it cannot be told from a forgotten one"

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
            primal.name, state, self.label(primal), self.edges(primal),
            where=str(primal.site or ""), **more,
        )  # fmt: skip
        return mark if state is State.RIGHT else replace(mark, **self._worst(primal))

    def edges(self, primal: Node) -> tuple[str, ...]:
        """The statements a δ comes through; steps inside a line are followed to its end."""
        found: dict[str, None] = {}
        pending = [primal]
        for _ in range(8):
            if not pending:
                break
            consumers = self.onward.consumers[pending.pop(0)]
            for consumer in dict.fromkeys(consumers):
                found[statement(consumer)] = None
                if is_numbered(consumer.name) and consumer not in self.given:
                    pending.append(consumer)
        return tuple(found)

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

    # -- blame -----------------------------------------------------------------------------------
    def sources(self, primal: Node) -> list[Node]:
        """The given δ from which this one is computed, with no given one between."""
        return [x for x in self._towards_loss(primal) if x in self.given]

    def _towards_loss(self, primal: Node) -> list[Node]:
        """Primals from whose δ this one is computed, up to given ones, nearest first."""
        found: dict[Node, None] = {}
        pending = [primal]
        while pending:
            for x in self.onward.consumers[pending.pop(0)]:
                if x not in found:
                    found[x] = None
                    if x not in self.given:
                        pending.append(x)
        return list(found)

    def between(self, primal: Node) -> list[Node]:
        """The steps on which a given δ depends and that no other given δ hides: its own first."""
        return [primal, *(x for x in self._towards_loss(primal) if x not in self.given)]

    def targets(self, primal: Node) -> list[Node]:
        """The given δ that depend on a step, with no given one between."""
        if primal in self.given:
            return [primal]
        found: dict[Node, None] = {}
        pending = [primal]
        while pending:
            for x in self.onward.producers[pending.pop()]:
                if x not in found:
                    found[x] = None
                    if x not in self.given:
                        pending.append(x)
        return [x for x in found if x in self.given]

    def _explanations(
        self, wrong: list[Node], exactly: bool = False
    ) -> dict[Node, list[Explanation]]:
        places: dict[Node, None] = {}
        for primal in wrong:
            places.update(dict.fromkeys(self.between(primal)))
        questions = [Question(place, tuple(self.targets(place))) for place in places]
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
        culprits = [x for x in self.sources(primal) if not before[x]]
        return self._mark(
            primal, State.WRONG,
            mistakes=tuple(one.text for one in found),
            made_at=found[0].place.name if found else "",
            between=self._bounds(primal, wrong),
            follows_from=tuple(self.label(x) for x in culprits),
            common="" if found else in_common(theirs, follows, self.precision[primal]),
            note=self._note(primal, theirs, follows),
        )  # fmt: skip

    def _bounds(self, primal: Node, wrong: set[Node]) -> tuple[str, ...]:
        """The last δ that must be right and the first that may be wrong, as they are called."""
        suspects = [x for x in self.between(primal) if set(self.targets(x)) <= wrong]
        next_ones = {y for x in suspects for y in self.onward.consumers[x]} - set(suspects)
        outermost = sorted(next_ones, key=lambda x: x.born)
        bounds = [self.label(x) for x in outermost if x in self.given or not is_numbered(x.name)]
        joint = [x for x in suspects if set(self.targets(x)) == wrong]
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
        if p.within(follows) and not p.believed and np.any(theirs):
            return f"it agrees to {p.words}: decimals= says that numbers were rounded"
        return f"read as rounded to {p.words}" if p.believed and p.words else ""
