"""How an edge of the backward graph is named in a message."""

from __future__ import annotations

from allbps.backprop import Delta, Term
from allbps.ir import Rule
from allbps.readings.dialect import NUMPY, expression, tidy


def edges_of(delta: Delta) -> tuple[str, ...]:
    """One text for each use that a δ comes through: ``d_relu, from Z3 = np.maximum(Z2, 0)``."""
    return tuple(_edge(term) for term in delta.terms)


def _edge(term: Term) -> str:
    rule = term.rule.build.__name__ if isinstance(term.rule, Rule) else "no rule"
    consumer = term.consumer
    operands = [x.name or f"_{k}" for k, x in enumerate(consumer.inputs)]
    return f"{rule}, from {tidy(f'{consumer.name} = {expression(consumer, operands, NUMPY)}')}"
