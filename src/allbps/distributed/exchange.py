"""A process group of ``torch.distributed`` as a way from worker to worker."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.distributed.memory import HEAD, common_memory
from allbps.errors import ArgumentError, WorkerError
from allbps.extras import needs

TODO = "start all workers again"


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

    Attributes:
        rank: which of them this is, 0 first.
        size: how many there are.
        local: how many of them share this machine.

    """

    def __init__(self, group: Any) -> None:
        self._distributed, self._group = torch_distributed(), group
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
            raise lost(self.rank, self.size, str(error)) from error


def lost(rank: int, size: int, reason: str) -> WorkerError:
    """The error for a worker that finds another one gone."""
    silent = "timed out" in reason.lower() or "timeout" in reason.lower()
    return WorkerError(
        f"worker {rank} of {size}: another worker "
        + ("does not answer" if silent else "is gone, and training cannot go on without it"),
        got=plain(reason),
        todo=TODO,
    )


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
