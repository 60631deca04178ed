"""Operators, arithmetic, reductions and shapes, as NumPy spells them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import allbps.functional as F
from vocabulary.spelled import SPELLINGS, spelled

SPELLINGS |= {
    "__radd__": lambda x, other: other + x,
    "__rsub__": lambda x, other: other - x,
    "__rmul__": lambda x, other: other * x,
    "__rdiv__": lambda x, other: other / x,
    "__rpow__": lambda x, other: other**x,
    "__rmod__": lambda x, other: other % x,
    "__rmatmul__": lambda x, other: other @ x,
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "t": lambda x: x.T,
    "max.binary": np.maximum,
    "min.binary": np.minimum,
    "frac": lambda x: x - np.trunc(x),
}


@spelled("__getitem__")
def getitem(x: Any, index: Any) -> Any:
    """A list holds one index for each axis, except where it is made of numbers."""
    numbers = isinstance(index, list) and all(type(k) is int for k in index)
    return x[tuple(index) if isinstance(index, list) and not numbers else index]


@spelled("add")
def add(input: Any, other: Any, alpha: float = 1) -> Any:
    """``input + alpha other``."""
    return input + (other if alpha == 1 else alpha * other)


@spelled("sub")
def sub(input: Any, other: Any, alpha: float = 1) -> Any:
    """``input − alpha other``."""
    return input - (other if alpha == 1 else alpha * other)


@spelled("rsub")
def rsub(input: Any, other: Any, alpha: float = 1) -> Any:
    """``other − alpha input``."""
    return other - (input if alpha == 1 else alpha * input)


@spelled("div")
def div(input: Any, other: Any, rounding_mode: str | None = None) -> Any:
    """The quotient, maybe without its fraction."""
    if rounding_mode == "floor":
        return np.floor(input / other)
    return np.trunc(input / other) if rounding_mode == "trunc" else input / other


@spelled("where")
def where(input: Any, condition: Any, other: Any) -> Any:
    """OpInfo's order: what is chosen from first."""
    return np.where(condition, input, other)


@spelled("clamp")
def clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    """Bounds that may be left out."""
    return np.clip(input, min, max)


def _axis(dim: Any) -> Any:
    """None and () mean all axes."""
    if isinstance(dim, (list, tuple)):
        return tuple(dim) or None
    return dim


def _per_axis(x: Any, dim: Any) -> Any:
    """A number has an axis 0 for PyTorch."""
    return None if np.ndim(x) == 0 else _axis(dim)


@spelled("cumsum")
def cumsum(x: Any, dim: int, dtype: Any = None) -> Any:
    """The sum so far."""
    return x if np.ndim(x) == 0 else np.cumsum(x, axis=dim)


@spelled("cumprod")
def cumprod(x: Any, dim: int, dtype: Any = None) -> Any:
    """The product so far."""
    return x if np.ndim(x) == 0 else np.cumprod(x, axis=dim)


def _correction(x: Any, dim: Any, unbiased: Any, correction: Any) -> tuple[Any, Any]:
    """Axes and what is taken off the number of elements."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased in (None, True) else 0
    return _per_axis(x, dim), correction


@spelled("std")
def std(x: Any, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *,
        correction: Any = None) -> Any:  # fmt: skip
    """By default the unbiased estimate."""
    axis, correction = _correction(x, dim, unbiased, correction)
    return np.std(x, axis=axis, ddof=correction, keepdims=keepdim)


@spelled("var")
def var(x: Any, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *,
        correction: Any = None) -> Any:  # fmt: skip
    """By default the unbiased estimate."""
    axis, correction = _correction(x, dim, unbiased, correction)
    return np.var(x, axis=axis, ddof=correction, keepdims=keepdim)


@spelled("std_mean")
def std_mean(x: Any, dim: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Both."""
    keepdim = kwargs.get("keepdim", False)
    axis = None if isinstance(dim, bool) else _per_axis(x, dim)
    return std(x, dim, *args, **kwargs), np.mean(x, axis=axis, keepdims=keepdim)


@spelled("var_mean")
def var_mean(x: Any, dim: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Both."""
    keepdim = kwargs.get("keepdim", False)
    axis = None if isinstance(dim, bool) else _per_axis(x, dim)
    return var(x, dim, *args, **kwargs), np.mean(x, axis=axis, keepdims=keepdim)


def _winner(x: Any, dim: int, keepdim: bool, argument: Any) -> Any:
    """The extreme value along an axis and where it stands."""
    if np.ndim(x) == 0:
        return x, np.zeros((), np.int64)
    place = argument(x, axis=dim, keepdims=True)
    value = np.take_along_axis(x, place, axis=dim)
    return (value, place) if keepdim else (np.squeeze(value, dim), np.squeeze(place, dim))


@spelled("max.reduction_with_dim")
def max_along(x: Any, dim: int, keepdim: bool = False) -> Any:
    """The largest and where it stands."""
    return _winner(x, dim, keepdim, np.argmax)


@spelled("min.reduction_with_dim")
def min_along(x: Any, dim: int, keepdim: bool = False) -> Any:
    """The smallest and where it stands."""
    return _winner(x, dim, keepdim, np.argmin)


@spelled("split", "split.list_args", "split_with_sizes", "unsafe_split", "split_with_sizes_copy")
def split(x: Any, sizes: Any, dim: int = 0) -> Any:
    """Parts of one length, the last perhaps shorter, or of given lengths."""
    n = x.shape[dim]
    if isinstance(sizes, int):
        return np.split(x, list(range(sizes, n, sizes)), axis=dim)
    return np.split(x, list(np.cumsum(sizes)[:-1]), axis=dim)


@spelled("chunk", "unsafe_chunk")
def chunk(x: Any, chunks: int, dim: int = 0) -> Any:
    """At most so many parts of one length."""
    return split(x, max(1, math.ceil(x.shape[dim] / chunks)), dim)


@spelled("atleast_1d")
def atleast_1d(*xs: Any) -> Any:
    """Each by itself."""
    return _each(np.atleast_1d, xs)


@spelled("atleast_2d")
def atleast_2d(*xs: Any) -> Any:
    """Each by itself."""
    return _each(np.atleast_2d, xs)


@spelled("atleast_3d")
def atleast_3d(*xs: Any) -> Any:
    """Each by itself."""
    return _each(np.atleast_3d, xs)


def _each(function: Any, xs: Any) -> Any:
    if len(xs) == 1 and not isinstance(xs[0], (list, tuple)):
        return function(xs[0])
    return [function(x) for x in (xs[0] if len(xs) == 1 else xs)]


@spelled("meshgrid.list_of_tensors", "meshgrid.variadic_tensors")
def meshgrid(*xs: Any, indexing: str = "ij") -> Any:
    """A number counts as one place."""
    xs = tuple(xs[0]) if isinstance(xs[0], (list, tuple)) else xs
    return np.meshgrid(*(np.reshape(x, -1) for x in xs), indexing=indexing)


@spelled("sort")
def sort(x: Any, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Any:
    """The numbers in order, and where each stood; equal ones keep their order."""
    if np.ndim(x) == 0:
        return x, np.zeros((), np.int64)
    plain = -x if descending else x
    places = np.argsort(plain, axis=dim, stable=True)
    return np.take_along_axis(x, places, axis=dim), places


SPELLINGS["msort"] = lambda x: np.sort(x, axis=0)
SPELLINGS["repeat"] = lambda x, *sizes: np.tile(
    x, sizes[0] if isinstance(sizes[0], (list, tuple)) else sizes
)


@spelled("nn.functional.embedding")
def embedding(weight: Any, input: Any, **options: Any) -> Any:
    """OpInfo's order: the table first."""
    return F.embedding(input, weight, **options)


@spelled("nn.functional.embedding_bag")
def embedding_bag(weight: Any, input: Any, **options: Any) -> Any:
    """OpInfo's order: the table first."""
    return F.embedding_bag(input, weight, **options)


MODES = ("bilinear", "nearest", "bicubic")
PADDINGS = ("zeros", "border", "reflection")


@spelled("grid_sampler_2d", "grid_sampler_3d")
def grid_sampler(input: Any, grid: Any, mode: int, padding: int, align_corners: bool) -> Any:
    """PyTorch numbers modes and paddings there."""
    return F.grid_sample(input, grid, MODES[mode], PADDINGS[padding], align_corners)


SPELLINGS |= {
    "as_strided_copy": F.as_strided,
    "constant_pad_nd": lambda x, pad, value=0.0: F.pad(x, pad, value=value),
}
