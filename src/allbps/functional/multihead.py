"""Attention of several heads, with its projections (Vaswani et al., arXiv:1706.03762)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from allbps.functional.attention import scaled_dot_product_attention
from allbps.functional.common import misfit, misused, works_on_arrays
from allbps.functional.layers import linear
from allbps.functional.regularisation import dropout
from allbps.ir import Node, lift
from allbps.ops import activation
from allbps.ops.comparison import logical_and, logical_not, where
from allbps.ops.index import getitem_by
from allbps.ops.join import joined
from allbps.ops.reduce import mean
from allbps.ops.shape import broadcast_to, reshape, transpose
from allbps.ops.shape import pad as pad_op


@works_on_arrays
def multi_head_attention_forward(
    query: Any,
    key: Any,
    value: Any,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Any,
    in_proj_bias: Any,
    bias_k: Any,
    bias_v: Any,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Any,
    out_proj_bias: Any,
    training: bool = True,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Any = None,
    k_proj_weight: Any = None,
    v_proj_weight: Any = None,
    static_k: Any = None,
    static_v: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    *,
    rng: Any = None,
) -> Any:
    """What ``torch.nn.MultiheadAttention`` computes: (result, weights or None).

    Args:
        query: (T, N, E), or (T, E) of one example.
        key: (S, N, E'), or (S, E').
        value: (S, N, E''), or (S, E'').
        embed_dim_to_check: E.
        num_heads: a divisor of E.
        in_proj_weight: (3 E, E), the projections of queries, keys and values in one.
        in_proj_bias: (3 E,).
        bias_k: (1, 1, E), one more key; likewise
        bias_v: one more value.
        add_zero_attn: one more key and value of zeros?
        dropout_p: the share of weights left out in training.
        out_proj_weight: (E, E).
        out_proj_bias: (E,).
        training: drop out?
        key_padding_mask: (N, S), true for a key that nobody sees, or numbers added to its scores.
        need_weights: also return the weights?
        attn_mask: (T, S) or (N · num_heads, T, S), true where a query may not look, or numbers
            added to the scores.
        use_separate_proj_weight: a weight for each projection:
        q_proj_weight: (E, E),
        k_proj_weight: (E, E') and
        v_proj_weight: (E, E'').
        static_k: (N · num_heads, S, E / num_heads), keys that take the place of the projected ones.
        static_v: likewise.
        average_attn_weights: the mean of the weights over the heads, (N, T, S)?
        is_causal: says of ``attn_mask`` that it hides later keys; it is read all the same.
        rng: as in ``dropout``; required where weights are left out.

    Raises:
        ShapeError: the shapes do not fit.
        ArgumentError: heads that do not divide E, or is_causal without a mask.

    >>> x, eye = np.ones((2, 1, 2)), np.eye(2)
    >>> out, weights = multi_head_attention_forward(
    ...     x, x, x, 2, 1, np.concatenate([eye] * 3), None, None, None, False, 0.0, eye, None)
    >>> weights.tolist()
    [[[0.5, 0.5], [0.5, 0.5]]]

    """
    q, k, v = lift(query), lift(key), lift(value)
    single = q.ndim == 2
    if single:
        q, k, v = (reshape(x, shape=(x.shape[0], 1, *x.shape[1:])) for x in (q, k, v))
        if key_padding_mask is not None:
            key_padding_mask = reshape(lift(key_padding_mask), shape=(1, k.shape[0]))
    _check((q, k, v), embed_dim_to_check, num_heads, is_causal and attn_mask is None)
    length, batch, width = q.shape
    if use_separate_proj_weight:
        weights_in = [lift(w) for w in (q_proj_weight, k_proj_weight, v_proj_weight)]
    else:
        weights_in = _thirds(lift(in_proj_weight))
    biases = [None] * 3 if in_proj_bias is None else _thirds(lift(in_proj_bias))
    q, k, v = (lift(linear(x, w, b)) for x, w, b in zip((q, k, v), weights_in, biases, strict=True))
    k, v = _one_more(k, bias_k), _one_more(v, bias_v)
    more = (bias_k is not None) + bool(add_zero_attn)
    heads = _Heads(batch, num_heads, width // num_heads)
    q, k, v = heads.apart(q), heads.apart(k), heads.apart(v)
    k = k if static_k is None else heads.given(static_k)
    v = v if static_v is None else heads.given(static_v)
    if add_zero_attn:
        k, v = (pad_op(x, width=((0, 0), (0, 0), (0, 1), (0, 0))) for x in (k, v))
    mask = _mask(attn_mask, key_padding_mask, heads, more, q.dtype)
    drop = float(dropout_p) if training else 0.0
    if need_weights:
        weights = _weights(q * float(heads.width**-0.5), k, mask)
        weights = lift(dropout(weights, drop, rng=rng)) if drop else weights
        met = weights @ v
    else:
        seen = mask if mask is None or mask.dtype.kind != "b" else logical_not(mask)
        met = lift(scaled_dot_product_attention(q, k, v, seen, drop, rng=rng))
    rows = reshape(transpose(met, axes=(2, 0, 1, 3)), shape=(length * batch, width))
    out = lift(linear(rows, out_proj_weight, out_proj_bias))
    out = reshape(out, shape=(length, batch, out.shape[1]))
    out = reshape(out, shape=(length, out.shape[2])) if single else out
    if not need_weights:
        return out, None
    if average_attn_weights:
        weights = mean(weights, axis=1, keepdims=False)
    return out, reshape(weights, shape=weights.shape[1:]) if single else weights


class _Heads(NamedTuple):
    """How many examples and heads there are, and how wide a head is."""

    batch: int
    number: int
    width: int

    def apart(self, x: Node) -> Node:
        """(T, N, E) -> (N, heads, T, width)."""
        parts = reshape(x, shape=(x.shape[0], self.batch, self.number, self.width))
        return transpose(parts, axes=(1, 2, 0, 3))

    def given(self, x: Any) -> Node:
        """(N · heads, S, width) -> (N, heads, S, width)."""
        node = lift(x)
        if node.ndim != 3 or (node.shape[0], node.shape[2]) != (
            self.batch * self.number,
            self.width,
        ):
            raise misfit(
                "static keys and values do not fit the heads",
                expected=f"({self.batch * self.number}, S, {self.width})",
                got=str(node.shape),
            )
        return reshape(node, shape=(self.batch, self.number, *node.shape[1:]))


def _check(operands: tuple[Node, Node, Node], width: int, heads: int, no_mask: bool) -> None:
    q, k, v = operands
    if q.ndim != 3 or k.ndim != 3 or k.shape[:2] != v.shape[:2] or q.shape[1] != k.shape[1]:
        raise misfit(
            "multi_head_attention_forward: queries, keys and values do not fit",
            expected="(T, N, E), (S, N, E') and (S, N, E'')",
            got=f"{q.shape}, {k.shape} and {v.shape}",
        )
    if q.shape[2] != width or heads < 1 or width % heads:
        raise misused(
            "multi_head_attention_forward: the width does not divide into heads",
            expected=f"queries of width {width}, a multiple of {heads}",
            got=str(q.shape),
        )
    if no_mask:
        raise misused("is_causal says of a mask that it is causal", todo="pass attn_mask")


def _thirds(x: Node) -> list[Node]:
    n = x.shape[0] // 3
    return [getitem_by(x, slice(k * n, (k + 1) * n)) for k in range(3)]


def _one_more(x: Node, bias: Any) -> Node:
    """One more place in time, the same for every example."""
    if bias is None:
        return x
    return joined([x, broadcast_to(lift(bias), shape=(1, x.shape[1], x.shape[2]))], 0)


def _mask(attn_mask: Any, padding: Any, heads: _Heads, more: int, dtype: Any) -> Node | None:
    """Both masks as one: true where nobody may look, or numbers to add; for (N, heads, T, S)."""
    parts = []
    if attn_mask is not None:
        mask = lift(attn_mask)
        if mask.ndim == 3:
            mask = reshape(mask, shape=(heads.batch, heads.number, *mask.shape[1:]))
        parts.append(mask)
    if padding is not None:
        mask = lift(padding)
        parts.append(reshape(mask, shape=(heads.batch, 1, 1, mask.shape[-1])))
    parts = [_widened(mask, more) for mask in parts]
    if not parts:
        return None
    if all(mask.dtype.kind == "b" for mask in parts):
        seen = [logical_not(mask) for mask in parts]
        return logical_not(logical_and(*seen)) if len(seen) == 2 else parts[0]
    added = [
        where(mask, dtype.type(-np.inf), dtype.type(0)) if mask.dtype.kind == "b" else mask
        for mask in parts
    ]
    return added[0] if len(added) == 1 else added[0] + added[1]


def _widened(mask: Node, more: int) -> Node:
    """For keys that were added, which everybody sees."""
    if not more:
        return mask
    return pad_op(mask, width=((0, 0),) * (mask.ndim - 1) + ((0, more),))


def _weights(q: Node, k: Node, mask: Node | None) -> Node:
    scores = q @ k.mT  # (N, heads, T, d) · (N, heads, d, S)
    if mask is None:
        return activation.softmax_op(scores, axis=-1)
    hidden = where(mask, -np.inf, scores) if mask.dtype.kind == "b" else scores + mask
    return activation.softmax_op(hidden, axis=-1)
