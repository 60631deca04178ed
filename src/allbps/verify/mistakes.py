"""Mistakes that people make in hand-derived backward passes, and what they would have got.

One table. A row says in words what went wrong and computes the δ that comes of it; whoever got
those numbers probably did that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from allbps.backprop import Delta, Term
from allbps.ir import CONST, Node, Op, Rule, constant
from allbps.ops.activation import softmax_op
from allbps.ops.arithmetic import mul
from allbps.ops.linalg import matmul
from allbps.ops.reduce import sum_
from allbps.ops.shape import flip, transpose

Got = tuple[str, Any]
"""What went wrong, and the numbers that come of it; None where shapes would not fit."""


@dataclass(frozen=True, eq=False)
class Attempt:
    """A δ that somebody computed, and what they had to compute it from.

    Attributes:
        delta: how it is computed.
        values: every value by name, with the person's own δ where they gave one.
        right: the δ that follows from those.

    """

    delta: Delta
    values: Mapping[str, Any]
    right: np.ndarray[Any, Any]

    def upstream(self, term: Term) -> Any:
        """The δ of the value that used this one."""
        return np.asarray(self.values[f"d{term.consumer.name}"])

    def compute(self, node: Node, swap: Mapping[Op, Callable[..., Any]] | None = None) -> Any:
        """``node`` from named values, with some operations done otherwise."""
        known: dict[Node, Any] = {}
        for x in _local(node, self.values):
            if x.op is CONST:
                known[x] = x.value
            elif x is not node and x.name in self.values:
                known[x] = self.values[x.name]
            else:
                operands = [known[i] for i in x.inputs]
                otherwise = swap.get(x.op) if swap else None
                known[x] = otherwise(*operands) if otherwise else x.op.run(operands, x.attrs)
        return np.asarray(known[node])


def _local(output: Node, values: Mapping[str, Any]) -> list[Node]:
    """What ``output`` is computed from, down to named values, oldest first."""
    stack, seen = [output], {output}
    while stack:
        node = stack.pop()
        if node is output or node.name not in values:
            new = [x for x in node.inputs if x not in seen]
            seen.update(new)
            stack.extend(new)
    return sorted(seen, key=lambda node: node.born)


def _first(*operands: Any) -> Any:
    return operands[0]


# -- rows ------------------------------------------------------------------------------------------
def scaled(attempt: Attempt) -> Iterator[Got]:
    yield "the sign is flipped", -attempt.right
    yield "a factor 2 too much", 2 * attempt.right
    yield "a factor ½ too much", attempt.right / 2
    yield "left out: zeros", 0 * attempt.right


def averaged(attempt: Attempt) -> Iterator[Got]:
    lengths = {n for term in attempt.delta.terms for n in np.shape(attempt.upstream(term))}
    for n in sorted(lengths - {1, 2}):
        yield f"divided by {n} once too often: averaged instead of summed", attempt.right / n
        yield f"multiplied by {n}: a division by {n} is missing", attempt.right * n


def swapped(attempt: Attempt) -> Iterator[Got]:
    """Steps of the rule left out or done otherwise."""
    ways: tuple[tuple[str, Op, Callable[..., Any]], ...] = (
        ("a transpose is missing", transpose, _first),
        ("not summed over the axes that were broadcast", sum_, _first),
        ("the kernel is not flipped", flip, _first),
        ("multiplied element by element instead of as matrices", matmul, np.multiply),
        ("the factors of a matrix product are in the wrong order", matmul, lambda a, b: b @ a),
        ("the local derivative is left out", mul, _first),
    )
    one_operand = all(len(term.consumer.inputs) == 1 for term in attempt.delta.terms)
    for text, op, instead in ways:
        if op is mul and one_operand:
            continue  # the row on activations says it better
        yield text, _if_it_fits(_sum_of_terms, attempt, {op: instead})


def _sum_of_terms(attempt: Attempt, swap: Mapping[Op, Callable[..., Any]]) -> Any:
    return sum(attempt.compute(term.node, swap) for term in attempt.delta.terms)


def _if_it_fits(compute: Callable[..., Any], *arguments: Any) -> Any:
    """The numbers, or None: this mistake cannot be made here, the shapes would not fit."""
    try:
        return compute(*arguments)
    except (ValueError, IndexError):
        return None


def turned(attempt: Attempt) -> Iterator[Got]:
    right = attempt.right
    if right.ndim == 2 and right.shape[0] == right.shape[1]:
        yield "transposed", right.T
    if right.ndim >= 2:
        yield "turned by 180°", np.flip(right, (-2, -1))


def fan_out(attempt: Attempt) -> Iterator[Got]:
    terms = attempt.delta.terms
    if not 1 < len(terms) <= 5:
        return
    parts = [attempt.compute(term.node) for term in terms]
    for count in range(1, len(terms)):
        for kept in combinations(range(len(terms)), count):
            names = ", ".join(terms[k].consumer.name for k in kept)
            yield f"only the use in {names} is counted", sum(parts[k] for k in kept)
    for part, term in zip(parts, terms, strict=True):
        yield f"the use in {term.consumer.name} is counted twice", attempt.right + part


def activation(attempt: Attempt) -> Iterator[Got]:
    """Mistakes with an operation of one operand."""
    if len(attempt.delta.terms) != 1:
        return
    (term,) = attempt.delta.terms
    consumer, g = term.consumer, attempt.upstream(term)
    if len(consumer.inputs) != 1 or consumer.shape != attempt.right.shape:
        return
    x, y = (np.asarray(attempt.values[n.name]) for n in (consumer.inputs[0], consumer))
    name = consumer.op.name
    yield f"the derivative of {name} is left out", g
    yield f"the derivative of {name} is taken at the upstream δ", _rule(term, g, g)
    yield f"the derivative of {name} is taken at its output", _rule(term, g, y)
    yield f"the mask of {name} is inverted", g - attempt.right
    yield f"{name} itself instead of its derivative", g * y
    yield f"{name} differentiated twice", _rule(term, attempt.right, x)
    if consumer.op is softmax_op:
        yield "only the diagonal of the Jacobian of softmax", g * y * (1 - y)


def _rule(term: Term, g: Any, x: Any) -> Any:
    """The BP rule of a one-operand operation at other numbers."""
    op, attrs = term.consumer.op, term.consumer.attrs
    assert isinstance(term.rule, Rule)
    node = constant(x)
    return term.rule.build(constant(g), op(node, **attrs), node, **attrs).value


MISTAKES: tuple[Callable[[Attempt], Iterator[Got]], ...] = (
    scaled, averaged, swapped, turned, fan_out, activation,
)  # fmt: skip


def mistakes_that_fit(attempt: Attempt, fits: Callable[[Any], bool]) -> tuple[str, ...]:
    """Every mistake whose numbers ``fits`` accepts, unless right numbers look the same."""
    found: dict[str, None] = {}
    for row in MISTAKES:
        for text, numbers in row(attempt):
            if numbers is None:
                continue
            got = np.asarray(numbers)
            same = got.shape == attempt.right.shape and np.allclose(got, attempt.right, rtol=1e-9)
            if not same and fits(got):
                found[text] = None
    return tuple(found)
