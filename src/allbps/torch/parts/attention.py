"""Attention with masks, dropout on the weights, and keys shared by several heads."""

from __future__ import annotations

from typing import Any

import numpy as np

import allbps.functional as F


def attention(
    query: Any, key: Any, value: Any, *, attn_mask: Any = None, is_causal: bool = False,
    scale: float | None = None, dropout_p: float = 0.0, enable_gqa: bool = False, rng: Any = None,
) -> Any:  # fmt: skip
    """``torch.nn.functional.scaled_dot_product_attention`` with all of its arguments.

    A row of the mask in which nothing may be looked at gives zeros, as in PyTorch.
    """
    if enable_gqa:
        key = _for_each_head(key, query.shape[-3])
        value = _for_each_head(value, query.shape[-3])
    if attn_mask is None and not dropout_p:
        return F.scaled_dot_product_attention(query, key, value, is_causal=is_causal, scale=scale)
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    scores = factor * (query @ np.swapaxes(key, -1, -2))  # one more step of the loop that masks
    allowed = attn_mask
    if is_causal:
        allowed = np.tril(np.ones(scores.shape[-2:], bool))
    if allowed is None:
        weights = F.softmax(scores, -1)
    elif allowed.dtype.kind == "b":
        lowest = float(np.finfo(scores.dtype).min / 2)
        weights = F.softmax(np.where(allowed, scores, lowest), -1)
        weights = np.where(allowed, weights, 0.0)
    else:
        weights = F.softmax(scores + allowed, -1)
    if dropout_p:
        weights = F.dropout(weights, dropout_p, rng=rng)
    return weights @ value


def _for_each_head(x: Any, heads: int) -> Any:
    """Keys or values (…, few, S, d) repeated to (…, heads, S, d)."""
    few = x.shape[-3]
    return x if few == heads else np.repeat(x, heads // few, axis=x.ndim - 3)
