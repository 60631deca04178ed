"""Functions of one element whose slope at a corner is PyTorch's, and not NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np

import allbps.functional as F
from allbps.transforms import stop_gradient


def maximum(a: Any, b: Any) -> Any:
    """The larger of two; where they are the same each gets half of the δ, as in PyTorch."""
    return _of_two(np.maximum, a, b)


def minimum(a: Any, b: Any) -> Any:
    """The smaller of two; where they are the same each gets half of the δ."""
    return _of_two(np.minimum, a, b)


def _of_two(function: Any, a: Any, b: Any) -> Any:
    found = function(a, b)
    return np.where(a == b, 0.5 * (a + b), found) if found.dtype.kind == "f" else found


def amax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The largest along axes; what is the largest several times shares the δ, as in PyTorch."""
    return _shared(np.max, x, axis, keepdims)


def amin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The smallest along axes; what is the smallest several times shares the δ."""
    return _shared(np.min, x, axis, keepdims)


def _shared(function: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    axis = tuple(range(x.ndim)) if axis is None else axis
    if x.dtype.kind != "f":
        return function(x, axis=axis, keepdims=keepdims)
    best = x == stop_gradient(function(x, axis=axis, keepdims=True))
    total = np.sum(np.where(best, x, 0.0), axis=axis, keepdims=keepdims)
    return total / np.sum(best, axis=axis, keepdims=keepdims).astype(x.dtype)


def hardtanh(x: Any, low: float, high: float) -> Any:
    """X between two bounds; the slope at a bound is 0, as in PyTorch (np.clip's is 1)."""
    return np.where((x > low) & (x < high), x, stop_gradient(np.clip(x, low, high)))


def hardsigmoid(x: Any) -> Any:
    """X / 6 + ½ between 0 and 1 (arXiv:1905.02244); the slope at −3 and 3 is 0."""
    inside = (x > -3.0) & (x < 3.0)
    return np.where(inside, x / 6.0 + 0.5, (x > 0.0).astype(x.dtype))


def elu(x: Any, alpha: float, scale: float, input_scale: float) -> Any:
    """Scaled x where it is positive, else alpha (exp(input_scale x) − 1): SELU and CELU too."""
    below = alpha * np.expm1(input_scale * np.minimum(x, 0.0))
    return scale * np.where(x > 0.0, x, below)


def softplus(x: Any, beta: float, threshold: float) -> Any:
    """log(1 + exp(beta x)) / beta, and x itself where beta x is above a threshold."""
    return np.where(x * beta > threshold, x, F.softplus(x, beta))


def prelu(x: Any, weight: Any) -> Any:
    """X where it is positive, else its channel's weight times it (arXiv:1502.01852)."""
    if weight.size > 1 and x.ndim > 1:
        weight = np.reshape(weight, (weight.size, *(1,) * (x.ndim - 2)))
    return np.where(x > 0.0, x, weight * x)


def vector_norm(x: Any, order: float, axis: Any = None, keepdims: bool = False) -> Any:
    """(Σ |xᵢ|ᵖ)^(1/p) over axes."""
    axis = tuple(range(x.ndim)) if axis is None else axis
    if order == np.inf:
        return amax(np.abs(x), axis, keepdims)
    if order == -np.inf:
        return amin(np.abs(x), axis, keepdims)
    if order == 0:
        return np.sum(x != 0, axis=axis, keepdims=keepdims).astype(x.dtype)
    if order == 1:
        return np.sum(np.abs(x), axis=axis, keepdims=keepdims)
    powers = x * x if order == 2 else np.abs(x) ** order
    total = np.sum(powers, axis=axis, keepdims=keepdims)
    nothing = total == 0.0
    root = np.where(nothing, 1.0, total) ** (1.0 / order)  # the slope at 0 is taken as 0
    return np.where(nothing, 0.0, root)
