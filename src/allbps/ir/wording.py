"""Errors in the user's own terms: variables and lines instead of operand numbers."""

from __future__ import annotations

import string
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from allbps.errors import AllBPsError, ArgumentError, TraceError
from allbps.ir.site import Site, is_user_file, name_in_user_code, user_site


def in_user_terms(
    error: AllBPsError, operands: Sequence[Any], called: Sequence[str] = ()
) -> AllBPsError:
    """The same error with the user's variables for ``{a}`` and ``{0}``, and with the line.

    Args:
        error: raised while ``operands`` were looked at.
        operands: nodes or arrays.
        called: what to call each of them where the user has no name for it.

    """
    if error.where:
        return error  # told already, closer to the cause
    letters = [*called, *("ab" if len(operands) > 1 else "x")][: len(operands)]
    shown = [
        getattr(value, "name", "") or name_in_user_code(value) or _of_constant(value) or letter
        for value, letter in zip(operands, letters, strict=False)
    ]
    names = _Names(zip(called, shown, strict=False))
    parts = [
        string.Formatter().vformat(text, shown, names)
        for text in (error.what, error.expected, error.got, error.todo)
    ]
    what, expected, got, todo = parts
    return type(error)(what, where=str(user_site() or ""), expected=expected, got=got, todo=todo)


def _of_constant(value: Any) -> str:
    """The user's name of the array that a constant was made from."""
    array = getattr(value, "value", None)
    return name_in_user_code(array) if hasattr(array, "dtype") else ""


def require_function(f: Any) -> None:
    """Refuse what cannot be called.

    Raises:
        ArgumentError: ``f`` is no function.

    """
    if not callable(f):
        raise ArgumentError(
            f"{f!r} is no function",
            where=str(user_site() or ""),
            expected="a function of arrays",
            got=type(f).__name__,
        )


def call_user(f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """``f(*args, **kwargs)``, where NumPy may hide what we had to say behind an error of its own.

    ``A[0] = x`` asks ``x`` for a float, and replaces the refusal by "setting an array element with
    a sequence". And some functions do not take the objects that ``np.array([a, b])`` made.

    Raises:
        ArgumentError: ``f`` cannot be called.

    """
    require_function(f)
    try:
        return f(*args, **kwargs)
    except ValueError as error:
        if isinstance(error.__cause__, AllBPsError):
            raise error.__cause__ from None
        raise
    except TypeError as error:
        if any(sign in str(error) for sign in _OF_OBJECTS):
            raise _no_objects(error) from error
        raise


_OF_OBJECTS = ("dtype('O')", "not supported for the input types", "has no callable")
"""How NumPy says that it cannot compute with an array of objects."""


def _no_objects(error: TypeError) -> TraceError:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if is_user_file(f.filename)]
    last = frames[-1] if frames else None
    return TraceError(
        "NumPy cannot compute with an array of traced numbers that np.array made",
        where=str(Site(last.filename, last.lineno or 0, last.name)) if last else "",
        expected="an array made by np.stack, which knows traced numbers",
        got=str(error),
        todo="np.stack([a, b]) instead of np.array([a, b]), no np.asarray of a traced array",
    )


class _Names(dict[str, str]):
    """Names for ``{a}``; what is not an operand stays as it is."""

    def __missing__(self, key: str) -> str:
        return key
