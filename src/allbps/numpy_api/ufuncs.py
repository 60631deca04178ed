"""Methods of NumPy's ufuncs: np.add.reduce, np.multiply.accumulate, np.subtract.outer."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from allbps.errors import ShapeError
from allbps.ir import NUMPY, Node, lift, numpy_function, user_site
from allbps.numpy_api.arguments import plain_axis, refuse
from allbps.numpy_api.joining import stack, unstack
from allbps.numpy_api.shapes import at, expand_dims
from allbps.ops.index import getitem_by
from allbps.ops.reduce import logsumexp_op
from allbps.ops.shape import reshape
from allbps.ops.shapes import normal_axis


def _along_first_axis(function: Any) -> Callable[..., Any]:
    """A reduction whose axis, unlike that of the function, is 0 where none is named."""

    def method(x: Any, axis: Any = 0, *args: Any, **kwargs: Any) -> Any:
        return NUMPY[function](x, axis, *args, **kwargs)

    return method


for _ufunc, _method, _function in (
    (np.add, "reduce", np.sum),
    (np.multiply, "reduce", np.prod),
    (np.maximum, "reduce", np.max),
    (np.minimum, "reduce", np.min),
    (np.logical_and, "reduce", np.all),
    (np.logical_or, "reduce", np.any),
    (np.add, "accumulate", np.cumsum),
    (np.multiply, "accumulate", np.cumprod),
):
    numpy_function((_ufunc, _method))(_along_first_axis(_function))


@numpy_function((np.logaddexp, "reduce"))
def logaddexp_reduce(
    x: Any,
    axis: Any = 0,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Node:
    """``numpy.logaddexp.reduce``."""
    refuse("logaddexp.reduce", dtype=dtype, out=out, initial=initial, where=where)
    return logsumexp_op(x, axis=plain_axis(axis), keepdims=bool(keepdims))


# -- any other ufunc: one element after the other --------------------------------------------------
def _reduce(ufunc: Any) -> Callable[..., Any]:
    def method(
        x: Any,
        axis: Any = 0,
        dtype: Any = None,
        out: Any = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = None,
    ) -> Any:
        _refuse(ufunc, "reduce", dtype=dtype, out=out, initial=initial, where=where)
        node = lift(x)
        axis = _one_axis(node, axis, f"{ufunc.__name__}.reduce")
        made = reduce(NUMPY[ufunc], unstack(node, axis=axis))
        return expand_dims(made, axis) if keepdims else made

    return method


def _accumulate(ufunc: Any) -> Callable[..., Any]:
    def method(x: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
        _refuse(ufunc, "accumulate", dtype=dtype, out=out)
        node = lift(x)
        axis = _one_axis(node, axis, f"{ufunc.__name__}.accumulate")
        return stack(list(accumulate(unstack(node, axis=axis), NUMPY[ufunc])), axis)

    return method


def _reduceat(ufunc: Any) -> Callable[..., Any]:
    """The reduction of each stretch from one index to the next; one element where it is empty."""

    def method(x: Any, indices: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
        _refuse(ufunc, "reduceat", dtype=dtype, out=out)
        node = lift(x)
        axis = _one_axis(node, axis, f"{ufunc.__name__}.reduceat")
        starts = [int(k) for k in np.atleast_1d(indices)]
        parts = [
            NUMPY[ufunc, "reduce"](getitem_by(node, at(axis, node.ndim, slice(a, b))), axis)
            if a < b
            else getitem_by(node, at(axis, node.ndim, a))
            for a, b in pairwise([*starts, node.shape[axis]])
        ]
        return stack(parts, axis)

    return method


def _refuse(ufunc: Any, method: str, **options: Any) -> None:
    options["where"] = None if options.get("where") is True else options.get("where")
    refuse(f"{ufunc.__name__}.{method}", **options)


def _one_axis(x: Node, axis: Any, name: str) -> int:
    """The axis as a number from 0, where one is named and it is not empty."""
    axes = plain_axis(axis)
    listed = range(x.ndim) if axes is None else np.atleast_1d(axes).tolist()
    places = [normal_axis(k, x.ndim) for k in listed]
    if len(places) != 1 or not x.shape[places[0]]:
        raise ShapeError(
            f"np.{name} of a traced array works along one axis, which must not be empty",
            where=str(user_site() or ""),
            got=f"axis={axis} of an array of shape {x.shape}",
        )
    return places[0]


# -- every element with every other ----------------------------------------------------------------
def _outer(ufunc: Any) -> Callable[..., Any]:
    """Every element of a with every element of b."""

    def method(a: Any, b: Any) -> Any:
        a, b = lift(a), lift(b)
        return NUMPY[ufunc](reshape(a, shape=a.shape + (1,) * b.ndim), b)

    return method


for _known in [key for key in NUMPY if isinstance(key, np.ufunc) and (key.nin, key.nout) == (2, 1)]:
    if _known.signature is None:
        numpy_function((_known, "outer"))(_outer(_known))
        for _name, _made in (
            ("reduce", _reduce),
            ("accumulate", _accumulate),
            ("reduceat", _reduceat),
        ):
            if (_known, _name) not in NUMPY:
                numpy_function((_known, _name))(_made(_known))
