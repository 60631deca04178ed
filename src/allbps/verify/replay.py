"""The forward program again, from any of its values on: what judges perturb.

Judges compute in double precision whatever the dtype of the function, so that their own rounding
does not decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from types import CodeType
from typing import Any

import numpy as np

from allbps.backward import Backward
from allbps.ir import CONST, Graph, Node, Stopped, constant
from allbps.noise import noise_of
from allbps.ops.reduce import sum_
from allbps.readings.source import Line, emit
from allbps.trace import Traced, copied

DOUBLE = np.dtype(np.float64)

SMALL = 200
"""Elements of an array that cost about as much as calling NumPy at all."""


def as_double(value: Any) -> Any:
    """An array of floats in double precision; anything else as it is."""
    array = np.asarray(value)
    return array.astype(DOUBLE)[()] if array.dtype.kind == "f" else value


def in_double(traced: Traced) -> Traced:
    """The same graph with float64 wherever it has floating-point numbers."""
    copy: dict[Node, Node] = {}
    unused = set(traced.graph.inputs) - set(traced.graph.nodes)
    for node in (*unused, *traced.graph.nodes):
        copy[node] = _double_node(node, tuple(copy[x] for x in node.inputs))
    return replace(
        traced,
        graph=Graph(_all(traced.graph.inputs, copy), _all(traced.graph.outputs, copy)),
        values={copy[node]: as_double(value) for node, value in traced.values.items()},
        outputs=copied(traced.outputs, copy),
        parameters={name: copied(tree, copy) for name, tree in traced.parameters.items()},
    )


def _double_node(node: Node, inputs: tuple[Node, ...]) -> Node:
    weak = node.op is CONST and isinstance(node.value, (bool, int, float))
    attrs = {
        key: DOUBLE if isinstance(value, np.dtype) and value.kind == "f" else value
        for key, value in node.attrs.items()
    }
    return Node(
        node.op, inputs, node.shape, DOUBLE if node.is_float else node.dtype, attrs=attrs,
        value=node.value if weak or node.value is None else as_double(node.value),
        name=node.name, site=node.site,
    )  # fmt: skip


def _all(nodes: Iterable[Node], copy: Mapping[Node, Node]) -> tuple[Node, ...]:
    return tuple(copy[node] for node in nodes)


def downstream_of(node: Node, lines: Iterable[Line]) -> list[Line]:
    """The statements that depend on a value, in order; where a gradient is stopped nothing does."""
    reached = {node}
    found = []
    for line in lines:
        follows = (x in reached for x in line.node.inputs)
        if any(follows) and not isinstance(line.node.op.rules[0], Stopped):
            reached.add(line.node)
            found.append(line)
    return found


class OutsideDomainError(Exception):
    """A step went to where the function is not defined."""


def size_of(value: Any) -> float:
    """The largest finite absolute value, 1 for zeros: what steps are measured in."""
    size = np.abs(value)
    return float(np.max(size, initial=0.0, where=np.isfinite(size))) or 1.0


class Replay:
    """The emitted forward program of a traced function, run in double precision.

    Attributes:
        values: every value of it, by name.
        seeds: output name -> its given δ; the objective is Σ seed · output.

    """

    def __init__(self, backward: Backward, arguments: Mapping[str, Any]) -> None:
        traced = self._traced = in_double(backward.traced)
        program = emit(traced)
        given = {x.name: as_double(arguments[x.name]) for x in traced.graph.inputs}
        self._nodes = {line.node.name: line.node for line in program.forward}
        self._nodes |= {x.name: x for x in traced.graph.inputs}
        self._lines = program.forward
        self._codes = {line.node: compiled(line.code) for line in program.forward}
        self._downstream: dict[str, list[tuple[Node, CodeType]]] = {}
        self.seeds = {
            y.name: as_double(seed.value if seed.op is CONST else backward.given[seed])
            for y, seed in backward.seeds.items()
        }
        self.values: dict[str, Any] = program.scope(given)
        with np.errstate(all="ignore"):
            for code in self._codes.values():
                exec(code, self.values)

    def __len__(self) -> int:
        return len(self._lines)

    def work_from(self, name: str) -> int:
        """What running all that comes after a value costs, in statements on small arrays."""
        return self._work.get(name, 0)

    @cached_property
    def _work(self) -> dict[str, int]:
        total, work = 0, {}
        for line in reversed(self._lines):
            work[line.node.name] = total
            total += 1 + sum(x.size for x in (line.node, *line.node.inputs)) // SMALL
        return {**{x.name: total for x in self._traced.graph.inputs}, **work}

    def downstream(self, name: str) -> list[tuple[Node, CodeType]]:
        """The statements that depend on a value, in order: (node, code)."""
        if name not in self._downstream:
            lines = downstream_of(self._nodes[name], self._lines)
            self._downstream[name] = [(line.node, self._codes[line.node]) for line in lines]
        return self._downstream[name]

    def moved(self, name: str, value: Any) -> dict[str, Any]:
        """All values when ``name`` has another one and what depends on it follows.

        Raises:
            OutsideDomainError: the program has no result there: a matrix became singular.

        """
        scope = dict(self.values)
        scope[name] = value
        with np.errstate(all="ignore"):
            for _, code in self.downstream(name):
                try:
                    exec(code, scope)
                except np.linalg.LinAlgError as error:
                    raise OutsideDomainError(str(error)) from None
        return scope

    def difference(self, name: str, direction: Any, step: float) -> float:
        """Central difference of the objective along a direction; NaN outside its domain.

        The outputs are subtracted before they are summed, which rounds less than the other way.
        """
        here = self.values[name]
        try:
            ahead = self.moved(name, here + step * direction)
            behind = self.moved(name, here - step * direction)
        except OutsideDomainError:
            return float("nan")
        return self._risen(behind, ahead) / (2 * step)

    def slopes(self, name: str, direction: Any, part: float) -> tuple[float, float]:
        """The slopes of the objective on the left and on the right, each of second order.

        ``part`` is the step in units of the value; NaN on a side that is outside the domain.
        """
        here, step = self.values[name], part * self.unit(name)
        left, right = (self._side(name, here, sign * step * direction) for sign in (-1, 1))
        return -left / step, right / step

    def _side(self, name: str, here: Any, move: Any) -> float:
        try:
            near, far = (self.moved(name, here + k * move) for k in (1, 2))
        except OutsideDomainError:
            return float("nan")
        return 2 * self._risen(self.values, near) - self._risen(self.values, far) / 2

    def _risen(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
        """By how much the objective grows; differences of outputs are taken first."""
        return sum(
            float(np.sum(seed * (np.asarray(after[y]) - before[y])))
            for y, seed in self.seeds.items()
        )

    @cached_property
    def _noise(self) -> tuple[dict[str, np.ndarray[Any, Any]], float]:
        """How far rounding alone may move every value, and the objective."""
        graph = self._traced.graph
        terms = [
            sum_(y * constant(self.seeds[y.name]), axis=None, keepdims=False)
            for y in dict.fromkeys(graph.outputs)
            if y.name in self.seeds
        ]
        objective = sum(terms[1:], start=terms[0])
        given = {x: self.values[x.name] for x in graph.inputs}
        found = noise_of([*graph.nodes, objective], given, np.random.default_rng(0))
        return {node.name: noise for node, noise in found.items()}, float(found[objective])

    @property
    def noise(self) -> dict[str, np.ndarray[Any, Any]]:
        """Name -> how far rounding alone may move each element."""
        return self._noise[0]

    @property
    def uncertainty(self) -> float:
        """How far rounding alone may move the objective."""
        return self._noise[1]

    def unit(self, name: str) -> float:
        """What steps of a value are measured in: its size, 1 for zeros and for mere rounding."""
        size = size_of(self.values[name])
        return size if size > float(np.max(self.noise[name], initial=0.0)) else 1.0

    def slack(self, name: str, part: float) -> float:
        """How far rounding may move a slope along one element, with a step as in ``slopes``."""
        return 4 * self.uncertainty / (part * self.unit(name))

    def largest_from(self, name: str) -> float:
        """The largest number on the way from a value to the objective."""
        on_the_way = [name, *(node.name for node, _ in self.downstream(name))]
        return max(size_of(self.values[x]) for x in on_the_way)

    def resolution(self, name: str) -> float:
        """What the last digit of the largest number on the way from a value is worth."""
        return float(np.finfo(DOUBLE).eps) * self.largest_from(name)


def compiled(code: str) -> CodeType:
    """One emitted statement, ready to be run many times."""
    return compile(code, "<statement by allbps>", "exec")
