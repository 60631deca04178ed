"""How a mistake is declared, and the place where one may have been made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from allbps.backprop import Delta, Term
from allbps.ir import CONST, Node
from allbps.verify.onward import Numbers, Onward, Otherwise


@dataclass(frozen=True)
class Slip:
    """One mistake at one place, with the δ that comes of it.

    Attributes:
        text: what was done, for a student.
        delta: the δ that comes of it; None where the mistake cannot be made, shapes would not fit.
        along: where a number is not known, such as a learning rate: δ is ``delta + c · along``,
            and ``{c}`` in the text becomes the number that fits best.

    """

    text: str
    delta: Any
    along: Any = None


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
        if len(self.terms) == 1:
            return part
        if part is None or np.shape(part) != self.primal.shape:
            return None
        return sum(part if j == k else other for j, other in enumerate(self.parts))

    def rewritten(self, k: int, otherwise: Otherwise) -> Any:
        """The δ if some steps of the expression of use ``k`` were done otherwise."""
        return self.with_part(
            k, attempt(self.onward.compute, self.terms[k].node, self.known, otherwise)
        )

    def expression(self, k: int) -> list[Node]:
        """The steps of the expression of use ``k``, oldest first."""
        return [x for x in self.onward.plan(self.terms[k].node) if x.inputs]

    @cached_property
    def gates(self) -> list[Node]:
        """Values nearer to the loss through which every way to it leads, nearest first."""
        return list(self.onward.gates(self.primal, self.stops))

    @cached_property
    def alike(self) -> list[Node]:
        """Those of the gates that have the shape of the primal."""
        return [y for y in self.gates if y.shape == self.primal.shape]

    def pulled(self, y: Node, g: Any) -> Any:
        """δ if the δ of a gate were ``g``."""
        return attempt(self.onward.pulled, self.known, y, g, self.primal)


def attempt(compute: Callable[..., Any], *arguments: Any) -> Any:
    """The numbers, or None: this mistake cannot be made here, shapes would not fit."""
    try:
        return compute(*arguments)
    except (ValueError, IndexError, TypeError, np.linalg.LinAlgError):
        return None
