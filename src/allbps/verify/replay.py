"""The forward program again, from any of its values on: what judges perturb.

Judges compute in double precision whatever the dtype of the function, so that their own rounding
does not decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import CodeType
from typing import Any

import numpy as np

from allbps.backward import Backward
from allbps.ir import CONST, Graph, Node
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
    """The statements that depend on a value, in order."""
    reached = {node}
    found = []
    for line in lines:
        if any(x in reached for x in line.node.inputs):
            reached.add(line.node)
            found.append(line)
    return found


class Replay:
    """The emitted forward program of a traced function, run in double precision.

    Attributes:
        values: every value of it, by name.
        seeds: output name -> its given δ; the objective is Σ seed · output.

    """

    def __init__(self, backward: Backward, arguments: Mapping[str, Any]) -> None:
        traced = in_double(backward.traced)
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

    @property
    def work(self) -> int:
        """What one run costs, in statements on small arrays."""
        nodes = [x for line in self._lines for x in (line.node, *line.node.inputs)]
        return len(self._lines) + sum(x.size for x in nodes) // SMALL

    def downstream(self, name: str) -> list[tuple[Node, CodeType]]:
        """The statements that depend on a value, in order: (node, code)."""
        if name not in self._downstream:
            lines = downstream_of(self._nodes[name], self._lines)
            self._downstream[name] = [(line.node, self._codes[line.node]) for line in lines]
        return self._downstream[name]

    def moved(self, name: str, value: Any) -> dict[str, Any]:
        """All values when ``name`` has another one and what depends on it follows."""
        scope = dict(self.values)
        scope[name] = value
        with np.errstate(all="ignore"):
            for _, code in self.downstream(name):
                exec(code, scope)
        return scope

    def difference(self, name: str, direction: Any, step: float) -> float:
        """Central difference of the objective along a direction in the value ``name``.

        The outputs are subtracted before they are summed, which rounds less than the other way.
        """
        here = self.values[name]
        ahead = self.moved(name, here + step * direction)
        behind = self.moved(name, here - step * direction)
        total = sum(
            float(np.sum(seed * (np.asarray(ahead[y]) - behind[y])))
            for y, seed in self.seeds.items()
        )
        return total / (2 * step)

    @property
    def magnitude(self) -> float:
        """Σ |seed · output|: the size of the numbers whose differences are taken."""
        return sum(float(np.sum(np.abs(seed * self.values[y]))) for y, seed in self.seeds.items())


def compiled(code: str) -> CodeType:
    """One emitted statement, ready to be run many times."""
    return compile(code, "<statement by allbps>", "exec")
