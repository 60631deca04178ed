"""Linear and bilinear layers, and labels as vectors."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from allbps.functional.common import array, misfit, works_on_arrays
from allbps.ir import Node, lift
from allbps.ops import loss
from allbps.ops.reduce import max_, sum_
from allbps.ops.shape import reshape, transpose


@works_on_arrays
def linear(input: Any, weight: Any, bias: Any = None) -> Node:
    """A linear layer, x weightᵀ + bias: (…, in) with weight (out, in) -> (…, out).

    Args:
        input: (…, in).
        weight: (out, in), as PyTorch keeps it.
        bias: (out,).

    Raises:
        ShapeError: the shapes do not fit.

    >>> linear(np.array([1.0, 2.0]), np.array([[3.0, 4.0], [5.0, 6.0]]), np.array([0.5, 0.0]))
    array([11.5, 17. ])

    """
    product = lift(input) @ lift(weight).mT
    return product if bias is None else product + bias


@works_on_arrays
def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Node:
    """Σ x₁ᵢ wₒᵢⱼ x₂ⱼ + bₒ: (…, i) and (…, j) with weight (out, i, j) -> (…, out).

    Args:
        input1: (…, i).
        input2: (…, j), the same leading axes.
        weight: (out, i, j).
        bias: (out,).

    Raises:
        ShapeError: the shapes do not fit.

    >>> bilinear(np.array([1.0, 2.0]), np.array([3.0]), np.array([[[1.0], [10.0]]]))
    array([63.])

    """
    a, b, w = lift(input1), lift(input2), lift(weight)
    fits = w.ndim == 3 and a.ndim and b.ndim and a.shape[:-1] == b.shape[:-1]
    if not fits or (a.shape[-1], b.shape[-1]) != w.shape[1:]:
        raise misfit(
            "bilinear: inputs and weight do not fit",
            expected="(…, i), (…, j) and (out, i, j)",
            got=f"{a.shape}, {b.shape} and {w.shape}",
        )
    out, n, m = w.shape
    rows = int(np.prod(a.shape[:-1], dtype=np.int64))
    # (rows, i) · (i, out j) -> (rows, out j)
    left = reshape(a, shape=(rows, n)) @ reshape(transpose(w, axes=(1, 0, 2)), shape=(n, out * m))
    met = reshape(left, shape=(rows, out, m)) * reshape(b, shape=(rows, 1, m))
    total = reshape(sum_(met, axis=-1, keepdims=False), shape=(*a.shape[:-1], out))
    return total if bias is None else total + bias


@works_on_arrays
def one_hot(tensor: Any, num_classes: int = -1) -> Node:
    """1 at each label, else 0, as integers: (…) -> (…, classes).

    >>> one_hot(np.array([1, 0]), 3)
    array([[0, 1, 0],
           [1, 0, 0]])
    """
    labels = array(tensor)
    if num_classes == -1:
        num_classes = int(max_(labels, axis=None, keepdims=False)) + 1 if labels.size else 0
    return loss.one_hot_op(labels, classes=index(num_classes), dtype=np.dtype(np.int64))
