"""The variables around a function that it reads: its closure."""

from __future__ import annotations

from typing import Any


def captured(f: Any) -> dict[str, Any]:
    """Name -> value of each variable around ``f`` that it reads and that has a value.

    >>> def scaled(k):
    ...     return lambda x: k * x
    >>> captured(scaled(2)), captured(len)
    ({'k': 2}, {})
    """
    found: dict[str, Any] = {}
    cells = getattr(f, "__closure__", None) or ()
    for name, cell in zip(f.__code__.co_freevars if cells else (), cells, strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # a name that has no value yet
            continue
    return found
