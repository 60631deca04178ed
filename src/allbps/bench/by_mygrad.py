"""MyGrad: tensors over NumPy arrays with its own layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mygrad as mg
from mygrad.nnet import conv_nd, max_pool, relu, softmax_crossentropy
from numpy.typing import NDArray

from allbps.bench.descent import Descent
from allbps.bench.peer import as_losses
from allbps.bench.work import Work

Tensors = dict[str, Any]


def slide(p: Tensors, x: Any, y: Any) -> Any:
    h = relu(conv_nd(x[None, None], p["K"][None, None], stride=1))
    return 0.5 * mg.sum((max_pool(h, (2, 2), 2)[0, 0] - y) ** 2)


def mlp(p: Tensors, x: Any, y: Any) -> Any:
    h = relu(mg.matmul(x.reshape(len(x), -1), p["W1"].T) + p["b1"])
    h = relu(mg.matmul(h, p["W2"].T) + p["b2"])
    return softmax_crossentropy(mg.matmul(h, p["W3"].T) + p["b3"], y)


def lenet(p: Tensors, x: Any, y: Any) -> Any:
    h = relu(conv_nd(x, p["K1"], stride=1) + p["b1"].reshape(-1, 1, 1))
    h = relu(conv_nd(h, p["K2"], stride=1) + p["b2"].reshape(-1, 1, 1))
    h = max_pool(h, (2, 2), 2).reshape(len(x), -1)
    h = relu(mg.matmul(h, p["W3"].T) + p["b3"])
    return softmax_crossentropy(mg.matmul(h, p["W4"].T) + p["b4"], y)


LOSSES: dict[str, Callable[[Tensors, Any, Any], Any]] = {f.__name__: f for f in (slide, mlp, lenet)}


class Steps:
    """Forward, ``backward()``, and the update in NumPy."""

    def __init__(self, work: Work) -> None:
        mg.turn_memory_guarding_off()  # its guide's advice for training
        self.work, self.taken = work, 0
        self.descent = Descent(work)
        self.loss = LOSSES[work.model.name]

    def run(self, steps: int) -> NDArray[Any]:
        """Step by step."""
        losses = []
        for _ in range(steps):
            x, y = self.work.batch(self.taken)
            tensors = {n: mg.tensor(p, copy=False) for n, p in self.descent.params.items()}
            loss = self.loss(tensors, x, y)
            loss.backward()
            self.descent.move({name: t.grad for name, t in tensors.items()})
            self.taken += 1
            losses.append(loss.data)
        return as_losses(losses)
