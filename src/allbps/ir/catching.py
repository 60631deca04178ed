"""May a function catch an error, or ask for one? Seen from its code and what that refers to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from allbps.ir.arraylike import ArrayLike
from allbps.ir.captured import captured
from allbps.ir.site import is_user_file

MOST = 1000
"""Objects that are looked at; who refers to more is taken to catch errors."""

_ASKING = (
    ({"errstate", "seterr", "seterrcall"}, "raise"),
    ({"simplefilter", "filterwarnings"}, "error"),
)
"""Functions that make errors of what is none, and the word that asks them to."""

_PLAIN = (np.ndarray, np.generic, np.ufunc, str, bytes, int, float, complex, type(None), ArrayLike)


def may_catch(f: Callable[..., Any], *given: Any) -> bool:
    """Is there a ``try`` or a ``with`` in ``f``, in what it may call, or in what it is given?

    Functions of libraries other than NumPy are taken to have one.

    >>> may_catch(lambda x: x + 1), may_catch(may_catch)
    (False, False)
    """
    return any(thing is None or _catches(thing) for thing in referred(f, *given))


def asks_for_errors(f: Callable[..., Any], *given: Any) -> bool:
    """Does ``f``, or what it may call, make an error of a division by 0 or of a warning?

    >>> def f(x):
    ...     with np.errstate(divide="raise"):
    ...         return 1 / x
    >>> asks_for_errors(f), asks_for_errors(lambda x: 1 / x)
    (True, False)
    """
    return any(isinstance(thing, FunctionType) and _asks(thing) for thing in referred(f, *given))


def referred(*things: Any) -> Iterator[Any]:
    """Things and what they may call, each once; None in the place of what are too many."""
    seen: set[int] = set()
    pending: deque[Any] = deque(things)
    while pending:
        thing = pending.popleft()
        if isinstance(thing, _PLAIN) or id(thing) in seen:
            continue
        seen.add(id(thing))
        if len(seen) > MOST:
            yield None
            return
        yield thing
        pending.extend(_parts(thing))


class _Reads(NamedTuple):
    """What a code and the functions written inside it hold.

    Attributes:
        names: globals and attributes that they read.
        words: texts.
        catches: is there a handler of errors?

    """

    names: frozenset[str]
    words: frozenset[str]
    catches: bool


def catches(code: CodeType) -> bool:
    """Does this code, or a function written inside it, have a handler of errors?"""
    return _read(code).catches


def names_read(code: CodeType) -> frozenset[str]:
    """The names that code and the functions written inside it read: globals and attributes."""
    return _read(code).names


@lru_cache(4096)
def _read(code: CodeType) -> _Reads:
    inner = [_read(part) for part in code.co_consts if isinstance(part, CodeType)]
    words = frozenset(x for x in code.co_consts if isinstance(x, str))
    return _Reads(
        frozenset(code.co_names).union(*(part.names for part in inner)),
        words.union(*(part.words for part in inner)),
        bool(code.co_exceptiontable) or any(part.catches for part in inner),
    )


def _catches(thing: Any) -> bool:
    if not isinstance(thing, FunctionType) or not is_user_file(thing.__code__.co_filename):
        return False
    return "-packages" in thing.__code__.co_filename or catches(thing.__code__)


def _asks(f: FunctionType) -> bool:
    """Is NumPy's ``errstate`` told to raise there, or Python's filter of warnings?"""
    if not is_user_file(f.__code__.co_filename):
        return False
    reads = _read(f.__code__)
    return any(reads.names & functions and word in reads.words for functions, word in _ASKING)


def _parts(thing: Any) -> Iterable[Any]:
    """What a function, a class, an object or a container may call."""
    for kinds, parts in _PARTS:
        if isinstance(thing, kinds):
            return parts(thing)
    if _is_known(type(thing)):
        return getattr(thing, "__wrapped__", None), *captured(thing).values()
    return type(thing), *getattr(thing, "__dict__", {}).values()


def _of_function(f: FunctionType) -> Iterator[Any]:
    yield getattr(f, "__wrapped__", None)
    yield from captured(f).values()
    yield from f.__defaults__ or ()
    if is_user_file(f.__code__.co_filename):
        yield from _named(f)


def _of_class(kind: type) -> Iterable[Any]:
    return () if _is_known(kind) else (*vars(kind).values(), *kind.__bases__)


_PARTS: tuple[tuple[Any, Callable[[Any], Iterable[Any]]], ...] = (
    (FunctionType, _of_function),
    (MethodType, lambda x: (x.__func__, x.__self__)),
    (partial, lambda x: (x.func, *x.args, *x.keywords.values())),
    ((classmethod, staticmethod), lambda x: (x.__func__,)),
    (property, lambda x: (x.fget, x.fset)),
    (Mapping, lambda x: x.values()),
    ((list, tuple, set, frozenset, deque), lambda x: x),
    (type, _of_class),
    (ModuleType, lambda x: ()),  # what is named of it comes with the function that names it
)
"""Kind of thing -> what it may call."""


def _is_known(kind: type) -> bool:
    """Is this a class of Python's, NumPy's or ours?"""
    return kind.__module__.partition(".")[0] in ("builtins", "numpy", "allbps", "functools")


def _named(f: FunctionType) -> Iterator[Any]:
    """What a function's global names stand for; of modules, the parts that it names."""
    names = names_read(f.__code__)
    for name in names:
        value = f.__globals__.get(name)
        yield value
        if isinstance(value, ModuleType) and value.__name__.partition(".")[0] not in (
            "numpy",
            "allbps",
        ):
            yield from (getattr(value, part, None) for part in names)
