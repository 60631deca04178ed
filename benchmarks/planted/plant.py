"""What a net with planted mistakes is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Numbers = dict[str, Any]
Wrong = Callable[[Any, Numbers], Any]
"""(right δ, every value and every δ so far, as ``x`` and ``dx``) -> wrong δ."""


@dataclass(frozen=True)
class Plant:
    """One mistake: at which δ, what is computed there, and what a name of it must match."""

    kind: str
    node: str
    wrong: Wrong
    says: str


@dataclass(frozen=True)
class Net:
    """A net: its forward pass for the checker, its data, its backward pass in plain NumPy.

    ``backward(v, put)`` calls ``put(name, δ)`` for each δ in turn and goes on with what that
    returns, which is the wrong δ at the planted place.
    """

    name: str
    forward: Callable[..., Any]
    data: Callable[[np.random.Generator], Numbers]
    backward: Callable[[Numbers, Callable[[str, Any], Any]], None]
    plants: tuple[Plant, ...]
    parameters: tuple[str, ...]

    def hand_in(self, values: Numbers, plant: Plant | None = None) -> Numbers:
        """Every δ by hand, with a mistake if one is planted."""
        found: Numbers = {}
        known = dict(values)

        def put(name: str, right: Any) -> Any:
            known.update({f"d{k}": g for k, g in found.items()})
            slips = plant is not None and plant.node == name
            found[name] = plant.wrong(right, known) if plant and slips else right
            return found[name]

        self.backward(known, put)
        return found

    @property
    def mistakes(self) -> tuple[Plant, ...]:
        """The net's own mistakes, and those that can be made anywhere, at each of its δ in turn."""
        nodes: list[str] = []
        self.backward(dict(self.data(np.random.default_rng(0))), _noting(nodes))
        general = [
            Plant(kind, nodes[k % len(nodes)], wrong, says)
            for k, (kind, wrong, says) in enumerate(GENERAL * 2)
        ]
        return (*self.plants, *general)


def _noting(nodes: list[str]) -> Callable[[str, Any], Any]:
    def put(name: str, right: Any) -> Any:
        nodes.append(name)
        return right

    return put


GENERAL: list[tuple[str, Wrong, str]] = [
    ("sign", lambda g, n: -g, r"sign"),
    ("forgotten", lambda g, n: 0 * np.asarray(g), r"zero|left out"),
    ("doubled", lambda g, n: 2 * np.asarray(g), r"factor 2|factor|twice"),
    ("halved", lambda g, n: np.asarray(g) / 2, r"½|factor|half"),
]


def sigma(z: Any) -> Any:
    """The logistic function."""
    return 1 / (1 + np.exp(-z))


def softmax(z: Any, axis: int = -1) -> Any:
    """Softmax along an axis."""
    e = np.exp(z - z.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def correlate(x: Any, w: Any) -> Any:
    """(N, C, H, W) and (O, C, h, w) -> valid cross-correlation."""
    h, v = w.shape[2:]
    H, W = x.shape[2] - h + 1, x.shape[3] - v + 1
    out = np.zeros((len(x), len(w), H, W))
    for i, j in np.ndindex(h, v):
        out += np.einsum("ncab,oc->noab", x[:, :, i : i + H, j : j + W], w[:, :, i, j])
    return out
