"""Workers that are threads of one process: what a step in parts needs of its way to others."""

import ast
import threading
from itertools import pairwise
from unittest import mock

import numpy as np

from allbps.errors import WorkerError


class Meeting:
    """Where the threads lay down what they have for each other."""

    def __init__(self, size):
        self.size, self.tables = size, {}
        self.change = threading.Condition()
        self.gone = False

    def share(self, key, rank, what):
        with self.change:
            table = self.tables.setdefault(key, {})
            table[rank] = what
            self.change.notify_all()
            self.change.wait_for(lambda: len(table) == self.size or self.gone, 60)
            if len(table) < self.size:
                raise WorkerError("another thread is gone")
        return [table[k] for k in range(self.size)]

    def leave(self):
        with self.change:
            self.gone = True
            self.change.notify_all()


class ThreadExchange:
    """One of the workers."""

    def __init__(self, meeting, rank):
        self.meeting, self.rank, self.size, self.local = meeting, rank, meeting.size, 1
        self.turn = 0

    def _share(self, what):
        self.turn += 1
        return self.meeting.share(self.turn, self.rank, what)

    def swap(self, out, own, come, go):
        ends = np.cumsum([0, *go])
        parts = [own[a:b].copy() for a, b in pairwise(ends)]
        rows = [theirs[self.rank] for theirs in self._share(parts)]
        assert [len(row) for row in rows] == list(come)
        out[...] = np.concatenate(rows)

    def gather(self, out, own):
        out[...] = np.concatenate(self._share(own.copy()))
        return lambda: None

    def room(self, count, real):
        return None


class NearThreadExchange(ThreadExchange):
    """One of the workers, who see one memory."""

    def room(self, count, real):
        return self._share(np.zeros(count, real))[0]


def together(size, work, exchange=ThreadExchange):
    """``work(exchange)`` by each of ``size`` workers: their results, and errors by rank."""
    meeting, results, errors = Meeting(size), [None] * size, {}

    def run(rank):
        try:
            results[rank] = work(exchange(meeting, rank))
        except Exception as error:
            errors[rank] = error
            meeting.leave()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    with mock.patch("ast.parse", _one_at_a_time(ast.parse)):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    return results, [errors[rank] for rank in sorted(errors)]


def _one_at_a_time(parse):
    """Python 3.11 fails where several threads parse at once."""
    lock = threading.Lock()

    def parsed(*args, **kwargs):
        with lock:
            return parse(*args, **kwargs)

    return parsed
