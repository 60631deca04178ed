"""A Graph: inputs, outputs, and every node between them in the order they were computed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from allbps.ir.node import Node
from allbps.ir.op import CONST, INPUT


def ancestors(outputs: Iterable[Node], not_before: int = 0) -> list[Node]:
    """The outputs and everything they are computed from, oldest first; linear, no recursion.

    Args:
        outputs: where to start.
        not_before: leave out nodes born earlier than this, and what only they need.

    """
    stack = list(outputs)
    seen = set(stack)
    while stack:
        for node in stack.pop().inputs:
            if node.born >= not_before and node not in seen:
                seen.add(node)
                stack.append(node)
    return sorted(seen, key=lambda node: node.born)


@dataclass(frozen=True, eq=False)
class Graph:
    """A computation.

    Attributes:
        inputs: its arguments, also those it does not use.
        outputs: its results.

    """

    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Everything that the outputs need, oldest first: a topological order."""
        return tuple(ancestors(self.outputs))

    @cached_property
    def users(self) -> dict[Node, tuple[tuple[Node, int], ...]]:
        """For each node the places where it is used: (consumer, operand index), oldest first."""
        found: dict[Node, list[tuple[Node, int]]] = {node: [] for node in self.nodes}
        for node in self.nodes:
            for index, operand in enumerate(node.inputs):
                found[operand].append((node, index))
        return {node: tuple(uses) for node, uses in found.items()}

    def verify(self) -> None:
        """Check that the graph is well formed: order, arity, shapes, dtypes, and its leaves.

        Raises:
            AssertionError: it is not; the message names the node. This is a bug in allbps.

        """
        inputs = set(self.inputs)
        for node in self.nodes:
            if node.op in (INPUT, CONST):
                assert not node.inputs, f"{node}: a leaf has no inputs"
                assert node.op is CONST or node in inputs, f"{node}: an input the graph lacks"
                continue
            assert node.op.variadic or len(node.inputs) == len(node.op.names), f"{node}: arity"
            assert all(x.born < node.born for x in node.inputs), f"{node}: older than an input"
            shape, dtype = node.op.shape(*node.inputs, **node.attrs)
            assert (shape, dtype) == (node.shape, node.dtype), f"{node}: says {shape}, {dtype}"
            if node.value is not None:
                assert np.shape(node.value) == shape, f"{node}: value is {np.shape(node.value)}"
                got = np.asarray(node.value).dtype
                assert got == dtype, f"{node}: value is {got}"
