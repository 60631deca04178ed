"""PyTorch's own ``torchrun``, whose tracebacks are said in one message."""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from allbps.distributed.exchange import plain, torch_distributed
from allbps.errors import AllBPsError, ArgumentError, WorkerError


def launch(arguments: Sequence[str]) -> int:
    """Start workers as ``torchrun`` does, and wait for them.

    Args:
        arguments: those of ``torchrun``.

    Returns:
        0, or the exit code of the worker that failed first, which has said why.

    Raises:
        MissingExtraError: PyTorch is not installed.
        ArgumentError: the port is in use.
        WorkerError: a worker was killed, or the machines do not find each other.

    """
    torch_distributed()
    import torch.distributed.run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as torchrun does, with a warning
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    run: Any = torch.distributed.run
    parsed = run.parse_args(list(arguments))
    try:
        run.run(parsed)
    except ChildFailedError as error:
        return _code(*_cause(error.failures))
    except SignalException as error:
        return 128 + int(error.sigval)
    except (RuntimeError, RendezvousError) as error:
        endpoint = parsed.rdzv_endpoint or f"{parsed.master_addr}:{parsed.master_port}"
        raise no_meeting(endpoint, error) from error
    return 0


def _cause(failures: Mapping[int, Any]) -> tuple[int, Any]:
    """(number, failure) of the worker because of which the others ended.

    One that was killed says nothing, and those who miss it may have ended in the same second.
    SIGTERM is what the launcher itself sends to those who are left.
    """

    def order(rank: int) -> tuple[bool, float]:
        failure = failures[rank]
        return failure.exitcode >= 0 or failure.exitcode == -signal.SIGTERM, failure.timestamp

    rank = min(failures, key=order)
    return rank, failures[rank]


def _code(rank: int, failure: Any) -> int:
    """The exit code of a worker that failed.

    Raises:
        WorkerError: it had no time to say why.

    """
    code = int(failure.exitcode)
    if code >= 0:
        return code
    name = signal.Signals(-code).name
    raise WorkerError(
        f"worker {rank} was killed ({name})",
        got=f"process {failure.pid} ended by {name}"
        + (", as when memory runs out" if name == "SIGKILL" else ""),
        todo="go on from the checkpoint with --resume, with any number of workers",
    )


def leave_word(error: AllBPsError) -> None:
    """Let ``torchrun`` repeat why this worker ended, in what it says of those that failed.

    It names as the cause whoever failed first. A worker that only misses another one leaves no
    word, so that the cause is not taken to be here.
    """
    place = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if not place or isinstance(error, WorkerError):
        return
    told = {"message": str(error), "extraInfo": {"timestamp": str(int(time.time()))}}
    with suppress(OSError):  # the message itself has been given
        Path(place).write_text(json.dumps({"message": told}), encoding="utf-8")


def no_meeting(endpoint: str, error: Exception) -> ArgumentError | WorkerError:
    """Why workers cannot meet at ``host:port``."""
    host, _, port = endpoint.rpartition(":")
    if "EADDRINUSE" in str(error) or "address already in use" in str(error).lower():
        return ArgumentError(
            f"port {port} is in use",
            got=f"another program listens on it, or a run that has not ended, on {host}",
            todo="torchrun --standalone, or another --master-port",
        )
    if "Timeout" in type(error).__name__:
        return WorkerError(
            f"not every machine came to the place where workers meet, {endpoint}",
            expected="as many as --nnodes says",
            todo="start torchrun on every machine, or see why one ended; --rdzv-conf"
            " join_timeout=SECONDS waits longer",
        )
    return WorkerError(
        f"the place where workers meet, {endpoint}, cannot be reached",
        got=plain(str(error)),
        todo="check --rdzv-endpoint, or --master-addr and --master-port",
    )
