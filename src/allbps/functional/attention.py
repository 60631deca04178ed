"""Scaled dot-product attention."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.functional.common import misfit, misused, works_on_arrays
from allbps.functional.regularisation import dropout
from allbps.ir import Node, lift
from allbps.ops import activation, attention
from allbps.ops.comparison import where
from allbps.ops.shape import broadcast_to, reshape


@works_on_arrays
def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    rng: Any = None,
) -> Node:
    """softmax(q kᵀ / √d) v over any leading axes (arXiv:1706.03762).

    Args:
        query: (…, T, d).
        key: (…, S, d).
        value: (…, S, e).
        attn_mask: true where a query may look, or numbers added to the scores; broadcast to
            (…, T, S). A query that may look nowhere gets zeros.
        dropout_p: the share of weights that are left out at random, in evaluation too.
        is_causal: a query sees no later key.
        scale: instead of 1/√d.
        enable_gqa: fewer heads of keys and values than of queries, each for several of them; the
            heads are axis −3 (arXiv:2305.13245).
        rng: as in ``dropout``; required with dropout_p.

    Raises:
        ShapeError: queries, keys and values do not fit.
        ArgumentError: a mask is given, and is_causal as well; or there is no generator.

    >>> x = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> scaled_dot_product_attention(x, x, x, is_causal=True, scale=0.0)
    array([[1. , 0. ],
           [0.5, 0.5]])

    """
    q, k, v = lift(query), lift(key), lift(value)
    if enable_gqa:
        k, v = (_for_each_head(x, q) for x in (k, v))
    factor = float(scale) if scale is not None else float(1 / np.sqrt(max(q.shape[-1:], default=1)))
    if attn_mask is None:
        weights = attention.attention_weights_op(q, k, scale=factor, causal=bool(is_causal))
    elif is_causal:
        raise misused("attn_mask and is_causal exclude each other", todo="build one mask of both")
    else:
        weights = _masked_weights(factor * (q @ k.mT), lift(attn_mask))
    return lift(dropout(weights, dropout_p, rng=rng)) @ v if dropout_p else weights @ v


def _for_each_head(x: Node, query: Node) -> Node:
    """Keys or values, each head as often as there are heads of queries to one of them."""
    if min(x.ndim, query.ndim) < 3 or not x.shape[-3] or query.shape[-3] % x.shape[-3]:
        raise misfit(
            "enable_gqa: the heads do not fit",
            expected=f"a number of heads that divides that of the queries, {query.shape[-3:-2]}",
            got=str(x.shape),
        )
    *front, heads, length, width = x.shape
    times = query.shape[-3] // heads
    if times == 1:
        return x
    apart = reshape(x, shape=(*front, heads, 1, length, width))
    spread = broadcast_to(apart, shape=(*front, heads, times, length, width))
    return reshape(spread, shape=(*front, heads * times, length, width))


def _masked_weights(scores: Node, mask: Node) -> Node:
    if mask.dtype.kind != "b":
        return activation.softmax_op(scores + mask, axis=-1)
    # not −∞: a row of nothing else has no softmax, and is set to 0 below
    lowest = float(np.finfo(scores.dtype).min / 2)
    weights = activation.softmax_op(where(mask, scores, lowest), axis=-1)
    everywhere = not mask.traces and np.all(np.any(mask.known("a mask"), axis=-1))
    return weights if everywhere else where(mask, weights, 0.0)
