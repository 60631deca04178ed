"""What a traced array answers where a function asks for its type or its attributes.

No object can answer ``type(x)`` or ``hasattr(x, "__len__")`` for itself. So while a function runs,
``type``, ``hasattr`` and ``getattr`` stand among the global names of those of the user's files in
which it, or what it may call, says them. For everything else they answer as Python's do, so that
another thread that runs the same file sees no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from types import FunctionType
from typing import Any

from allbps.ir.arraylike import ArrayLike
from allbps.ir.catching import names_read, referred
from allbps.ir.site import is_own


class _Asked(type):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return kind_of(args[0]) if len(args) == 1 and not kwargs else type(*args, **kwargs)

    def __instancecheck__(cls, x: object) -> bool:
        return isinstance(x, type)

    def __subclasscheck__(cls, kind: type) -> bool:
        return issubclass(kind, type)


class asked(metaclass=_Asked):  # noqa: N801
    """Python's ``type``, for which a traced array is an array and a traced number a number."""


def kind_of(x: Any) -> Any:
    """``type(x)``, for a traced array that of a plain one."""
    return x.__class__ if issubclass(type(x), ArrayLike) else type(x)


def has(x: Any, name: str) -> bool:
    """``hasattr(x, name)``, for a traced array as for a plain one."""
    return hasattr(kind_of(x) if issubclass(type(x), ArrayLike) else x, name)


def get(x: Any, name: str, *default: Any) -> Any:
    """``getattr(x, name)``, for a traced array as for a plain one, or refused.

    Raises:
        TraceError: a plain array has such an attribute, and allbps no rule for it.
        AttributeError: there is none, nor a default.

    """
    if not issubclass(type(x), ArrayLike):
        return getattr(x, name, *default)
    if has(x, name):
        try:
            return getattr(x, name)
        except AttributeError:
            raise x.without_rule(name) from None
    if default:
        return default[0]
    raise AttributeError(f"{kind_of(x).__name__!r} object has no attribute {name!r}")


_ANSWERS: dict[str, Any] = {"type": asked, "hasattr": has, "getattr": get}
_lock = Lock()
_runs: dict[int, int] = {}  # id of the global names of a file -> how many runs need answers there


@contextmanager
def answered(f: Callable[..., Any]) -> Iterator[None]:
    """Let the user's files that ``f`` reaches ask us, where they ask at all."""
    files = {id(names): names for names in _asking(f)}.values()
    with _lock:
        for names in files:
            _runs[id(names)] = _runs.get(id(names), 0) + 1
            for word, answer in _ANSWERS.items():
                names.setdefault(word, answer)
    try:
        yield
    finally:
        with _lock:
            for names in files:
                _runs[id(names)] -= 1
                if not _runs[id(names)]:
                    del _runs[id(names)]
                    _take_back(names)


def _take_back(names: dict[str, Any]) -> None:
    for word, answer in _ANSWERS.items():
        if names.get(word) is answer:
            del names[word]


def _asking(f: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """The global names of each file of the user's in which such a question is asked."""
    for thing in referred(f):
        if isinstance(thing, FunctionType) and is_own(thing.__code__.co_filename):
            words = names_read(thing.__code__) & _ANSWERS.keys()
            if any(thing.__globals__.get(w, _ANSWERS[w]) is _ANSWERS[w] for w in words):
                yield thing.__globals__
