"""Calling the user's function, and saying in words what goes wrong where it leaves NumPy."""

from __future__ import annotations

import inspect
import itertools
import os
import re
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from functools import cache
from types import FrameType, TracebackType
from typing import Any

import numpy as np

from allbps.errors import AllBPsError, ArgumentError, InPlaceError, NoRuleError, TraceError
from allbps.ir.arraylike import NUMPY
from allbps.ir.captured import captured
from allbps.ir.site import Site, is_user_file, user_site
from allbps.ir.swallowed import Swallowed, holds_traced


def require_function(f: Any) -> None:
    """Refuse what cannot be called, and what gives no numbers when it is.

    Raises:
        ArgumentError: ``f`` is not a function, or an asynchronous one.

    """
    if not callable(f):
        raise ArgumentError(
            f"{f!r} is not a function",
            where=str(user_site() or ""),
            expected="a function of arrays",
            got=type(f).__name__,
        )
    called = f if inspect.isroutine(f) else getattr(f, "__call__", f)  # noqa: B004
    for kind in (f, called):
        if inspect.iscoroutinefunction(kind) or inspect.isasyncgenfunction(kind):
            raise _is_async(f)


def call_user(f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """``f(*args, **kwargs)``, where NumPy or a library may hide what we have to say.

    ``A[0] = x`` asks ``x`` for a float, and replaces the refusal by "setting an array element with
    a sequence". Other libraries ask in ways of their own, or do not take a traced array at all.

    Raises:
        ArgumentError: ``f`` cannot be called, or returns a coroutine.
        NoRuleError: it calls a library that does not take traced arrays.
        AllBPsError: such an error was raised and ``f`` caught it, which went another way then.

    """
    require_function(f)
    swallowed = Swallowed()
    try:
        with swallowed.watching(f, *args, *kwargs.values()):
            returned = f(*args, **kwargs)
    except Exception as error:
        told = _told(error, f, args)
        if told is None:
            raise
        raise told from None if told is error.__cause__ else error
    for caught in swallowed.errors:
        raise _caught(caught, _told(caught, f, args), f) from caught
    if inspect.iscoroutine(returned):
        returned.close()  # else Python complains that it was never awaited
        raise _is_async(f)
    return returned


def _caught(error: Exception, told: AllBPsError | None, f: Any) -> AllBPsError:
    """An error that ``f`` caught, in our words, and what follows from that it did."""
    known = told or (error if isinstance(error, AllBPsError) else _no_objects(error))
    name = getattr(f, "__name__", type(f).__name__)
    return type(known)(
        f"{known.what}; {name} catches this error and goes on, as it does not with plain numbers",
        where=known.where, expected=known.expected, got=known.got, todo=known.todo,
    )  # fmt: skip


def _is_async(f: Any) -> ArgumentError:
    name = getattr(f, "__name__", type(f).__name__)
    return ArgumentError(
        f"{name} is an async function: calling it gives a coroutine, and no numbers",
        where=str(user_site() or ""),
        expected="a plain function of arrays",
        got=f"async def {name}",
        todo="write def instead of async def; await what it needs before, and pass it in",
    )


def _told(error: Exception, f: Any, args: tuple[Any, ...]) -> AllBPsError | None:
    """What we say in the place of an error; None lets it pass as it is."""
    if isinstance(error, AllBPsError) and not isinstance(error, TraceError):
        return None
    library = _library(error, f)
    if library is not None:
        return _not_traced(*library, error)
    if isinstance(error.__cause__, AllBPsError):
        return error.__cause__
    known: AllBPsError | None = None
    if isinstance(error, TypeError):
        known = _container(error, args)
    elif isinstance(error, ValueError):
        known = _into_asarray(error)
    if known is None and isinstance(error, (TypeError, ValueError)):
        known = _no_objects(error) if any(sign in str(error) for sign in _SIGNS) else None
    if isinstance(error, AttributeError) and _is_within_numpy(error):
        known = _no_objects(error)
    return known


def _is_within_numpy(error: Exception) -> bool:
    """Did NumPy's own code stumble over an array of traced numbers?"""
    *_, last = [step.tb_frame for step in _steps(error.__traceback__)]
    own = str(last.f_globals.get("__name__", "")).partition(".")[0] == "numpy"
    return own and any(map(_holds_traced, last.f_locals.values()))


# -- libraries -------------------------------------------------------------------------------------
@cache
def _installed() -> tuple[str, ...]:
    """Where Python and what was installed for it lie."""
    places = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return tuple(os.path.realpath(place) + os.sep for place in places)


@cache
def _is_installed(file: str) -> bool:
    return os.path.realpath(file).startswith(_installed()) or file.endswith(".pyx")


def _library(error: Exception, f: Any) -> tuple[FrameType, int, list[FrameType]] | None:
    """(the user's frame, its line, the frames below) where a library was given a traced array."""
    own = getattr(f, "__module__", None) or ""
    steps = [
        (step.tb_frame, step.tb_lineno)
        for step in _steps(error.__traceback__)
        if step.tb_frame.f_code.co_filename != __file__
    ]
    for k, (frame, line) in enumerate(steps[:-1]):
        below = [inner for inner, _ in steps[k + 1 :]]
        if _is_foreign(frame, own) or not _is_foreign(below[0], own):
            continue
        if any(not _is_foreign(inner, own) and _is_users(inner) for inner in below):
            continue  # the library called the user's code again, which has lines of its own
        if isinstance(error, TraceError) or any(
            _holds_traced(value) for inner in below for value in inner.f_locals.values()
        ):
            return frame, line, below
    return None


def _steps(trail: TracebackType | None) -> Iterator[TracebackType]:
    while trail is not None:
        yield trail
        trail = trail.tb_next


def _is_foreign(frame: FrameType, own: str) -> bool:
    """Is this a library's code, neither the user's, nor NumPy's, nor ours?"""
    module = str(frame.f_globals.get("__name__", ""))
    package = module.partition(".")[0]
    if package in ("allbps", "numpy") or package == own.partition(".")[0]:
        return False
    return _is_installed(frame.f_code.co_filename)


def _is_users(frame: FrameType) -> bool:
    return is_user_file(frame.f_code.co_filename)


def _holds_traced(value: Any) -> bool:
    """Is it traced, or a container of what is, or a function that captured it?"""
    return holds_traced(list(captured(value).values()) if inspect.isfunction(value) else value)


def _not_traced(
    frame: FrameType, line: int, below: list[FrameType], error: Exception
) -> NoRuleError:
    name, function = _public_name(below)
    known = [
        f"np.{place}{function}"
        for place, room in (("linalg.", np.linalg), ("", np))
        if getattr(room, function, None) in NUMPY
    ]
    if name in NUMPY:  # SciPy's own does not ask what an array is
        known.append(f"allbps.{name}")
    reason = error.what if isinstance(error, AllBPsError) else f"{type(error).__name__}: {error}"
    return NoRuleError(
        f"{name} does not take traced arrays",
        where=str(Site(frame.f_code.co_filename, line, frame.f_code.co_name)),
        expected="functions that allbps has rules for: NumPy's, allbps.functional's",
        got=" ".join(reason.split()),
        todo=f"use {known[0]}, which has a rule"
        if known
        else "write it with functions that have a rule, or declare an op (docs/adding-an-op.md)",
    )


def _public_name(below: list[FrameType]) -> tuple[str, str]:
    """(``scipy.linalg.expm``, ``expm``): what the user called, behind a library's own wrappers."""
    first = below[0]
    module, function = str(first.f_globals.get("__name__", "")), first.f_code.co_name
    package = module.partition(".")[0]
    wrapped = next(
        (
            value
            for value in first.f_locals.values()
            if inspect.isfunction(value) and value.__module__.partition(".")[0] == package
        ),
        None,
    )
    if "self" in first.f_locals:
        kind = type(first.f_locals["self"]).__name__
        function = kind if function.startswith("__") else f"{kind}.{function}"
    elif wrapped is not None:
        module, function = wrapped.__module__, wrapped.__name__
    rooms = itertools.takewhile(lambda part: not part.startswith("_"), module.split("."))
    return ".".join([*rooms, function]), function


# -- containers and objects ------------------------------------------------------------------------
def _container(error: TypeError, args: tuple[Any, ...]) -> ArgumentError | None:
    """A list of numbers that was meant as an array."""
    for value in args:
        kind = type(value).__name__
        if isinstance(value, (list, tuple)) and re.search(rf"\b{kind}\b", str(error)):
            return ArgumentError(
                f"the function computes with a {kind} as if it were an array",
                where=_last_user_line(error),
                expected=f"a NumPy array; each part of a {kind} is an argument of its own",
                got=str(error),
                todo="pass np.array(…) of it",
            )
    return None


def _into_asarray(error: ValueError) -> InPlaceError | None:
    """A write into what np.asarray made of a traced array; NumPy knows it as the array itself."""
    if "read-only" not in str(error):
        return None
    for step in _steps(error.__traceback__):
        for name, value in step.tb_frame.f_locals.items():
            elements = isinstance(value, np.ndarray) and value.dtype.kind == "O"
            if elements and not value.flags.writeable and _holds_traced(value):
                return InPlaceError(
                    f"{name} was made by np.asarray of a traced array, and cannot be written into",
                    where=_last_user_line(error),
                    expected="the traced array itself, or a copy of it",
                    got=f"a write into {name}",
                    todo="leave np.asarray out, or write np.copy(x) for an array of its own",
                )
    return None


_SIGNS = (
    "dtype('O')", "not supported for the input types", "has no callable", "Node", "ArrayLike",
    "TracedArray", "REFS_OK", "but is an object", "object arrays",
)  # fmt: skip
"""How NumPy and functions in C say that they do not take a traced array, or objects."""


def _no_objects(error: Exception) -> TraceError:
    said = re.sub(r"Node|TracedArray|ArrayLike", "traced array", str(error))
    objects = said == str(error) or isinstance(error, AttributeError)
    return TraceError(
        "NumPy cannot compute with an array of traced numbers that np.array made"
        if objects
        else "a function on this line does not take traced arrays",
        where=_last_user_line(error),
        expected="an array made by np.stack, which knows traced numbers"
        if objects
        else "functions that allbps has rules for: NumPy's, allbps.functional's",
        got=said,
        todo="np.stack([a, b]) instead of np.array([a, b]), no np.asarray of a traced array; a"
        " function that takes plain numbers alone gets allbps.stop_gradient(x).tolist()"
        if objects
        else "write it with functions that have a rule",
    )


def _last_user_line(error: Exception) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if is_user_file(f.filename)]
    last = frames[-1] if frames else None
    return str(Site(last.filename, last.lineno or 0, last.name)) if last else ""
