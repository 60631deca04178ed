"""Linear layers, tables of vectors, and labels as vectors."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from allbps.functional.common import array, granted, misused, works_on_arrays
from allbps.ir import Node, lift
from allbps.ops import loss
from allbps.ops.index import getitem_by
from allbps.ops.questions import all_
from allbps.ops.reduce import max_


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
def embedding(input: Any, weight: Any) -> Node:
    """Rows of ``weight`` (rows, width): (…) integers -> (…, width).

    A row that is taken twice gets δ twice.

    Raises:
        ArgumentError: a row number is negative, or not an integer.

    >>> embedding(np.array([1, 1, 0]), np.array([[0.0, 1.0], [2.0, 3.0]]))
    array([[2., 3.],
           [2., 3.],
           [0., 1.]])

    """
    numbers = lift(input)
    if numbers.dtype.kind == "i" and not granted(all_(numbers >= 0, axis=None, keepdims=False)):
        raise misused("embedding takes row numbers from 0", got=str(np.min(numbers.value)))
    return getitem_by(lift(weight), numbers)


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
