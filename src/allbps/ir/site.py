"""Where in the user's code a node comes from."""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from functools import cache
from types import FrameType
from typing import NamedTuple

import numpy as np

from allbps.ir.loops import Loop, loop_at, loops_around

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_NUMPY = os.path.dirname(os.path.abspath(np.__file__)) + os.sep
_PYTHON = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
# The lecture's systems and the named nets are written as a user would write them, so their lines
# are shown.
_COMMANDS = os.path.join(_PACKAGE, "commands.py")
_SHOWN = tuple(os.path.join(_PACKAGE, room) + os.sep for room in ("lecture", "nn"))


class Part(NamedTuple):
    """A stretch of a run: a call of the user's function or module, or one turn of a loop.

    Attributes:
        label: what a reader calls it: ``cell``, ``encoder.layers.0``, ``t = 0``.
        number: which call, or the loop's line: tells it from others of the same label.
        is_turn: is it a turn of a loop?
    """

    label: str
    number: int = 0
    is_turn: bool = False


class Site(NamedTuple):
    """One line of the user's code.

    Attributes:
        file, line, function: where it stands.
        within: the calls and turns of loops that it ran in, outermost first, without the whole.
    """

    file: str
    line: int
    function: str
    within: tuple[Part, ...] = ()

    @property
    def turn(self) -> str:
        """In which turn of the loops around it: ``t = 0``."""
        return ", ".join(part.label for part in self.within if part.is_turn)

    @property
    def text(self) -> str:
        """The line itself, stripped; empty where the file cannot be read."""
        return linecache.getline(self.file, self.line).strip()

    def __str__(self) -> str:
        head = f"{file_name(self.file)}:{self.line} in {self.function}"
        return f"{head}: {self.text}" if self.text else head


def file_name(file: str) -> str:
    """The name of a file for people; of a notebook's cell, its number: ``In[3]``."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is not None:
        known = getattr(shell.compile, "format_code_name", lambda name: None)(file)
        if known:
            return str(known[1])
    return os.path.basename(file)


def is_ours(file: str) -> bool:
    """Does this file belong to the package itself?"""
    return file.startswith(_PACKAGE)


@cache
def is_user_file(file: str) -> bool:
    """Is this file neither ours nor NumPy's nor Python's?"""
    hidden = file.startswith((_PACKAGE, _NUMPY, "<__array_function__", "<frozen "))
    hidden |= file.startswith(_PYTHON) and "-packages" not in file
    hidden |= file.endswith(".pyx")  # compiled code tells of its own source, wherever that was
    return not hidden or file.startswith(_SHOWN)


def is_own(file: str) -> bool:
    """Is this a file of the user's, and not of a library that was installed?"""
    return bool(file) and is_user_file(file) and "-packages" not in file


def user_frame() -> FrameType | None:
    """The innermost frame of user code below the caller, or None.

    What called our command line is not the user's code.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not is_user_file(frame.f_code.co_filename):
        frame = None if frame.f_code.co_filename == _COMMANDS else frame.f_back
    return frame


_placed: ContextVar[Site | None] = ContextVar("allbps_site", default=None)


class placed_at:  # noqa: N801  (used as a statement: with placed_at(site))
    """Nodes built inside belong to ``site``: a δ belongs to the line of its primal.

    A class, since a backward pass enters it once a node and a generator costs several times more.
    """

    __slots__ = ("site", "token")
    token: Token[Site | None]

    def __init__(self, site: Site | None) -> None:
        self.site = site

    def __enter__(self) -> None:
        self.token = _placed.set(self.site)

    def __exit__(self, *_: object) -> None:
        _placed.reset(self.token)


def place_at(site: Site | None) -> None:
    """From here to the end of a ``placed_at`` around it nodes belong to ``site``."""
    _placed.set(site)


def user_site() -> Site | None:
    """The user's line that is running now."""
    return _placed.get() or _site_of(user_frame())


def line_site() -> Site | None:
    """The same for a reader: of a lambda that the function calls, the line that calls it."""
    placed = _placed.get()
    if placed is not None:
        return placed
    frame = user_frame()
    if frame is not None and frame.f_code.co_name == "<lambda>":
        frame = Calls.here().caller(frame)
    return _site_of(frame)


def _site_of(frame: FrameType | None) -> Site | None:
    if frame is None:
        return None
    code = frame.f_code
    return Site(code.co_filename, frame.f_lineno, code.co_name, Calls.here().within(frame))


DEEPEST = 20
"""Calls inside of more calls and loops than this count as part of what called them."""


class Calls:
    """Which calls of user functions are running, and inside of what.

    Frames are known by their ``id``, which is unique among those that still run.
    """

    def __init__(self) -> None:
        self._around: dict[int, tuple[Part, ...]] = {}
        self._count = 0
        self._turns: dict[tuple[int, int], int] = {}  # a frame's loop -> turns before this one
        self._said: dict[tuple[int, int], Part] = {}  # a frame's loop -> what this turn is called

    @staticmethod
    def here() -> Calls:
        """Those of the function that is being watched; none that is known where there is none."""
        return _calls.get() or Calls()

    def caller(self, frame: FrameType) -> FrameType:
        """The function that a lambda runs in; itself, where it is the one that is watched."""
        around = _user_caller(frame)
        if frame.f_code.co_name != "<lambda>" or around is None or id(around) not in self._around:
            return frame
        return self.caller(around)

    def enter(self, frame: FrameType) -> None:
        """Note that a user function begins to run."""
        caller = _user_caller(frame)
        if caller is None or id(caller) not in self._around:  # the function that is watched
            self._around[id(frame)] = ()
            return
        around = self.within(caller)
        if not frame.f_code.co_name.startswith("<") and len(around) < DEEPEST:
            self._count += 1
            around = (*around, Part(_label(frame.f_code.co_qualname), self._count))
        self._around[id(frame)] = around

    def depth(self, frame: FrameType) -> int:
        """Inside of how many calls ``frame`` runs."""
        return sum(not part.is_turn for part in self._around.get(id(frame), ()))

    def ran(self, frame: FrameType, before: int) -> None:
        """Note that a line begins to run after the line ``before``: a loop's begins each turn."""
        loop = loop_at(frame.f_code.co_filename, frame.f_lineno)
        if loop is not None:
            place = id(frame), loop.line
            goes_on = loop.line <= before <= loop.end and place in self._turns
            self._turns[place] = self._turns[place] + 1 if goes_on else 0
            self._said.pop(place, None)

    def within(self, frame: FrameType) -> tuple[Part, ...]:
        """What the line that runs in ``frame`` stands in."""
        around = self._around.get(id(frame), ())
        loops = loops_around(frame.f_code.co_filename, frame.f_lineno)
        if not loops:
            return around
        turns = (self._turn(frame, loop) for loop in loops)
        return (*around, *(turn for turn in turns if turn is not None))

    def _turn(self, frame: FrameType, loop: Loop) -> Part | None:
        """The turn that runs; behind the loop's own line, where its variables are set, said once.

        None where nothing is known of it.
        """
        place, inside = (id(frame), loop.line), frame.f_lineno != loop.line
        if inside and place in self._said:
            return self._said[place]
        counted = loop.counted(frame.f_locals) if inside and loop.names else ""
        count = self._turns.get(place)
        label = counted or ("" if count is None else loop.turn(count))
        turn = Part(label, loop.line, True) if label else None
        if inside and turn is not None and count is not None:
            self._said[place] = turn
        return turn


def _user_caller(frame: FrameType) -> FrameType | None:
    """The innermost frame of user code around this one."""
    caller = frame.f_back
    while caller is not None and not is_user_file(caller.f_code.co_filename):
        caller = caller.f_back
    return caller


_calls: ContextVar[Calls | None] = ContextVar("allbps_calls", default=None)


@contextmanager
def following(calls: Calls) -> Iterator[None]:
    """Sites inside know what they stand in, as far as ``calls`` has been told."""
    token = _calls.set(calls)
    try:
        yield
    finally:
        _calls.reset(token)


def _label(qualified: str) -> str:
    """What a reader calls a function.

    >>> _label("test.<locals>.cell"), _label("Encoder.__call__"), _label("Cell.step")
    ('cell', 'Encoder', 'Cell.step')
    """
    own = qualified.rpartition("<locals>.")[2]
    return own.removesuffix(".__call__").removesuffix(".forward")


def name_in_user_code(value: object) -> str:
    """The user's variable that is bound to ``value`` right now, or an empty string."""
    frame = user_frame()
    if frame is None:
        return ""
    for name, bound in frame.f_locals.items():
        stands_for = getattr(type(bound), "stands_for", None)  # asked of the class: no __getattr__
        if bound is value or (stands_for is not None and stands_for(bound, value)):
            return name
    return ""
