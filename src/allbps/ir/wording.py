"""Errors in the user's own terms: variables and lines instead of operand numbers."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from allbps.errors import AllBPsError
from allbps.ir.site import name_in_user_code, user_site
from allbps.ir.snapshots import original_of


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
    if not hasattr(array, "dtype"):
        return ""
    original = original_of(array)
    return name_in_user_code(array if original is None else original)


class _Names(dict[str, str]):
    """Names for ``{a}``; what is not an operand stays as it is."""

    def __missing__(self, key: str) -> str:
        return key
