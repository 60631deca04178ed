"""At a kink or a tie a gradient is a choice: is a given one among the choices that there are?

What may be chosen is found without a list of functions. The value is moved by very little, one
element at a time, so that ties break and kinks are left to either side; δ computed there are the
corners of the subdifferential (Clarke 1983, Theorem 2.5.1: the convex hull of the limits of
gradients). A gradient is a convention if it is a mixture of corners, and wrong if it is not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from allbps.backward import Backward
from allbps.ir import CONST, INPUT, Node
from allbps.ops.pool import max_pool2d_op, pool_windows
from allbps.verify.onward import Onward
from allbps.verify.precision import SIGMAS, Precision

STEP = 1e-7
"""How far a value is moved, in parts of its size."""
TURNS = 1e-4
"""A δ that changes by more than this part of its size has crossed a kink."""
MOST = 300
"""Elements that are moved one by one."""
SAMPLES = 32
"""Directions in which all elements are moved at once."""


def convention(
    onward: Onward,
    backward: Backward,
    own: Mapping[Node, Any],
    primal: Node,
    given: Collection[Node],
    precision: Precision,
) -> str:
    """What to say of a δ that is right by another convention at a kink; empty if it is not."""
    theirs = precision.theirs
    if theirs.shape != primal.shape or not np.all(np.isfinite(theirs)):
        return ""
    block = _Block(onward, backward, own, primal, set(given) - {primal})
    here = block.delta(block.x)
    off = theirs - here
    odd = np.argwhere(~_near(off, here, precision))
    if not block.turns(here):
        return ""
    allowed = _allowed(here, precision)
    # moving one element, and moving all at once where elements do not meet
    if block.one_by_one:
        up, down = (block.delta(block.moved(s)) - here for s in (1.0, -1.0))
        low, high = np.minimum(0, np.minimum(up, down)), np.maximum(0, np.maximum(up, down))
        legal = bool(np.all(off >= low - allowed) and np.all(off <= high + allowed))
    elif len(odd) <= MOST:
        legal = _mixture(block.choices(here, odd), off, allowed)
    else:
        return ""
    if not legal:
        return ""
    return f"by a convention different from ours at {block.kink(odd)}; any choice there is right"


def _near(off: Any, right: Any, precision: Precision) -> Any:
    return np.abs(off) <= _allowed(right, precision)


def _allowed(right: Any, precision: Precision) -> Any:
    sizes = (np.max(np.abs(x), initial=0.0) for x in (right, precision.theirs))
    exact = 1e-6 * max(map(float, sizes))
    rounded = 0.5 * precision.unit * (1 + 1e-6) + SIGMAS * precision.noise
    rounded = rounded if precision.believed else 0.0
    return np.maximum(exact, rounded)


class _Block:
    """What lies between a value and the given δ nearer to the loss, computed again elsewhere."""

    def __init__(
        self,
        onward: Onward,
        backward: Backward,
        own: Mapping[Node, Any],
        primal: Node,
        stops: Collection[Node],
    ) -> None:
        self.onward, self.own, self.primal = onward, own, primal
        self.x = np.asarray(own[primal], dtype=np.float64)
        self.size = np.where(self.x == 0, 1.0, np.abs(self.x))
        upstream, pending = {primal}, [primal]
        while pending:
            for consumer in onward.consumers[pending.pop()]:
                if consumer not in upstream:
                    upstream.add(consumer)
                    if consumer not in stops:
                        pending.append(consumer)
        self.deltas = [onward.of[x] for x in sorted(upstream - set(stops), key=lambda x: -x.born)]
        reached = {primal}
        self.forward = []
        for node in backward.traced.graph.nodes:
            if node.op not in (CONST, INPUT) and any(i in reached for i in node.inputs):
                reached.add(node)
                if node is not primal:
                    self.forward.append(node)
        self.uses = onward.consumers[primal]

    def delta(self, x: Any) -> Any:
        """δ of the value if it were ``x``, from the given δ as they are."""
        known = self._elsewhere(x)
        for delta in self.deltas:
            if delta.terms:
                known[delta.node] = self.onward.compute(delta.node, known)
        return np.asarray(known[self.onward.of[self.primal].node], dtype=np.float64)

    def _elsewhere(self, x: Any) -> dict[Node, Any]:
        known = dict(self.own)
        known[self.primal] = np.asarray(x)[()]
        for node in self.forward:
            operands = [i.value if i.op is CONST else known[i] for i in node.inputs]
            known[node] = node.op.run(operands, node.attrs)
        return known

    def moved(self, by: Any) -> Any:
        """The value moved by so many small steps."""
        return self.x + STEP * self.size * by

    def turns(self, here: Any) -> bool:
        """Is there a kink in some direction? Else the δ is what it is."""
        rng = np.random.default_rng(0)
        size = float(np.max(np.abs(here), initial=0.0)) or 1.0
        for _ in range(6):
            there = self.delta(self.moved(rng.choice([-1.0, 1.0], self.x.shape)
                                          * rng.uniform(0.5, 1, self.x.shape)))  # fmt: skip
            if np.any(np.abs(there - here) > TURNS * size):
                return True
        return False

    @property
    def one_by_one(self) -> bool:
        """Does each element of the value meet no other on the way?"""
        single = [c for c in self.uses if c.shape == self.primal.shape]
        return (
            len(self.deltas) <= 2
            and len(single) == len(self.uses)
            and all(_elementwise(c) for c in single)
        )

    def choices(self, here: Any, odd: Any) -> list[list[Any]]:
        """What a choice at each kink adds to δ: the corners, excluding ones together.

        Every window of a pool chooses for itself. Otherwise each odd element is moved alone, up
        and down, and all of them at random; corners that change no common element are independent.
        """
        if len(self.uses) == 1 and self.uses[0].op is max_pool2d_op and len(self.deltas) <= 2:
            return list(self._windows(self.uses[0]))
        rng = np.random.default_rng(1)
        moves = [rng.choice([-1.0, 1.0], self.x.shape) for _ in range(SAMPLES)]
        for index in map(tuple, odd):
            for sign in (1.0, -1.0):
                moves.append(np.zeros(self.x.shape))
                moves[-1][index] = sign
        corners = [self.delta(self.moved(by)) - here for by in moves]
        size = max(float(np.max(np.abs(c), initial=0.0)) for c in corners)
        return _groups([c for c in corners if np.any(np.abs(c) > TURNS * size)], TURNS * size)

    def _windows(self, pool: Node) -> Iterator[list[Any]]:
        """For each tied window, what changes when another of its winners takes the δ."""
        attrs = {k: pool.attrs[k] for k in ("kernel", "stride", "padding", "dilation")}
        numbered = np.arange(self.x.size).reshape(self.x.shape)
        places = pool_windows(numbered, **attrs, fill=-1)
        values = pool_windows(self.x, **attrs)
        g = np.asarray(self.own[self.onward.of[pool].node])
        for index in np.ndindex(g.shape):
            cells, numbers = places[index].ravel(), values[index].ravel()
            winners = cells[numbers == np.max(numbers)]
            if len(winners) > 1 and g[index] != 0:
                yield [
                    g[index] * ((numbered == other) * 1.0 - (numbered == winners[0]))
                    for other in winners[1:]
                ]

    def kink(self, odd: Any) -> str:
        """Where the kink is, in words."""
        name = self.primal.name
        index = ", ".join(map(str, odd[0])) if len(odd) else ""
        return f"a kink or tie ({name}[{index}])" if index else f"a kink or tie ({name})"


def _elementwise(node: Node) -> bool:
    shapes = {x.shape for x in node.inputs}
    return shapes <= {node.shape, ()} and node.op.shape.__name__ in (
        "elementwise", "elementwise_float", "same",
    )  # fmt: skip


def _mixture(groups: list[list[Any]], off: Any, allowed: Any) -> bool:
    """Is ``off`` a sum of corners, with shares that add up to at most 1 in each group?"""
    from scipy.optimize import linprog

    if not groups:
        return False
    size = max(float(np.max(np.abs(off), initial=0.0)), 1e-300)
    corners = np.array([np.ravel(c) for group in groups for c in group]).T / size
    shares = np.zeros((len(groups), corners.shape[1]))
    column = 0
    for k, group in enumerate(groups):
        shares[k, column : column + len(group)] = 1.0
        column += len(group)
    b, slack = np.ravel(off) / size, np.broadcast_to(np.ravel(allowed) / size, corners.shape[:1])
    found = linprog(
        np.zeros(corners.shape[1]),
        A_ub=np.vstack([corners, -corners, shares]),
        b_ub=np.concatenate([b + slack, -b + slack, np.ones(len(groups))]),
        bounds=(0, 1),
        method="highs",
    )
    return bool(found.status == 0)


def _groups(corners: list[Any], least: float) -> list[list[Any]]:
    """Corners that change a common element stand together, transitively."""
    groups: list[tuple[Any, list[Any]]] = []
    for corner in corners:
        touched, members = np.abs(corner) > least, [corner]
        apart = []
        for rows, others in groups:
            if np.any(rows & touched):
                touched, members = touched | rows, [*others, *members]
            else:
                apart.append((rows, others))
        groups = [*apart, (touched, members)]
    return [members for _, members in groups]
