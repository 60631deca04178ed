"""How a mistake is declared, and the place where one may have been made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from allbps.backprop import Delta, Term
from allbps.ir import CONST, Node
from allbps.names import is_numbered
from allbps.verify.onward import Numbers, Onward, Otherwise


@dataclass(frozen=True)
class Slip:
    """One mistake at one place, with the δ that comes of it.

    Attributes:
        text: what was done, for a student; a function where that takes long to write out.
        delta: the δ that comes of it; None where the mistake cannot be made, shapes would not fit.
            Or a function of the site, for other numbers at the same place.
        along: where a number is not known, such as a learning rate: δ is ``delta + c · along``,
            and ``{c}`` in the text becomes the number that fits best.

    """

    text: str | Callable[[], str]
    delta: Any
    along: Any = None

    @property
    def said(self) -> str:
        """What was done, for a student."""
        return self.text() if callable(self.text) else self.text

    def at(self, site: Site) -> Any:
        """The δ that comes of it with the numbers of a site."""
        delta = self.delta(site) if callable(self.delta) else self.delta
        return delta * 1.0 if np.asarray(delta).dtype == bool else delta  # a mask by itself


@dataclass(frozen=True)
class Mistake:
    """A mistake that people make.

    Attributes:
        name: in a word or two, unique.
        doc: what goes wrong, in a sentence for a student.
        slips: what would have come of it at a place; nothing where it cannot be made.
        rank: how special it is; of mistakes that give the same numbers the lower rank is named
            first.

    """

    name: str
    doc: str
    slips: Callable[[Site], Iterator[Slip]]
    rank: int


Delayed = Callable[["Site"], Any]
"""What is computed with the numbers of a site."""
MOST_STRAIGHT = 6
"""Steps towards the loss that are looked at one by one."""
WHOLE = -1
"""In place of the number of a use: the whole δ, all the way from what has a name."""

MISTAKES: dict[str, Mistake] = {}
"""Every declared mistake by name."""

Slips = Callable[["Site"], Iterator[Slip]]


def mistake(name: str, doc: str, rank: int = 5) -> Callable[[Slips], Slips]:
    """Declare a mistake by the function that makes it."""

    def declare(slips: Slips) -> Slips:
        if name in MISTAKES:
            raise ValueError(f"the mistake {name!r} is declared twice")
        MISTAKES[name] = Mistake(name, doc, slips, rank)
        return slips

    return declare


@dataclass(frozen=True, eq=False)
class Site:
    """A step of a backward pass: δ of one primal, and what it is computed from.

    Attributes:
        onward: the backward pass.
        known: every value, and every δ with the person's own where they gave one.
        primal: whose δ it is.
        right: the δ that follows from those.
        stops: the primals whose δ was given.

    """

    onward: Onward
    known: Numbers
    primal: Node
    right: Any
    stops: Mapping[Node, Any]

    @property
    def delta(self) -> Delta:
        """The step."""
        return self.onward.of[self.primal]

    @property
    def terms(self) -> tuple[Term, ...]:
        """What each use of the primal contributes."""
        return self.delta.terms

    @property
    def x(self) -> Any:
        """The value whose δ it is."""
        return np.asarray(self.known[self.primal])

    def value(self, node: Node) -> Any:
        """The number of a value or of a constant."""
        return np.asarray(node.value if node.op is CONST else self.known[node])

    def upstream(self, primal: Node) -> Any:
        """δ of a value nearer to the loss."""
        return np.asarray(self.known[self.onward.of[primal].node])

    @cached_property
    def parts(self) -> list[Any]:
        """The contribution of each use."""
        return [np.asarray(self.onward.compute(term.node, self.known)) for term in self.terms]

    def with_part(self, k: int, part: Any) -> Any:
        """The δ if use ``k`` contributed ``part``; None where shapes do not fit."""
        if k == WHOLE or len(self.terms) == 1:
            return part
        if part is None or np.shape(part) != self.primal.shape:
            return None
        return sum(part if j == k else other for j, other in enumerate(self.parts))

    @property
    def formulas(self) -> list[int]:
        """Numbers of the uses, and ``WHOLE`` where more was computed in between."""
        uses = range(len(self.terms))
        return [*uses, WHOLE] if self.is_long else [*uses]

    @property
    def is_long(self) -> bool:
        """Does the person's line hold steps without a name, on the way to this δ?"""
        return not is_numbered(self.primal.name) and self._whole != self._inner

    @property
    def _inner(self) -> list[Node]:
        return self.onward.plan(self.delta.node)

    @property
    def _whole(self) -> list[Node]:
        return self.onward.plan(self.delta.node, named=True)

    def rewritten(self, k: int, otherwise: Otherwise) -> Delayed:
        """The δ if some steps of the expression of use ``k`` were done otherwise."""
        return lambda site: site.with_part(k, site.part(k, site.known, otherwise))

    def replaced(self, k: int, others: Mapping[Node, Delayed]) -> Delayed:
        """The δ if use ``k`` were computed from other numbers in place of some."""

        def delta(site: Site) -> Any:
            instead = {leaf: other(site) for leaf, other in others.items()}
            return site.with_part(k, site.part(k, {**site.known, **instead}))

        return delta

    def part(self, k: int, known: Mapping[Node, Any], otherwise: Otherwise | None = None) -> Any:
        """The contribution of use ``k``, or None where shapes would not fit."""
        node = self.delta.node if k == WHOLE else self.terms[k].node
        return attempt(self.onward.compute, node, known, otherwise, k == WHOLE)

    def expression(self, k: int) -> list[Node]:
        """The steps of the expression of use ``k``, oldest first."""
        plan = self._whole if k == WHOLE else self.onward.plan(self.terms[k].node)
        return [x for x in plan if x.inputs]

    def leaves(self, k: int) -> list[Node]:
        """Forward values and upstream δ that the expression of a use starts from."""
        steps = self.expression(k)
        inner = set(steps)
        operands = dict.fromkeys(i for x in steps for i in x.inputs)
        return [i for i in operands if i not in inner and i.op is not CONST]

    @cached_property
    def deltas(self) -> Mapping[Node, Node]:
        """Node of a δ -> its primal."""
        return self.onward.primals

    @cached_property
    def gates(self) -> list[Node]:
        """Values nearer to the loss through which every way to it leads, nearest first."""
        return list(self.onward.gates(self.primal, self.stops))

    @cached_property
    def alike(self) -> list[Node]:
        """Those of the gates that have the shape of the primal."""
        return [y for y in self.gates if y.shape == self.primal.shape]

    def straight(self, y: Node) -> Iterator[Node]:
        """A use, and what it leads to without a branch, up to what was given."""
        for _ in range(MOST_STRAIGHT):
            yield y
            onward = self.onward.consumers[y]
            if y in self.stops or len(onward) != 1:
                return
            (y,) = onward

    def pulled(self, y: Node, g: Any) -> Any:
        """δ if the δ of a gate were ``g``."""
        return attempt(self.onward.pulled, self.known, y, g, self.primal)


def attempt(compute: Callable[..., Any], *arguments: Any) -> Any:
    """The numbers, or None: this mistake cannot be made here, shapes would not fit."""
    try:
        return compute(*arguments)
    except (ValueError, IndexError, TypeError, np.linalg.LinAlgError):
        return None
