"""A process that computes and is killed when it takes too long."""

from __future__ import annotations

import signal
import sys
from multiprocessing import get_context
from threading import Lock
from typing import Any

START = 60.0
"""Seconds that a fresh process may take to begin."""
MEMORY = 6 * 2**30
"""Bytes that it may take beside what it begins with, where the system can say so."""


class Worker:
    """Answers one request at a time in a process of its own.

    Args:
        target: ``FILE.py:FUNCTION``, or empty.
        limit: seconds that an answer may take.
    """

    def __init__(self, target: str = "", limit: float = 20.0) -> None:
        self.target, self.limit = target, limit
        self._lock = Lock()
        self._process: Any = None
        self._pipe: Any = None
        with self._lock:
            self._start()

    def ask(self, asked: Any) -> dict[str, Any]:
        """The answer, or that it took too long: then the process has been killed."""
        if not self._lock.acquire(timeout=self.limit + START):
            return {"error": {"what": "too many requests at once", "fix": "wait a moment"}}
        try:
            if self._process is None:
                self._start()
            return self._answer(asked)
        finally:
            self._lock.release()

    def restart(self) -> None:
        """A fresh process, which reads every file anew."""
        with self._lock:
            self._kill()
            self._start()

    def stop(self) -> None:
        """End it."""
        with self._lock:
            self._kill()

    def _start(self) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self.target), daemon=True)
        self._process.start()
        theirs.close()
        self._ready = False

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
        self._process = None

    def _answer(self, asked: Any) -> dict[str, Any]:
        try:
            if not self._ready:
                self._ready = self._pipe.poll(START) and self._pipe.recv() == "ready"
            self._pipe.send(asked)
            if self._pipe.poll(self.limit):
                found: dict[str, Any] = self._pipe.recv()
                return found
            what = f"this took more than {self.limit:g} s and was stopped"
            told = {"what": what, "fix": "smaller shapes"}
        except (EOFError, OSError):
            told = {"what": "the process that computes has ended", "fix": "look at the terminal"}
        self._kill()
        return {"error": told}


def _serve(pipe: Any, target: str) -> None:
    """The other process: answer until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    sys.dont_write_bytecode = True  # it is told apart by the second, and a file may change sooner
    from allbps.serve.derive import answer

    _limit_memory()
    pipe.send("ready")
    while True:
        try:
            asked = pipe.recv()
        except EOFError:
            return
        pipe.send(answer(asked, target))


def _limit_memory() -> None:
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return
    used = 0
    try:
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:  # not Linux
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = used + MEMORY
    if hard == resource.RLIM_INFINITY or wanted < hard:
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
