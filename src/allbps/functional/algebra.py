"""Sums of products, and elementary functions, that NumPy has no function for."""
# ruff: noqa: A002  (``input``, ``min`` and ``max`` are PyTorch's names)

from __future__ import annotations

from typing import Any

import numpy

from allbps.functional.common import misused, works_on_arrays
from allbps.ir import Node, lift
from allbps.ops.arithmetic import power
from allbps.ops.comparison import where
from allbps.ops.function import maximum, minimum, trunc
from allbps.ops.linalg import matmul
from allbps.ops.reduce import sum_
from allbps.ops.shape import broadcast_to

np: Any = numpy  # its functions, given nodes, give nodes


# -- a matrix and a product ------------------------------------------------------------------------
def _plus(input: Any, product: Node, beta: Any, alpha: Any) -> Node:
    """Beta input + alpha product; of an input that does not count not even NaN is seen."""
    scaled = product if alpha == 1 else alpha * product
    if beta == 0:
        shape = np.broadcast_shapes(lift(input).shape, scaled.shape)
        return scaled if scaled.shape == shape else broadcast_to(scaled, shape=shape)
    return (lift(input) if beta == 1 else beta * lift(input)) + scaled


@works_on_arrays
def addmm(input: Any, mat1: Any, mat2: Any, *, beta: float = 1, alpha: float = 1) -> Node:
    """Beta input + alpha mat1 mat2, of shapes (n, m), (n, k) and (k, m).

    >>> addmm(np.ones((1, 1)), np.array([[2.0]]), np.array([[3.0]]), alpha=10)
    array([[61.]])
    """
    return _plus(input, matmul(mat1, mat2), beta, alpha)  # (n, k) · (k, m) -> (n, m)


@works_on_arrays
def addmv(input: Any, mat: Any, vec: Any, *, beta: float = 1, alpha: float = 1) -> Node:
    """Beta input + alpha mat vec, of shapes (n,), (n, k) and (k,).

    >>> addmv(np.ones(1), np.array([[2.0]]), np.array([3.0]))
    array([7.])
    """
    return _plus(input, matmul(mat, vec), beta, alpha)  # (n, k) · (k,) -> (n,)


@works_on_arrays
def addr(input: Any, vec1: Any, vec2: Any, *, beta: float = 1, alpha: float = 1) -> Node:
    """Beta input + alpha vec1 vec2ᵀ, of shapes (n, m), (n,) and (m,).

    >>> addr(np.zeros((1, 2)), np.array([2.0]), np.array([3.0, 5.0]))
    array([[ 6., 10.]])
    """
    return _plus(input, lift(vec1)[:, None] * lift(vec2), beta, alpha)


@works_on_arrays
def baddbmm(input: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1) -> Node:
    """Beta input + alpha batch1 batch2, of shapes (b, n, m), (b, n, k) and (b, k, m).

    >>> baddbmm(np.ones((1, 1, 1)), np.full((1, 1, 1), 2.0), np.full((1, 1, 1), 3.0))
    array([[[7.]]])
    """
    return _plus(input, matmul(batch1, batch2), beta, alpha)  # (b, n, k) · (b, k, m) -> (b, n, m)


@works_on_arrays
def addbmm(input: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1) -> Node:
    """Beta input + alpha Σ batch1 batch2, the sum over the batch: the result is (n, m).

    >>> addbmm(np.ones((1, 1)), np.full((2, 1, 1), 2.0), np.full((2, 1, 1), 3.0))
    array([[13.]])
    """
    products = matmul(batch1, batch2)  # (b, n, k) · (b, k, m) -> (b, n, m)
    return _plus(input, sum_(products, axis=0, keepdims=False), beta, alpha)


@works_on_arrays
def addcmul(input: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Node:
    """The sum input + value tensor1 tensor2, element by element.

    >>> addcmul(np.array([1.0]), 2.0, 3.0, value=10)
    array([61.])
    """
    made: Node = lift(input) + value * lift(tensor1) * tensor2
    return made


@works_on_arrays
def addcdiv(input: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Node:
    """The sum input + value tensor1 / tensor2, element by element.

    >>> addcdiv(np.array([1.0]), 6.0, 3.0, value=10)
    array([21.])
    """
    made: Node = lift(input) + value * lift(tensor1) / tensor2
    return made


@works_on_arrays
def lerp(input: Any, end: Any, weight: Any) -> Node:
    """The point input + weight (end − input), measured from the nearer end.

    >>> lerp(np.array([0.0, 10.0]), 20.0, 0.25)
    array([ 5. , 12.5])
    """
    start, gap, share = lift(input), lift(end) - input, lift(weight)
    near, far = start + share * gap, lift(end) - gap * (1 - share)
    return where(abs(share) < 0.5, near, far)


# -- bounds ----------------------------------------------------------------------------------------
@works_on_arrays
def clamp(input: Any, min: Any = None, max: Any = None) -> Node:
    """The number, min where it is below, max where it is above; at a bound δ goes to the number.

    Raises:
        ArgumentError: there is neither bound.

    >>> clamp(np.array([-2.0, 0.5, 2.0]), -1.0, 1.0)
    array([-1. ,  0.5,  1. ])
    """
    if min is None and max is None:
        raise misused("clamp needs a bound", expected="min, max or both", got="neither")
    raised = lift(input) if min is None else maximum(input, min)
    return raised if max is None else minimum(raised, max)


@works_on_arrays
def clamp_min(input: Any, min: Any) -> Node:
    """The number, and min where it is below.

    >>> clamp_min(np.array([-2.0, 2.0]), 0.0)
    array([0., 2.])
    """
    return maximum(input, min)


@works_on_arrays
def clamp_max(input: Any, max: Any) -> Node:
    """The number, and max where it is above.

    >>> clamp_max(np.array([-2.0, 2.0]), 0.0)
    array([-2.,  0.])
    """
    return minimum(input, max)


# -- of one number ---------------------------------------------------------------------------------
@works_on_arrays
def frac(input: Any) -> Node:
    """What is left of a number without its integer part; it has the number's sign.

    >>> frac(np.array([1.25, -2.5]))
    array([ 0.25, -0.5 ])
    """
    return lift(input) - trunc(input)


@works_on_arrays
def rsqrt(input: Any) -> Node:
    """1 / √x.

    >>> rsqrt(np.array([4.0]))
    array([0.5])
    """
    return power(input, exponent=-0.5)
