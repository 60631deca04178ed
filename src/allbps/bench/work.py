"""The rows of the benchmark: nets, initial weights and data, equal for everyone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import allbps.functional as F
from allbps import nn
from allbps.nn.model import Model, Params, Shape
from allbps.nn.slide import SLIDE

SEED = 0
BATCHES = 20
"""Different mini-batches of a row; longer runs visit them again and again."""


@dataclass(frozen=True, eq=False)
class Work:
    """One row: what to train on what.

    Attributes:
        row: its name.
        title: the net and its sizes.
        model: the net.
        params: initial parameters, float32.
        x: (batches, …) the inputs of each step.
        y: (batches, …) the labels or targets of each step.
        lr: learning rate of gradient descent.
        momentum: its momentum.

    """

    row: str
    title: str
    model: Model
    params: Params
    x: NDArray[Any]
    y: NDArray[Any]
    lr: float
    momentum: float

    @property
    def learnt(self) -> dict[str, Any]:
        """What the gradient moves."""
        return self.model.learnt(self.params)

    @property
    def running(self) -> dict[str, Any]:
        """Running statistics."""
        return {name: p for name, p in self.params.items() if self.model.is_running(name)}

    def batch(self, step: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """What step ``step`` learns from."""
        k = step % len(self.x)
        return self.x[k], self.y[k]


# -- the slide's algorithm -------------------------------------------------------------------------
EDGES = np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]], np.float32) / 4
"""The kernel to be found: Sobel's, for horizontal edges."""


def lecture_row() -> Work:
    """The slide's net on the digits, to find the kernel of their edges."""
    from allbps.data import load

    digits = load("digits").train
    x = digits.fetch(np.arange(len(digits)))[0][:, 0]  # (1797, 8, 8)
    y = F.max_pool2d(F.relu(F.conv2d(x[:, None], EDGES[None, None])), 2)[:, 0]
    rng = np.random.default_rng(SEED)
    title = "the slide's algorithm, one 8×8 digit a step"
    return Work("lecture", title, SLIDE, SLIDE.init(rng, (), 0), x, y, SLIDE.lr, 0.0)


# -- named nets ------------------------------------------------------------------------------------
def image_row(title: str, name: str, shape: Shape, batch: int, lr: float) -> Work:
    """A named net on normal numbers with random labels of ten classes."""
    rng = np.random.default_rng(SEED)
    model = nn.named(name)
    params = model.init(rng, shape, 10)
    x = rng.standard_normal((BATCHES, batch, *shape)).astype(np.float32)
    y = rng.integers(0, 10, (BATCHES, batch))
    return Work(name, title, model, params, x, y, lr, 0.9)


def text_row(title: str, batch: int, length: int, vocabulary: int) -> Work:
    """The GPT on random characters."""
    rng = np.random.default_rng(SEED)
    model = nn.named("gpt")
    params = model.init(rng, (length,), vocabulary)
    text = rng.integers(0, vocabulary, (BATCHES, batch, length + 1))
    return Work("gpt", title, model, params, text[..., :-1], text[..., 1:], 0.01, 0.9)


ROWS: dict[str, Callable[[], Work]] = {
    "lecture": lecture_row,
    "mlp": lambda: image_row("MLP 784-512-256-10, batch 128", "mlp", (1, 28, 28), 128, 0.01),
    "lenet": lambda: image_row("LeNet 28×28, batch 64", "lenet", (1, 28, 28), 64, 0.01),
    "resnet20": lambda: image_row("ResNet-20 32×32, batch 64", "resnet20", (3, 32, 32), 64, 0.001),
    "gpt": lambda: text_row("GPT 4×128, 128 tokens, batch 16", 16, 128, 65),
}
