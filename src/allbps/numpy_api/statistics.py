"""Quantiles, covariances, and sums of products of neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.errors import ArgumentError
from allbps.ir import Node, lift, numpy_function, user_site
from allbps.numpy_api.arguments import plain_axis, refuse
from allbps.numpy_api.choosing import diagonal, sort
from allbps.numpy_api.joining import concatenate_by
from allbps.numpy_api.shapes import atleast_2d, moveaxis
from allbps.ops.function import sqrt
from allbps.ops.index import getitem_by
from allbps.ops.linalg import matmul
from allbps.ops.reduce import mean
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
    """``numpy.quantile``: between the two nearest of the sorted numbers, on a straight line."""
    refuse("quantile", out=out, weights=weights)
    if method != "linear":
        raise ArgumentError(
            f"np.quantile of a traced array does not know method={method!r}",
            where=str(user_site() or ""),
            expected="'linear'",
        )
    node, axes = lift(a), plain_axis(axis)
    chosen = range(node.ndim) if axes is None else np.atleast_1d(axes).tolist()
    order = [normal_axis(k, node.ndim) for k in chosen]
    rest = tuple(n for k, n in enumerate(node.shape) if k not in order)
    rows = moveaxis(node, order, range(-len(order), 0)) if order else node
    ranked = sort(reshape(rows, shape=(*rest, node.size // max(int(np.prod(rest)), 1))))
    place = np.asarray(lift(q).known("q")) * (ranked.shape[-1] - 1)
    below = np.floor(place).astype(int)
    above = np.minimum(below + 1, ranked.shape[-1] - 1)
    share = place - below
    low, high = getitem_by(ranked, (..., below)), getitem_by(ranked, (..., above))
    made = moveaxis(low + (high - low) * share, range(-share.ndim, 0), range(share.ndim))
    if not keepdims:
        return made
    kept = tuple(1 if k in order else n for k, n in enumerate(node.shape))
    return reshape(made, shape=share.shape + kept)


@numpy_function(np.percentile)
def percentile(a: Any, q: Any, *args: Any, **kwargs: Any) -> Node:
    """``numpy.percentile``."""
    return quantile(a, np.asarray(lift(q).known("q")) / 100, *args, **kwargs)


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
    refuse("cov", fweights=fweights, aweights=aweights, dtype=dtype)
    rows = [_variables(part, rowvar) for part in ([m] if y is None else [m, y])]
    x = rows[0] if len(rows) == 1 else concatenate_by(rows, 0)
    centred = x - mean(x, axis=1, keepdims=True)
    freedom = x.shape[1] - (int(not bias) if ddof is None else ddof)
    made = matmul(centred, centred.T) / float(freedom)  # (k, n) · (n, k) -> (k, k)
    return reshape(made, shape=()) if made.shape == (1, 1) else made


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
            f"there is no mode {mode!r}",
            where=str(user_site() or ""),
            expected="'full', 'same' or 'valid'",
        )
    wide = pad(a, width=(margins[mode],))
    windows = np.arange(wide.size - reach)[:, None] + np.arange(v.size)
    return matmul(getitem_by(wide, windows), v)  # (n, k) · (k,) -> (n,)
