"""The plan of a step: which works make which arrays from which, before any code is written.

A plan is made from a traced function and its δ. Constants are folded, equal works are done once,
what nobody needs is never reached, and where the machine has a kernel for a whole BP rule (δK of a
convolution, the δ of a cross-entropy) the rule's nodes are replaced by that kernel.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from allbps.errors import NoRuleError
from allbps.ir import CONST, INPUT, Node, Site, label
from allbps.machine.planning.layout import Shape

FOLDED_SIZE = 1 << 20
"""Constants up to this many numbers are worked out in advance."""


BYTE = np.dtype("S1")
"""What a kernel keeps for its δ in a byte each; no number of the user's."""

UNHELD = np.dtype(np.uint64)
"""Whole numbers that memory does not hold: there they have 64 bits and a sign."""

Made = tuple[Shape, np.dtype[Any], str]
"""What a work makes: shape, dtype, and a word for it."""


@dataclass(frozen=True, eq=False)
class Value:
    """One array of the step.

    Attributes:
        shape, dtype: of the array.
        name: a word for it in stages and source.
        constant: its numbers, if they never change.

    """

    shape: Shape
    dtype: np.dtype[Any]
    name: str = ""
    constant: Any = None

    @property
    def uniform(self) -> float | None:
        """The one number that a constant is made of, if it is."""
        if self.constant is None or self.size == 0:
            return None
        numbers = np.asarray(self.constant)
        first = numbers.flat[0]
        same = numbers.size == 1 or bool(np.all(numbers == first))
        return float(first) if same and numbers.dtype.kind in "fi" else None

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class Work:
    """Something that makes arrays from arrays.

    Attributes:
        kind: the operation's name, or that of a kernel of the machine.
        inputs, outputs: its arrays.
        attrs: its constant arguments.
        node: the node whose NumPy text says the same, if there is one.
        steps: for a fused work, the single ones in order.

    """

    kind: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    node: Node | None = None
    steps: tuple[Work, ...] = ()

    @property
    def site(self) -> Site | None:
        """The user's line behind it."""
        for part in (self, *self.steps):
            if part.node is not None and part.node.site is not None:
                return part.node.site
        return None


@dataclass(frozen=True, eq=False)
class Fused:
    """What stands for a node where a kernel does a whole rule.

    Attributes:
        kind: the kernel.
        inputs: nodes it reads.
        attrs: its constant arguments.
        outputs: (shape, dtype, name) of everything it makes.
        index: which of them stands for the node.
        node: the node, for its line.

    """

    kind: str
    inputs: tuple[Node, ...]
    attrs: Mapping[str, Any]
    outputs: tuple[Made, ...]
    index: int
    node: Node | None


@dataclass(frozen=True, eq=False)
class Plan:
    """Works in an order in which they can be done, and the arrays at both ends.

    Attributes:
        inputs: the arguments' arrays.
        outputs: the results'.
        works: everything between them.

    """

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    works: tuple[Work, ...]

    @cached_property
    def users(self) -> dict[Value, list[Work]]:
        """Which works read each value; one that nobody reads is missing."""
        found: dict[Value, list[Work]] = {}
        for work in self.works:
            for value in dict.fromkeys(work.inputs):
                found.setdefault(value, []).append(work)
        return found

    def only_reader(self, value: Value) -> Work | None:
        """The one work that needs a value; None where several do, or it is a result."""
        readers = self.users.get(value, [])
        return readers[0] if len(readers) == 1 and value not in self.wanted else None

    @cached_property
    def maker(self) -> dict[Value, Work]:
        """Which work makes each value."""
        return {value: work for work in self.works for value in work.outputs}

    @cached_property
    def wanted(self) -> frozenset[Value]:
        """The results, to ask whether a value is one of them."""
        return frozenset(self.outputs)

    def rewritten(self, removed: Iterable[Work], placed: Mapping[Work, Work]) -> Plan:
        """The plan without some works, and with others in their place."""
        gone = set(removed)
        works = [placed.get(work, work) for work in self.works if work not in gone]
        return replace(self, works=tuple(works))


VIEWS = ("reshape", "transpose", "identity")
"""Works that read an array in another way, where it lies."""

Stand = Node | Fused


def make_plan(
    inputs: Sequence[Node],
    outputs: Sequence[Node],
    substitutes: Mapping[Node, Stand],
    names: Mapping[Node, str],
) -> Plan:
    """The works between ``inputs`` and ``outputs``.

    Args:
        inputs: the graph's arguments, or nodes that are to count as such.
        outputs: what is wanted.
        substitutes: node -> what stands for it.
        names: a word for nodes that have no name of their own.

    Raises:
        NoRuleError: complex numbers are among them.

    """
    planner = _Planner(substitutes, {})
    planner.names = {planner.stand(node): name for node, name in names.items()}
    values = [planner.input(node) for node in inputs]
    for stand in in_order(outputs, substitutes, planner.values):
        if isinstance(stand, Node) and stand.is_complex:
            raise _is_complex(stand)
        planner.visit(stand)
    return Plan(tuple(values), tuple(planner.value(node) for node in outputs), tuple(planner.works))


def _is_complex(node: Node) -> NoRuleError:
    return NoRuleError(
        f"{label(node)} is complex, and compiled code has no formula for its parts",
        where=str(node.site or ""),
        got=f"{node.op.name} of dtype {node.dtype}",
        todo="bp.value_and_grad, or the real and imaginary parts as separate arrays",
    )


def in_order(
    outputs: Iterable[Node], substitutes: Mapping[Node, Stand], known: Container[Stand] = ()
) -> list[Stand]:
    """Everything that the outputs need and is not known, operands first; no recursion."""
    done: set[Stand] = set()
    order: list[Stand] = []
    stack = [(standing(node, substitutes), False) for node in outputs][::-1]
    while stack:
        stand, ready = stack.pop()
        if ready:
            order.append(stand)
        elif stand not in done and stand not in known:
            done.add(stand)
            stack.append((stand, True))
            stack.extend((standing(x, substitutes), False) for x in stand.inputs[::-1])
    return order


def standing(node: Node, substitutes: Mapping[Node, Stand]) -> Stand:
    """What stands for a node in the end."""
    found: Stand = node
    while isinstance(found, Node) and found in substitutes:
        found = substitutes[found]
    return found


class _Planner:
    def __init__(self, substitutes: Mapping[Node, Stand], names: Mapping[Stand, str]) -> None:
        self.substitutes, self.names = substitutes, names
        self.works: list[Work] = []
        self.values: dict[Stand, Value] = {}
        self._same: dict[Any, Work] = {}
        self._constants: dict[Any, Value] = {}

    def stand(self, node: Node) -> Stand:
        return standing(node, self.substitutes)

    def value(self, node: Node) -> Value:
        return self.values[self.stand(node)]

    def input(self, node: Node) -> Value:
        value = Value(node.shape, node.dtype, node.name)
        self.values[node] = value
        return value

    def visit(self, stand: Stand) -> None:
        if stand in self.values:
            return
        if isinstance(stand, Fused):
            inputs = tuple(self.value(x) for x in stand.inputs)
            work = self._work(stand.kind, inputs, stand.attrs, stand.outputs, stand.node)
            self.values[stand] = work.outputs[stand.index]
        elif stand.op is CONST:
            self.values[stand] = self._constant(stand.value, stand.dtype)
        elif stand.op is not INPUT:
            self.values[stand] = self._computed(stand)

    def _computed(self, node: Node) -> Value:
        inputs = tuple(self.value(x) for x in node.inputs)
        known = bool(inputs) and all(x.constant is not None for x in inputs)
        if known and node.size <= FOLDED_SIZE:
            numbers = node.op.run([x.constant for x in inputs], node.attrs)
            return self._constant(numbers, node.dtype)
        name = node.name or self.names.get(node, "")
        outputs: tuple[Made, ...] = ((node.shape, node.dtype, name),)
        if node.op.name == "max_pool2d":  # its δ needs to know who won
            outputs = (*outputs, (node.shape, BYTE, f"{name}_winner"))
        return self._work(node.op.name, inputs, node.attrs, outputs, node).outputs[0]

    def _constant(self, numbers: Any, dtype: np.dtype[Any]) -> Value:
        kept = numbers if isinstance(numbers, (bool, int, float)) else np.asarray(numbers, dtype)
        shown = np.asarray(kept)
        key = (type(numbers), shown.shape, dtype, shown.tobytes())
        if key not in self._constants:
            self._constants[key] = Value(shown.shape, dtype, constant=kept)
        return self._constants[key]

    def _work(
        self,
        kind: str,
        inputs: tuple[Value, ...],
        attrs: Mapping[str, Any],
        outputs: Sequence[Made],
        node: Node | None,
    ) -> Work:
        key = (kind, inputs, repr(sorted(attrs.items(), key=str)))
        if key not in self._same:
            made = tuple(Value(shape, dtype, name) for shape, dtype, name in outputs)
            self._same[key] = Work(kind, inputs, made, attrs, node)
            self.works.append(self._same[key])
        return self._same[key]
