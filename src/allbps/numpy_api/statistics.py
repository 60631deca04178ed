"""Quantiles, covariances, and sums of products of neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.errors import ArgumentError, ShapeError
from allbps.ir import Node, lift, numpy_function, user_site
from allbps.numpy_api.arguments import given, plain_axis, refuse
from allbps.numpy_api.choosing import diagonal, sort, take_along_axis
from allbps.numpy_api.joining import concatenate_by
from allbps.numpy_api.shapes import atleast_2d, moveaxis
from allbps.ops.comparison import isnan, logical_not, where
from allbps.ops.function import astype, floor, maximum, minimum, sqrt
from allbps.ops.index import getitem_by
from allbps.ops.linalg import matmul
from allbps.ops.reduce import mean, sum_
from allbps.ops.shape import flip, pad, reshape
from allbps.ops.shapes import normal_axis


# -- quantiles -------------------------------------------------------------------------------------
@numpy_function(np.quantile)
def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Node:
    """``numpy.quantile``, all methods: between two neighbours of the sorted numbers."""
    refuse("quantile", out=out, weights=weights)
    node, axes = lift(a), _axes(a, axis)
    ranked = _ranked(node, axes)
    place = _place_among(ranked.shape[-1], q, method)
    below = astype(floor(place), dtype=np.dtype(int))
    above = minimum(below + 1, ranked.shape[-1] - 1)
    low, high = getitem_by(ranked, (..., below)), getitem_by(ranked, (..., above))
    share = place - below
    if isinstance(q, (int, float)):  # a Python number adapts to the dtype of the array
        share = float(share)
    how = _way(method, q)
    made = moveaxis(
        _between(low, high, share, how, place), range(-below.ndim, 0), range(below.ndim)
    )
    made = _nan_if_any(made, ranked)
    return _kept(made, node, axes) if keepdims else made


@numpy_function(np.nanquantile)
def nanquantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: Any = False,
    *,
    weights: Any = None,
) -> Node:
    """``numpy.nanquantile``: every row has its own number of numbers, and NaN are sorted last."""
    refuse("nanquantile", out=out, weights=weights)
    node, axes = lift(a), _axes(a, axis)
    ranked = _ranked(node, axes)
    counts = sum_(logical_not(isnan(ranked)), axis=-1, keepdims=False)
    wanted = np.asarray(q)
    numbers = range(ranked.shape[-1] + 1)
    place = np.stack([_place_among(max(n, 1), wanted.ravel(), method) for n in numbers])
    first = np.floor(place).astype(int)  # for each count of numbers, as the two below
    second = np.minimum(first + 1, np.maximum(np.arange(len(place)) - 1, 0)[:, None])
    below, above = (getitem_by(lift(table), counts) for table in (first, second))
    low, high = (take_along_axis(ranked, index, -1) for index in (below, above))
    share = getitem_by(lift(place - first), counts)
    weak = node.is_float and isinstance(q, (int, float))
    share = astype(share, dtype=node.dtype) if weak else share
    at = getitem_by(lift(place), counts)
    made = moveaxis(_between(low, high, share, _way(method, q), at), -1, 0)  # (q, ...)
    made = reshape(made, shape=wanted.shape + made.shape[1:])
    return _kept(made, node, axes) if given(keepdims) and keepdims else made


PICKED = ("lower", "higher", "nearest", "inverted_cdf", "closest_observation")
"""Methods that pick one of the numbers."""


def _way(method: str, q: Any) -> str:
    """The method; of q = 0 and 1 as integers NumPy picks a number by the linear one too."""
    whole = not isinstance(q, Node) and np.asarray(q).dtype.kind in "biu"
    return PICKED[0] if method == "linear" and whole else method


def _between(low: Node, high: Node, share: Any, method: str, place: Any) -> Node:
    """A share of the way, measured from the nearer end as in NumPy."""
    if method in PICKED:
        return low
    if method not in ("linear", "midpoint"):  # a place before the first number is the first number
        high = where(lift(place) == 0, low, high)
    gap = high - low
    return where(lift(share) < 0.5, low + gap * share, high - gap * (1.0 - share))


def _nan_if_any(made: Node, ranked: Node) -> Node:
    """NaN for a row that holds one: they are sorted last."""
    if not ranked.is_float or not ranked.shape[-1]:
        return made
    last = getitem_by(ranked, (..., -1))
    return where(isnan(last), made.dtype.type(np.nan), made)


def _axes(a: Any, axis: Any) -> list[int]:
    ndim = lift(a).ndim
    axes = plain_axis(axis)
    chosen = range(ndim) if axes is None else np.atleast_1d(axes).tolist()
    return [normal_axis(k, ndim) for k in chosen]


def _ranked(node: Node, axes: list[int]) -> Node:
    """The numbers of the axes as one axis, the last one, in rising order."""
    if not all(node.shape[k] for k in axes):
        raise ShapeError(
            "an empty array has no such value",
            where=str(user_site() or ""),
            expected="at least one element",
            got=f"shape {node.shape}",
        )
    rest = tuple(n for k, n in enumerate(node.shape) if k not in axes)
    rows = moveaxis(node, axes, range(-len(axes), 0)) if axes else node
    if len(axes) == 1:
        return sort(rows)
    return sort(reshape(rows, shape=(*rest, node.size // max(int(np.prod(rest)), 1))))


def _place_among(n: int, q: Any, method: str) -> Any:
    """Where a quantile stands in n sorted numbers: what NumPy answers for 0, 1, …, n − 1."""
    if isinstance(q, Node) and method == "linear":
        return q * float(n - 1)
    refuse("quantile", q=q if isinstance(q, Node) else None)
    return np.quantile(np.arange(float(n)), q, method=method)  # type: ignore[call-overload]


def _kept(made: Node, node: Node, axes: list[int]) -> Node:
    """The axes that were taken together, with length 1."""
    before = made.shape[: made.ndim - (node.ndim - len(axes))]
    kept = tuple(1 if k in axes else n for k, n in enumerate(node.shape))
    return reshape(made, shape=before + kept)


@numpy_function(np.percentile)
def percentile(a: Any, q: Any, *args: Any, **kwargs: Any) -> Node:
    """``numpy.percentile``."""
    return quantile(a, _share(q), *args, **kwargs)


@numpy_function(np.nanpercentile)
def nanpercentile(a: Any, q: Any, *args: Any, **kwargs: Any) -> Node:
    """``numpy.nanpercentile``."""
    return nanquantile(a, _share(q), *args, **kwargs)


# -- medians ---------------------------------------------------------------------------------------
@numpy_function(np.median)
def median(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False
) -> Node:
    """``numpy.median``: the middle number, or the mean of the two in the middle."""
    refuse("median", out=out)
    node, axes = lift(a), _axes(a, axis)
    ranked = _ranked(node, axes)
    n = ranked.shape[-1]
    middle = getitem_by(ranked, (..., slice((n - 1) // 2, n // 2 + 1)))
    made = _nan_if_any(mean(middle, axis=-1, keepdims=False), ranked)
    return _kept(made, node, axes) if keepdims else made


@numpy_function(np.nanmedian)
def nanmedian(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False
) -> Node:
    """``numpy.nanmedian``: the same of the numbers of each row."""
    refuse("nanmedian", out=out)
    node, axes = lift(a), _axes(a, axis)
    ranked = _ranked(node, axes)
    counts = sum_(logical_not(isnan(ranked)), axis=-1, keepdims=True)
    below, above = maximum(counts - 1, 0) // 2, counts // 2
    low, high = (
        take_along_axis(ranked, minimum(k, ranked.shape[-1] - 1), -1) for k in (below, above)
    )
    made = where(below == above, low, (low + high) / 2.0)
    made = reshape(made, shape=made.shape[:-1])
    return _kept(made, node, axes) if given(keepdims) and keepdims else made


def _share(q: Any) -> Any:
    return q / 100.0 if isinstance(q, (int, float, Node)) else np.asarray(q) / 100


# -- covariance ------------------------------------------------------------------------------------
@numpy_function(np.cov)
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: Any = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Node:
    """``numpy.cov``: rows are variables, columns observations."""
    refuse("cov", dtype=dtype)
    rows = [_variables(part, rowvar) for part in ([m] if y is None else [m, y])]
    x = rows[0] if len(rows) == 1 else concatenate_by(rows, 0)
    x = astype(x, dtype=np.result_type(x.dtype, np.float64))
    lost = int(not bias) if ddof is None else ddof
    if fweights is None and aweights is None:
        centred = x - mean(x, axis=1, keepdims=True)
        left = float(max(x.shape[1] - lost, 0))  # NumPy warns, and divides by 0
        made = matmul(centred, centred.T) / left  # (k, n) · (n, k) -> (k, k)
    else:
        made = _weighted_cov(x, fweights, aweights, lost)
    return reshape(made, shape=()) if made.shape == (1, 1) else made


def _weighted_cov(x: Node, fweights: Any, aweights: Any, lost: int) -> Node:
    double = np.dtype(np.float64)  # in which NumPy reads them
    fweights = 1.0 if fweights is None else astype(fweights, dtype=double)
    aweights = aweights if aweights is None else astype(aweights, dtype=double)
    weights = lift(fweights) * (1.0 if aweights is None else aweights)
    total = sum_(weights, axis=None, keepdims=False)
    centred = x - sum_(x * weights, axis=1, keepdims=True) / total
    spent = 1.0 if aweights is None else sum_(weights * aweights, axis=None, keepdims=False) / total
    # (k, n) · (n, k) -> (k, k)
    return matmul(centred * weights, centred.T) / (total - spent * float(lost))


def _variables(x: Any, rowvar: bool) -> Node:
    node: Node = atleast_2d(x)
    return node if rowvar or lift(x).ndim < 2 else node.T


@numpy_function(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Node:
    """``numpy.corrcoef``: covariances in units of the spreads."""
    refuse("corrcoef", dtype=dtype)
    joint = cov(x, y, rowvar)
    if not joint.ndim:
        return joint / joint
    spread = sqrt(diagonal(joint))
    return joint / spread / reshape(spread, shape=(*spread.shape, 1))


# -- sliding sums of products ----------------------------------------------------------------------
@numpy_function(np.correlate)
def correlate(a: Any, v: Any, mode: str = "valid") -> Node:
    """``numpy.correlate`` of two vectors."""
    a, v = lift(a), lift(v)
    if v.size > a.size:
        return flip(correlate(v, a, mode), axis=(0,))
    return _slide(a, v, mode)


@numpy_function(np.convolve)
def convolve(a: Any, v: Any, mode: str = "full") -> Node:
    """``numpy.convolve`` of two vectors: one of them runs backwards."""
    a, v = lift(a), lift(v)
    if v.size > a.size:
        a, v = v, a
    return _slide(a, flip(v, axis=(0,)), mode)


def _slide(a: Node, v: Node, mode: str) -> Node:
    """Sums of products of ``v`` with every window of ``a``, the longer one."""
    reach = v.size - 1
    margins = {"valid": (0, 0), "full": (reach, reach), "same": (v.size // 2, reach - v.size // 2)}
    if mode not in margins:
        raise ArgumentError(
            f"unknown mode {mode!r}",
            where=str(user_site() or ""),
            expected="'full', 'same' or 'valid'",
        )
    wide = pad(a, width=(margins[mode],))
    windows = np.arange(wide.size - reach)[:, None] + np.arange(v.size)
    terms = getitem_by(wide, windows)
    if not any(margins[mode]):
        return matmul(terms, v)  # (n, k) · (k,) -> (n,)
    inside = (windows >= margins[mode][0]) & (windows < margins[mode][0] + a.size)
    products = terms * v  # of the margin none: 0 · NaN is NaN
    summed = sum_(where(inside, products, np.zeros((), products.dtype)), axis=1, keepdims=False)
    return summed if summed.dtype == products.dtype else astype(summed, dtype=products.dtype)
