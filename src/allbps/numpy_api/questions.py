"""Questions about an array whose answers have no derivative.

Where the shape of the answer is known without numbers, it is an operation of the graph. Where it
is not (``np.nonzero``), or where it is Python's (``np.allclose``), the answer of this run is given,
and the graph holds as long as the answer is the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.errors import ArgumentError
from allbps.ir import Node, Op, lift, numpy_function, user_site
from allbps.numpy_api.arguments import given, mask_of, plain_axis, refuse
from allbps.ops.comparison import (
    equal,
    isfinite,
    isnan,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    not_equal,
    where,
)
from allbps.ops.function import abs_, astype
from allbps.ops.index import put_add_op
from allbps.ops.questions import all_, any_, isin, matrix_rank, searchsorted
from allbps.ops.reduce import max_, sum_
from allbps.ops.sort import argmax, argmin


# -- is one, are all, how many ---------------------------------------------------------------------
def _quantified(op: Op, neutral: bool) -> Any:
    def ask(
        a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True
    ) -> Node:
        refuse(op.name, out=out)
        counted = lift(a)
        if given(where) and where is not True:
            mask_of(where, counted)
            join = logical_and if not neutral else logical_or
            counted = join(counted, where if not neutral else logical_not(where))
        return op(counted, axis=plain_axis(axis), keepdims=given(keepdims) and bool(keepdims))

    return ask


numpy_function(np.all)(_quantified(all_, neutral=True))
numpy_function(np.any)(_quantified(any_, neutral=False))


@numpy_function(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Node:
    """``numpy.count_nonzero``."""
    return sum_(not_equal(a, 0), axis=plain_axis(axis), keepdims=bool(keepdims))


# -- are they the same -----------------------------------------------------------------------------
@numpy_function(np.isclose)
def isclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Node:
    """``numpy.isclose``: |a − b| ≤ atol + rtol |b|."""
    a, b = lift(a), lift(b)
    near = logical_and(less_equal(abs_(a - b), atol + rtol * abs_(b)), isfinite(b))
    made = logical_or(near, equal(a, b))
    return logical_or(made, logical_and(isnan(a), isnan(b))) if equal_nan else made


def _every(x: Node) -> bool:
    """Do all hold? The answer of this run."""
    return bool(all_(x, axis=None, keepdims=False))


@numpy_function(np.allclose)
def allclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> bool:
    """``numpy.allclose``."""
    return _every(isclose(a, b, rtol, atol, equal_nan))


@numpy_function(np.array_equal)
def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    """``numpy.array_equal``."""
    a, b = lift(a1), lift(a2)
    if a.shape != b.shape:
        return False
    same = equal(a, b)
    return _every(logical_or(same, logical_and(isnan(a), isnan(b))) if equal_nan else same)


@numpy_function(np.array_equiv)
def array_equiv(a1: Any, a2: Any) -> bool:
    """``numpy.array_equiv``: equal when broadcast together."""
    a, b = lift(a1), lift(a2)
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return False
    return _every(equal(a, b))


# -- where do they stand ---------------------------------------------------------------------------
@numpy_function(np.searchsorted)
def search(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Node:
    """``numpy.searchsorted``."""
    a, v = lift(a), lift(v)
    return searchsorted(a if sorter is None else a[sorter], v, side=side)


@numpy_function(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Node:
    """``numpy.digitize``: the number of the bin, of rising or falling bounds."""
    x, bins = lift(x), lift(bins)
    order = np.sign(np.diff(bins.known("np.digitize")))
    if not (np.all(order >= 0) or np.all(order <= 0)):
        raise ArgumentError(
            "np.digitize needs bounds that rise or fall", where=str(user_site() or "")
        )
    side = "left" if right else "right"
    if np.all(order >= 0):
        return searchsorted(bins, x, side=side)
    fewer: Node = bins.size - searchsorted(bins[::-1], x, side=side)
    return fewer


def _without_nan(op: Op, worst: float, name: str) -> Any:
    def ask(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Node:
        refuse(name, out=out)
        node = lift(a)
        if node.is_float:
            gone = isnan(node)
            if bool(any_(all_(gone, axis=axis, keepdims=False), axis=None, keepdims=False)):
                raise ValueError("All-NaN slice encountered")  # as NumPy says it
            node = where(gone, worst, node)
        return op(node, axis=axis, keepdims=given(keepdims) and bool(keepdims))

    return ask


numpy_function(np.nanargmax)(_without_nan(argmax, -np.inf, "nanargmax"))
numpy_function(np.nanargmin)(_without_nan(argmin, np.inf, "nanargmin"))


@numpy_function(np.isin)
def is_in(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, **kind: Any
) -> Node:
    """``numpy.isin``."""
    found = isin(lift(element), lift(test_elements))
    return logical_not(found) if invert else found


@numpy_function(np.linalg.matrix_rank)
def rank_of(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    """``numpy.linalg.matrix_rank``."""
    node = lift(A)
    if node.ndim < 2:
        return astype(any_(node, axis=None, keepdims=False), dtype=np.dtype(int))
    return matrix_rank(node, tol=tol, hermitian=bool(hermitian), rtol=rtol)


# -- answers whose shape is part of them -----------------------------------------------------------
def holds(condition: Any, purpose: str) -> Any:
    """Where a condition holds: the mask of this run."""
    node = lift(condition)
    return (node if node.dtype.kind == "b" else not_equal(node, 0)).known(purpose)


numpy_function(np.nonzero)(lambda a: np.nonzero(holds(a, "np.nonzero")))
numpy_function(np.argwhere)(lambda a: np.argwhere(holds(a, "np.argwhere")))
numpy_function(np.flatnonzero)(lambda a: np.flatnonzero(holds(a, "np.flatnonzero")))


@numpy_function(np.bincount)
def bincount(x: Any, weights: Any = None, minlength: int = 0) -> Node:
    """``numpy.bincount``: how often each number, or the sum of its weights."""
    places = lift(x)
    if places.dtype.kind not in "iu" or places.ndim != 1:
        np.bincount(np.zeros(places.shape, places.dtype))  # refuses in its own words
    if places.size and bool(any_(places < 0, axis=None, keepdims=False)):
        raise ValueError("'list' argument must have no negative elements")  # as NumPy says it
    longest = int(max_(places, axis=None, keepdims=False)) + 1 if places.size else 0
    shape = (max(longest, minlength),)
    if weights is None:
        ones = lift(np.ones(places.shape, np.intp))
        return put_add_op(ones, places, shape=shape, parts=("array",))
    floats = astype(weights, dtype=np.dtype(np.float64))
    return put_add_op(floats, places, shape=shape, parts=("array",))


@numpy_function(np.histogram)
def histogram(
    a: Any,
    bins: Any = 10,
    range: Any = None,  # noqa: A002
    density: Any = None,
    weights: Any = None,
) -> Any:
    """``numpy.histogram`` of the numbers of this run; traced weights are refused."""
    refuse("histogram", weights=weights if isinstance(weights, Node) else None)
    numbers, bounds = (lift(x).known("np.histogram") for x in (a, bins))
    return np.histogram(numbers, bounds, range=range, density=density, weights=weights)
