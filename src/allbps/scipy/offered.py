"""What a room of SciPy's means on traced arrays, taken from the table of NumPy's and SciPy's."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

import allbps.numpy_api  # noqa: F401  (fills the table)
from allbps.functional.common import works_on_arrays
from allbps.ir import NUMPY, Op


def offered(room: str) -> dict[str, Callable[..., Any]]:
    """The functions of ``scipy.special``, for example, by their names."""
    found = {}
    for key, known in NUMPY.items():
        place, _, name = key.rpartition(".") if isinstance(key, str) else ("", "", "")
        if place == room:
            found[name] = works_on_arrays(_named(name, known), f"allbps.{room}")
    return found


def _named(name: str, known: Callable[..., Any]) -> Callable[..., Any]:
    """The function under SciPy's name, for messages and help."""

    @wraps(known)
    def function(*args: Any, **kwargs: Any) -> Any:
        return known(*args, **kwargs)

    function.__name__ = function.__qualname__ = name
    if isinstance(known, Op):
        function.__doc__ = known.doc
        kind = inspect.Parameter.POSITIONAL_ONLY
        parameters = [inspect.Parameter(operand, kind) for operand in known.names]
        function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return function
