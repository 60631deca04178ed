"""What all functions of the vocabulary share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from operator import index
from typing import Any, NamedTuple, ParamSpec

import numpy as np

from allbps.errors import ArgumentError, InPlaceError, ShapeError
from allbps.ir import (
    Node,
    TracedArray,
    handed,
    holds_complex,
    is_traced,
    lift,
    refuse_complex,
    resolved,
    user_site,
)
from allbps.ops.function import astype
from allbps.ops.reduce import mean, sum_
from allbps.ops.shape import reshape
from allbps.ops.shapes import normal_axis
from allbps.tree import tree_map

NUMPYS_WORDS = {"axis": "dim", "keepdims": "keepdim"}
"""What NumPy calls an option -> what PyTorch calls it."""

P = ParamSpec("P")
Pair = tuple[int, int]
Size = int | Sequence[int]


def works_on_arrays(
    function: Callable[P, Any], room: str = "functional", whole_plane: bool = False
) -> Callable[P, Any]:
    """Names for names, nodes for nodes, plain arrays for plain ones; NumPy's words too.

    A function may give several results, as a tuple. Complex numbers are refused, unless it is said
    to take the whole plane.
    """
    name = getattr(function, "__name__", "")
    signature = inspect.signature(function)

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Any:
        for numpys, torchs in NUMPYS_WORDS.items():
            if numpys in kwargs and torchs in signature.parameters and torchs not in kwargs:
                kwargs[torchs] = kwargs.pop(numpys)
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            known = ", ".join(signature.parameters)
            raise misused(f"{room}.{name}: {error}", f"{name}({known})") from None
        given = (*args, *kwargs.values())
        if holds_complex(args, kwargs) and not whole_plane:
            refuse_complex(f"{room}.{name}")
        traced = is_traced(*given)
        if traced:
            result = function(*map(resolved, args), **resolved(kwargs))
        else:
            result = function(*args, **kwargs)
        if isinstance(result, Updates):
            for key, new in result.new.items():
                _write(bound.arguments.get(key), new, f"{room}.{name}: {key}")
            result = result.value
        if traced:
            return tree_map(lambda x: _named(x, given), result)
        return result if _is_node(*given) else tree_map(_plain, result)

    return wrapped


class Updates(NamedTuple):
    """What a function returns, and what it leaves in some of its arguments, as PyTorch does."""

    value: Any
    new: dict[str, Node]


def _write(target: Any, new: Node, what: str) -> None:
    """Leave a value in an array of the caller's; what is no array has no place for it.

    Raises:
        InPlaceError: a compiled function would write once, when it is compiled, and never again.

    """
    if isinstance(target, TracedArray):
        target[...] = handed(astype(new, dtype=target.dtype))
    elif isinstance(target, np.ndarray):
        if new.traces and not new.is_worked_out:
            raise InPlaceError(
                f"{what} is changed in every call, and a compiled function cannot write into an"
                " array that is not an argument",
                where=str(user_site() or ""),
                todo="pass it to the function that is compiled, and return what it becomes",
            )
        target[...] = new.value


def _plain(x: Any) -> Any:
    """The number of a node; a draw is traced by itself."""
    if not isinstance(x, Node):
        return x
    return handed(x) if x.traces else x.value


def _named(x: Any, given: Sequence[Any]) -> Any:
    """A result as the user's name for it, if it is one of the arguments."""
    for name in given:
        if isinstance(name, TracedArray) and name.stands_for(x):
            return name
    return handed(x)


def _is_node(*operands: Any) -> bool:
    """Is a node among the operands, or in a list among them?"""
    return any(
        isinstance(x, Node) or (isinstance(x, (list, tuple)) and _is_node(*x)) for x in operands
    )


def misused(what: str, expected: str = "", got: str = "", todo: str = "") -> ArgumentError:
    """The error for an argument that makes no sense, with the user's line."""
    return ArgumentError(what, where=str(user_site() or ""), expected=expected, got=got, todo=todo)


def misfit(what: str, expected: str, got: str) -> ShapeError:
    """The error for a shape that does not fit, with the user's line."""
    return ShapeError(what, where=str(user_site() or ""), expected=expected, got=got)


def several(value: Any, n: int, name: str) -> tuple[int, ...]:
    """2 -> (2, 2): one integer for all of n axes, or one for each.

    Raises:
        ArgumentError: neither an integer nor n of them.

    """
    try:
        listed = tuple(value) if isinstance(value, (tuple, list, np.ndarray)) else (value,)
        numbers = tuple(map(index, listed))
        if len(numbers) in (1, n):
            return numbers if len(numbers) == n else numbers * n
    except TypeError:
        pass
    each = {1: "", 2: ", or one for the rows and one for the columns"}
    raise misused(
        f"{name} must be an integer{each.get(n, f', or {n} of them')}", got=f"{name}={value!r}"
    )


def pair(value: Any, name: str) -> Pair:
    """``several`` for rows and columns."""
    first, second = several(value, 2, name)
    return first, second


def array(x: Any) -> Node:
    """A Python number as an array too: class numbers are indexed."""
    return x if isinstance(x, Node) else lift(np.asarray(x))


def granted(condition: Node) -> bool:
    """Does it hold? Only if it does, what is built now may depend on that."""
    return bool(condition.value) and bool(condition)


def not_in_place(inplace: bool) -> None:
    """PyTorch's option to overwrite the input saves memory there, and here nothing.

    Raises:
        ArgumentError: it is asked for.

    """
    if inplace:
        raise misused(
            "a function writes into none of its arguments",
            got="inplace=True",
            todo="use what it returns, as in x = functional.relu(x)",
        )


def of_axes(x: Node, dim: int) -> tuple[Node, int]:
    """The array and its axis; a number has an axis 0 for PyTorch, of length 1.

    Raises:
        ArgumentError: there is no such axis.

    """
    row = reshape(x, shape=(1,)) if x.ndim == 0 and dim in (0, -1) else x
    return row, normal_axis(index(dim), row.ndim)


def in_kind(x: Node, dtype: Any) -> Node:
    """The same numbers in ``dtype``, if one is named."""
    return x if dtype is None or np.dtype(dtype) == x.dtype else astype(x, dtype=np.dtype(dtype))


def legacy(reduction: str, size_average: bool | None, reduce: bool | None) -> str:
    """PyTorch's former words for a reduction count where they are given."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is False:
        return "none"
    return "sum" if size_average is False else "mean"


def reduced(x: Node, reduction: str) -> Node:
    """The mean or sum over all elements, or none.

    Raises:
        ArgumentError: another word.

    """
    if reduction not in ("mean", "sum", "none"):
        raise misused("unknown reduction", expected="'mean', 'sum' or 'none'", got=repr(reduction))
    if reduction == "none" or x.shape == ():
        return x
    return (mean if reduction == "mean" else sum_)(x, axis=None, keepdims=False)


def one_row(x: Node) -> Node:
    """(…, L) -> (…, 1, L)."""
    return reshape(x, shape=(*x.shape[:-1], 1, *x.shape[-1:]))
