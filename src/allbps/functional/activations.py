"""Functions between layers, element by element or along an axis."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from allbps.functional.common import Size, misused, works_on_arrays
from allbps.ir import Node
from allbps.ops import activation
from allbps.ops.function import tanh as tanh_op
from allbps.ops.reduce import logsumexp_op


@works_on_arrays
def relu(input: Any) -> Node:
    """max(x, 0), element by element; its slope at 0 is taken as 0.

    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return activation.relu(input)


@works_on_arrays
def leaky_relu(input: Any, negative_slope: float = 0.01) -> Node:
    """The number itself where it is positive, else negative_slope times it: any shape.

    Source: Maas, Hannun & Ng, "Rectifier nonlinearities improve neural network acoustic models",
    ICML workshop 2013.

    >>> leaky_relu(np.array([-2.0, 3.0]), 0.5)
    array([-1.,  3.])
    """
    return activation.leaky_relu(input, negative_slope=float(negative_slope))


@works_on_arrays
def elu(input: Any, alpha: float = 1.0) -> Node:
    """The number itself where it is positive, else alpha (eˣ − 1): any shape (arXiv:1511.07289).

    >>> elu(np.array([-np.log(2.0), 3.0]))
    array([-0.5,  3. ])
    """
    return activation.elu(input, alpha=float(alpha))


@works_on_arrays
def sigmoid(input: Any) -> Node:
    """1 / (1 + e⁻ˣ), without overflow.

    >>> float(sigmoid(0.0))
    0.5
    """
    return activation.sigmoid_op(input)


@works_on_arrays
def tanh(input: Any) -> Node:
    """Hyperbolic tangent, (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ), in (−1, 1): any shape.

    >>> float(tanh(np.log(2.0)))
    0.6
    """
    return tanh_op(input)


@works_on_arrays
def softplus(input: Any, beta: float = 1.0) -> Node:
    """log(1 + exp(beta x)) / beta, without overflow, so that it needs no threshold: any shape.

    >>> float(np.exp(softplus(np.log(3.0))).round(9))
    4.0
    """
    return activation.softplus(input) if beta == 1 else activation.softplus(beta * input) / beta


@works_on_arrays
def silu(input: Any) -> Node:
    """Sigmoid linear unit x σ(x), also called swish: any shape (arXiv:1606.08415, 1710.05941).

    >>> float(silu(np.log(3.0)) / np.log(3.0))
    0.75
    """
    return activation.silu(input)


@works_on_arrays
def gelu(input: Any, approximate: str = "none") -> Node:
    """Gaussian error linear unit x Φ(x): any shape (arXiv:1606.08415).

    ``approximate="tanh"`` takes the usual formula with tanh for Φ.

    Raises:
        ArgumentError: another approximation.

    >>> gelu(np.array([-10.0, 0.0, 10.0])).round(6) + 0.0
    array([ 0.,  0., 10.])

    """
    if approximate not in ("none", "tanh"):
        raise misused("unknown approximation", expected="'none' or 'tanh'", got=repr(approximate))
    return (activation.gelu_tanh if approximate == "tanh" else activation.gelu)(input)


@works_on_arrays
def softmax(input: Any, dim: int = -1) -> Node:
    """exp(xᵢ) / Σ exp(xₖ) along ``dim``.

    >>> softmax(np.log(np.array([1.0, 3.0])))
    array([0.25, 0.75])
    """
    return activation.softmax_op(input, axis=index(dim))


@works_on_arrays
def log_softmax(input: Any, dim: int = -1) -> Node:
    """Logarithm of the softmax, x − log Σ exp(xₖ) along ``dim``: any shape.

    >>> np.exp(log_softmax(np.log(np.array([1.0, 3.0])))).round(12)
    array([0.25, 0.75])
    """
    return activation.log_softmax_op(input, axis=index(dim))


@works_on_arrays
def logsumexp(input: Any, dim: Size, keepdim: bool = False) -> Node:
    """Logarithm of a sum of exponentials over ``dim``, one axis or several, without overflow.

    >>> float(np.exp(logsumexp(np.array([1000.0, 1000.0]), 0) - 1000).round(9))
    2.0
    """
    axis = index(dim) if isinstance(dim, (int, np.integer)) else tuple(map(index, dim))
    return logsumexp_op(input, axis=axis, keepdims=bool(keepdim))
