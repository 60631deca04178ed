"""How parameters are drawn before the first step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.nn.model import Params


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
    return normal(rng, weight, float(spread))


def normal(rng: np.random.Generator, shape: tuple[int, ...], spread: float) -> NDArray[np.float32]:
    """Normal with this standard deviation."""
    return np.asarray(spread * rng.standard_normal(shape), np.float32)


def filled(shape: tuple[int, ...] | int, value: float) -> NDArray[Any]:
    """The same number everywhere."""
    return np.full(shape, value, np.float32)


def layers(rng: np.random.Generator, sizes: Mapping[tuple[str, str], tuple[int, ...]]) -> Params:
    """Weights and biases as PyTorch draws them, layer by layer.

    Args:
        rng: where they are drawn from.
        sizes: each weight's shape, under the weight's and the bias's name.

    """
    params: Params = {}
    for (weight, bias), size in sizes.items():
        params[weight] = uniform_fan_in(rng, size, size)
        params[bias] = uniform_fan_in(rng, size[:1], size)
    return params
