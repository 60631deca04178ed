"""tinygrad on the CPU, each step replayed by its JIT."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tinygrad import Context, Tensor, TinyJit
from tinygrad.nn.optim import SGD

from allbps.bench.peer import as_losses
from allbps.bench.work import Work

HEADS = 4
DEVICE = "CPU"
Tensors = dict[str, Tensor]


def slide(p: Tensors, x: Tensor, y: Tensor) -> Tensor:
    h = x[None, None].conv2d(p["K"][None, None]).relu().max_pool2d(2)
    return 0.5 * ((h[0, 0] - y) ** 2).sum()


def mlp(p: Tensors, x: Tensor, y: Tensor) -> Tensor:
    h = x.flatten(1).linear(p["W1"].T, p["b1"]).relu()
    h = h.linear(p["W2"].T, p["b2"]).relu()
    return h.linear(p["W3"].T, p["b3"]).sparse_categorical_crossentropy(y)


def lenet(p: Tensors, x: Tensor, y: Tensor) -> Tensor:
    h = x.conv2d(p["K1"], p["b1"]).relu()
    h = h.conv2d(p["K2"], p["b2"]).relu().max_pool2d(2)
    h = h.flatten(1).linear(p["W3"].T, p["b3"]).relu()
    return h.linear(p["W4"].T, p["b4"]).sparse_categorical_crossentropy(y)


LOSSES: dict[str, Callable[[Tensors, Tensor, Tensor], Tensor]] = {
    f.__name__: f for f in (slide, mlp, lenet)
}


class Steps:
    """Loss, ``backward()`` and ``tinygrad.nn.optim.SGD`` under ``TinyJit``."""

    def __init__(self, work: Work) -> None:
        if shutil.which(os.environ.get("CC", "clang")) is None:
            raise RuntimeError("tinygrad compiles with clang, which is not on the PATH")
        self.params = {name: own(p) for name, p in work.learnt.items()}
        self.optimiser = SGD(list(self.params.values()), lr=work.lr, momentum=work.momentum)
        self.batches = [tuple(map(own, work.batch(k))) for k in range(min(len(work.x), 100))]
        self.loss = LOSSES[work.model.name]
        self.step = TinyJit(self._step)
        self.taken = 0

    def _step(self, x: Tensor, y: Tensor) -> Tensor:
        self.optimiser.zero_grad()
        loss = self.loss(self.params, x, y).backward()
        return loss.realize(*self.optimiser.schedule_step())

    def run(self, steps: int) -> NDArray[Any]:
        """Step by step; a loss is fetched at once, for the next step writes where it lies."""
        losses = []
        with Context(TRAINING=1):
            for _ in range(steps):
                loss = self.step(*self.batches[self.taken % len(self.batches)])
                self.taken += 1
                losses.append(loss.item())
        return as_losses(losses)


def own(array: NDArray[Any]) -> Tensor:
    """A copy among tinygrad's."""
    array = array.astype(np.int32) if array.dtype.kind == "i" else array
    return Tensor(array, device=DEVICE).realize()
