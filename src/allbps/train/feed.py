"""Examples on their way into the steps: read ahead of them, in the order in which they come.

Images that are in memory are at hand. What is streamed is read by threads, since a mapped file is
mostly waited for, and decoded by processes, since that is work; both while the steps run.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.data import Examples, Streamed
from allbps.errors import ArgumentError

AHEAD = 1 << 26
"""Bytes that are read ahead."""
LEAST = 2
"""Mini-batches that are read ahead, however large they are."""
Pair = tuple[NDArray[Any], NDArray[Any]]


class Feed:
    """The examples of one run.

    Args:
        examples: what is learnt from.
        seed: of what is changed by chance.

    Attributes:
        waited: seconds that steps waited for examples.

    """

    def __init__(self, examples: Examples, seed: int) -> None:
        self.examples, self.seed, self.waited = examples, seed, 0.0
        self._coming: Iterable[NDArray[Any]] = ()
        self._draws: NDArray[np.int64] | None = None
        self._ready: deque[tuple[NDArray[Any], Future[NDArray[Any]]]] = deque()
        self._pool: Executor | None = None

    @property
    def in_memory(self) -> bool:
        """Are all examples at hand?"""
        return not isinstance(self.examples, Streamed)

    def announce(self, epoch: int, batches: list[NDArray[Any]]) -> None:
        """These mini-batches come next, in this order.

        Raises:
            UserFileError: the files are no longer what they were.

        """
        if not isinstance(self.examples, Streamed):
            return
        self.examples.check_unchanged()
        for _, future in self._ready:
            future.cancel()
        self._ready.clear()
        self._coming = iter(batches)
        change = self.examples.change
        self._draws = change.draws(len(self.examples), self.seed, epoch) if change else None
        self._fill()

    def fetch(self, batch: NDArray[Any]) -> Pair:
        """(examples, labels) of a mini-batch; quickly if it was announced next."""
        if not isinstance(self.examples, Streamed):
            return self.examples.fetch(batch)
        if not self._ready or self._ready[0][0] is not batch:
            draws = None if self._draws is None else self._draws[batch]
            return self.examples.read(batch, draws), self.examples.labels[batch]
        started = time.perf_counter()
        with _told():
            x = self._ready.popleft()[1].result()
            self.waited += time.perf_counter() - started
            self._fill()
        return x, self.examples.labels[batch]

    def close(self) -> None:
        """Nothing more will be asked for."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pool = None

    def _fill(self) -> None:
        """Let more be read, as far ahead as memory is meant to go."""
        assert isinstance(self.examples, Streamed)
        each = 4 * int(np.prod(self.examples.shape))
        while sum(len(rows) for rows, _ in self._ready) * each < AHEAD or (
            len(self._ready) < LEAST
        ):
            batch = next(iter(self._coming), None)
            if batch is None:
                return
            draws = None if self._draws is None else self._draws[batch]
            self._ready.append((batch, self._submit(batch, draws)))

    def _submit(self, batch: NDArray[Any], draws: Any) -> Future[NDArray[Any]]:
        assert isinstance(self.examples, Streamed)
        if self._pool is None:
            workers = max(1, min(8, (os.cpu_count() or 2) - 1))
            if self.examples.source.decodes:
                spawn = multiprocessing.get_context("spawn")
                needed = replace(self.examples, written={})
                self._pool = ProcessPoolExecutor(workers, spawn, _begin, (needed,))
            else:
                self._pool = ThreadPoolExecutor(workers)
        if self.examples.source.decodes:
            return self._pool.submit(_read, batch, draws)
        return self._pool.submit(self.examples.read, batch, draws)


@contextmanager
def _told() -> Iterator[None]:
    """Say in words that the processes are gone.

    Raises:
        ArgumentError: they are.

    """
    try:
        yield
    except BrokenProcessPool as error:
        raise ArgumentError(
            "the processes that decode images have ended",
            got=str(error),
            todo='in a script, start the training under if __name__ == "__main__":, since they'
            " import the script too; elsewhere see whether memory has run out, or --no-stream",
        ) from error


_examples: list[Streamed] = []
"""In a process that decodes: what it decodes."""


def _begin(examples: Streamed) -> None:
    _examples[:] = [examples]
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Leave nothing behind when the run is killed, which tells nobody."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _read(batch: NDArray[Any], draws: NDArray[np.int64] | None) -> NDArray[Any]:
    return _examples[0].read(batch, draws)
