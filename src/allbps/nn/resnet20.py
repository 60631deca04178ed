"""ResNet-20 for small images (He et al., arXiv:1512.03385, section 4.2).

A convolution of 16 channels, three stages of three residual blocks with 16, 32 and 64 channels, the
mean over each channel, a linear layer. Where a stage halves the image, the shortcut is a 1×1
convolution of stride 2 with its own batch norm. Names follow torchvision's state dicts, with _ for
the dots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import allbps.functional as F
from allbps.nn.initial import filled, he_normal, layers
from allbps.nn.model import Model, Params, Shape

MOMENTUM = 0.1
"""Share of a batch in the new running statistics, PyTorch's default."""


def resnet20(params: Mapping[str, Any], x: Any) -> Any:
    """(N, C, H, W) -> logits (N, classes), normalised by the running statistics."""
    return _resnet(params, x, _Norm(params, training=False))


def resnet20_training(params: Mapping[str, Any], x: Any) -> tuple[Any, dict[str, Any]]:
    """(logits, new running statistics): normalised by those of the batch."""
    norm = _Norm(params, training=True)
    return _resnet(params, x, norm), norm.running


@dataclass
class _Norm:
    """Batch norm by name; in training it notes what the running statistics become."""

    params: Mapping[str, Any]
    training: bool
    running: dict[str, Any] = field(default_factory=dict)

    def __call__(self, name: str, x: Any) -> Any:
        p = self.params
        mean, var = f"{name}_running_mean", f"{name}_running_var"
        running = (p[mean], p[var])
        if self.training:
            running = (None, None)  # those of the batch count, and are noted here
            self.running[mean] = _follow(p[mean], np.mean(x, axis=(0, 2, 3)))
            self.running[var] = _follow(p[var], np.var(x, axis=(0, 2, 3), ddof=1))
        return F.batch_norm(x, *running, p[f"{name}_weight"], p[f"{name}_bias"], self.training)


def _follow(running: Any, batch: Any) -> Any:
    return (1 - MOMENTUM) * running + MOMENTUM * batch


def _resnet(params: Mapping[str, Any], x: Any, norm: _Norm) -> Any:
    h = F.conv2d(x, params["conv1_weight"], padding=1)  # -> (N, 16, H, W)
    h = F.relu(norm("bn1", h))
    for stage in (1, 2, 3):
        block = 0
        while f"layer{stage}_{block}_conv1_weight" in params:
            stride = 2 if stage > 1 and block == 0 else 1
            h = _block(params, f"layer{stage}_{block}", h, stride, norm)
            block += 1
    h = np.mean(h, axis=(2, 3))  # -> (N, 64)
    logits = F.linear(h, params["fc_weight"], params["fc_bias"])
    return logits


def _block(params: Mapping[str, Any], name: str, x: Any, stride: int, norm: _Norm) -> Any:
    """(N, c, H, W) -> (N, C, H/stride, W/stride)."""
    h = F.conv2d(x, params[f"{name}_conv1_weight"], stride=stride, padding=1)
    h = F.relu(norm(f"{name}_bn1", h))
    h = F.conv2d(h, params[f"{name}_conv2_weight"], padding=1)
    h = norm(f"{name}_bn2", h)
    shortcut = x
    if f"{name}_downsample_0_weight" in params:
        shortcut = F.conv2d(x, params[f"{name}_downsample_0_weight"], stride=stride)
        shortcut = norm(f"{name}_downsample_1", shortcut)
    return F.relu(h + shortcut)


def initial_resnet20(
    rng: np.random.Generator,
    shape: Shape,
    classes: int,
    channels: tuple[int, int, int] = (16, 32, 64),
    blocks: int = 3,
) -> Params:
    """He's normal numbers for convolutions; PyTorch's uniform ones for the linear layer."""
    params: Params = {"conv1_weight": he_normal(rng, (channels[0], shape[0], 3, 3))}
    params |= _initial_norm("bn1", channels[0])
    before = channels[0]
    for stage, width in enumerate(channels, start=1):
        for block in range(blocks):
            name = f"layer{stage}_{block}"
            params |= _initial_block(rng, name, before, width, shortcut=stage > 1 and block == 0)
            before = width
    return params | layers(rng, {("fc_weight", "fc_bias"): (classes, before)})


def _initial_block(
    rng: np.random.Generator, name: str, before: int, width: int, shortcut: bool
) -> Params:
    params: Params = {f"{name}_conv1_weight": he_normal(rng, (width, before, 3, 3))}
    params |= _initial_norm(f"{name}_bn1", width)
    params[f"{name}_conv2_weight"] = he_normal(rng, (width, width, 3, 3))
    params |= _initial_norm(f"{name}_bn2", width)
    if shortcut:
        params[f"{name}_downsample_0_weight"] = he_normal(rng, (width, before, 1, 1))
        params |= _initial_norm(f"{name}_downsample_1", width)
    return params


def _initial_norm(name: str, width: int) -> Params:
    return {
        f"{name}_weight": filled(width, 1.0),
        f"{name}_bias": filled(width, 0.0),
        f"{name}_running_mean": filled(width, 0.0),
        f"{name}_running_var": filled(width, 1.0),
    }


RESNET20 = Model(
    "resnet20",
    resnet20,
    initial_resnet20,
    lr=0.1,
    smallest=4,
    pictured="conv1_weight",
    training=resnet20_training,
    running=("_running_mean", "_running_var"),
)
