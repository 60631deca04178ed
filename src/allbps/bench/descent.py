"""Gradient descent on NumPy arrays, for peers that bring no optimiser of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from allbps.bench.work import Work


class Descent:
    """Momentum as in PyTorch, in place: v ← momentum · v + δp, p ← p − lr · v."""

    def __init__(self, work: Work) -> None:
        self.params = {name: p.copy() for name, p in work.learnt.items()}
        self.lr, self.momentum = work.lr, work.momentum
        self.velocity = {name: np.zeros_like(p) for name, p in self.params.items()}

    def move(self, deltas: Mapping[str, Any]) -> None:
        """One step along the deltas, by the parameters' names."""
        for name in self.params:
            delta = deltas[name]
            if self.momentum:
                self.velocity[name] *= self.momentum
                self.velocity[name] += delta
                delta = self.velocity[name]
            self.params[name] -= self.lr * delta
