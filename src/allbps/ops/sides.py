"""The other slope at a kink: what rules would say if they decided ties the other way round.

At a kink a rule takes one of the slopes that there are (``ReLU′(0) = 0``), which is a gradient as
good as any. The derivative of such a gradient may depend on the choice, and then it is no
derivative at all. It is found out by choosing otherwise: a comparison with a tie, a sign of 0, or
one winner of several in the terms that a rule builds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from allbps.ir import Node, Op, ancestors
from allbps.ops.comparison import greater, greater_equal, less, less_equal, where
from allbps.ops.function import sign
from allbps.ops.reduce import max_, min_, sum_, winner


@dataclass
class Sides:
    """What backward passes decide at kinks.

    Attributes:
        turned: of the uses of operations that met a tie, in order, those are decided the other way
            round whose number leaves 0 when it is divided by this; none where it is 0.
        met: use of an operation that met a tie -> its number.

    """

    turned: int
    met: dict[Node, int] = field(default_factory=dict)

    def __str__(self) -> str:
        seen = ((node.op.name, node.site) for node in self.met)
        return "; ".join(
            f"{name} at {site}" if site else name for name, site in dict.fromkeys(seen)
        )

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
