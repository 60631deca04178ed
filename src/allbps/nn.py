"""Named nets: a plain function from parameters and images to logits, and its initial parameters.

Parameters are a dict of arrays. Where a net has a counterpart in PyTorch, so do its layers: the
weight of a linear layer is (out, in), that of a convolution (out, in, h, w).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import allbps.functional as F
from allbps.errors import ArgumentError, unknown_name

Params = dict[str, NDArray[Any]]
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Model:
    """A net.

    Attributes:
        name: what the command line calls it.
        forward: (params, x (N, C, H, W)) -> logits (N, classes).
        layers: ((C, H, W), classes) -> for each layer its weight's shape, under the weight's and
            the bias's name.
        smallest: the smallest height and width it takes.
        pictured: the parameter whose units can be shown as small images.

    """

    name: str
    forward: Callable[[Mapping[str, Any], Any], Any]
    layers: Callable[[Shape, int], dict[tuple[str, str], tuple[int, ...]]]
    smallest: int
    pictured: str

    def init(self, rng: np.random.Generator, shape: Shape, classes: int) -> Params:
        """Initial parameters in float32.

        Args:
            rng: where they are drawn from, layer by layer.
            shape: (C, H, W) of an image.
            classes: how many there are.

        Raises:
            ArgumentError: the images are too small for the net.

        """
        if min(shape[1:]) < self.smallest:
            raise ArgumentError(
                f"the images are too small for the net {self.name}",
                expected=f"at least {self.smallest}×{self.smallest}",
                got=f"{shape[1]}×{shape[2]}",
                todo="choose another --model, or larger images",
            )
        params: Params = {}
        for (weight, bias), size in self.layers(shape, classes).items():
            params[weight] = uniform_fan_in(rng, size, size)
            params[bias] = uniform_fan_in(rng, size[:1], size)
        return params

    def objective(self, params: Mapping[str, Any], x: Any, labels: Any) -> tuple[Any, Any]:
        """(loss, logits): the mean cross-entropy of a mini-batch, and what it comes from."""
        logits = self.forward(params, x)
        loss = F.cross_entropy(logits, labels)
        return loss, logits


def uniform_fan_in(
    rng: np.random.Generator, shape: tuple[int, ...], weight: tuple[int, ...]
) -> NDArray[np.float32]:
    """Uniform between ±1/√fan_in, as PyTorch initialises linear and convolutional layers.

    Args:
        rng: where the numbers are drawn from.
        shape: of the array to make, the weight itself or its bias.
        weight: (out, in, …), whose fan_in is the product of all but the first.

    """
    bound = 1 / np.sqrt(np.prod(weight[1:]))
    return np.asarray(rng.uniform(-bound, bound, shape), np.float32)


def he_normal(rng: np.random.Generator, weight: tuple[int, ...]) -> NDArray[np.float32]:
    """Normal with variance 2/fan_in, which keeps the size of signals through ReLUs.

    Source: He et al., arXiv:1502.01852.
    """
    spread = np.sqrt(2 / np.prod(weight[1:]))
    return np.asarray(spread * rng.standard_normal(weight), np.float32)


# -- the lecture's convnet -------------------------------------------------------------------------
def lecture(params: Mapping[str, Any], x: Any) -> Any:
    """Conv, ReLU, max pool, and a linear layer for the classes."""
    y = F.conv2d(x, params["K"], params["b"])  # (N, C, H, W) -> (N, 32, H-2, W-2)
    z = F.relu(y)
    p = F.max_pool2d(z, 2)  # -> (N, 32, (H-2)/2, (W-2)/2)
    logits = F.linear(p.reshape(len(p), -1), params["W"], params["c"])
    return logits


def lecture_layers(shape: Shape, classes: int) -> dict[tuple[str, str], tuple[int, ...]]:
    channels, height, width = shape
    pooled = 32 * ((height - 2) // 2) * ((width - 2) // 2)
    return {("K", "b"): (32, channels, 3, 3), ("W", "c"): (classes, pooled)}


# -- a net without convolutions --------------------------------------------------------------------
def mlp(params: Mapping[str, Any], x: Any) -> Any:
    """Two hidden layers of 512 and 256 units."""
    h = x.reshape(len(x), -1)  # (N, C·H·W)
    h = F.relu(F.linear(h, params["W1"], params["b1"]))  # -> (N, 512)
    h = F.relu(F.linear(h, params["W2"], params["b2"]))  # -> (N, 256)
    logits = F.linear(h, params["W3"], params["b3"])
    return logits


def mlp_layers(shape: Shape, classes: int) -> dict[tuple[str, str], tuple[int, ...]]:
    pixels = int(np.prod(shape))
    return {("W1", "b1"): (512, pixels), ("W2", "b2"): (256, 512), ("W3", "b3"): (classes, 256)}


# -- two convolutions and a hidden layer -----------------------------------------------------------
def lenet(params: Mapping[str, Any], x: Any) -> Any:
    """Two convolutions, one pooling, a hidden layer of 128: LeNet-5's plan with today's parts."""
    h = F.relu(F.conv2d(x, params["K1"], params["b1"]))  # -> (N, 32, H-2, W-2)
    h = F.relu(F.conv2d(h, params["K2"], params["b2"]))  # -> (N, 64, H-4, W-4)
    h = F.max_pool2d(h, 2)
    h = F.relu(F.linear(h.reshape(len(h), -1), params["W3"], params["b3"]))  # -> (N, 128)
    logits = F.linear(h, params["W4"], params["b4"])
    return logits


def lenet_layers(shape: Shape, classes: int) -> dict[tuple[str, str], tuple[int, ...]]:
    channels, height, width = shape
    pooled = 64 * ((height - 4) // 2) * ((width - 4) // 2)
    return {
        ("K1", "b1"): (32, channels, 3, 3),
        ("K2", "b2"): (64, 32, 3, 3),
        ("W3", "b3"): (128, pooled),
        ("W4", "b4"): (classes, 128),
    }


MODELS = {
    model.name: model
    for model in (
        Model("lecture", lecture, lecture_layers, smallest=4, pictured="K"),
        Model("mlp", mlp, mlp_layers, smallest=1, pictured="W1"),
        Model("lenet", lenet, lenet_layers, smallest=6, pictured="K1"),
    )
}


def named(name: str) -> Model:
    """The net of that name.

    Raises:
        NameUnknownError: there is none.

    """
    if name not in MODELS:
        raise unknown_name(name, list(MODELS))
    return MODELS[name]
