"""The lecture's convnet: conv, ReLU and max pool as on the slide; a linear layer for classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import allbps.functional as F
from allbps.nn.initial import layers
from allbps.nn.model import Model, Params, Shape


def lecture(params: Mapping[str, Any], x: Any) -> Any:
    """(N, C, H, W) -> logits (N, classes)."""
    y = F.conv2d(x, params["K"], params["b"], padding=2)  # (N, C, H, W) -> (N, 32, H, W)
    z = F.relu(y)
    p = F.max_pool2d(z, 2)  # -> (N, 32, H/2, W/2)
    logits = F.linear(p.reshape(len(p), -1), params["W"], params["c"])
    return logits


def initial_lecture(rng: np.random.Generator, shape: Shape, classes: int) -> Params:
    """Drawn as PyTorch draws convolutions and linear layers."""
    channels, height, width = shape
    pooled = 32 * (height // 2) * (width // 2)
    return layers(rng, {("K", "b"): (32, channels, 5, 5), ("W", "c"): (classes, pooled)})


LECTURE = Model("lecture", lecture, initial_lecture, lr=0.5, smallest=2, pictured="K")
