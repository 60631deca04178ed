"""Two convolutions, one pooling, a hidden layer of 128: LeNet-5's plan with today's parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import allbps.functional as F
from allbps.nn.initial import layers
from allbps.nn.model import Model, Params, Shape


def lenet(params: Mapping[str, Any], x: Any) -> Any:
    """(N, C, H, W) -> logits (N, classes)."""
    h = F.relu(F.conv2d(x, params["K1"], params["b1"]))  # -> (N, 32, H-2, W-2)
    h = F.relu(F.conv2d(h, params["K2"], params["b2"]))  # -> (N, 64, H-4, W-4)
    h = F.max_pool2d(h, 2)
    h = F.relu(F.linear(h.reshape(len(h), -1), params["W3"], params["b3"]))  # -> (N, 128)
    logits = F.linear(h, params["W4"], params["b4"])
    return logits


def initial_lenet(rng: np.random.Generator, shape: Shape, classes: int) -> Params:
    """Drawn as PyTorch draws convolutions and linear layers."""
    channels, height, width = shape
    pooled = 64 * ((height - 4) // 2) * ((width - 4) // 2)
    sizes: dict[tuple[str, str], tuple[int, ...]] = {
        ("K1", "b1"): (32, channels, 3, 3),
        ("K2", "b2"): (64, 32, 3, 3),
        ("W3", "b3"): (128, pooled),
        ("W4", "b4"): (classes, 128),
    }
    return layers(rng, sizes)


LENET = Model("lenet", lenet, initial_lenet, lr=0.1, smallest=6, pictured="K1")
