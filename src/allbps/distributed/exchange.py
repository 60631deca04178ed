"""A process group of ``torch.distributed`` as a way from worker to worker."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.distributed.memory import HEAD, common_memory
from allbps.errors import ArgumentError, WorkerError
from allbps.extras import needs

TODO = "start all workers again"
SOON = 2.0
"""Seconds in which workers that miss another one say that they are there."""


def torch_distributed() -> Any:
    """``torch.distributed``.

    Raises:
        MissingExtraError: PyTorch is not installed, or was built without it.

    """
    with needs("torch", extra="distributed", purpose="training with several workers"):
        import torch.distributed

    if not torch.distributed.is_available():
        raise ArgumentError(
            "this PyTorch was built without torch.distributed",
            todo="install PyTorch from its package index",
        )
    return torch.distributed


class TorchExchange:
    """Workers of a process group.

    Args:
        group: the group, as ``torch.distributed`` makes it.
        store: where workers can leave a word beside the group, if there is such a place.

    Attributes:
        rank: which of them this is, 0 first.
        size: how many there are.
        local: how many of them share this machine.

    """

    def __init__(self, group: Any, store: Any = None) -> None:
        self._distributed, self._group, self._store = torch_distributed(), group, store
        self._silent: list[int] | None = None
        self.rank: int = self._distributed.get_rank(group)
        self.size: int = self._distributed.get_world_size(group)
        if self.rank < 0:
            raise ArgumentError(
                "this process is not a worker of the group",
                expected="a group that it belongs to",
                got=repr(group),
            )
        self.local = min(self.size, int(os.environ.get("LOCAL_WORLD_SIZE", self.size)))

    def swap(
        self, out: NDArray[Any], own: NDArray[Any], come: Sequence[int], go: Sequence[int]
    ) -> None:
        """Give every worker a stretch of ``own`` and get one from each.

        Raises:
            WorkerError: a worker is gone or does not answer.

        """
        with self._watched():
            self._distributed.all_to_all_single(
                _tensor(out), _tensor(own), list(come), list(go), group=self._group
            )

    def gather(self, out: NDArray[Any], own: NDArray[Any]) -> Callable[[], None]:
        """Let every worker have the vectors of all; call the result to wait.

        Raises:
            WorkerError: a worker is gone or does not answer.

        """
        to, whence = _tensor(out), _tensor(own)
        with self._watched():
            work = self._all_gather(to, whence, group=self._group, async_op=True)

        def wait() -> None:
            with self._watched():
                work.wait()

        return wait

    def room(self, count: int, real: np.dtype[Any]) -> NDArray[Any] | None:
        """A vector of so many zeros that all workers see; None where they share no memory.

        Raises:
            WorkerError: a worker is gone or does not answer.

        """
        if self.local < self.size:
            return None
        memory = common_memory(self, HEAD + count * real.itemsize)
        return None if memory is None else np.frombuffer(memory, real, count, HEAD)

    @property
    def _all_gather(self) -> Any:
        """By the name that this version of PyTorch prefers."""
        found = getattr(self._distributed, "all_gather_single", None)
        return found or self._distributed.all_gather_into_tensor

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            if self._silent is None:
                self._silent = silent(self._store, self.rank, self.size)
            raise lost(self.rank, self.size, str(error), self._silent) from error


def silent(store: Any, rank: int, size: int) -> list[int]:
    """Who leaves no word, soon after this worker has missed one: all who are there have missed it.

    Nobody is named where the store itself is gone.
    """

    def ask() -> list[int]:
        store.set(f"misses another/{rank}", "yes")
        until = time.monotonic() + SOON
        absent = [other for other in range(size) if other != rank]
        while absent and time.monotonic() < until:
            time.sleep(0.05)
            absent = [other for other in absent if not store.check([f"misses another/{other}"])]
        return absent

    if store is None:
        return []
    with suppress(RuntimeError, TimeoutError):  # who keeps the store may hang: ask in a thread
        return ThreadPoolExecutor(1).submit(ask).result(2 * SOON)
    return []


def lost(rank: int, size: int, reason: str, silent: Sequence[int] = ()) -> WorkerError:
    """The error for a worker that finds another one gone.

    Args:
        rank: of the worker that misses another one.
        size: how many there are.
        reason: what PyTorch says.
        silent: who has left no word since.

    """
    hangs = "timed out" in reason.lower() or "timeout" in reason.lower()
    since = f"no word from {these_workers(silent)} since; " if silent else ""
    return WorkerError(
        f"worker {rank} of {size}: another worker "
        + ("does not answer" if hangs else "is gone, and training cannot go on without it"),
        got=since + plain(reason),
        todo=TODO,
    )


def these_workers(numbers: Sequence[int]) -> str:
    """As a message names them.

    >>> these_workers([2]), these_workers([0, 3])
    ('worker 2', 'workers 0, 3')
    """
    shown = ", ".join(map(str, numbers[:8])) + (", …" if len(numbers) > 8 else "")
    return f"worker {shown}" if len(numbers) == 1 else f"workers {shown}"


def plain(reason: str) -> str:
    r"""What PyTorch says, in one line and without the place in its own source.

    >>> plain("[/pytorch/third_party/gloo/pair.cc:537] Read error [::1]:80: reset\n at …")
    'Read error [::1]:80: reset'
    """
    first = (reason.splitlines() or [""])[0].partition(". This is typically")[0]
    return re.sub(r"^\[[^]]*\.(cc|cpp|h):\d+\] ", "", first)[:200]


def _tensor(array: NDArray[Any]) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(array))


def exchange_of(group: Any) -> TorchExchange:
    """The way to the other workers of a group.

    Raises:
        MissingExtraError: PyTorch is not installed.
        ArgumentError: it is no process group, or this process does not belong to it.

    """
    distributed = torch_distributed()
    if not isinstance(group, distributed.ProcessGroup):
        raise ArgumentError(
            "group is not a process group",
            expected="a process group, such as torch.distributed.group.WORLD after"
            " init_process_group()",
            got=repr(group),
        )
    return TorchExchange(group)
