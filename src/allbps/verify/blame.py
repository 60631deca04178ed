"""Which edge of a hand-written backward pass is wrong, and which simple mistake explains it.

Each given δ is compared with the right one, and with what follows from the person's own δ nearer
to the loss. The first that does not even follow is to blame; later ones may be consequences.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from allbps.backprop import Delta
from allbps.backward import Backward
from allbps.readings.source import emit
from allbps.verify.edges import edges_of
from allbps.verify.evidence import bound_of
from allbps.verify.finding import Index, place
from allbps.verify.mistakes import Attempt, mistakes_that_fit

MOST_DECIMALS = 7


class State(StrEnum):
    """What is to say of a gradient that was handed in."""

    RIGHT = "right"
    WRONG = "wrong"
    FOLLOWS = "follows from a mistake nearer to the loss"


@dataclass(frozen=True)
class Mark:
    """The mark for one gradient.

    Attributes:
        node: the primal.
        state: right, wrong, or a consequence.
        edges: the uses that the δ comes through: ``d_relu, from Z3 = np.maximum(Z2, 0)``.
        mistakes: every simple mistake that gives these numbers.
        index, theirs, expected: the worst element, the number given and the number that follows
            from the δ given nearer to the loss.
        note: about shape or digits.
        where: the user's line.

    """

    node: str
    state: State
    edges: tuple[str, ...] = ()
    mistakes: tuple[str, ...] = ()
    index: Index | None = None
    theirs: float | None = None
    expected: float | None = None
    note: str = ""
    where: str = ""

    def __bool__(self) -> bool:
        return self.state is State.RIGHT

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers."""
        return {key: _plain(value) for key, value in vars(self).items()}

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        note = f" ({self.note})" if self.note else ""
        yield f"given δ{self.node}: {self.state}{note}"
        if self.state is not State.WRONG:
            return
        if self.expected is not None:
            at = place(f"δ{self.node}", self.index)
            yield f"  {at} is {self.theirs:.9g}, and should be {self.expected:.9g}"
        yield from (f"  comes through {edge}" for edge in self.edges)
        yield from (f"  fits: {text}" for text in self.mistakes)
        if self.where:
            yield f"  at {self.where}"


def _plain(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def marks(
    backward: Backward, values: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[Mark, ...]:
    """Mark gradients, nearest to the loss first.

    Args:
        backward: the right backward pass.
        values: its numbers.
        given: primal's name -> the gradient to be marked.

    """
    own = _followed(backward, values, given)
    deltas = {delta.primal.name: delta for delta in backward.steps}
    found = [
        _mark(delta, np.asarray(given[name]), values, own)
        for name, delta in deltas.items()
        if name in given
    ]
    unreached = [name for name in given if name not in deltas]
    return (*found, *(_unreached(name, given[name]) for name in unreached))


def _unreached(name: str, theirs: Any) -> Mark:
    state = State.WRONG if np.any(theirs) else State.RIGHT
    return Mark(name, state, note="the result does not depend on it: its gradient is 0")


def _followed(
    backward: Backward, values: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """What follows, step by step, from the δ given so far, by name.

    After each step a given δ takes the place of the computed one, which is kept as ``dX?``.
    """
    program = emit(backward)
    scope = program.scope(values)
    for line in program.backward:
        exec(line.code, scope)
        name = line.node.name
        if name[1:] in given and name in values:
            scope[f"{name}?"] = scope[name]
            if np.shape(given[name[1:]]) == np.shape(scope[name]):
                scope[name] = given[name[1:]]
    return scope


def _mark(delta: Delta, theirs: Any, values: Mapping[str, Any], own: Mapping[str, Any]) -> Mark:
    name = delta.primal.name
    true = np.asarray(values[delta.node.name])
    follows = np.asarray(own.get(f"{delta.node.name}?", true))
    allowed, note = tolerance(theirs, follows)
    edges = edges_of(delta)
    where = str(delta.primal.site or "")

    def fits(numbers: Any) -> bool:
        return np.shape(numbers) == theirs.shape and bool(
            np.all(np.abs(theirs - numbers) <= allowed)
        )

    if fits(true):
        return Mark(name, State.RIGHT, edges, note=note, where=where)
    if fits(follows):
        return Mark(name, State.FOLLOWS, edges, note=note, where=where)
    mistakes = mistakes_that_fit(Attempt(delta, own, follows), fits) if delta.terms else ()
    if theirs.shape != true.shape:
        note = f"its shape is {theirs.shape}, and {name} has shape {true.shape}"
        return Mark(name, State.WRONG, edges, mistakes, note=note, where=where)
    off = np.abs(theirs - follows)
    worst = tuple(int(k) for k in np.unravel_index(int(np.argmax(off)), off.shape))
    return Mark(
        name, State.WRONG, edges, mistakes, worst, float(theirs[worst]), float(follows[worst]),
        note, where,
    )  # fmt: skip


def tolerance(theirs: Any, right: Any) -> tuple[float, str]:
    """How far given numbers may be off, and why.

    Half of the dtype's digits; or half of the last digit where all of them are rounded to a few
    decimals (two at least).

    >>> tolerance(np.array([0.25, -1.333]), np.array([0.25, -1.3333]))[1]
    'read as rounded to 3 decimals'
    """
    theirs = np.asarray(theirs)
    dtype = theirs.dtype if theirs.dtype.kind == "f" else np.dtype(np.float64)
    size = float(np.max(np.abs(right), initial=0.0))
    allowed = bound_of(dtype) * (size or 1.0)
    for decimals in range(2, MOST_DECIMALS + 1):
        if np.array_equal(np.round(theirs, decimals), theirs):
            half = 0.5 * 10.0**-decimals * (1 + 2e-7)
            exact = np.shape(right) == theirs.shape and np.all(np.abs(theirs - right) <= allowed)
            return (allowed, "") if exact else (half, f"read as rounded to {decimals} decimals")
    return allowed, ""
