"""A net as a short list of layers: ``[Conv(32, 3), "relu", Pool(2), Dense(128)]``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import allbps.functional as F
from allbps.errors import ArgumentError, unknown_name

Params = dict[str, NDArray[Any]]
Shape = tuple[int, ...]

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": F.relu,
    "tanh": F.tanh,
    "logistic": F.sigmoid,
    "sigmoid": F.sigmoid,
    "gelu": F.gelu,
    "silu": F.silu,
    "identity": lambda x: x,
}


@dataclass(frozen=True)
class Dense:
    """A linear layer.

    Attributes:
        units: how many numbers it gives.

    """

    units: int

    def shapes(self, shape: Shape) -> tuple[Shape, Shape]:
        """(of its weight, of what it gives), for examples of this shape."""
        return (self.units, math.prod(shape)), (self.units,)

    def __call__(self, x: Any, weight: Any, bias: Any) -> Any:
        """(N, …) -> (N, units)."""
        return F.linear(x.reshape(len(x), -1), weight, bias)


@dataclass(frozen=True)
class Conv:
    """A convolution without padding.

    Attributes:
        channels: how many it gives.
        size: height and width of its kernels.

    """

    channels: int
    size: int

    def shapes(self, shape: Shape) -> tuple[Shape, Shape]:
        """(of its weight, of what it gives), for images of this shape."""
        channels, height, width = _image(shape, f"Conv({self.channels}, {self.size})", self.size)
        out = height - self.size + 1, width - self.size + 1
        return (self.channels, channels, self.size, self.size), (self.channels, *out)

    def __call__(self, x: Any, weight: Any, bias: Any) -> Any:
        """(N, C, H, W) -> (N, channels, H - size + 1, W - size + 1)."""
        return F.conv2d(x, weight, bias)


@dataclass(frozen=True)
class Pool:
    """Max pooling.

    Attributes:
        size: of the windows, which do not overlap.

    """

    size: int

    def shapes(self, shape: Shape) -> tuple[None, Shape]:
        """(no weight, the shape of what it gives), for images of this shape."""
        channels, height, width = _image(shape, f"Pool({self.size})", self.size)
        return None, (channels, height // self.size, width // self.size)

    def __call__(self, x: Any) -> Any:
        """(N, C, H, W) -> (N, C, H // size, W // size)."""
        return F.max_pool2d(x, self.size)


Layer = Dense | Conv | Pool | str


@dataclass(frozen=True)
class Net:
    """Layers for examples of one shape.

    Attributes:
        layers: the last one gives the scores.
        shape: of one example.

    """

    layers: tuple[Layer, ...]
    shape: Shape

    def init(self, rng: np.random.Generator, dtype: Any) -> Params:
        """Initial parameters: weights and biases uniform as Glorot and Bengio draw them.

        Source: X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward
        neural networks", 2010.
        """
        params: Params = {}
        shape = self.shape
        for k, layer in enumerate(self.layers):
            if isinstance(layer, str):
                continue
            weight, shape = layer.shapes(shape)
            if weight is not None:
                field = math.prod(weight[2:])
                bound = math.sqrt(6 / (field * (weight[0] + weight[1])))
                params[f"W{k}"] = rng.uniform(-bound, bound, weight).astype(dtype)
                params[f"b{k}"] = rng.uniform(-bound, bound, weight[:1]).astype(dtype)
        return params

    def __call__(self, params: Mapping[str, Any], x: Any) -> Any:
        """Examples (N, …) -> scores (N, K)."""
        for k, layer in enumerate(self.layers):
            if isinstance(layer, str):
                x = ACTIVATIONS[layer](x)
            else:
                own = (params[f"W{k}"], params[f"b{k}"]) if f"W{k}" in params else ()
                x = layer(x, *own)
        return x


def hidden(sizes: Sequence[int], activation: str) -> tuple[Layer, ...]:
    """Dense layers of these sizes, each followed by the activation.

    Raises:
        ArgumentError: a size is not a whole number of at least 1.
        NameUnknownError: there is no such activation.

    """
    _known(activation)
    for units in sizes:
        if not isinstance(units, (int, np.integer)) or units < 1:
            raise ArgumentError(
                "hidden_layer_sizes is out of range",
                expected="whole numbers from 1, as (100,)",
                got=repr(tuple(sizes)),
            )
    return tuple(layer for units in sizes for layer in (Dense(int(units)), activation))


def checked(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers, if they are.

    Raises:
        ArgumentError: one is not a layer, or they are no list.
        NameUnknownError: one names no activation.

    """
    if isinstance(layers, str) or not isinstance(layers, Iterable):
        raise ArgumentError(
            "layers is not a list of layers",
            expected='a list such as [Conv(32, 3), "relu", Pool(2), Dense(128), "relu"]',
            got=repr(layers),
        )
    for layer in layers:
        if isinstance(layer, str):
            _known(layer)
        elif not isinstance(layer, (Dense, Conv, Pool)):
            raise ArgumentError(
                f"{layer!r} is not a layer",
                expected='layers such as [Conv(32, 3), "relu", Pool(2), Dense(128), "relu"]',
                got=type(layer).__name__,
            )
    return tuple(layers)


def _known(activation: str) -> None:
    if activation not in ACTIVATIONS:
        raise unknown_name(activation, list(ACTIVATIONS), "activation")


def _image(shape: Shape, layer: str, size: int) -> Shape:
    """(C, H, W), large enough for a window of this size."""
    if len(shape) != 3 or min(shape[1:]) < size:
        raise ArgumentError(
            f"{layer} does not fit what it is given",
            expected=f"images of at least {size}×{size}",
            got=f"shape {shape}",
            todo="image_shape=(channels, height, width) says how rows of X are images",
        )
    return shape
