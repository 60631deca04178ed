"""HIPS autograd: derivatives of NumPy code by a tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd.numpy as np
from autograd import value_and_grad
from autograd.scipy.special import logsumexp
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from allbps.bench.descent import Descent
from allbps.bench.peer import as_losses
from allbps.bench.work import Work

Arrays = dict[str, Any]


def slide(p: Arrays, x: Any, y: Any) -> Any:
    patches = sliding_window_view(x, (3, 3)).reshape(-1, 9)
    h = relu(np.dot(patches, p["K"].reshape(9)))  # (36, 9) · (9,) -> (36,)
    return 0.5 * np.sum((pool(h.reshape(1, 6, 6, 1))[0, :, :, 0] - y) ** 2)


def mlp(p: Arrays, x: Any, y: Any) -> Any:
    h = relu(np.dot(x.reshape(len(x), -1), p["W1"].T) + p["b1"])
    h = relu(np.dot(h, p["W2"].T) + p["b2"])
    return cross_entropy(np.dot(h, p["W3"].T) + p["b3"], y)


def lenet(p: Arrays, x: Any, y: Any) -> Any:
    h = relu(conv(np.transpose(x, (0, 2, 3, 1)), p["K1"]) + p["b1"])
    h = pool(relu(conv(h, p["K2"]) + p["b2"]))
    h = np.transpose(h, (0, 3, 1, 2)).reshape(len(x), -1)  # the order of W3's columns
    h = relu(np.dot(h, p["W3"].T) + p["b3"])
    return cross_entropy(np.dot(h, p["W4"].T) + p["b4"], y)


def conv(x: Any, kernel: Any) -> Any:
    """(N, H, W, C) ⋆ (O, C, 3, 3) -> (N, H-2, W-2, O), as one matrix product.

    ``autograd.scipy.signal.convolve`` goes through einsum, which takes four times as long.
    """
    n, height, width, _ = x.shape
    shifts = [(i, j) for i in range(3) for j in range(3)]
    patches = [x[:, i : i + height - 2, j : j + width - 2] for i, j in shifts]
    columns = np.concatenate(patches, axis=3).reshape(n * (height - 2) * (width - 2), -1)
    weights = np.transpose(kernel, (2, 3, 1, 0)).reshape(-1, len(kernel))
    return np.dot(columns, weights).reshape(n, height - 2, width - 2, -1)


# Maxima by comparison: np.maximum and np.max share δ among equals, in double precision.
def relu(x: Any) -> Any:
    return x * (x > 0)


def pool(x: Any) -> Any:
    """2×2 of (N, H, W, C)."""
    n, h, w, c = x.shape
    blocks = x.reshape(n, h // 2, 2, w // 2, 2, c)
    return larger(
        larger(blocks[:, :, 0, :, 0], blocks[:, :, 0, :, 1]),
        larger(blocks[:, :, 1, :, 0], blocks[:, :, 1, :, 1]),
    )


def larger(a: Any, b: Any) -> Any:
    first = a >= b
    return a * first + b * ~first


def cross_entropy(logits: Any, labels: Any) -> Any:
    scores = logits - logsumexp(logits, axis=1, keepdims=True)
    return -np.mean(scores[np.arange(len(labels)), labels])


LOSSES: dict[str, Callable[[Arrays, Any, Any], Any]] = {f.__name__: f for f in (slide, mlp, lenet)}


class Steps:
    """``value_and_grad`` of the loss, and the update in NumPy."""

    def __init__(self, work: Work) -> None:
        self.work, self.taken = work, 0
        self.descent = Descent(work)
        self.deltas = value_and_grad(LOSSES[work.model.name])

    def run(self, steps: int) -> NDArray[Any]:
        """Step by step."""
        losses = []
        for _ in range(steps):
            loss, deltas = self.deltas(self.descent.params, *self.work.batch(self.taken))
            self.descent.move(deltas)
            self.taken += 1
            losses.append(loss)
        return as_losses(losses)
