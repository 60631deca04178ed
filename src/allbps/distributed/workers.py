"""The workers of a run: how they find each other, and what they agree on.

``torchrun`` says in the environment who this worker is and where the others are found. All meet at
a store of keys first, so that one who does not come is known by its number; then the process group
is made.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from allbps.distributed.exchange import TorchExchange, plain, these_workers, torch_distributed
from allbps.distributed.launching import no_meeting
from allbps.errors import AllBPsError, ArgumentError, WorkerError, within

T = TypeVar("T")
WANTED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun puts into the environment."""


class Workers:
    """The workers of a run; alone where there is one.

    Args:
        exchange: the way to the others, None where there are none.

    """

    def __init__(self, exchange: TorchExchange | None = None) -> None:
        self.exchange = exchange
        self.rank = exchange.rank if exchange else 0
        self.size = exchange.size if exchange else 1

    @classmethod
    def alone(cls) -> Workers:
        """One worker."""
        return cls()

    @property
    def leads(self) -> bool:
        """Does this one write what is written?"""
        return self.rank == 0

    def agree(self, **facts: Any) -> None:
        """Refuse workers that differ in what they are given.

        Args:
            facts: what must be the same, name by name, as JSON has it.

        Raises:
            ArgumentError: a worker differs from worker 0.

        """
        said = [json.loads(text) for text in self.tell(json.dumps(facts, sort_keys=True))]
        for rank, theirs in enumerate(said):
            for name, value in _flat(said[0]).items():
                other = _flat(theirs).get(name)
                if other != value:
                    raise ArgumentError(
                        f"worker {rank} differs from worker 0 in the {name}",
                        expected=f"{value}, as worker 0 has it",
                        got=str(other),
                        todo="start all workers with the same command, data and versions",
                    )

    def each(self, work: Callable[[], T]) -> T:
        """What a work gives here, once every worker has done it.

        Raises:
            AllBPsError: this worker cannot do it.
            WorkerError: another one cannot.

        """
        if self.exchange is None:
            return work()
        problem: AllBPsError | None = None
        try:
            found = work()
        except AllBPsError as error:
            problem = error
        said = self.tell("" if problem is None else str(problem))
        if any(said):
            with suppress(WorkerError):  # nobody ends before all have heard
                self.tell("")
        if problem is not None:
            raise problem
        for rank, text in enumerate(said):
            if text:
                raise WorkerError(f"worker {rank} cannot go on", got=within(text))
        return found

    def tell(self, text: str) -> list[str]:
        """Let every worker have the texts of all, in the order of ranks."""
        if self.exchange is None:
            return [text]
        own = np.frombuffer(text.encode(), np.uint8)
        sizes = self.gather(np.array([len(own)], np.int64))[:, 0]
        padded = np.zeros(int(sizes.max()), np.uint8)
        padded[: len(own)] = own
        rows = self.gather(padded)
        return [bytes(row[:size]).decode() for row, size in zip(rows, sizes, strict=True)]

    def gather(self, own: NDArray[Any]) -> NDArray[Any]:
        """The vectors of all workers, one a row."""
        if self.exchange is None:
            return own[None]
        out = np.zeros((self.size, len(own)), own.dtype)
        self.exchange.gather(out.reshape(-1), own)()
        return out

    def from_first(self, read: Callable[[], bytes]) -> bytes:
        """What worker 0 reads.

        Raises:
            AllBPsError: worker 0 cannot read it; all are told.

        """
        if self.exchange is None:
            return read()
        problem: AllBPsError | None = None
        data = b""
        if self.leads:
            try:
                data = b"+" + read()
            except AllBPsError as error:
                problem, data = error, b"-" + str(error).encode()
        data = self._from_first(data)
        if problem is not None:
            raise problem
        if data[:1] == b"-":
            raise WorkerError("worker 0 cannot go on", got=within(data[1:].decode()))
        return data[1:]

    def _from_first(self, data: bytes) -> bytes:
        assert self.exchange is not None
        own = np.frombuffer(data, np.uint8)
        size = int(self.gather(np.array([len(own)], np.int64))[0, 0])
        whole = np.zeros(size, np.uint8)
        if self.leads:
            whole[...] = own
        go = [size] * self.size if self.leads else [0] * self.size
        come = [size] + [0] * (self.size - 1)
        out = np.zeros(size, np.uint8)
        self.exchange.swap(out, np.tile(whole, self.size) if self.leads else whole[:0], come, go)
        return out.tobytes()

    def leave(self) -> None:
        """This worker is done."""
        if self.exchange is not None:
            torch_distributed().destroy_process_group()


def _flat(facts: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in facts.items():
        found |= (
            _flat(value, f"{above}{name} ") if isinstance(value, dict) else {above + name: value}
        )
    return found


def joined(timeout: float) -> Workers | None:
    """The workers that torchrun started beside this one; None where it did not start it.

    Args:
        timeout: seconds after which a worker that does not come or answer counts as lost.

    Raises:
        MissingExtraError: PyTorch is not installed.
        ArgumentError: the environment is not as torchrun makes it, or the port is in use.
        WorkerError: a worker did not come.

    """
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return None
    missing = [name for name in WANTED if not os.environ.get(name)]
    if missing:
        raise ArgumentError(
            "the environment names a worker but not where the others are",
            expected=", ".join(WANTED),
            got="no " + ", ".join(missing),
            todo="start workers with torchrun",
        )
    rank, size = _number("RANK", 0, None), _number("WORLD_SIZE", 1, None)
    if rank >= size:
        raise ArgumentError(
            f"there is no worker {rank} of {size}",
            expected=f"RANK from 0 to {size - 1}",
            got=f"RANK={rank}, WORLD_SIZE={size}",
            todo="start workers with torchrun",
        )
    distributed, wait = torch_distributed(), timedelta(seconds=timeout)
    store = _hearing_signals(lambda: _store(distributed, rank, wait))
    _await_all(store, rank, size, timeout)

    def meet() -> None:
        distributed.init_process_group(
            "gloo", store=store, rank=rank, world_size=size, timeout=wait
        )

    try:
        _hearing_signals(meet)
    except RuntimeError as error:
        raise WorkerError(
            f"worker {rank} of {size} could not reach the others",
            got=plain(str(error)),
            todo="check that the machines can open connections to each other",
        ) from error
    return Workers(TorchExchange(distributed.group.WORLD, store))


def _hearing_signals(work: Callable[[], T]) -> T:
    """Do what waits outside Python in a thread: Python hears signals in the first one only."""
    return ThreadPoolExecutor(1).submit(work).result()


def _number(name: str, least: int, most: int | None) -> int:
    """A whole number in the environment.

    Raises:
        ArgumentError: it is none, or out of its range.

    """
    text = os.environ[name]
    if text.isdecimal() and least <= int(text) and (most is None or int(text) <= most):
        return int(text)
    raise ArgumentError(
        f"{name} in the environment is no number of its kind",
        expected=f"a whole number from {least}" + ("" if most is None else f" to {most}"),
        got=repr(text),
        todo="start workers with torchrun",
    )


def _store(distributed: Any, rank: int, wait: timedelta) -> Any:
    """Where workers meet, as torchrun says."""
    host, port = os.environ["MASTER_ADDR"], _number("MASTER_PORT", 1, 65535)
    theirs = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    try:
        store = distributed.TCPStore(
            host, port, None, rank == 0 and not theirs, wait, wait_for_workers=False
        )
    except (RuntimeError, ValueError) as error:
        raise no_meeting(f"{host}:{port}", error) from error
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return distributed.PrefixStore(f"allbps/{attempt}", store)


def _await_all(store: Any, rank: int, size: int, timeout: float) -> None:
    """Wait until every worker has said that it is there.

    Raises:
        WorkerError: one has not, in time.

    """
    try:
        store.set(f"here/{rank}", "yes")
        until = time.monotonic() + timeout
        absent = list(range(size))
        while absent:
            absent = [other for other in absent if not store.check([f"here/{other}"])]
            if absent and time.monotonic() > until:
                raise WorkerError(
                    f"{these_workers(absent)} of {size} did not come within {timeout:g} s",
                    expected=f"{size} workers, numbers 0 to {size - 1}",
                    got=f"{size - len(absent)} of them; this is worker {rank}",
                    todo="start every worker, or see why that one ended; --timeout waits longer",
                )
            if absent:
                time.sleep(0.05)
    except RuntimeError as error:
        if isinstance(error, WorkerError):
            raise
        raise WorkerError(
            f"worker {rank} of {size} lost the place where workers meet",
            got=plain(str(error)),
            todo="look at the messages of worker 0",
        ) from error
