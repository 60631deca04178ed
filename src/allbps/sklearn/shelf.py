"""Compiled functions of this process, kept for the next estimator that needs the same one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

KEPT = 8


class Shelf:
    """Things that took long to make and serve one user at a time.

    >>> shelf = Shelf()
    >>> with shelf.taken("key", list) as first, shelf.taken("key", list) as second:
    ...     first is second
    False
    >>> with shelf.taken("key", list) as again:
    ...     again is first
    True

    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept, self._lock = kept, threading.Lock()
        self._idle: list[tuple[Hashable, Any]] = []  # the one that was used last is the last

    @contextmanager
    def taken(self, key: Hashable, make: Callable[[], Any]) -> Iterator[Any]:
        """One that was made under this key and is idle, or a new one; nobody else has it inside.

        What an error ended is not kept: its state is anybody's guess.
        """
        thing = self._idle_one(key)
        if thing is None:
            thing = make()
        yield thing
        with self._lock:
            self._idle.append((key, thing))
            del self._idle[: -self._kept]

    def _idle_one(self, key: Hashable) -> Any:
        with self._lock:
            for k in reversed(range(len(self._idle))):
                if self._idle[k][0] == key:
                    return self._idle.pop(k)[1]
        return None


SHELF = Shelf()
