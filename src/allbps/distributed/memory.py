"""Memory that the workers of one machine share, so that large arrays need not travel."""

from __future__ import annotations

import mmap
import os
import secrets
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from allbps.distributed.exchange import TorchExchange

HEAD = 64
"""Bytes at the beginning in which nothing is put, since they are known to the others."""


def common_memory(exchange: TorchExchange, size: int) -> mmap.mmap | None:
    """Memory of so many bytes that all workers see; None where one of them cannot see it.

    All workers call this together. The first one makes a file that has no name, so that nothing is
    left behind whoever is killed, and tells where the others find it and a number that is in it:
    on another machine, or in another container, something else is found there, or nothing.
    """
    made, handle = _made(size) if exchange.rank == 0 else (None, -1)
    token = secrets.randbits(62)
    if made is not None:
        made[:8] = token.to_bytes(8, sys.byteorder)
    own = np.array([os.getpid(), handle, token, size], np.int64)
    said = np.zeros((exchange.size, len(own)), np.int64)
    exchange.gather(said.reshape(-1), own)()
    pid, theirs, token, first = (int(number) for number in said[0])
    found = made
    if exchange.rank and theirs >= 0 and first == size:
        found = _found(f"/proc/{pid}/fd/{theirs}", size, token.to_bytes(8, sys.byteorder))
    seen = np.zeros(exchange.size, np.uint8)
    exchange.gather(seen, np.array([found is not None], np.uint8))()
    if handle >= 0:
        os.close(handle)
    if found is None or not seen.all():
        return None
    return found


def _made(size: int) -> tuple[mmap.mmap | None, int]:
    """New memory, and the number of its file; the system is asked now whether there is so much."""
    if sys.platform != "linux":
        return None, -1
    handle = -1
    try:
        handle = os.memfd_create("allbps")
        os.posix_fallocate(handle, 0, size)
        return mmap.mmap(handle, size), handle
    except (OSError, ValueError):
        if handle >= 0:
            os.close(handle)
        return None, -1


def _found(path: str, size: int, token: bytes) -> mmap.mmap | None:
    """The memory of another worker, if it is at that place."""
    handle = -1
    try:
        handle = os.open(path, os.O_RDWR)
        if os.fstat(handle).st_size != size:
            return None
        found = mmap.mmap(handle, size)
    except (OSError, ValueError):
        return None
    finally:
        if handle >= 0:
            with suppress(OSError):
                os.close(handle)
    return found if found[:8] == token else None
