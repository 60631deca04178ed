"""The exponential of a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.ir import Node, Notation, Op, Rule, Sample
from allbps.ops.join import joined
from allbps.ops.linalg import NOT_SQUARE, square_shape, transposed


def d_expm(g: Node, y: Node, x: Node) -> Node:
    """The upper right block of exp([[xᵀ, g], [0, xᵀ]]) (Mathias 1996): nodes, so any order."""
    n, turned = x.shape[-1], transposed(x)
    zeros = np.zeros(x.shape, x.dtype)
    above = joined([turned, g], -1)  # (…, n, 2n)
    below = joined([zeros, turned], -1)
    return expm_op(joined([above, below], -2))[..., :n, n:]


def small(rng: np.random.Generator) -> Any:
    """Two matrices of moderate size."""
    return rng.uniform(-1.0, 1.0, (2, 3, 3))


expm_op = Op(
    name="expm",
    complex=True,
    doc="The exponential of a square matrix, 1 + x + x²/2 + ….",
    operands="x",
    shape=square_shape,
    numpy="splinalg.expm({x})",
    torch="torch.linalg.matrix_exp({x})",
    jax="jax.scipy.linalg.expm({x})",
    rules=(Rule(d_expm, 'δ{x} "is the derivative of exp at" {x}ᵀ "in the direction" δ{y}'),),
    notation=Notation("exp({x})"),
    samples=(Sample((lambda rng: small(rng)[0],)), Sample((small,))),
    bad=NOT_SQUARE,
)
