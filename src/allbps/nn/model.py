"""What a named net consists of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import allbps.functional as F
from allbps.errors import ArgumentError

Params = dict[str, NDArray[Any]]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Model:
    """A net.

    Attributes:
        name: what the command line calls it.
        forward: (params, x (N, …)) -> logits (N, classes), or (N, T, classes) for text.
        initial: (rng, shape of one example, classes) -> parameters in float32.
        lr: a learning rate at which gradient descent by mini-batches of 16 works.
        optimizer: what moves it well by default: ``sgd``, as on the slide, or another.
        reads: ``images`` (C, H, W), or ``text``, class numbers (T,).
        smallest: the smallest length of an axis, channels aside.
        pictured: the parameter whose units can be shown as small images, if there is one.
        training: (params, x) -> (logits, running statistics after this batch), for a net that
            computes otherwise in training.
        running: how the names of running statistics end. They stand among the parameters, and
            follow the batches instead of the gradient.

    """

    name: str
    forward: Callable[[Mapping[str, Any], Any], Any]
    initial: Callable[[np.random.Generator, Shape, int], Params]
    lr: float
    optimizer: str = "sgd"
    reads: str = "images"
    smallest: int = 1
    pictured: str = ""
    training: Callable[[Mapping[str, Any], Any], tuple[Any, dict[str, Any]]] | None = None
    running: tuple[str, ...] = ()

    def init(self, rng: np.random.Generator, shape: Shape, classes: int) -> Params:
        """Initial parameters in float32.

        Args:
            rng: where they are drawn from, layer by layer.
            shape: of one example, (C, H, W) or (T,).
            classes: how many there are.

        Raises:
            ArgumentError: the examples are too small for the net.

        """
        if len(shape) == 3 and min(shape[1:]) < self.smallest:
            raise ArgumentError(
                f"the images are too small for the net {self.name}",
                expected=f"at least {self.smallest}×{self.smallest}",
                got=f"{shape[1]}×{shape[2]}",
                todo="choose another --model, or larger images",
            )
        return self.initial(rng, shape, classes)

    def learnt(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters that the gradient moves: all but running statistics."""
        return {name: p for name, p in params.items() if not self.is_running(name)}

    def is_running(self, name: str) -> bool:
        """Is this a running statistic?"""
        return bool(self.running) and name.endswith(self.running)

    def objective(self, params: Mapping[str, Any], x: Any, labels: Any) -> tuple[Any, Any]:
        """(loss, logits): the mean cross-entropy of a mini-batch, and what it comes from."""
        logits = self.forward(params, x)
        loss = _cross_entropy(logits, labels)
        return loss, logits

    def training_objective(
        self, params: Mapping[str, Any], x: Any, labels: Any
    ) -> tuple[Any, Any, dict[str, Any]]:
        """(loss, logits, new running statistics), as computed in training."""
        if self.training is None:
            return *self.objective(params, x, labels), {}
        logits, running = self.training(params, x)
        loss = _cross_entropy(logits, labels)
        return loss, logits, running


def _cross_entropy(logits: Any, labels: Any) -> Any:
    """The mean over everything that is predicted: (…, classes) with class numbers (…)."""
    if len(logits.shape) == 2:
        return F.cross_entropy(logits, labels)
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))
