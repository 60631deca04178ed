"""Methods of NumPy's ufuncs: np.add.reduce, np.multiply.accumulate, np.subtract.outer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from allbps.ir import NUMPY, Node, lift, numpy_function
from allbps.numpy_api.arguments import plain_axis, refuse
from allbps.ops.reduce import logsumexp_op
from allbps.ops.shape import reshape


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


def _outer(ufunc: Any) -> Callable[..., Any]:
    """Every element of a with every element of b."""

    def method(a: Any, b: Any) -> Any:
        a, b = lift(a), lift(b)
        return NUMPY[ufunc](reshape(a, shape=a.shape + (1,) * b.ndim), b)

    return method


for _known in [key for key in NUMPY if isinstance(key, np.ufunc) and (key.nin, key.nout) == (2, 1)]:
    if _known.signature is None:
        numpy_function((_known, "outer"))(_outer(_known))
