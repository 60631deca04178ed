"""Reductions with NumPy's arguments."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from allbps.errors import ArgumentError, DtypeError, ShapeError
from allbps.ir import NUMPY, Node, Op, lift, numpy_function, user_site
from allbps.numpy_api.arguments import given, mask_of, plain_axis, refuse
from allbps.ops.arithmetic import add, div, mul
from allbps.ops.comparison import isnan, logical_and, logical_not
from allbps.ops.comparison import where as choose
from allbps.ops.cumulate import cumprod, cumsum, prod, running
from allbps.ops.function import astype, maximum, minimum, sqrt
from allbps.ops.join import joined
from allbps.ops.length import norm_op
from allbps.ops.questions import all_
from allbps.ops.reduce import count, max_, mean, min_, sum_
from allbps.ops.shape import broadcast_to
from allbps.ops.shapes import normal_axis
from allbps.ops.sort import argmax, argmin


def _operand(x: Any, dtype: Any = None) -> Node:
    node = lift(x)
    return node if dtype is None else astype(node, dtype=np.dtype(dtype))


def _masked(x: Node, where: Any, neutral: Any) -> Node:
    """``x`` with what is not to be reduced replaced by a number that changes nothing."""
    return choose(mask_of(where, x), x, neutral) if given(where) and where is not True else x


def _first(x: Node, initial: Any) -> Any:
    """What a reduction starts from, of the kind of number that is reduced."""
    if not given(initial) or x.is_float:
        return initial
    if isinstance(initial, Node) or not isinstance(initial, (int, np.integer, np.bool_)):
        raise DtypeError(
            "initial= of a reduction of integers is an integer",
            where=str(user_site() or ""),
            got=f"{initial!r} for {x.dtype}",
        )
    return x.dtype.type(initial)


# -- sums and products -----------------------------------------------------------------------------
def _total(op: Op, neutral: float, combine: Op) -> Callable[..., Node]:
    def reduce(
        x: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = None,
        where: Any = None,
    ) -> Node:
        refuse(op.name, out=out)
        kept = bool(given(keepdims) and keepdims)
        node = _masked(_operand(x, dtype), where, neutral)
        total = op(node, axis=plain_axis(axis), keepdims=kept)
        total = combine(total, _first(total, initial)) if given(initial) else total
        return _as_asked(total, dtype)

    return reduce


def _as_asked(node: Node, dtype: Any) -> Node:
    """The result in the dtype asked for: what exceeds a smaller one is cut off, as in NumPy."""
    if dtype is None or node.dtype == np.dtype(dtype):
        return node
    return astype(node, dtype=np.dtype(dtype))


numpy_function(np.sum)(_total(sum_, 0, add))
numpy_function(np.prod)(_total(prod, 1, mul))


def _running(op: Op) -> Callable[..., Node]:
    def accumulate(x: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Node:
        refuse(op.name, out=out)
        return _as_asked(running(op, _operand(x, dtype), axis), dtype)

    return accumulate


numpy_function(np.cumsum)(_running(cumsum))
numpy_function(np.cumprod)(_running(cumprod))


def _running_one_axis(op: Op) -> Callable[..., Node]:
    """The newer names: with ``include_initial`` the neutral element comes first."""
    first = 0.0 if op is cumsum else 1.0

    def accumulate(
        x: Any,
        /,
        *,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        include_initial: bool = False,
    ) -> Node:
        refuse(op.name, out=out)
        node = _operand(x, dtype)
        if axis is None and node.ndim != 1:
            raise ArgumentError(
                f"np.cumulative_{'sum' if op is cumsum else 'prod'} of several axes needs axis=",
                where=str(user_site() or ""),
                got=f"shape {node.shape}",
            )
        place = normal_axis(axis or 0, node.ndim)
        made = op(node, axis=place)
        if include_initial:
            shape = (*node.shape[:place], 1, *node.shape[place + 1 :])
            made = joined([np.full(shape, first, node.dtype), made], place)
        return _as_asked(made, dtype)

    return accumulate


numpy_function(np.cumulative_sum)(_running_one_axis(cumsum))
numpy_function(np.cumulative_prod)(_running_one_axis(cumprod))


def _float_dtype(dtype: Any) -> Any:
    if given(dtype) and np.dtype(dtype).kind != "f":
        raise DtypeError(
            "a mean or spread of a traced array is a real number",
            where=str(user_site() or ""),
            expected="dtype=float or np.float32",
            got=f"dtype={np.dtype(dtype)}",
        )
    return dtype if given(dtype) else None


# -- means -----------------------------------------------------------------------------------------
@numpy_function(np.mean)
def mean_by(
    x: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    *,
    where: Any = None,
) -> Node:
    """``numpy.mean``."""
    refuse("mean", out=out)
    node, axes, kept = (
        _operand(x, _float_dtype(dtype)),
        plain_axis(axis),
        bool(given(keepdims) and keepdims),
    )
    unmasked = not given(where) or where is True
    halves = given(dtype) and np.dtype(dtype) == np.float16  # asked for, they are added up as such
    if unmasked and not halves:
        return mean(node, axis=axes, keepdims=kept)
    total = sum_(node if unmasked else _masked(node, where, 0.0), axis=axes, keepdims=kept)
    return div(total, _how_many(node, axes, kept, where))


def _how_many(x: Node, axis: Any, keepdims: bool, where: Any) -> Any:
    """How many numbers a group holds."""
    if not given(where) or where is True:
        return float(count(x, axis))
    counted = choose(mask_of(where, x), np.ones(x.shape, x.dtype), 0.0)
    return sum_(counted, axis=axis, keepdims=keepdims)


@numpy_function(np.average)
def average(
    x: Any,
    axis: Any = None,
    weights: Any = None,
    returned: bool = False,
    *,
    keepdims: Any = False,
) -> Any:
    """``numpy.average``; weights of the shape of ``x``, or one for each place of an axis."""
    node, axes, kept = lift(x), plain_axis(axis), bool(given(keepdims) and keepdims)
    if weights is None:
        made = mean(node, axis=axes, keepdims=kept)
        if not made.size:
            raise ZeroDivisionError("division by zero")  # as NumPy says it
        return (made, np.full(made.shape, count(node, axes), made.dtype)[()]) if returned else made
    scale = lift(weights)
    if scale.shape != node.shape and axes is None:
        raise ShapeError(
            "np.average of weights with another shape needs axis=",
            where=str(user_site() or ""),
            expected=f"weights of shape {node.shape}",
            got=f"shape {scale.shape}",
        )
    if scale.shape != node.shape and isinstance(axes, int):
        places = [1] * node.ndim
        places[normal_axis(axes, node.ndim)] = -1
        scale = broadcast_to(scale.reshape(tuple(places)), shape=node.shape)
    weighted = node * scale
    if scale.is_inexact and scale.dtype != weighted.dtype:
        scale = astype(scale, dtype=weighted.dtype)
    total, whole = (sum_(part, axis=axes, keepdims=kept) for part in (weighted, scale))
    if not whole.traces and np.any(whole.value == 0):
        raise ZeroDivisionError("Weights sum to zero, can't be normalized")  # as NumPy says it
    return (total / whole, whole) if returned else total / whole


class _Spread(NamedTuple):
    """What is left of numbers when their mean is taken off, and the number to divide by."""

    left: Node
    freedom: Any
    axis: Any
    keepdims: bool


def _spread(
    x: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = False,
    *,
    where: Any = None,
    mean: Any = None,
    correction: Any = None,
) -> _Spread:
    refuse("var", out=out)
    if given(correction) and ddof != 0:
        raise ValueError("ddof and correction can't be provided simultaneously.")  # NumPy's words
    node, axes = _operand(x, _float_dtype(dtype)), plain_axis(axis)
    kept = bool(given(keepdims) and keepdims)
    middle = mean if given(mean) else mean_by(node, axes, keepdims=True, where=where)
    number = _how_many(node, axes, kept, where) - (correction if given(correction) else ddof)
    positive = maximum(number, 0.0) if isinstance(number, Node) else max(number, 0.0)
    return _Spread(_masked(node - middle, where, 0.0), positive, axes, kept)


@numpy_function(np.var)
def var(x: Any, *args: Any, **kwargs: Any) -> Node:
    """``numpy.var``: the mean square of what is left after the mean is taken off."""
    left, freedom, axis, kept = _spread(x, *args, **kwargs)
    return div(sum_(left**2, axis=axis, keepdims=kept), freedom)


@numpy_function(np.std)
def std(x: Any, *args: Any, **kwargs: Any) -> Node:
    """``numpy.std``: the length of what is left; at spread 0 its slope is taken as 0."""
    left, freedom, axis, kept = _spread(x, *args, **kwargs)
    root = sqrt(freedom) if isinstance(freedom, Node) else math.sqrt(freedom)
    return div(norm_op(left, order=2, axis=axis, keepdims=kept), root)


# -- extremes --------------------------------------------------------------------------------------
def _extreme(op: Op, lowest: float, combine: Op) -> Callable[..., Node]:
    def reduce(
        x: Any,
        axis: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = None,
        where: Any = None,
    ) -> Node:
        refuse(op.name, out=out)
        kept = bool(given(keepdims) and keepdims)
        if given(where) and where is not True and not given(initial):
            raise ArgumentError(
                f"np.{op.name} with where= needs initial=: nothing may be left",
                where=str(user_site() or ""),
                todo=f"initial={lowest}",
            )
        node = lift(x)
        initial = _first(node, initial)
        node = _masked(node, where, initial if given(initial) else lowest)
        if given(initial) and not node.size:
            shape = np.sum(np.zeros(node.shape), axis=plain_axis(axis), keepdims=kept).shape
            return astype(broadcast_to(lift(initial), shape=shape), dtype=node.dtype)
        found = op(node, axis=plain_axis(axis), keepdims=kept)
        return combine(found, initial) if given(initial) else found

    return reduce


numpy_function(np.max, np.amax)(_extreme(max_, -np.inf, maximum))
numpy_function(np.min, np.amin)(_extreme(min_, np.inf, minimum))


@numpy_function(np.ptp)
def ptp(x: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Node:
    """``numpy.ptp``: maximum − minimum."""
    refuse("ptp", out=out)
    node, axes, kept = lift(x), plain_axis(axis), bool(given(keepdims) and keepdims)
    return max_(node, axis=axes, keepdims=kept) - min_(node, axis=axes, keepdims=kept)


def _place(op: Op) -> Callable[..., Node]:
    def find(x: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Node:
        refuse(op.name, out=out)
        kept = bool(given(keepdims) and keepdims)
        return op(lift(x), axis=plain_axis(axis), keepdims=kept)

    return find


numpy_function(np.argmax)(_place(argmax))
numpy_function(np.argmin)(_place(argmin))


# -- leaving NaN out -------------------------------------------------------------------------------
def _numbers(x: Node, where: Any) -> Node:
    """Which elements are numbers, and are to be counted."""
    numbers = logical_not(isnan(x))
    return logical_and(numbers, mask_of(where, x)) if given(where) else numbers


def _without_nan(function: Any) -> Callable[..., Any]:
    def reduce(x: Any, *args: Any, where: Any = None, **kwargs: Any) -> Any:
        node = lift(x)
        return NUMPY[function](node, *args, where=_numbers(node, where), **kwargs)

    return reduce


for _nan, _plain in (
    (np.nansum, np.sum),
    (np.nanprod, np.prod),
    (np.nanmean, np.mean),
):
    numpy_function(_nan)(_without_nan(_plain))


def _without_nan_spread(root: bool) -> Callable[..., Node]:
    """NaN where no degree of freedom is left, rather than infinity."""

    def reduce(x: Any, *args: Any, where: Any = None, **kwargs: Any) -> Node:
        node = lift(x)
        if not node.is_float:
            return (std if root else var)(node, *args, where=where, **kwargs)
        left, freedom, axis, kept = _spread(node, *args, where=_numbers(node, where), **kwargs)
        number = left.dtype.type
        spent = choose(freedom > 0.0, lift(freedom), number(np.nan))
        if root:
            return div(norm_op(left, order=2, axis=axis, keepdims=kept), sqrt(spent))
        return div(sum_(left**2, axis=axis, keepdims=kept), spent)

    return reduce


numpy_function(np.nanvar)(_without_nan_spread(root=False))
numpy_function(np.nanstd)(_without_nan_spread(root=True))


def _extreme_number(op: Op, lowest: float, combine: Op) -> Callable[..., Node]:
    """The extreme of the numbers; NaN where there is none."""
    plain = _extreme(op, lowest, combine)

    def reduce(
        x: Any,
        axis: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = None,
        where: Any = None,
    ) -> Node:
        node = lift(x)
        if not node.is_float or given(where):
            chosen = _numbers(node, where) if given(where) else None
            return plain(node, axis, out, keepdims, initial, chosen)
        numbers = choose(isnan(node), node.dtype.type(lowest), node)
        found = plain(numbers, axis, out, keepdims, initial)
        kept = bool(given(keepdims) and keepdims)
        gone = all_(isnan(node), axis=plain_axis(axis), keepdims=kept)
        return found if given(initial) else choose(gone, node.dtype.type(np.nan), found)

    return reduce


numpy_function(np.nanmax)(_extreme_number(max_, -np.inf, maximum))
numpy_function(np.nanmin)(_extreme_number(min_, np.inf, minimum))


def _nan_as(neutral: float, op: Op) -> Callable[..., Node]:
    """A running sum or product over NaN as if it were not there."""

    def accumulate(x: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Node:
        refuse(op.name, out=out)
        node = lift(x)
        numbers = choose(isnan(node), node.dtype.type(neutral), node)
        return running(op, _operand(numbers, dtype), axis)

    return accumulate


numpy_function(np.nancumsum)(_nan_as(0.0, cumsum))
numpy_function(np.nancumprod)(_nan_as(1.0, cumprod))
