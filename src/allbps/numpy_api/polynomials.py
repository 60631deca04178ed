"""Polynomials by their coefficients, the highest power first."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.ir import Node, lift, numpy_function
from allbps.numpy_api.joining import stack
from allbps.numpy_api.statistics import convolve
from allbps.ops.index import getitem_by
from allbps.ops.shape import pad


@numpy_function(np.polyval)
def polyval(p: Any, x: Any) -> Node:
    """``numpy.polyval``, by Horner's scheme."""
    coefficients, at = lift(p), lift(x)
    made = at * 0.0
    for k in range(coefficients.size):
        made = made * at + getitem_by(coefficients, k)
    return made


@numpy_function(np.polyadd)
def polyadd(a1: Any, a2: Any) -> Node:
    """``numpy.polyadd``."""
    first, second = lift(a1), lift(a2)
    missing = first.size - second.size
    return pad(first, width=((max(-missing, 0), 0),)) + pad(second, width=((max(missing, 0), 0),))


@numpy_function(np.polysub)
def polysub(a1: Any, a2: Any) -> Node:
    """``numpy.polysub``."""
    return polyadd(a1, -lift(a2))


@numpy_function(np.polymul)
def polymul(a1: Any, a2: Any) -> Node:
    """``numpy.polymul``."""
    return convolve(a1, a2)


@numpy_function(np.polyder)
def polyder(p: Any, m: int = 1) -> Node:
    """``numpy.polyder``: the coefficients of the derivative."""
    node = lift(p)
    for _ in range(m):
        node = getitem_by(node, slice(0, -1)) * np.arange(node.size - 1, 0, -1.0)
    return node


@numpy_function(np.vander)
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Node:
    """``numpy.vander``: powers as columns."""
    node = lift(x)
    powers = range(node.size if N is None else N)
    return stack([node**k for k in (powers if increasing else reversed(powers))], axis=1)
