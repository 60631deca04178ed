"""What all functions of the vocabulary share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from operator import index
from typing import Any, ParamSpec

import numpy as np

from allbps.errors import ArgumentError, ShapeError
from allbps.ir import Node, TracedArray, handed, is_traced, lift, resolved, user_site
from allbps.ops.reduce import mean, sum_
from allbps.ops.shape import reshape

NUMPYS_WORDS = {"axis": "dim", "keepdims": "keepdim"}
"""What NumPy calls an option -> what PyTorch calls it."""

P = ParamSpec("P")
Pair = tuple[int, int]
Size = int | Sequence[int]


def works_on_arrays(function: Callable[P, Node]) -> Callable[P, Any]:
    """Names for names, nodes for nodes, plain arrays for plain ones; NumPy's words too."""
    name = getattr(function, "__name__", "")
    signature = inspect.signature(function)

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Any:
        for numpys, torchs in NUMPYS_WORDS.items():
            if numpys in kwargs and torchs in signature.parameters and torchs not in kwargs:
                kwargs[torchs] = kwargs.pop(numpys)
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            known = ", ".join(signature.parameters)
            raise misused(f"functional.{name}: {error}", f"{name}({known})") from None
        given = (*args, *kwargs.values())
        if not is_traced(*given):
            result = function(*args, **kwargs)
            if any(isinstance(x, Node) for x in given):
                return result
            return handed(result) if result.traces else result.value  # a draw is traced by itself
        result = function(*map(resolved, args), **resolved(kwargs))
        for x in given:
            if isinstance(x, TracedArray) and x.stands_for(result):
                return x
        return handed(result)

    return wrapped


def misused(what: str, expected: str = "", got: str = "", todo: str = "") -> ArgumentError:
    """The error for an argument that makes no sense, with the user's line."""
    return ArgumentError(what, where=str(user_site() or ""), expected=expected, got=got, todo=todo)


def misfit(what: str, expected: str, got: str) -> ShapeError:
    """The error for a shape that does not fit, with the user's line."""
    return ShapeError(what, where=str(user_site() or ""), expected=expected, got=got)


def pair(value: Any, name: str) -> Pair:
    """2 -> (2, 2).

    Raises:
        ArgumentError: neither an integer nor two of them.

    """
    try:
        first, second = value if isinstance(value, (tuple, list)) else (value, value)
        return index(first), index(second)
    except (TypeError, ValueError):
        raise misused(
            f"{name} must be an integer, or one for the rows and one for the columns",
            got=f"{name}={value!r}",
        ) from None


def array(x: Any) -> Node:
    """A Python number as an array too: class numbers are indexed."""
    return x if isinstance(x, Node) else lift(np.asarray(x))


def granted(condition: Node) -> bool:
    """Does it hold? Only if it does, what is built now may depend on that."""
    return bool(condition.value) and bool(condition)


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
