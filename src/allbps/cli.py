"""The command line's door: so small that who stops it finds it while all else is being loaded."""

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
    """Ctrl-C or SIGTERM, whose number it has.

    A name of its own, since click gives KeyboardInterrupt a meaning and no message.
    """


def main() -> None:
    """Run the command line; Ctrl-C and SIGTERM end it with one line, whenever they come."""
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
    """The signals that ask to stop: a person does by Ctrl-C, schedulers and launchers by SIGTERM.

    One that is ignored stays so: SIGINT in a background job, either under nohup's kin.
    """
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    return [number for number, answer in usual.items() if signal.getsignal(number) is answer]


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
    raise Stopped(number)


def _ask_again(lost: sys.UnraisableHookArgs) -> None:
    """What stops us ends nothing in a destructor or a callback: let it come once more."""
    while isinstance(lost.exc_value, Stopped):
        try:
            Timer(0.01, interrupt_main, lost.exc_value.args).start()
            return
        except Stopped:  # it came before the timer's thread had begun: here it ends nothing either
            continue
    sys.__unraisablehook__(lost)


def _leave(number: int = signal.SIGINT, frame: FrameType | None = None) -> NoReturn:
    who = f"worker {os.environ.get('RANK', '?')}: " if _is_worker() else ""
    os.write(2, f"{who}stopped\n".encode())
    os._exit(INTERRUPTED)
