"""How far rounding alone can move a number: the same program in perturbed arithmetic.

Whatever an operation computes is changed at random by its last digit, several times over; how far
the results lie apart is their noise. The perturbation enters where rounding does, at every
intermediate value, so a sum that cancels shows the rounding of its terms and not that of its own
tiny value (stochastic arithmetic: J. Vignes, "A stochastic arithmetic for reliable scientific
computation", Math. Comput. Simul. 35 (1993) 233-261). Decisions stay as they were: a comparison, an
index or a winner that flipped would excuse a wrong rule at a tie.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from allbps.ir import CONST, INPUT, Node, Rule, ancestors, placed_at

SAMPLES = 8
"""Runs in perturbed arithmetic."""
CONFIDENCE = 16
"""A difference is called rounding up to this many times the largest deviation of the samples."""

SHORT = 20_000
"""Numbers of a graph that is worth running again for a remark."""


def noise_of(
    wanted: Iterable[Node],
    given: Mapping[Node, Any],
    rng: np.random.Generator,
    *,
    decided: bool = True,
) -> dict[Node, np.ndarray[Any, Any]]:
    """Node -> up to what difference each of its elements may be off by rounding alone.

    Args:
        wanted: the nodes asked about.
        given: the values of the inputs.
        rng: of the perturbations.
        decided: do decisions stay as they were? If not, the noise also covers a tie that the last
            digit breaks.

    >>> from allbps.ir import constant
    >>> from allbps.ops.shape import identity
    >>> x = identity(constant(np.array([1.0, 2.0])))
    >>> y = (x + 1e8) - 1e8
    >>> bool(np.all(noise_of([y], {}, np.random.default_rng(0))[y] > 1e-8))
    True

    """
    wanted = list(wanted)
    nodes = ancestors(wanted)
    still = run_nodes(nodes, given)
    kept = {node: still[node] for node in nodes if decided and _decides(node)}
    apart = {node: np.zeros(node.shape) for node in wanted}
    for _ in range(SAMPLES):
        try:
            moved = run_nodes(nodes, given, kept, rng)
        except np.linalg.LinAlgError:  # rounding decides whether there is a result at all
            return {node: np.full(node.shape, np.inf) for node in wanted}
        with np.errstate(invalid="ignore"):  # ∞ − ∞: no number, no noise
            for node in wanted:
                off = np.abs(_double(moved[node]) - _double(still[node]))
                apart[node] = np.fmax(apart[node], off)
    return {node: CONFIDENCE * deviation for node, deviation in apart.items()}


def _double(value: Any) -> np.ndarray[Any, Any]:
    return np.asarray(value, dtype=np.result_type(value, np.float64))


def _decides(node: Node) -> bool:
    """Is it constant between jumps: a truth value, an index, a sign, a winner?"""
    smooth = any(isinstance(rule, Rule) for rule in node.op.rules)
    return not node.is_float or (bool(node.inputs) and not smooth)


def is_short(nodes: Iterable[Node]) -> bool:
    """Are they worth running again for a remark?"""
    return sum(node.size for node in nodes) <= SHORT


def run_nodes(
    nodes: Iterable[Node],
    given: Mapping[Node, Any],
    kept: Mapping[Node, Any] | None = None,
    rng: np.random.Generator | None = None,
) -> dict[Node, Any]:
    """Node -> value; with a generator, each off by its last digit unless it is a decision."""
    values: dict[Node, Any] = dict(kept or {})
    with np.errstate(all="ignore"):
        for node in nodes:
            if node in values:
                continue
            if node.op is CONST:
                values[node] = node.value
                continue
            if node.op is INPUT:
                value = given[node]
            else:
                with placed_at(node.site):
                    value = node.op.run(_operands(node, values), node.attrs)
            values[node] = value if rng is None else _nudged(value, rng)
    return values


def _operands(node: Node, values: Mapping[Node, Any]) -> list[Any]:
    return [values[x] for x in node.inputs]


def _nudged(value: Any, rng: np.random.Generator) -> Any:
    array = np.asarray(value)
    if array.dtype.kind != "f":
        return value
    part = rng.uniform(-1.0, 1.0, array.shape) * np.finfo(array.dtype).eps
    return (array + array * part).astype(array.dtype)[()]
