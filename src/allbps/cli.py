"""The command line's door: so small that Ctrl-C finds it while everything else is being loaded."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from _thread import interrupt_main
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Timer
from types import FrameType
from typing import NoReturn

from allbps.exits import INTERRUPTED


class Stopped(BaseException):
    """Ctrl-C; a name of its own, since click gives KeyboardInterrupt a meaning and no message."""


def main() -> None:
    """Run the command line; Ctrl-C ends it with one line, whenever it comes."""
    heard = _heard()
    _answer(heard, _leave)  # no exception: an import would print or swallow it
    from allbps.commands import run

    sys.unraisablehook = _ask_again
    _answer(heard, _unwind)
    try:
        code = run()
    except (Stopped, KeyboardInterrupt):
        _leave()
    _answer(heard, _leave)  # so would the interpreter that takes itself down
    if _is_worker():
        _end_worker(code)
    sys.exit(code)


def _is_worker() -> bool:
    return "WORLD_SIZE" in os.environ


def _heard() -> list[int]:
    """The signals that ask to stop; who starts several workers ends them by SIGTERM."""
    heard: list[int] = []
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        heard.append(signal.SIGINT)  # else ignored, as in a background job
    if _is_worker() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        heard.append(signal.SIGTERM)
    return heard


def _end_worker(code: int) -> NoReturn:
    """End without taking C++ down: it aborts where a process group's thread still stands."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def _answer(heard: Sequence[int], answer: Callable[[int, FrameType | None], NoReturn]) -> None:
    for number in heard:
        signal.signal(number, answer)


def _unwind(number: int, frame: FrameType | None) -> NoReturn:
    """Let the files that are being written be removed."""
    raise Stopped


def _ask_again(lost: sys.UnraisableHookArgs) -> None:
    """Ctrl-C in a destructor or a callback ends nothing there: let it come once more."""
    while lost.exc_type is Stopped:
        try:
            Timer(0.01, interrupt_main).start()
            return
        except Stopped:  # it came before the timer's thread had begun: here it ends nothing either
            continue
    sys.__unraisablehook__(lost)


def _leave(number: int = signal.SIGINT, frame: FrameType | None = None) -> NoReturn:
    who = f"worker {os.environ.get('RANK', '?')}: " if _is_worker() else ""
    os.write(2, f"{who}stopped\n".encode())
    os._exit(INTERRUPTED)
