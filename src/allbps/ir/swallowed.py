"""Errors that tracing alone brings about, and that the user's function catches and goes on.

``try: y = math.exp(x)`` with a fallback takes the fallback while it is traced, and not otherwise:
what it returns then belongs to another function. So errors are watched where they pass a handler,
and the call that raised one is done again on plain numbers. Where that computes, the error is ours.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from types import FrameType, TracebackType
from typing import Any

import numpy as np

from allbps.errors import AllBPsError
from allbps.ir.arraylike import ArrayLike
from allbps.ir.catching import catches, may_catch
from allbps.ir.node import Node
from allbps.ir.site import is_user_file
from allbps.ir.traces import depth_here, taken_apart_here

Same = tuple[Callable[..., Any], list[Any], dict[str, Any]]
"""A function with the arguments of a call."""

_HOOKS = {"operate": "plain", "run": "name", "ask": "name"}
"""Method of a traced array that stands for many -> the variable that says for which."""

_OURS = ("TracedArray", "ArrayLike", "'Node'")
_OBJECTS = ("dtype('O')", "not supported for the input types", "object arrays", "REFS_OK")


class Swallowed:
    """The errors that tracing alone raised while a function ran.

    Attributes:
        errors: each with the frame of the function that could catch it, in order.

    """

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self._met: list[BaseException] = []  # kept, so that an id stands for one error

    @contextmanager
    def watching(self, f: Callable[..., Any], *given: Any) -> Iterator[None]:
        """Watch what passes handlers, where ``f`` may have some and a trace is open."""
        if not depth_here() or not may_catch(f, *given):
            yield
            return
        before = sys.gettrace()
        sys.settrace(self._hook(before))
        try:
            yield
        finally:
            sys.settrace(before)

    def _hook(self, before: Any) -> Callable[..., Any]:
        """The hook for new frames; a debugger's own is served too."""

        def on_call(frame: FrameType, event: str, arg: Any) -> Any:
            local = before(frame, event, arg) if before is not None else None
            code = frame.f_code
            if not is_user_file(code.co_filename) or not catches(code):
                return local
            frame.f_trace_lines = local is not None
            return self._local(local)

        return on_call

    def _local(self, local: Any) -> Callable[..., Any]:
        def on_event(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal local
            if local is not None:
                local = local(frame, event, arg)
            if event == "exception":
                self._meet(arg[1], arg[2])
            return on_event

        return on_event

    def _meet(self, error: Any, trail: TracebackType | None) -> None:
        ends = isinstance(error, (StopIteration, StopAsyncIteration))
        if ends or not isinstance(error, Exception) or self._has_met(error):
            return
        self._met.append(error)
        hidden = error.__cause__ or error.__context__  # A[0] = x: NumPy's words for our refusal
        if isinstance(hidden, AllBPsError) and not self._has_met(hidden):
            self._met.append(hidden)
            self._judge(hidden, _frames(hidden.__traceback__))
        else:
            self._judge(error, _frames(trail))

    def _has_met(self, error: BaseException) -> bool:
        return any(error is met for met in self._met)

    def _judge(self, error: Exception, frames: list[FrameType]) -> None:
        users = [k for k, x in enumerate(frames) if is_user_file(x.f_code.co_filename)]
        below = frames[users[-1] + 1 :] if users else frames
        if _is_ours(error, below) and not _comes_plainly(error, below):
            self.errors.append(error)


def _frames(trail: TracebackType | None) -> list[FrameType]:
    frames = []
    while trail is not None:
        frames.append(trail.tb_frame)
        trail = trail.tb_next
    return frames


def _is_ours(error: Exception, below: list[FrameType]) -> bool:
    """Has the error to do with tracing at all?

    Args:
        error: what was raised.
        below: the frames that the user's code called, outermost first.

    """
    if isinstance(error, AllBPsError):
        return bool(below)  # else the user's own
    if any(holds_traced(value) for frame in below for value in frame.f_locals.values()):
        return True
    if not isinstance(error, (TypeError, ValueError, AttributeError)):
        return False
    said = str(error)
    return any(sign in said for sign in _OURS) or (
        taken_apart_here() and any(sign in said for sign in _OBJECTS)
    )


def holds_traced(value: Any) -> bool:
    """Is it traced, or an array of objects, a list or a tuple of what is?"""
    if isinstance(value, ArrayLike):
        return True
    if isinstance(value, np.ndarray):
        return value.dtype.kind == "O" and any(isinstance(part, ArrayLike) for part in value.flat)
    return isinstance(value, (list, tuple)) and any(isinstance(part, ArrayLike) for part in value)


def _comes_plainly(error: Exception, below: list[FrameType]) -> bool:
    """Does the same call raise such an error on plain numbers too?"""
    call = _call_of(below[0]) if below else None
    if call is None:
        return False
    function, args, kwargs = call
    kinds = tuple(k for k in type(error).__mro__ if k.__module__ == "builtins")[:-3]
    kinds += (np.linalg.LinAlgError,) if isinstance(error, np.linalg.LinAlgError) else ()
    try:
        with np.errstate(all="ignore"):
            function(*map(_plain, args), **{key: _plain(x) for key, x in kwargs.items()})
    except Exception as plain:
        return isinstance(error, type(plain)) or isinstance(plain, kinds)
    return False


def _call_of(frame: FrameType) -> Same | None:
    """What was called, and with what; None where that cannot be told."""
    code, local = frame.f_code, frame.f_locals
    names = iter(code.co_varnames)
    args = [local[key] for key in islice(names, code.co_argcount) if key in local]
    options = list(islice(names, code.co_kwonlyargcount))
    kwargs = {key: local[key] for key in options if local.get(key) is not None}
    args += local.get(next(names), ()) if code.co_flags & inspect.CO_VARARGS else ()
    kwargs |= local.get(next(names), {}) if code.co_flags & inspect.CO_VARKEYWORDS else {}
    if isinstance(local.get("self"), ArrayLike):
        return _method(code.co_name, local, args, kwargs)
    known = frame.f_globals.get(code.co_name)
    function: Any = getattr(known, "_implementation", known)
    return (function, args, kwargs) if getattr(function, "__code__", None) is code else None


def _method(name: str, local: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> Same:
    """A method of a traced array, as a call on what it holds."""
    if name == "__array_ufunc__":
        return getattr(local["ufunc"], local["method"]), list(local["inputs"]), local["kwargs"]
    if name == "__array_function__":
        return local["function"], list(local["args"]), local["kwargs"]
    said = local.get(_HOOKS.get(name, ""), name)
    called = getattr(said, "__name__", said)
    rest = args if name == "run" else args[1:]

    def call(array: Any, *arguments: Any, **options: Any) -> Any:
        if called == "__getattr__":
            return getattr(array, *arguments)
        found = getattr(array, called)
        return found(*arguments, **options) if callable(found) else found

    return call, [local["self"], *rest], kwargs


def _plain(x: Any) -> Any:
    """A copy of what ``x`` holds, in which nothing is traced."""
    if isinstance(x, ArrayLike):
        node: Any = x if isinstance(x, Node) else x.node
        return np.array(node.value) if node.shape else np.array(node.value)[()]
    if isinstance(x, np.ndarray):
        if not holds_traced(x):
            return x.copy()
        return np.array([_plain(part) for part in x.flat]).reshape(x.shape)
    if type(x) in (list, tuple):
        return type(x)(_plain(part) for part in x)
    return {key: _plain(part) for key, part in x.items()} if type(x) is dict else x
