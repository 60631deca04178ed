"""How much the numbers of a backward pass scatter when every step is a little off.

Tolerances for what a person rounded, or computed in single precision, are measured, not chosen:
the pass is run several times with such errors drawn at random.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from allbps.backward import Backward
from allbps.ir import CONST, INPUT, Node
from allbps.names import is_numbered
from allbps.verify.onward import Onward
from allbps.verify.precision import SIGMAS, Precision, last_place, to_unit

RUNS = 32
MOST_RUNS = 8 * RUNS
"""So many runs are made in search of those that end in finite numbers."""
JUMPS = 2.0
"""So many times the largest move is possible."""
STEP = 1e-9
"""The relative error that is tried for arithmetic."""
JUMP = 1e4
"""More than so many times the error is a kink that was crossed, and no scatter."""

Rounded = Callable[[Node, Any, Any], Any]
"""(step, its value, the unit of the last place) -> the value as it is written down."""


def of_arithmetic(backward: Backward, onward: Onward) -> dict[Node, Any]:
    """Primal -> how far its δ moves per relative error made at every step, forward and back."""
    rng = np.random.default_rng(0)

    def shaken(value: Any) -> Any:
        array = np.asarray(value)
        if array.dtype.kind != "f":
            return value
        return (array * (1 + STEP * rng.uniform(-1, 1, array.shape)))[()]

    def run() -> dict[Node, Any]:
        known: dict[Node, Any] = dict(onward.right)
        for x in backward.traced.graph.nodes:
            if x.op is INPUT:
                known[x] = shaken(known[x])
            elif x.op is not CONST:
                operands = [i.value if i.op is CONST else known[i] for i in x.inputs]
                known[x] = shaken(x.op.run(operands, x.attrs))
        return _back(onward, known, lambda primal, g: shaken(g))

    moves = _moves(onward, [run() for _ in range(RUNS)], onward.right)
    spread = {primal: size_of(moved) for primal, moved in moves.items()}
    most = most_of_arithmetic(onward)
    return {x: np.where(off > most[x] * STEP, 0.0, off) / STEP for x, off in spread.items()}


def most_of_arithmetic(onward: Onward) -> dict[Node, float]:
    """Primal -> more than ``of_arithmetic`` ever says: the rest is a kink."""
    return {x: JUMP * size if size else np.inf for x, size in _natural(onward).items()}


def _natural(onward: Onward) -> dict[Node, float]:
    """Primal -> how large its δ is, or would be if its terms did not cancel."""
    natural: dict[Node, float] = {}
    for delta in onward.deltas:
        own = [_largest(onward.right[delta.node])]
        for term in delta.terms:
            y = term.consumer
            per_unit = _largest(onward.right[y]) / (_largest(onward.right[delta.primal]) or 1.0)
            own.append(natural[y] * per_unit)
        natural[delta.primal] = max(own)
    return natural


def _largest(numbers: Any) -> float:
    size = np.abs(numbers).astype(np.float64)
    return float(np.max(size, initial=0.0, where=np.isfinite(size)))


def of_rounding(
    onward: Onward,
    own: Mapping[Node, Any],
    units: Mapping[Node, Any],
    unit: Any,
    *,
    from_own: bool,
) -> dict[Node, Any]:
    """Primal -> how far its δ moves where every δ on the way to it is rounded."""
    moves = moves_of_rounding(onward, own, units, unit, from_own=from_own)
    return {primal: size_of(moved) for primal, moved in moves.items()}


def moves_of_rounding(
    onward: Onward,
    own: Mapping[Node, Any],
    units: Mapping[Node, Any],
    unit: Any,
    *,
    from_own: bool,
) -> dict[Node, Any]:
    """Primal -> by how much its δ moves in each of several runs in which δ are rounded.

    Args:
        onward: the backward pass.
        own: every number, with the person's own δ in place of ours.
        units: given primal -> the last place its numbers were rounded to.
        unit: the last place of what lies between.
        from_own: does a step start from the δ that were given, where some were?

    """
    rng = np.random.default_rng(0)
    base = own if from_own else onward.right

    def run() -> dict[Node, Any]:
        before: dict[Node, Any] = {d.primal: base[d.node] for d in onward.deltas}

        def rounded(primal: Node, g: Any) -> Any:
            before[primal] = g
            if from_own and primal in units:
                g = base[onward.of[primal].node]
            elif is_numbered(primal.name):
                return g  # a step inside a line of the person's
            return g + units.get(primal, unit) * rng.uniform(-0.5, 0.5, np.shape(g))

        _back(onward, dict(base), rounded)
        return before

    numbers = {d.node: base[d.node] for d in onward.deltas}
    if from_own:  # what follows, rather than what was given
        numbers |= {
            onward.of[x].node: onward.compute(onward.of[x].node, base) for x in units
        }  # fmt: skip
    return _moves(onward, [run() for _ in range(RUNS)], numbers)


def _back(
    onward: Onward, known: dict[Node, Any], then: Callable[[Node, Any], Any]
) -> dict[Node, Any]:
    """All δ, each changed by ``then`` before the next is computed from it."""
    found = {}
    for delta in onward.deltas:
        g = onward.compute(delta.node, known) if delta.terms else known[delta.node]
        found[delta.primal] = known[delta.node] = then(delta.primal, g) if delta.terms else g
    return found


def _moves(
    onward: Onward, runs: Collection[Mapping[Node, Any]], numbers: Mapping[Node, Any]
) -> dict[Node, Any]:
    """By how much runs differ from ``numbers``: (runs, *shape) for each primal."""
    return {
        primal: np.stack([np.asarray(run[primal]) - numbers[delta.node] for run in runs])
        for primal, delta in onward.of.items()
    }


def size_of(moved: Any) -> Any:
    """The root of the mean square over runs, element by element."""
    return np.sqrt(np.mean(np.square(moved), axis=0))


def reach_of(moved: Any) -> Any:
    """The same where moves are rare and large: a number near 0 is rounded, and divides another.

    A jump that one run in 64 shows is eight times the root of the mean square.
    """
    return np.maximum(size_of(moved), JUMPS / SIGMAS * np.max(np.abs(moved), axis=0))


@dataclass(frozen=True, eq=False)
class Rounding:
    """What a person's rounding after steps, forward and back, does to gradients.

    Forward values are rounded as well as δ, also those inside of a line.

    Attributes:
        backward: the backward pass.
        onward: the same in numbers.
        own: every number, with the person's own δ in place of ours.
        grid: primal -> what was given for it, and how that looks.
        from_own: does a step start from the δ that were given, where some were?

    """

    backward: Backward
    onward: Onward
    own: Mapping[Node, Any]
    grid: Mapping[Node, Precision]
    from_own: bool

    def by_chance(self) -> dict[Node, Any]:
        """Primal -> by how much its δ moves in each of several runs: (runs, *shape).

        Half of the runs round at random: each number is off by up to half a unit. That is how
        rounding looks from afar, but numbers below half a unit all become 0, and equal ones are all
        off by the same. So the other runs do round, after some steps and not after others.
        """
        rng = np.random.default_rng(0)

        def dithered(step: Node, value: Any, unit: Any) -> Any:
            there = np.abs(value - to_unit(value, unit)) <= 1e-9 * unit  # 1 or 0.25 stays
            moved = np.abs(value) + unit * rng.uniform(-0.5, 0.5, np.shape(value))
            return np.where(there, value, np.copysign(moved, value))[()]  # of the same sign

        def kept_or_rounded(step: Node, value: Any, unit: Any) -> Any:
            return to_unit(value, unit) if rng.random() < 0.5 else value

        ways = (dithered, kept_or_rounded)
        return self._moves([run for way in ways for run in self._finite(way, rng)])

    def _finite(self, way: Rounded, rng: np.random.Generator) -> Iterator[dict[Node, Any]]:
        """Runs as of a person whose numbers are finite: nothing was divided by a rounded 0."""
        runs = (self._run(way, rng) for _ in range(MOST_RUNS))
        finite = (run for run in runs if all(np.all(np.isfinite(run[x])) for x in self.grid))
        yield from islice(finite, RUNS)

    def of_one_step(self) -> dict[Node, Any]:
        """The same where one step alone is rounded, each in a run of its own: (steps, *shape)."""
        deltas = [d.node for d in self.onward.deltas if d.terms]

        def alone(one: Node) -> Rounded:
            return lambda step, value, unit: to_unit(value, unit) if step is one else value

        return self._moves([self._run(alone(one)) for one in (*self._steps, *deltas)])

    @cached_property
    def _in_full(self) -> frozenset[Node]:
        """Primals whose right δ was given in full: nothing before was rounded that it shows."""
        right = self.onward.right
        return frozenset(
            x for x, p in self.grid.items()
            if not np.any(p.unit) and p.exactly(right[self.onward.of[x].node])
        )  # fmt: skip

    @cached_property
    def _steps(self) -> list[Node]:
        nodes = self.backward.traced.graph.nodes
        return [x for x in nodes if x.op not in (CONST, INPUT) and x.is_float]

    @property
    def _base(self) -> Mapping[Node, Any]:
        return self.own if self.from_own else self.onward.right

    def _run(self, rounded: Rounded, rng: np.random.Generator | None = None) -> dict[Node, Any]:
        """Every δ, before it is rounded itself; with ``rng`` given ones as they may have been."""
        base, last = self._base, last_place(self.grid)
        known = dict(base)
        for x in self.backward.traced.graph.nodes:
            if x.op not in (CONST, INPUT):
                operands = [i.value if i.op is CONST else known[i] for i in x.inputs]
                value = x.op.run(operands, x.attrs)
                known[x] = rounded(x, value, last(value)) if x.is_float else value
        before: dict[Node, Any] = {d.primal: base[d.node] for d in self.onward.deltas}

        def then(primal: Node, g: Any) -> Any:
            before[primal] = g
            node = self.onward.of[primal].node
            if primal in self._in_full:
                return base[node]
            if not self.from_own or primal not in self.grid:
                return rounded(node, g, last(g))
            unit = self.grid[primal].unit
            fits = np.shape(unit) in ((), np.shape(base[node]))
            if rng is None or not fits or rng.random() < 0.5:
                return base[node]  # which the person may have had in more digits
            return base[node] + unit * rng.uniform(-0.5, 0.5, np.shape(base[node]))

        _back(self.onward, known, then)
        return before

    def _moves(self, runs: Collection[Mapping[Node, Any]]) -> dict[Node, Any]:
        """By how much runs differ from what is not rounded; by anything, where there are none."""
        base, moves = self._base, {}
        for x in self.grid:
            node = self.onward.of[x].node
            numbers = self.onward.compute(node, base) if self.from_own else base[node]
            moves[x] = np.stack([run[x] - numbers for run in runs] or [np.full(x.shape, np.inf)])
        return moves
