"""The rows' nets in PyTorch, from parameters by the names of ``allbps.nn`` to the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as T

HEADS = 4
Tensors = dict[str, torch.Tensor]


def slide(p: Tensors, x: Any, y: Any) -> Any:
    pooled = T.max_pool2d(T.relu(T.conv2d(x[None, None], p["K"][None, None])), 2)[0, 0]
    return 0.5 * ((pooled - y) ** 2).sum()


def mlp(p: Tensors, x: Any, y: Any) -> Any:
    h = T.relu(T.linear(x.flatten(1), p["W1"], p["b1"]))
    h = T.relu(T.linear(h, p["W2"], p["b2"]))
    return T.cross_entropy(T.linear(h, p["W3"], p["b3"]), y)


def lenet(p: Tensors, x: Any, y: Any) -> Any:
    h = T.relu(T.conv2d(x, p["K1"], p["b1"]))
    h = T.max_pool2d(T.relu(T.conv2d(h, p["K2"], p["b2"])), 2)
    h = T.relu(T.linear(h.flatten(1), p["W3"], p["b3"]))
    return T.cross_entropy(T.linear(h, p["W4"], p["b4"]), y)


def resnet20(p: Tensors, x: Any, y: Any) -> Any:
    h = T.relu(_batch_norm(p, "bn1", T.conv2d(x, p["conv1_weight"], padding=1)))
    for stage in (1, 2, 3):
        for block in range(3):
            name = f"layer{stage}_{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            r = T.conv2d(h, p[f"{name}_conv1_weight"], stride=stride, padding=1)
            r = T.relu(_batch_norm(p, f"{name}_bn1", r))
            r = _batch_norm(p, f"{name}_bn2", T.conv2d(r, p[f"{name}_conv2_weight"], padding=1))
            if stride == 2:
                h = T.conv2d(h, p[f"{name}_downsample_0_weight"], stride=2)
                h = _batch_norm(p, f"{name}_downsample_1", h)
            h = T.relu(r + h)
    return T.cross_entropy(T.linear(h.mean((2, 3)), p["fc_weight"], p["fc_bias"]), y)


def _batch_norm(p: Tensors, name: str, x: Any) -> Any:
    """In training; the running statistics change in place."""
    return T.batch_norm(
        x, p[f"{name}_running_mean"], p[f"{name}_running_var"],
        p[f"{name}_weight"], p[f"{name}_bias"], training=True,
    )  # fmt: skip


def gpt(p: Tensors, x: Any, y: Any) -> Any:
    h = T.embedding(x, p["wte"]) + p["wpe"]
    for block in range(4):
        name = f"h{block}"
        n, t, d = h.shape
        qkv = _linear(p, f"{name}_attn", _layer_norm(p, f"{name}_ln1", h))
        q, k, v = (z.view(n, t, HEADS, -1).transpose(1, 2) for z in qkv.split(d, dim=2))
        seen = T.scaled_dot_product_attention(q, k, v, is_causal=True)
        h = h + _linear(p, f"{name}_proj", seen.transpose(1, 2).reshape(n, t, d))
        up = T.gelu(_linear(p, f"{name}_up", _layer_norm(p, f"{name}_ln2", h)))
        h = h + _linear(p, f"{name}_down", up)
    logits = T.linear(_layer_norm(p, "lnf", h), p["head"])
    return T.cross_entropy(logits.flatten(0, 1), y.flatten())


def _linear(p: Tensors, name: str, x: Any) -> Any:
    return T.linear(x, p[f"{name}_weight"], p[f"{name}_bias"])


def _layer_norm(p: Tensors, name: str, x: Any) -> Any:
    return T.layer_norm(x, x.shape[-1:], p[f"{name}_weight"], p[f"{name}_bias"])


LOSSES: dict[str, Callable[[Tensors, Any, Any], Any]] = {
    f.__name__: f for f in (slide, mlp, lenet, resnet20, gpt)
}
