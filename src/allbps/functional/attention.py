"""Scaled dot-product attention."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.functional.common import misused, works_on_arrays
from allbps.ir import Node, lift
from allbps.ops import activation, attention
from allbps.ops.comparison import where


@works_on_arrays
def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    *,
    is_causal: bool = False,
    scale: float | None = None,
) -> Node:
    """softmax(q kᵀ / √d) v over any leading axes (arXiv:1706.03762).

    Args:
        query: (…, T, d).
        key: (…, S, d).
        value: (…, S, e).
        attn_mask: true where a query may look, or numbers added to the scores; broadcast to
            (…, T, S). A query that may look nowhere gets zeros.
        is_causal: a query sees no later key.
        scale: instead of 1/√d.

    Raises:
        ShapeError: queries, keys and values do not fit.
        ArgumentError: a mask is given, and is_causal as well.

    >>> x = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> scaled_dot_product_attention(x, x, x, is_causal=True, scale=0.0)
    array([[1. , 0. ],
           [0.5, 0.5]])

    """
    q, k, v = lift(query), lift(key), lift(value)
    factor = float(scale) if scale is not None else float(1 / np.sqrt(max(q.shape[-1:], default=1)))
    if attn_mask is None:
        return attention.attention_weights_op(q, k, scale=factor, causal=bool(is_causal)) @ v
    if is_causal:
        raise misused("attn_mask and is_causal exclude each other", todo="build one mask of both")
    return _masked_weights(factor * (q @ k.mT), lift(attn_mask)) @ v


def _masked_weights(scores: Node, mask: Node) -> Node:
    if mask.dtype.kind != "b":
        return activation.softmax_op(scores + mask, axis=-1)
    # not −∞: a row of nothing else has no softmax, and is set to 0 below
    lowest = float(np.finfo(scores.dtype).min / 2)
    weights = activation.softmax_op(where(mask, scores, lowest), axis=-1)
    everywhere = not mask.traces and np.all(np.any(mask.known("a mask"), axis=-1))
    return weights if everywhere else where(mask, weights, 0.0)
