"""Side effects: what a function can reach, and what of it another run has changed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from allbps.outside import GENERATORS, parts_of, reachable

LARGEST = 1 << 20
"""Bytes of an array whose contents are compared."""


class Effects:
    """What lies outside of a function, as it is before a run.

    Seen are variables that it closes over, reads as global names or has as attributes, and the
    lists, dicts, sets and arrays among them; generators of random numbers are not, they are wound
    back.
    """

    def __init__(self, f: Callable[..., Any]) -> None:
        things = [(name, thing) for name, thing in reachable(f) if _is_users(thing)]
        self._before = [(name, thing, _contents(thing)) for name, thing in things]

    def changed(self) -> tuple[str, ...]:
        """The names of what is no longer as it was."""
        found: dict[str, None] = {}
        for name, thing, before in self._before:
            after = _contents(thing)
            if isinstance(before, bytes):
                found |= {name: None} if before != after else {}
            else:
                found |= dict.fromkeys(_apart(_naming(name, thing), before, after))
        return tuple(found)


def _is_users(thing: Any) -> bool:
    module = str(getattr(thing, "__module__", "") or "").partition(".")[0]
    return module not in ("allbps", "numpy") and not isinstance(thing, GENERATORS)


def _contents(thing: Any) -> Any:
    """What a thing holds: (name, part) for each part, or the bytes of an array."""
    if isinstance(thing, np.ndarray):
        small = thing.nbytes <= LARGEST and thing.dtype.kind != "O"
        return thing.tobytes() if small and thing.flags.writeable else b""
    if isinstance(thing, (set, deque)):
        return [("", part) for part in thing]
    return parts_of(thing)


def _naming(name: str, thing: Any) -> Callable[[str], str]:
    """How a part of a thing is written: ``counts['n']``, ``net.cache``, ``calls``."""
    if isinstance(thing, Mapping):
        return lambda part: f"{name}[{part!r}]" if name and part else part or name
    if isinstance(thing, (FunctionType, MethodType, partial)) or not name:
        return lambda part: part or name
    return lambda part: f"{name}.{part}" if part else name


def _apart(naming: Callable[[str], str], before: list[Any], after: list[Any]) -> list[str]:
    """The names of parts that are others, or that of the whole where it has become longer."""
    if len(before) != len(after):
        return [naming("")]
    pairs = zip(before, after, strict=True)
    return [naming(part) for (part, old), (_, new) in pairs if old is not new]
