"""Lengths of differences, and vectors of bounded length."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from typing import Any

import numpy

from allbps.functional.common import misused, works_on_arrays
from allbps.ir import Node, lift
from allbps.ops.comparison import where
from allbps.ops.shapes import normal_axis

np: Any = numpy  # its functions, given nodes, give nodes


def _length(x: Node, p: Any, axis: Any = None, keepdims: bool = False) -> Node:
    """The p-norm over axes, for every p ≥ 0; its slope at 0 is taken as 0.

    Raises:
        ArgumentError: p is negative.

    """
    if float(p) < 0:
        raise misused("the order of a norm is not negative", expected="p ≥ 0", got=f"p={p}")
    made: Node = np.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=float(p))
    return made


@works_on_arrays
def dist(input: Any, other: Any, p: float = 2) -> Node:
    """The p-norm of input − other, one number.

    Raises:
        ArgumentError: p is negative.

    >>> dist(np.array([3.0, 0.0]), np.array([0.0, 4.0]))
    np.float64(5.0)
    """
    return _length(lift(input) - other, p)


@works_on_arrays
def renorm(input: Any, p: float, dim: int, maxnorm: float) -> Node:
    """Each slice along ``dim`` whose p-norm is above maxnorm, scaled down to it.

    Raises:
        ArgumentError: p or maxnorm is negative, or there is no such axis.

    >>> renorm(np.array([[3.0, 4.0], [0.3, 0.4]]), 2, 0, 1.0).round(4)
    array([[0.6, 0.8],
           [0.3, 0.4]])
    """
    node = lift(input)
    if maxnorm < 0:
        raise misused("a largest norm is not negative", got=f"maxnorm={maxnorm}")
    kept = normal_axis(dim, node.ndim)
    others = tuple(k for k in range(node.ndim) if k != kept)
    size = _length(node, p, others, True)
    above = size > maxnorm
    return node * where(above, maxnorm / (where(above, size, 1.0) + 1e-7), 1.0)  # as PyTorch adds
