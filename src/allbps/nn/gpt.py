"""A small GPT (Radford et al., 2019): which character comes next?

Token and position embeddings, four pre-norm blocks of causal attention with four heads and a GELU
MLP of four times the width, a final layer norm, a head of its own without bias. Names follow
GPT-2's: ``wte``, ``wpe``, ``h0_attn_weight`` and so on; linear weights are (out, in).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import allbps.functional as F
from allbps.nn.initial import filled, normal
from allbps.nn.model import Model, Params, Shape

HEADS = 4
SPREAD = 0.02
"""Standard deviation of GPT-2's initial weights."""


def gpt(params: Mapping[str, Any], x: Any) -> Any:
    """Class numbers (N, T) -> logits of the characters after each, (N, T, classes)."""
    h = F.embedding(x, params["wte"]) + params["wpe"][: x.shape[1]]  # -> (N, T, D)
    layer = 0
    while f"h{layer}_ln1_weight" in params:
        h = h + _attention(params, f"h{layer}", h)
        h = h + _mlp(params, f"h{layer}", h)
        layer += 1
    h = _norm(params, "lnf", h)
    logits = F.linear(h, params["head"])  # -> (N, T, classes)
    return logits


def _norm(params: Mapping[str, Any], name: str, x: Any) -> Any:
    return F.layer_norm(x, x.shape[-1], params[f"{name}_weight"], params[f"{name}_bias"])


def _linear(params: Mapping[str, Any], name: str, x: Any) -> Any:
    return F.linear(x, params[f"{name}_weight"], params[f"{name}_bias"])


def _attention(params: Mapping[str, Any], name: str, x: Any) -> Any:
    """(N, T, D) -> (N, T, D): each position looks at itself and at those before it."""
    examples, length, width = x.shape
    qkv = _linear(params, f"{name}_attn", _norm(params, f"{name}_ln1", x))  # -> (N, T, 3D)
    qkv = qkv.reshape(examples, length, 3, HEADS, width // HEADS)
    qkv = qkv.transpose(2, 0, 3, 1, 4)  # -> (3, N, heads, T, D/heads)
    q, k, v = qkv[0], qkv[1], qkv[2]
    seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # -> (N, heads, T, D/heads)
    seen = seen.transpose(0, 2, 1, 3).reshape(examples, length, width)
    return _linear(params, f"{name}_proj", seen)


def _mlp(params: Mapping[str, Any], name: str, x: Any) -> Any:
    """(N, T, D) -> (N, T, D), through 4D hidden units."""
    h = F.gelu(_linear(params, f"{name}_up", _norm(params, f"{name}_ln2", x)))
    return _linear(params, f"{name}_down", h)


def initial_gpt(
    rng: np.random.Generator, shape: Shape, classes: int, width: int = 128, blocks: int = 4
) -> Params:
    """GPT-2's: normal numbers of spread 0.02, biases 0, norms 1 and 0.

    What a block adds to the residual stream is drawn 1/√(2 · blocks) times as large.

    Args:
        rng: where they are drawn from.
        shape: (T,), the longest text that the net can read.
        classes: how many characters there are.
        width: D, a multiple of the four heads.
        blocks: how many.

    """
    params: Params = {
        "wte": normal(rng, (classes, width), SPREAD),
        "wpe": normal(rng, (shape[0], width), SPREAD),
    }
    for block in range(blocks):
        params |= _initial_block(rng, f"h{block}", width, SPREAD / float(np.sqrt(2 * blocks)))
    params |= _initial_norm("lnf", width)
    return {**params, "head": normal(rng, (classes, width), SPREAD)}


def _initial_block(rng: np.random.Generator, name: str, width: int, last: float) -> Params:
    sizes = {
        "attn": (3 * width, width, SPREAD),
        "proj": (width, width, last),
        "up": (4 * width, width, SPREAD),
        "down": (width, 4 * width, last),
    }
    params = {**_initial_norm(f"{name}_ln1", width), **_initial_norm(f"{name}_ln2", width)}
    for layer, (rows, columns, spread) in sizes.items():
        params[f"{name}_{layer}_weight"] = normal(rng, (rows, columns), spread)
        params[f"{name}_{layer}_bias"] = filled(rows, 0.0)
    return params


def _initial_norm(name: str, width: int) -> Params:
    return {f"{name}_weight": filled(width, 1.0), f"{name}_bias": filled(width, 0.0)}


GPT = Model("gpt", gpt, initial_gpt, lr=0.5, optimizer="adamw", reads="text")
