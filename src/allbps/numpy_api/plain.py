"""Questions about an array whose answers have no derivative: they are given as plain values.

Like an ``if`` on a traced number they see the numbers of this run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from allbps.errors import InPlaceError
from allbps.ir import Node, lift, numpy_function, traced_among, user_site
from allbps.numpy_api.arguments import refuse
from allbps.ops.function import astype
from allbps.ops.index import put_add_op


def _value(x: Any, purpose: str) -> Any:
    if isinstance(x, Node):
        return x.known(purpose)
    if isinstance(x, (list, tuple)):
        return type(x)(_value(part, purpose) for part in x)
    return x


def _asked(function: Any) -> Callable[..., Any]:
    """``function`` of the numbers seen while tracing."""
    purpose = f"np.{function.__name__}"

    def ask(*args: Any, **kwargs: Any) -> Any:
        plain = {key: _value(value, purpose) for key, value in kwargs.items()}
        return function(*[_value(x, purpose) for x in args], **plain)

    return ask


for _function in (
    np.all,
    np.allclose,
    np.any,
    np.argwhere,
    np.array2string,
    np.array_equal,
    np.array_equiv,
    np.array_repr,
    np.array_str,
    np.count_nonzero,
    np.digitize,
    np.flatnonzero,
    np.isclose,
    np.linalg.matrix_rank,
    np.lexsort,
    np.nanargmax,
    np.nanargmin,
    np.nonzero,
    np.isin,
    np.searchsorted,
    np.spacing,
):
    numpy_function(_function)(_asked(_function))


@numpy_function(np.bincount)
def bincount(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    """``numpy.bincount``: how often each number, or the sum of its weights."""
    places = _value(x, "np.bincount")
    counts = np.bincount(places, minlength=minlength)
    if weights is None:
        return counts
    floats = astype(weights, dtype=np.dtype(np.float64))
    return put_add_op(floats, np.asarray(places), shape=counts.shape, parts=("array",))


@numpy_function(np.histogram)
def histogram(
    a: Any,
    bins: Any = 10,
    range: Any = None,  # noqa: A002
    density: Any = None,
    weights: Any = None,
) -> Any:
    """``numpy.histogram`` of the numbers seen while tracing; traced weights are refused."""
    refuse("histogram", weights=weights if isinstance(weights, Node) else None)
    options = {"range": range, "density": density, "weights": weights}
    return _asked(np.histogram)(a, bins, **options)


# -- shape and dtype: known without numbers --------------------------------------------------------
numpy_function(np.shape)(lambda a: lift(a).shape)
numpy_function(np.ndim)(lambda a: lift(a).ndim)
numpy_function(np.iscomplexobj)(lambda x: False)
numpy_function(np.isrealobj)(lambda x: True)
numpy_function(np.iscomplex)(lambda x: np.zeros(lift(x).shape, bool)[()])
numpy_function(np.isreal)(lambda x: np.ones(lift(x).shape, bool)[()])


numpy_function(np.diag_indices_from)(lambda arr: np.diag_indices(len(arr), lift(arr).ndim))
numpy_function(np.tril_indices_from)(lambda arr, k=0: np.tril_indices(*_sides(arr, k)))
numpy_function(np.triu_indices_from)(lambda arr, k=0: np.triu_indices(*_sides(arr, k)))


def _sides(x: Any, k: int) -> tuple[int, int, int]:
    rows, columns = lift(x).shape
    return rows, k, columns


@numpy_function(np.size)
def size(a: Any, axis: int | None = None) -> int:
    """``numpy.size``."""
    node = lift(a)
    return node.size if axis is None else node.shape[axis]


def _type(x: Any) -> Any:
    return x.dtype if isinstance(x, Node) else x


numpy_function(np.result_type)(lambda *xs: np.result_type(*map(_type, xs)))
numpy_function(np.can_cast)(lambda x, to, casting="safe": np.can_cast(_type(x), to, casting))
numpy_function(np.min_scalar_type)(_type)
numpy_function(np.common_type)(lambda *xs: np.result_type(np.float16, *map(_type, xs)).type)


# -- functions that write into their argument ------------------------------------------------------
def _writes(function: Any) -> Callable[..., Any]:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        name = f"np.{function.__name__}"
        raise InPlaceError(
            f"{name} writes into an array, and {traced_among(args, kwargs)} is traced",
            where=str(user_site() or ""),
            expected="a function that returns a new array",
            got=f"{name} of {traced_among(args, kwargs)}",
            todo="np.where(mask, a, b), np.concatenate or np.stack build changed arrays",
        )

    return refuse


for _writer in (np.copyto, np.fill_diagonal, np.place, np.put, np.put_along_axis, np.putmask):
    numpy_function(_writer)(_writes(_writer))
