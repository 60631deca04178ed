"""Attention: each query weighs the keys (Vaswani et al., arXiv:1706.03762)."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.errors import ShapeError
from allbps.ir import Aval, Bad, Formula, Node, Notation, Op, Rule, Sample, promote
from allbps.mathematics import Math, write
from allbps.mathematics.tree import Kind, Number, Product
from allbps.ops.activation import softmax_op
from allbps.ops.comparison import where
from allbps.ops.linalg import matmul
from allbps.ops.reduce import sum_
from allbps.ops.shape import matrix_transpose


def attention_weights(q: Any, k: Any, scale: Any, causal: Any) -> Any:
    """softmax(scale · q kᵀ) along the keys; with ``causal`` a query sees no later key."""
    scores = scale * (q @ np.swapaxes(k, -1, -2))  # (…, T, d) · (…, d, S) -> (…, T, S)
    if causal:
        scores = np.where(np.tri(*scores.shape[-2:]) > 0, scores, -np.inf)
    e = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


# -- the rules: δz of the scores z by the softmax Jacobian, then z = scale · q kᵀ ------------------
def d_scores(g: Node, s: Node, scale: float) -> Node:
    """δ(q kᵀ); where a key is not seen s is 0, and so is its δ."""
    return scale * (s * (g - sum_(g * s, axis=-1, keepdims=True)))


def d_weights_q(g: Node, s: Node, q: Node, k: Node, scale: float, causal: bool) -> Node:
    return matmul(d_scores(g, s, scale), k)  # (…, T, S) · (…, S, d) -> (…, T, d)


def d_weights_k(g: Node, s: Node, q: Node, k: Node, scale: float, causal: bool) -> Node:
    return matmul(matrix_transpose(d_scores(g, s, scale)), q)  # (…, S, T) · (…, T, d) -> (…, S, d)


# -- shapes ----------------------------------------------------------------------------------------
def weights_shape(q: Node, k: Node, scale: float, causal: bool) -> Aval:
    if min(q.ndim, k.ndim) < 2 or q.shape[-1] != k.shape[-1]:
        raise ShapeError(
            "queries and keys do not fit",
            expected="{q} (…, T, d) and {k} (…, S, d)",
            got=f"{{q}} is {q.shape} and {{k}} is {k.shape}",
        )
    if k.shape[-2] == 0:
        raise ShapeError("there are no keys to attend to", got=f"{{k}} is {k.shape}")
    try:
        batch = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
    except ValueError:
        raise ShapeError(
            "the leading axes of queries and keys do not broadcast",
            expected="equal lengths, or 1, on every leading axis",
            got=f"{{q}} is {q.shape} and {{k}} is {k.shape}",
        ) from None
    return (*batch, q.shape[-2], k.shape[-2]), promote(q, k)


# -- the declaration -------------------------------------------------------------------------------
def weights_notation(q: Formula, k: Formula, scale: float, causal: bool) -> Math:
    scores = _scaled(write("{q} {k}ᵀ", q=q, k=k), scale)
    return write(f"{'softmax₍causal₎' if causal else 'softmax'}({{z}})", z=scores)


def _scaled(math: Math, scale: float) -> Math:
    return math if scale == 1 else Product(Kind.NUMBERS, Number(f"{scale:.4g}"), math)


def because_q(q: Formula, k: Formula, y: Formula, scale: float, causal: bool) -> Math:
    return _through_softmax(y, q, _scaled(k.math, scale))


def because_k(q: Formula, k: Formula, y: Formula, scale: float, causal: bool) -> Math:
    return _through_softmax(y, k, _scaled(q.math, scale))


def _through_softmax(y: Formula, x: Formula, slope: Math) -> Math:
    return write(
        '"with" z "for what softmax is taken of," δz = {y} ⊙ (δ{y} − Σ δ{y} ⊙ {y})'
        ' "and" ∂z/∂{x} = {slope}',
        x=x, y=y, slope=slope,
    )  # fmt: skip


def composed(q: Node, k: Node, scale: float, causal: bool) -> Node:
    scores = scale * matmul(q, matrix_transpose(k))  # (…, T, d) · (…, d, S) -> (…, T, S)
    if causal:
        scores = where(np.tri(q.shape[-2], k.shape[-2]) > 0, scores, -np.inf)
    return softmax_op(scores, axis=-1)


def weights_torch(operands: Any, attrs: Any) -> str:
    q, k = operands["q"], operands["k"]
    scores = f"{attrs['scale']} * ({q} @ {k}.mT)"
    if attrs["causal"]:
        seen = f"{q}.new_ones({q}.shape[-2], {k}.shape[-2], dtype=torch.bool).tril()"
        scores = f"torch.where({seen}, {scores}, float('-inf'))"
    return f"torch.softmax({scores}, dim=-1)"


attention_weights_op = Op(
    name="attention_weights",
    doc="softmax(scale · q kᵀ) along the keys; with causal a query sees no later key.",
    operands="q k",
    shape=weights_shape,
    numpy=lambda operands, attrs: (
        f"attention_weights({operands['q']}, {operands['k']},"
        f" scale={attrs['scale']}, causal={attrs['causal']})"
    ),
    torch=weights_torch,
    helpers=(attention_weights,),
    rules=(Rule(d_weights_q, because_q), Rule(d_weights_k, because_k)),
    notation=Notation(weights_notation),
    expand=composed,
    samples=(
        Sample(((3, 4), (5, 4)), {"scale": 0.5, "causal": False}),
        Sample(((2, 3, 4), (2, 3, 4)), {"scale": 0.5, "causal": True}),
        Sample(((2, 1, 3, 2), (4, 5, 2)), {"scale": 1.0, "causal": True}),
    ),
    bad=(
        Bad(
            ((3, 4), (5, 3)),
            "queries and keys do not fit\n"
            "  expected: q (…, T, d) and k (…, S, d)\n"
            "  got:      q is (3, 4) and k is (5, 3)",
            {"scale": 0.5, "causal": False},
        ),
        Bad(
            ((2, 3, 4), (3, 5, 4)),
            "the leading axes of queries and keys do not broadcast\n"
            "  expected: equal lengths, or 1, on every leading axis\n"
            "  got:      q is (2, 3, 4) and k is (3, 5, 4)",
            {"scale": 0.5, "causal": False},
        ),
        Bad(
            ((3, 4), (0, 4)),
            "there are no keys to attend to\n  got:      k is (0, 4)",
            {"scale": 0.5, "causal": False},
        ),
    ),
)
