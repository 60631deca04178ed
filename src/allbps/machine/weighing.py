"""Is the loss of a batch made of the losses of its parts, and of which weights?

A function is traced twice, on a part and on the same part with every example twice. A node whose
shape doubles holds something of each example; one whose shape does not, though it is made of such
nodes, is something of the whole batch. The loss must be a sum over the examples, a mean, or a sum
divided by another one, such as the number of labels that count; then it is right to add parts up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from allbps.errors import ArgumentError
from allbps.ir import CONST, INPUT, Node, ancestors
from allbps.trace import Traced


class Kind(Enum):
    """What a node is to the examples of a batch."""

    EACH = auto()  # something of each example
    FIXED = auto()  # the same whatever the batch
    SIZE = auto()  # a constant that grows as the batch
    PER_SIZE = auto()  # a constant that shrinks as the batch grows
    TOTAL = auto()  # a sum over the examples
    MEAN = auto()  # a mean over them
    SHARE = auto()  # a sum over them divided by another one
    SHIFTED = auto()  # a sum over them and something beside it
    OTHER = auto()


LINEAR = frozenset(
    {"reshape", "transpose", "broadcast_to", "astype", "neg", "identity", "getitem", "sum", "mean"}
)
"""Operations that keep a sum a sum."""
TOTALS = frozenset({"sum", "euclidean_loss", "matmul", "einsum"})
"""Operations that add over the examples."""


@dataclass(frozen=True)
class Weighing:
    """How parts add up.

    Attributes:
        kind: of the loss: TOTAL, MEAN or SHARE.
        over: by what the sum is divided, a number of each part; for SHARE.

    """

    kind: Kind
    over: Node | None = None


def weighing(traced: Traced, twice: Traced, params: Sequence[Node]) -> Weighing:
    """How the losses of parts make up that of the batch.

    Args:
        traced: the function on a part.
        twice: on the same with every example twice.
        params: what is learnt.

    Raises:
        ArgumentError: they do not, or it cannot be told.

    """
    return _Judge(traced, twice, params).weighing()


def check_carried(
    traced: Traced, twice: Traced, params: Sequence[Node], new: Sequence[Node]
) -> None:
    """Refuse to carry a count: what is carried is averaged over the parts.

    Raises:
        ArgumentError: a new value is a sum over the examples.

    """
    judge = _Judge(traced, twice, params)
    for node in new:
        if judge.kind[node] in (Kind.TOTAL, Kind.SHIFTED, Kind.SHARE) or not node.is_float:
            raise ArgumentError(
                f"{node.name or 'what is carried'} is a count over the batch, and what is carried"
                " is averaged over the parts",
                where=str(node.site or ""),
                expected="a mean or another statistic, of floats",
                todo="return it beside the loss: a step gives it for each part",
            )


class _Judge:
    """The kind of every node, oldest first."""

    def __init__(self, traced: Traced, twice: Traced, params: Sequence[Node]) -> None:
        self.traced, self.loss = traced, traced.graph.outputs[0]
        here, there = traced.graph.nodes, twice.graph.nodes
        if [node.op for node in here] != [node.op for node in there]:
            raise _refusal(
                traced, "it computes differently for twice as many examples", self.loss,
                "no loop over the examples of a batch: NumPy's functions take them all at once",
            )  # fmt: skip
        self.twin = dict(zip(here, there, strict=True))
        self.kind: dict[Node, Kind] = {}
        self.over: dict[Node, Node] = {}
        self.learnt = _after(here, set(params))
        self.of_loss = set(ancestors([self.loss]))
        for node in here:
            self.kind[node] = self._kind(node)

    def weighing(self) -> Weighing:
        kind = self.kind[self.loss]
        if kind is Kind.FIXED:
            return Weighing(Kind.MEAN)
        if kind in (Kind.TOTAL, Kind.MEAN):
            return Weighing(kind)
        if kind is Kind.SHARE:
            return Weighing(kind, self.over[self.loss])
        if kind is Kind.SHIFTED:
            raise _refusal(
                self.traced, "it is a sum over the examples and something else", self.loss,
                "a mean over the examples, or the rest multiplied by their number",
            )  # fmt: skip
        raise _refusal(
            self.traced, "it is neither a sum nor a mean over the examples", self._culprit(),
            "a sum over the examples, a mean, or a sum divided by another one",
        )  # fmt: skip

    def _culprit(self) -> Node:
        """The first node after which the loss is no sum any more."""
        for node in ancestors([self.loss]):
            if self.kind[node] is Kind.OTHER and Kind.OTHER not in self._kinds(node):
                return node
        return self.loss

    def _kinds(self, node: Node) -> list[Kind]:
        return [self.kind[x] for x in node.inputs]

    def _kind(self, node: Node) -> Kind:
        if node.shape != self.twin[node].shape:
            if node in self.of_loss:
                self._check_rows(node)
            return Kind.EACH
        if node.op is CONST:
            return _of_constant(node, self.twin[node])
        kinds = self._kinds(node)
        if all(kind is Kind.FIXED for kind in kinds):
            return Kind.FIXED
        if Kind.EACH in kinds:
            return self._over_examples(node, kinds)
        return self._among_totals(node, kinds)

    def _over_examples(self, node: Node, kinds: Sequence[Kind]) -> Kind:
        """What becomes of the examples where they are brought together."""
        if set(kinds) - {Kind.EACH, Kind.FIXED}:
            return Kind.OTHER
        if node.op.name == "mean":
            return Kind.MEAN
        return Kind.TOTAL if node.op.name in TOTALS else Kind.OTHER

    def _among_totals(self, node: Node, kinds: Sequence[Kind]) -> Kind:
        name, x = node.op.name, node.inputs
        if name in LINEAR:
            self._follow(node, x[0])
            return kinds[0]
        if name in ("add", "sub"):
            return self._sum(node, kinds)
        if name == "mul":
            one, other = (0, 1) if kinds[1] in SCALES else (1, 0)
            self._follow(node, x[one])
            return _scaled(kinds[one], kinds[other])
        if name == "div":
            counted = kinds == [Kind.TOTAL, Kind.TOTAL] and x[1].shape == ()
            if counted and x[1] not in self.learnt:
                self.over[node] = x[1]
                return Kind.SHARE
            self._follow(node, x[0])
            return _scaled(kinds[0], INVERSE.get(kinds[1], Kind.OTHER))
        return Kind.OTHER

    def _sum(self, node: Node, kinds: Sequence[Kind]) -> Kind:
        first, second = kinds
        x = node.inputs
        if first is second and self.over.get(x[0]) is self.over.get(x[1]):
            self._follow(node, x[0])
            return first
        if second is Kind.FIXED:
            return self._beside(node, first, *x)
        if first is Kind.FIXED:
            return self._beside(node, second, *x[::-1])
        return Kind.OTHER

    def _beside(self, node: Node, kind: Kind, here: Node, fixed: Node) -> Kind:
        """A node and something beside it that does not depend on the batch."""
        self._follow(node, here)
        return Kind.SHIFTED if kind is Kind.TOTAL and not _is_zero(fixed) else kind

    def _follow(self, node: Node, x: Node) -> None:
        if x in self.over:
            self.over[node] = self.over[x]

    def _check_rows(self, node: Node) -> None:
        """Refuse examples that are paired with each other, or counted before the loss."""
        longer = [
            (here, there)
            for here, there in zip(node.shape, self.twin[node].shape, strict=True)
            if here != there
        ]
        if len(longer) > 1 or any(there != 2 * here for here, there in longer):
            raise _refusal(
                self.traced,
                "examples are combined with each other",
                node,
                "each example on its own",
            )
        for x in node.inputs:
            if self.kind[x] is Kind.EACH and _goes_along(node, x, self.twin[x]):
                raise _refusal(
                    self.traced,
                    "examples are combined with each other",
                    node,
                    "another axis, or one example",
                )
            gathered = self.kind[x] not in (Kind.EACH, Kind.FIXED, Kind.SIZE, Kind.PER_SIZE)
            if gathered and x not in self.learnt:
                raise _refusal(
                    self.traced, "a number of the whole batch is computed from its arguments", x,
                    "work it out before the step, and pass it as an argument without that axis",
                )  # fmt: skip


SCALES = frozenset({Kind.FIXED, Kind.SIZE, Kind.PER_SIZE})
INVERSE = {Kind.FIXED: Kind.FIXED, Kind.SIZE: Kind.PER_SIZE, Kind.PER_SIZE: Kind.SIZE}
SCALED: Mapping[tuple[Kind, Kind], Kind] = {
    (Kind.TOTAL, Kind.PER_SIZE): Kind.MEAN,
    (Kind.MEAN, Kind.SIZE): Kind.TOTAL,
    (Kind.FIXED, Kind.SIZE): Kind.SIZE,
    (Kind.FIXED, Kind.PER_SIZE): Kind.PER_SIZE,
    (Kind.SIZE, Kind.PER_SIZE): Kind.FIXED,
    (Kind.PER_SIZE, Kind.SIZE): Kind.FIXED,
}


def _scaled(kind: Kind, by: Kind) -> Kind:
    return kind if by is Kind.FIXED else SCALED.get((kind, by), Kind.OTHER)


def _is_zero(node: Node) -> bool:
    return node.op is CONST and not np.any(node.value)


def _of_constant(node: Node, twin: Node) -> Kind:
    here, there = np.asarray(node.value), np.asarray(twin.value)
    if np.array_equal(here, there, equal_nan=here.dtype.kind == "f"):
        return Kind.FIXED
    if here.shape == () and here.dtype.kind in "iuf":
        if there == 2 * here:
            return Kind.SIZE
        if here == 2 * there:
            return Kind.PER_SIZE
    return Kind.OTHER


def _after(nodes: Sequence[Node], first: set[Node]) -> set[Node]:
    """Everything that is made of some nodes, and they themselves."""
    found = set(first)
    for node in nodes:
        if node.op is not INPUT and any(x in found for x in node.inputs):
            found.add(node)
    return found


def _goes_along(node: Node, x: Node, twin: Node) -> bool:
    """Does an operation that keeps the examples work along their axis?"""
    axis = node.attrs.get("axis")
    if not isinstance(axis, int) or node.op.name == "concatenate" or node.shape != x.shape:
        return False
    return x.shape[axis] != twin.shape[axis]


def _refusal(traced: Traced, why: str, node: Node, expected: str) -> ArgumentError:
    return ArgumentError(
        f"the loss of {traced.function} cannot be taken in parts: {why}",
        where=_at(node),
        expected=expected,
        todo="change the loss, or compile without parts= and group=",
    )


def _at(node: Node) -> str:
    return f"{node.name or node.op.name}" + (f" ({node.site})" if node.site else "")
