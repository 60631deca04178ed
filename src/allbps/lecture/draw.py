"""Other numbers for an example: small ones, on which every step has something to show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from allbps.ir import Node
from allbps.worked import Worked

TRIES = 1000
"""Draws before an example is given up; most need one or two."""
LARGEST = 60.0
"""No number of a derivation is larger."""
STEEP = 3.0
"""σ and tanh of larger numbers are flat, and softmax of numbers further apart is one-hot."""


def like(value: Any, rng: np.random.Generator) -> Any:
    """Other numbers of the same shape, range and number of decimals.

    >>> like(np.array([1.0, 5.0, 3.0]), np.random.default_rng(0))
    array([5., 4., 3.])
    """
    if not isinstance(value, (float, np.ndarray)):
        return value
    low, high = _range(np.asarray(value))
    step = 0.5 if np.shape(value) == () else 1.0 if _is_whole(value) else 0.1
    drawn = rng.integers(round(low / step), round(high / step), np.shape(value), endpoint=True)
    return np.round(drawn * step, 1)[()]


def _range(value: Any) -> tuple[float, float]:
    if value.shape == () or value.min() == value.max():
        reach = abs(float(value.flat[0])) + 1
        return -reach, reach
    return float(value.min()), float(value.max())


def _is_whole(value: Any) -> bool:
    return bool(np.all(np.asarray(value) == np.round(value)))


def draw(
    work: Callable[[Mapping[str, Any], Mapping[str, Any]], Worked],
    inputs: Mapping[str, Any],
    cotangents: Mapping[str, Any],
    fixed: tuple[str, ...],
    holds: Callable[[Worked], bool],
    seed: int,
) -> Worked:
    """Work an example on the first numbers drawn from ``seed`` on which it is instructive.

    Args:
        work: derives the example on inputs and cotangents.
        inputs: the hand-chosen numbers, which set shapes and ranges.
        cotangents: the same for given δ.
        fixed: inputs that stay.
        holds: what the text around the example says of its numbers.
        seed: of the draws, from 0.

    """
    rng = np.random.default_rng(seed)
    for _ in range(TRIES):
        drawn = {k: x if k in fixed else like(x, rng) for k, x in inputs.items()}
        worked = work(drawn, {k: like(x, rng) for k, x in cotangents.items()})
        if is_instructive(worked, fixed) and holds(worked):
            return worked
    raise AssertionError(f"no draw of {TRIES} from seed {seed} shows what the example is for")


def is_instructive(worked: Worked, fixed: tuple[str, ...] = ()) -> bool:
    """Is there something to see in every step, and nothing that rounding hides?

    No large numbers, no saturated σ, no ReLU that passes all or nothing, no kink and no tie but in
    what is fixed, no δ that is all zeros.
    """
    deltas = [worked.values[delta.node.name] for delta in worked.backward.steps]
    numbers = [*(worked.values[name] for name in worked.names), *deltas]
    if any(np.max(np.abs(x), initial=0) > LARGEST for x in numbers):
        return False
    if not all(np.any(delta) for delta in deltas):
        return False
    nodes = worked.backward.traced.graph.nodes
    seen = [n for n in nodes if n.op.name in LIVELY and n.inputs[0].name not in fixed]
    return all(LIVELY[n.op.name](n, worked.values[n.inputs[0].name]) for n in seen)


def _not_saturated(node: Node, x: Any) -> bool:
    return bool(np.max(np.abs(x)) <= STEEP)


def _not_one_hot(node: Node, x: Any) -> bool:
    return bool(np.max(np.ptp(np.atleast_1d(x), axis=-1)) <= STEEP)


def _some_dead(node: Node, x: Any) -> bool:
    """A single number is dead or alive; of several, some are and some are not, and none is 0."""
    return bool(np.all(x != 0) and (np.size(x) == 1 or (np.any(x > 0) and np.any(x < 0))))


def _single_winners(node: Node, x: Any) -> bool:
    """Lowering every number by a little of its own leaves the same winners."""
    places = np.arange(x.size).reshape(x.shape) / x.size
    winners = [node.op.run([x + 1e-6 * tilt], node.attrs) for tilt in (places, -places)]
    plain = node.op.run([x], node.attrs)
    return bool(np.allclose(winners[0] + winners[1], 2 * plain, rtol=0, atol=1e-12))


LIVELY: dict[str, Callable[[Node, Any], bool]] = {
    "sigmoid": _not_saturated,
    "tanh": _not_saturated,
    "gelu": _not_saturated,
    "softmax": _not_one_hot,
    "cross_entropy": _not_one_hot,
    "relu": _some_dead,
    "max_pool2d": _single_winners,
}
"""Operation -> does it show its backward pass on this operand?"""
