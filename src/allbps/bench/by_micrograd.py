"""micrograd: numbers one by one, so the slide's algorithm only."""

from __future__ import annotations

from typing import Any

import numpy as np
from micrograd.engine import Value
from numpy.typing import NDArray

from allbps.bench.peer import as_losses
from allbps.bench.work import Work


class Steps:
    """The kernel as a matrix of ``Value``, which holds Python's number, in double precision."""

    def __init__(self, work: Work) -> None:
        self.kernel = [[Value(k) for k in row] for row in work.params["K"].tolist()]
        self.x, self.y, self.lr = work.x.tolist(), work.y.tolist(), work.lr
        self.taken = 0

    def run(self, steps: int) -> NDArray[Any]:
        """Step by step."""
        losses = []
        for _ in range(steps):
            k = self.taken % len(self.x)
            loss = slide(self.kernel, self.x[k], self.y[k])
            loss.backward()
            for value in (value for row in self.kernel for value in row):
                value.data -= self.lr * value.grad
                value.grad = 0
            self.taken += 1
            losses.append(loss.data)
        return as_losses(losses)


def slide(kernel: list[list[Value]], x: list[list[float]], y: list[list[float]]) -> Value:
    """(3, 3) over (8, 8), ReLU, 2×2 maxima, the Euclidean loss."""
    h = [[window(kernel, x, i, j).relu() for j in range(6)] for i in range(6)]
    loss = 0.0
    for i, j in np.ndindex(3, 3):
        block = (h[2 * i + a][2 * j + b] for a in (0, 1) for b in (0, 1))
        loss = loss + (max(block, key=lambda value: value.data) - y[i][j]) ** 2
    return 0.5 * loss


def window(kernel: list[list[Value]], x: list[list[float]], i: int, j: int) -> Value:
    """The kernel's products with the pixels under it, and their sum."""
    return sum(k * x[i + a][j + b] for a, row in enumerate(kernel) for b, k in enumerate(row))
