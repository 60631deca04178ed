"""Attention: each query takes a weighted mean of the values (Vaswani et al., arXiv:1706.03762)."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.errors import ShapeError
from allbps.ir import Aval, Bad, Node, Notation, Op, Rule, Sample, promote
from allbps.ops.activation import softmax_op
from allbps.ops.comparison import where
from allbps.ops.linalg import matmul
from allbps.ops.reduce import sum_
from allbps.ops.shape import swapaxes


def attention(q: Any, k: Any, v: Any, scale: Any, causal: Any) -> Any:
    """softmax(scale · q kᵀ) v; with ``causal`` a query sees no later key."""
    scores = scale * (q @ np.swapaxes(k, -1, -2))  # (…, T, d) · (…, d, S) -> (…, T, S)
    if causal:
        scores = np.where(np.tri(*scores.shape[-2:]) > 0, scores, -np.inf)
    weights = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    return weights / np.sum(weights, axis=-1, keepdims=True) @ v


def weights_of(q: Node, k: Node, scale: float, causal: bool) -> Node:
    """The softmax weights, (…, T, S)."""
    scores = scale * matmul(q, swapaxes(k, -1, -2))
    if causal:
        scores = where(np.tri(q.shape[-2], k.shape[-2]) > 0, scores, -np.inf)
    return softmax_op(scores, axis=-1)


def d_scores(g: Node, q: Node, k: Node, v: Node, scale: float, causal: bool) -> Node:
    """δ of scale · q kᵀ: the softmax Jacobian applied to δweights = g vᵀ."""
    s = weights_of(q, k, scale, causal)
    d_s = matmul(g, swapaxes(v, -1, -2))
    return scale * (s * (d_s - sum_(d_s * s, axis=-1, keepdims=True)))


def d_attention_q(g: Node, y: Node, q: Node, k: Node, v: Node, scale: float, causal: bool) -> Node:
    return matmul(d_scores(g, q, k, v, scale, causal), k)


def d_attention_k(g: Node, y: Node, q: Node, k: Node, v: Node, scale: float, causal: bool) -> Node:
    return matmul(swapaxes(d_scores(g, q, k, v, scale, causal), -1, -2), q)


def d_attention_v(g: Node, y: Node, q: Node, k: Node, v: Node, scale: float, causal: bool) -> Node:
    return matmul(swapaxes(weights_of(q, k, scale, causal), -1, -2), g)


def attention_shape(q: Node, k: Node, v: Node, scale: float, causal: bool) -> Aval:
    if min(q.ndim, k.ndim, v.ndim) < 2 or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ShapeError(
            "queries, keys and values do not fit",
            expected="{q} (…, T, d), {k} (…, S, d), {v} (…, S, e)",
            got=f"{{q}} is {q.shape}, {{k}} is {k.shape}, {{v}} is {v.shape}",
        )
    try:
        batch = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    except ValueError:
        raise ShapeError(
            "the leading axes of queries, keys and values do not broadcast",
            got=f"{{q}} is {q.shape}, {{k}} is {k.shape}, {{v}} is {v.shape}",
        ) from None
    return (*batch, q.shape[-2], v.shape[-1]), promote(q, k, v)


attention_op = Op(
    name="attention",
    doc="softmax(scale · q kᵀ) v; with causal a query sees no later key.",
    operands="q k v",
    shape=attention_shape,
    numpy="attention({q}, {k}, {v}, {scale}, {causal})",
    torch=(
        "torch.nn.functional.scaled_dot_product_attention({q}, {k}, {v},"
        " is_causal={causal}, scale={scale})"
    ),
    helpers=(attention,),
    rules=(
        Rule(d_attention_q, "with s = softmax(z) and z = c {q} {k:5}ᵀ: δ{q} = c δz {k}"),
        Rule(d_attention_k, "with s = softmax(z) and z = c {q} {k:5}ᵀ: δ{k} = c δzᵀ {q}"),
        Rule(d_attention_v, "{y} = s {v}, so ∂{y}/∂{v} = sᵀ"),
    ),
    notation=Notation("attention({q}, {k}, {v})"),
    expand=lambda q, k, v, scale, causal: matmul(weights_of(q, k, scale, causal), v),
    samples=(
        Sample(((3, 4), (5, 4), (5, 2)), {"scale": 0.5, "causal": False}),
        Sample(((2, 3, 4), (2, 3, 4), (2, 3, 4)), {"scale": 0.5, "causal": True}),
    ),
    bad=(
        Bad(
            ((3, 4), (5, 3), (5, 2)),
            "queries, keys and values do not fit\n"
            "  expected: q (…, T, d), k (…, S, d), v (…, S, e)\n"
            "  got:      q is (3, 4), k is (5, 3), v is (5, 2)",
            {"scale": 0.5, "causal": False},
        ),
    ),
)
