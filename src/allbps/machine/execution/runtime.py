"""Running a compiled step with any number of threads.

A step is a native function ``step(tid, threads, team, arguments)`` that all threads of a team run
together (see :mod:`.kernels.team`). The calling thread is thread 0; helpers are made once per
process, wait a millisecond between steps and then sleep. Nothing here depends on OpenMP or TBB.
"""

from __future__ import annotations

import atexit
import functools
import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from allbps.machine.kernels import team, worker
from allbps.machine.language import cache
from allbps.machine.language.native import Loaded
from allbps.machine.language.target import host


def default_threads() -> int:
    """As many threads as this process may use CPUs."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Pool:
    """The helper threads of this process. One step runs at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._code, (self._serve, self._run, self._take_part) = _native()
        self._team = np.zeros(team.team_size(1), np.int64)
        self._desks = np.zeros((0, worker.DESK_SIZE), np.int64)
        self._helpers: list[threading.Thread] = []
        self._bells: list[threading.Semaphore] = []

    def run(self, code: int, arguments: int, threads: int) -> None:
        """Run the step at address ``code`` with the arguments at that address."""
        with self._lock:
            if threads - 1 > len(self._helpers):
                self._hire(threads - 1)
            rest = (threads, code, self._team.ctypes.data, arguments)
            if self._run(self._desks.ctypes.data, *rest):
                try:
                    self._wake(threads - 1)
                finally:  # an interrupt here must not leave anybody waiting at a barrier
                    self._wake(threads - 1)
                    self._take_part(self._desks.ctypes.data, *rest)

    def _wake(self, helpers: int) -> None:
        for i in range(helpers):
            if self._desks[i, worker.STATE] == worker.ASLEEP:
                self._desks[i, worker.STATE] = worker.WORK
                self._bells[i].release()

    def _hire(self, helpers: int) -> None:
        self.dismiss()
        self._team = np.zeros(team.team_size(1 + helpers), np.int64)
        self._desks = np.zeros((helpers, worker.DESK_SIZE), np.int64)
        self._bells = [threading.Semaphore(0) for _ in range(helpers)]
        for i in range(helpers):
            helper = threading.Thread(
                target=self._help,
                args=(self._desks[i].ctypes.data, i + 1, self._bells[i]),
                name=f"allbps-{i + 1}",
                daemon=True,
            )
            helper.start()
            self._helpers.append(helper)

    def _help(self, desk: int, tid: int, bell: threading.Semaphore) -> None:
        while self._serve(desk, tid) != worker.LEAVE:
            bell.acquire()

    def dismiss(self) -> None:
        """Let all helpers go; the next run hires again."""
        for i, helper in enumerate(self._helpers):
            self._desks[i, worker.STATE] = worker.LEAVE
            self._bells[i].release()
            helper.join()
        self._helpers = []


@functools.cache
def _native() -> tuple[Loaded, Sequence[Any]]:
    """The native part of the pool: its code, and serve, run and take_part as functions."""
    kernels = (worker.serve, worker.run, worker.take_part)
    return cache.load_kernels(kernels, host(), single=False)


_pool: Pool | None = None


def pool() -> Pool:
    """The pool of this process."""
    global _pool  # noqa: PLW0603
    if _pool is None:
        _pool = Pool()
        atexit.register(_pool.dismiss)
    return _pool


def _forget() -> None:
    """In a forked child the helpers do not exist."""
    global _pool  # noqa: PLW0603
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class Step:
    """A loaded step: call it to run it once.

    Args:
        loaded: the object code, kept in memory as long as the step.
        name: the step's name in it.
        arguments: addresses (of arrays, which are kept too) and integers, in the step's order.
        threads: how many threads run it.

    """

    def __init__(
        self,
        loaded: Loaded,
        name: str,
        arguments: Sequence[np.ndarray[Any, Any] | int],
        threads: int,
    ) -> None:
        self._keep = loaded, list(arguments)
        self.code = loaded.address(name)
        self.arguments = np.array(
            [a.ctypes.data if isinstance(a, np.ndarray) else a for a in arguments], np.int64
        )
        self.threads = threads

    def replace(self, index: int, array: np.ndarray[Any, Any]) -> None:
        """Another array as an argument; the step keeps it."""
        self._keep[1][index] = array
        self.arguments[index] = array.ctypes.data

    def __call__(self) -> None:
        pool().run(self.code, self.arguments.ctypes.data, self.threads)
