"""Kinks that derivatives of derivatives meet, and the other slope there.

At a kink a rule takes one of the slopes that there are (``ReLU′(0) = 0``), which is a gradient as
good as any. The derivative of such a gradient may depend on the choice, and then it is no
derivative at all. It is found out by choosing otherwise: a comparison with a tie, a sign of 0, or
one winner of several in the terms that a rule builds. Whatever else decides, in the user's own
lines too, is unsteady: a step whose value changes when its operands do by a little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np

from allbps.ir import Node, Op, Zero, ancestors, placed_at
from allbps.ir.traces import depth_here
from allbps.ops.comparison import (
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    logical_or,
    not_equal,
    where,
)
from allbps.ops.function import ceil, floor, sign, trunc
from allbps.ops.questions import any_of
from allbps.ops.reduce import max_, min_, sum_, winner


class KinkWarning(UserWarning):
    """A derivative of a derivative depends on which slope is taken at a kink: there it is NaN."""


@dataclass
class Sides:
    """What backward passes decide at kinks.

    Attributes:
        turned: of the uses of operations that met a tie, in order, those are decided the other way
            round whose number leaves 0 when it is divided by this; none where it is 0.
        depth: of the traces in which first derivatives are taken.
        is_nested: has one been taken inside of another? Without that nothing is watched.
        met: use of an operation that met a tie -> its number.
        unsteady: steps of whatever was differentiated that decide a tie.
        largest: of all numbers there, where a tie was met: what rounding is measured by.

    """

    turned: int
    depth: int = field(default_factory=lambda: depth_here() + 1)
    is_nested: bool = False
    met: dict[Node, int] = field(default_factory=dict)
    unsteady: list[Node] = field(default_factory=list)
    largest: float = 0.0

    def __str__(self) -> str:
        seen = ((node.op.name, node.site) for node in [*self.met, *self.unsteady])
        return "; ".join(
            f"{name} at {site}" if site else name for name, site in dict.fromkeys(seen)
        )

    def begin(self) -> None:
        """A derivative is taken here."""
        self.is_nested |= depth_here() > self.depth

    def look(self, nodes: Iterable[Node]) -> None:
        """Look for unsteady steps on the way to what was differentiated, once it is complete."""
        if self.is_nested and depth_here() <= self.depth:
            seen = list(ancestors(nodes))
            self.unsteady += [node for node in seen if _is_step(node) and _is_unsteady(node)]
            if self.met or self.unsteady:
                self.largest = max([self.largest, *map(_largest, seen)])

    def of(self, term: Node, since: int, consumer: Node) -> Node:
        """The term that a rule built for a consumer, all of it born later than ``since``."""
        built = ancestors([term], not_before=since)
        tied = {node for node in built if node.op in _TIES and _is_tied(node)}
        number = self.met.setdefault(consumer, len(self.met)) if tied else 0
        if not tied or not self.turned or number % self.turned:
            return term
        new: dict[Node, Node] = {}
        for node in built:
            inputs = [new.get(x, x) for x in node.inputs]
            op = _TIES[node.op] if node in tied else node.op
            new[node] = op(*inputs, **node.attrs) if inputs else node
        return new[term]


_here: ContextVar[Sides | None] = ContextVar("allbps_sides", default=None)


def sides_here() -> Sides | None:
    """Who watches ties, if anybody does."""
    return _here.get()


@contextmanager
def watching(turned: int = 0) -> Iterator[Sides]:
    """Watch the backward passes inside."""
    sides = Sides(turned)
    token = _here.set(sides)
    try:
        yield sides
    finally:
        _here.reset(token)


@contextmanager
def twice_deep() -> Iterator[None]:
    """First derivatives inside are taken in two traces, one in the other."""
    sides = _here.get()
    if sides is not None:
        sides.depth += 1
    try:
        yield
    finally:
        if sides is not None:
            sides.depth -= 1


class Steps(Sides):
    """Gathers, while a function is traced, the steps that decide in derivatives of derivatives.

    Nothing is decided otherwise here: whoever runs the graph on other numbers has to know whether
    they meet a tie.
    """

    def __init__(self) -> None:
        super().__init__(0)
        self._steps: dict[Node, None] = {}

    def of(self, term: Node, since: int, consumer: Node) -> Node:
        """The term as it is."""
        return term

    def look(self, nodes: Iterable[Node]) -> None:
        """Keep the steps on the way to these nodes."""
        self._steps.update(dict.fromkeys(filter(_is_step, ancestors(nodes))))

    def tied(self) -> Node | None:
        """Does any of them decide a tie? A node of shape (); None where none may."""
        ties = []
        for step in self._steps:
            with placed_at(step.site):
                tie = _tie(step)
            ties += [tie] if tie is not None else []
        return reduce(logical_or, ties) if ties else None


@contextmanager
def gathering() -> Iterator[Steps]:
    """Gather the steps of the derivatives that are taken inside, in a trace."""
    steps = Steps()
    token = _here.set(steps)
    try:
        yield steps
    finally:
        _here.reset(token)


def _tie(step: Node) -> Node | None:
    """Does a step decide a tie? None for those of which that is not asked."""
    if any(x.is_complex for x in step.inputs):
        return None
    first = step.inputs[0]
    if step.op is winner:
        tied = _all_winners(first, **step.attrs) > 1
    elif step.op in (floor, ceil, trunc):
        tied = first == floor(first)
    elif step.op is sign:
        tied = first == 0
    elif step.op in (greater, greater_equal, less, less_equal, equal, not_equal):
        tied = first == step.inputs[1]
    else:
        return None
    return any_of(tied)


def _largest(node: Node) -> float:
    sizes = np.abs(node.value) if node.is_float and node.value is not None else np.zeros(0)
    return float(np.max(sizes[np.isfinite(sizes)], initial=0.0))


def _is_step(node: Node) -> bool:
    """Does it decide something by numbers that an argument moves?"""
    return any(x.traces and x.is_float and x.has_value for x in node.inputs) and all(
        isinstance(rule, Zero) for rule in node.op.rules
    )


def _is_unsteady(node: Node) -> bool:
    """Is its value another where its operands are moved apart by a little, in any order?"""
    values = [np.asarray(x.value) for x in node.inputs]
    was = np.asarray(node.value)
    for way in (1.0, -1.0):
        moved = [
            _ramped(x, way * (-1) ** k) if x.dtype.kind == "f" else x for k, x in enumerate(values)
        ]
        now = np.asarray(node.op.run(moved, node.attrs))
        if now.shape != was.shape:
            return True
        if was.dtype.kind != "f":
            changed = now != was
        else:  # what follows its operand evenly, as detach does, is no step
            changed = np.abs(now - was) > 1e-3 * np.minimum(np.abs(now) + np.abs(was), 1.0)
        if np.any(changed):
            return True
    return False


def _ramped(x: Any, way: float) -> Any:
    """Moved by more from element to element, so that those which were equal are not."""
    ramp = np.arange(1, x.size + 1).reshape(x.shape) / x.size
    finite = np.abs(x[np.isfinite(x)])
    by = np.finfo(x.dtype).eps ** 0.6 * (np.max(finite, initial=0.0) or 1.0)
    return (x + way * by * ramp).astype(x.dtype)


def _is_tied(node: Node) -> bool:
    if any(x.value is None or x.is_complex for x in node.inputs):
        return False
    if node.op is sign:
        return bool(np.any(node.inputs[0].value == 0))
    if node.op is winner:
        return bool(np.any(_all_winners(node.inputs[0], **node.attrs).value > 1))
    a, b = node.inputs
    return bool(np.any(a.value == b.value))


def _extreme(x: Node, axis: Any, largest: bool) -> Node:
    return (max_ if largest else min_)(x, axis=axis, keepdims=True)


def _all_winners(x: Node, axis: Any, largest: bool) -> Node:
    """How many share the first place."""
    shared = where(x == _extreme(x, axis, largest), 1.0, 0.0)
    return sum_(shared, axis=axis, keepdims=True)


def _later_winners(x: Node, axis: Any, largest: bool) -> Node:
    """All but the first, in equal shares, where there are several."""
    first = winner(x, axis=axis, largest=largest)
    count = _all_winners(x, axis, largest)
    later = where(x == _extreme(x, axis, largest), 1.0, 0.0) - first
    return where(count > 1, later / where(count > 1, count - 1.0, 1.0), first)


def _upper_sign(x: Node) -> Node:
    return where(x == 0, 1.0, sign(x))


_TIES: dict[Op, Callable[..., Node]] = {
    greater: greater_equal,
    greater_equal: greater,
    less: less_equal,
    less_equal: less,
    sign: _upper_sign,
    winner: _later_winners,
}
"""Operation that may decide a tie -> the same with the other decision."""
