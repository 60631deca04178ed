"""Functions between layers, element by element or along an axis."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

import warnings
from operator import index
from typing import Any

import numpy as np

from allbps.functional.common import (
    Size,
    in_kind,
    misused,
    not_in_place,
    of_axes,
    works_on_arrays,
)
from allbps.ir import Node, lift
from allbps.ops import activation
from allbps.ops.comparison import where
from allbps.ops.function import tanh as tanh_op
from allbps.ops.reduce import logsumexp_op
from allbps.ops.shape import reshape


@works_on_arrays
def relu(input: Any, inplace: bool = False) -> Node:
    """max(x, 0), element by element; its slope at 0 is taken as 0.

    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    not_in_place(inplace)
    return activation.relu(input)


@works_on_arrays
def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Node:
    """The number itself where it is positive, else negative_slope times it: any shape.

    Source: Maas, Hannun & Ng, "Rectifier nonlinearities improve neural network acoustic models",
    ICML workshop 2013.

    >>> leaky_relu(np.array([-2.0, 3.0]), 0.5)
    array([-1.,  3.])
    """
    not_in_place(inplace)
    return activation.leaky_relu(input, negative_slope=float(negative_slope))


@works_on_arrays
def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Node:
    """The number itself where it is positive, else alpha (eˣ − 1): any shape (arXiv:1511.07289).

    >>> elu(np.array([-np.log(2.0), 3.0]))
    array([-0.5,  3. ])
    """
    not_in_place(inplace)
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
def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Node:
    """log(1 + exp(beta x)) / beta, without overflow; x itself where beta x > threshold: any shape.

    >>> float(np.exp(softplus(np.log(3.0))).round(9))
    4.0
    """
    x, steep = lift(input), float(beta)
    scaled = x if steep == 1 else steep * x
    curve = activation.softplus(scaled)
    return where(scaled > float(threshold), x, curve if steep == 1 else curve / steep)


@works_on_arrays
def silu(input: Any, inplace: bool = False) -> Node:
    """Sigmoid linear unit x σ(x), also called swish: any shape (arXiv:1606.08415, 1710.05941).

    >>> float(silu(np.log(3.0)) / np.log(3.0))
    0.75
    """
    not_in_place(inplace)
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
def softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Node:
    """exp(xᵢ) / Σ exp(xₖ) along ``dim``, of the input in ``dtype``.

    Left out, ``dim`` is PyTorch's choice: the only axis or the last of two; of more axes the first
    of three and the second of others, with a warning.

    >>> softmax(np.log(np.array([1.0, 3.0])))
    array([0.25, 0.75])
    """
    return _along(activation.softmax_op, input, dim, dtype)


@works_on_arrays
def log_softmax(
    input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Node:
    """Logarithm of the softmax, x − log Σ exp(xₖ) along ``dim``; arguments as for ``softmax``.

    >>> np.exp(log_softmax(np.log(np.array([1.0, 3.0])))).round(12)
    array([0.25, 0.75])
    """
    return _along(activation.log_softmax_op, input, dim, dtype)


@works_on_arrays
def softmin(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Node:
    """The softmax of −x; arguments as for ``softmax``.

    >>> softmin(np.log(np.array([1.0, 3.0])))
    array([0.75, 0.25])
    """
    return _along(activation.softmax_op, -lift(input), dim, dtype)


def _along(op: Any, input: Any, dim: int | None, dtype: Any) -> Node:
    x = in_kind(lift(input), dtype)
    if dim is None:
        dim = _pytorchs_axis(x.ndim)
    row, axis = of_axes(x, dim)
    if not x.size:
        return row * 1.0
    made: Node = op(row, axis=axis)
    return made if made.shape == x.shape else reshape(made, shape=x.shape)


def _pytorchs_axis(ndim: int) -> int:
    axis = 0 if ndim in (0, 1, 3) else 1
    if ndim > 2:
        warnings.warn(
            f"softmax without dim means axis {axis} of {ndim} to PyTorch; say dim={axis}, or -1"
            " for the last",
            stacklevel=5,
        )
    return axis


@works_on_arrays
def logsumexp(input: Any, dim: Size, keepdim: bool = False) -> Node:
    """Logarithm of a sum of exponentials over ``dim``, one axis or several, without overflow.

    >>> float(np.exp(logsumexp(np.array([1000.0, 1000.0]), 0) - 1000).round(9))
    2.0
    """
    x = lift(input)
    axis = index(dim) if isinstance(dim, (int, np.integer)) else tuple(map(index, dim))
    if x.ndim == 0:  # a number has an axis 0 for PyTorch
        for k in np.atleast_1d(axis):
            of_axes(x, int(k))
        axis = ()
    return logsumexp_op(x, axis=axis, keepdims=bool(keepdim))
