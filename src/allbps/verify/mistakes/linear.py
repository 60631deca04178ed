"""Where a step leads to, as a matrix: a backward pass is linear in each of its δ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from allbps.ir import Node
from allbps.verify.mistakes.declare import Site
from allbps.verify.precision import Precision, worth_a_look


class Linear:
    """Given δ as a linear function of a step's, to see quickly what cannot explain them."""

    def __init__(
        self,
        follow: Callable[[Any], Mapping[Node, Any]],
        site: Site,
        precision: Mapping[Node, Precision],
    ) -> None:
        """Follow each number of a step onward by itself.

        Args:
            follow: δ of the step -> the given δ that follow.
            site: the step.
            precision: of the given δ to be compared.

        """
        self.right = np.asarray(site.right, dtype=np.float64)
        self.targets = [
            (x, p) for x, p in precision.items() if x.size and np.shape(p.theirs) == x.shape
        ]  # fmt: skip
        self.size = float(np.max(np.abs(self.right), initial=0.0)) or 1.0
        self.base = self._flat(follow(self.right))
        columns = [self._flat(follow(moved)) - self.base for moved in self._moved()]
        self.matrix = np.stack(columns, axis=1) if columns else np.zeros((self.base.size, 0))
        given = [p for _, p in self.targets]
        self.theirs = np.concatenate([np.zeros(0), *(np.ravel(p.theirs) for p in given)])
        self.starts = np.cumsum([0, *(p.theirs.size for p in given)])[:-1]
        self.farthest = np.array([p.farthest for p in given])

    def _moved(self) -> Any:
        for index in np.ndindex(self.right.shape):
            moved = self.right.copy()
            moved[index] += self.size
            yield moved

    def _flat(self, found: Mapping[Node, Any]) -> Any:
        return np.concatenate([np.zeros(0), *(np.ravel(found[x]) for x, _ in self.targets)])

    def reaches(self, delta: Any) -> bool:
        """May this δ of the step explain any of the given ones?"""
        if np.shape(delta) != self.right.shape or not self.targets:
            return False
        moved = np.ravel(delta - self.right) / self.size
        if not np.all(np.isfinite(moved)):
            return False
        there = self.base + self.matrix @ moved
        off = np.maximum.reduceat(np.abs(there - self.theirs), self.starts)
        size = np.maximum.reduceat(np.abs(there), self.starts)
        return bool(np.any(worth_a_look(off, size, self.farthest)))
