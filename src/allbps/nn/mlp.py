"""A net without convolutions: two hidden layers of 512 and 256 units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import allbps.functional as F
from allbps.nn.initial import layers
from allbps.nn.model import Model, Params, Shape


def mlp(params: Mapping[str, Any], x: Any) -> Any:
    """(N, C, H, W) -> logits (N, classes)."""
    h = x.reshape(len(x), -1)  # (N, C·H·W)
    h = F.relu(F.linear(h, params["W1"], params["b1"]))  # -> (N, 512)
    h = F.relu(F.linear(h, params["W2"], params["b2"]))  # -> (N, 256)
    logits = F.linear(h, params["W3"], params["b3"])
    return logits


def initial_mlp(rng: np.random.Generator, shape: Shape, classes: int) -> Params:
    """Drawn as PyTorch draws linear layers."""
    pixels = int(np.prod(shape))
    return layers(
        rng, {("W1", "b1"): (512, pixels), ("W2", "b2"): (256, 512), ("W3", "b3"): (classes, 256)}
    )


MLP = Model("mlp", mlp, initial_mlp, lr=0.1, pictured="W1")
