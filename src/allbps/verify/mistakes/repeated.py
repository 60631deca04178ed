"""The same mistake each time a line runs: in a loop, or in a function that is called again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from allbps.ir import Node
from allbps.names import is_numbered
from allbps.verify.edges import timeless
from allbps.verify.mistakes.declare import MISTAKES, Mistake, Site, Slip
from allbps.verify.onward import Numbers, Onward

MOST_STEPS = 150_000
"""Steps of the backward pass that are computed in search of a mistake that was made repeatedly."""

Key = tuple[str, int]
"""A slip wherever the line ran: its text without numbers, and the how-manieth of that text."""


@dataclass(frozen=True, eq=False)
class Group:
    """Values that one variable held in turn, or the same step of the same line computed.

    The nearest to the loss comes first.
    """

    members: tuple[Node, ...]
    onward: Onward

    @cached_property
    def usual(self) -> Node:
        """One that is used as most are: what the last turn of a loop gives is used elsewhere.

        And what the first one takes was made elsewhere, so it is one in the middle.
        """
        uses = {x: self._uses(x) for x in self.members}
        count = Counter(uses.values())
        most = max((count[one], len(one)) for one in uses.values())
        usual = [x for x, one in uses.items() if (count[one], len(one)) == most]
        return usual[len(usual) // 2]

    def _uses(self, x: Node) -> tuple[Any, ...]:
        """The lines that use a value, and how."""
        consumers = self.onward.consumers[x]
        return tuple((y.op.name, y.site and y.site[:3]) for y in consumers)

    @property
    def alike(self) -> Group:
        """Those that are used as the usual one is."""
        mine = self._uses(self.usual)
        return Group(tuple(x for x in self.members if self._uses(x) == mine), self.onward)

    @property
    def when(self) -> str:
        """When it was computed, in words."""
        turns = {x.site.turn for x in self.members if x.site}
        return "in every turn of the loop" if len(turns) > 1 else "every time"


@dataclass(frozen=True, eq=False)
class Trial:
    """A mistake made wherever a line ran.

    Attributes:
        text: what was done, in words that fit every time.
        mistake: as it is declared.
        group: where.
        gives: primal -> what follows there, for those that were given.

    """

    text: str
    mistake: Mistake
    group: Group
    gives: Mapping[Node, Any]


class Repeated:
    """Mistakes that are made wherever a line runs, and what follows from them."""

    def __init__(
        self, onward: Onward, own: Numbers, theirs: Mapping[Node, Any], wrong: Set[Node]
    ) -> None:
        self.onward, self.own, self.theirs, self.wrong = onward, own, theirs, wrong
        self._catalogues: dict[tuple[Node, str], dict[Key, tuple[int, Slip]]] = {}
        self._steps = 0

    @cached_property
    def groups(self) -> list[Group]:
        """Steps that were taken more than once, those nearest to the loss first."""
        found: dict[tuple[Any, ...], list[Node]] = {}
        count: Counter[tuple[Any, ...]] = Counter()
        for x in self.onward.forward:
            used = x in self.onward.of and bool(self.onward.of[x].terms)
            if used and not is_numbered(x.name):
                found.setdefault((timeless(x.name),), []).insert(0, x)
            if x.site is not None and x.inputs:
                line = x.site.file, x.site.line, x.site.function
                run = (*line, x.site.within)
                if used and is_numbered(x.name):
                    found.setdefault((*line, count[run], x.op.name), []).insert(0, x)
                count[run] += 1
        several = [
            Group(tuple(members), self.onward)
            for members in found.values()
            if len(members) > 1 and not all(x in self.theirs for x in members)
        ]
        alike = [group.alike for group in several]
        several += [group for group in alike if len(group.members) > 1]
        different = {group.members: group for group in several}
        return sorted(different.values(), key=lambda group: -group.members[0].born)

    def trials(self) -> Iterator[Trial]:
        """Every mistake at every group from which all the wrong δ are computed."""
        for group in self.groups:
            order = self.onward.order(group.members, self.theirs)
            if not self.wrong <= set(order):
                continue
            seen: set[bytes] = set()
            for mistake in sorted(MISTAKES.values(), key=lambda m: m.rank):
                for key, (_, slip) in self._catalogue(group.usual, mistake).items():
                    if slip.along is not None or self._is_seen(slip, group.usual, seen):
                        continue
                    self._steps += len(order)
                    gives = self._followed(group, order, mistake, key)
                    if gives is not None:
                        yield Trial(_timeless(slip, group.usual), mistake, group, gives)
                    if self._steps > MOST_STEPS:
                        return

    def _is_seen(self, slip: Slip, place: Node, seen: set[bytes]) -> bool:
        """Does it change nothing, or what another mistake changes in the same way?"""
        site = self._site(place, self.own)
        delta = slip.at(site)
        if delta is None or np.shape(delta) != place.shape:
            return True
        size = float(np.max(np.abs(site.right), initial=0.0)) or 1.0
        key = np.rint(np.asarray((delta - site.right) / size, dtype=float) * 1e9).tobytes()
        if key in seen:
            return True
        seen.add(key)
        return not np.any(np.abs(delta - site.right) > 1e-9 * size)

    def _followed(
        self, group: Group, order: list[Node], mistake: Mistake, key: Key
    ) -> dict[Node, Any] | None:
        known, found, members = dict(self.own), {}, set(group.members)
        for primal in order:
            node = self.onward.of[primal].node
            if primal in members:
                numbers = self._made(self._site(primal, known), mistake, key)
                if np.shape(numbers) != primal.shape:
                    return None
            else:
                numbers = self.onward.compute(node, known)
            if primal in self.theirs:
                found[primal] = np.asarray(numbers)
            else:
                known[node] = numbers
        return found

    def _made(self, site: Site, mistake: Mistake, key: Key) -> Any:
        """The δ of a step at which a mistake is made, or the right one where it cannot be."""
        entry = self._catalogue(site.primal, mistake).get(key)
        if entry is None:
            return site.right
        index, slip = entry
        if not callable(slip.delta):
            slip = next(islice(mistake.slips(site), index, None), slip)
        return slip.at(site)

    def _catalogue(self, place: Node, mistake: Mistake) -> dict[Key, tuple[int, Slip]]:
        """A mistake's slips at a step, so that those of another turn of the loop are found."""
        if (place, mistake.name) not in self._catalogues:
            count: Counter[str] = Counter()
            found: dict[Key, tuple[int, Slip]] = {}
            for index, slip in enumerate(mistake.slips(self._site(place, self.own))):
                text = _timeless(slip, place)
                found[text, count[text]] = index, slip
                count[text] += 1
            self._catalogues[place, mistake.name] = found
        return self._catalogues[place, mistake.name]

    def _site(self, place: Node, known: Numbers) -> Site:
        right = self.onward.compute(self.onward.of[place].node, known)
        return Site(self.onward, known, place, np.asarray(right), self.theirs)


def _timeless(slip: Slip, place: Node) -> str:
    return timeless(slip.said, turn_of(place))


def turn_of(place: Node) -> str:
    """In which turn of a loop it was computed: ``k = 2``."""
    return place.site.turn if place.site else ""
