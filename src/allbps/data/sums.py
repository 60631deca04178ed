"""Check sums of rows: what is learnt is what was there when the run began, row by row."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.errors import UserFileError

WORD = 8
"""Bytes that are added at once."""


def row_sums(rows: NDArray[Any]) -> NDArray[np.uint64]:
    """One number for each row (N, …), of its bytes.

    The sum, modulo 2⁶⁴, of its 64-bit words, each times an odd number of its own: it differs for
    certain if one word does, and all but surely if several do.

    >>> first, second = row_sums(np.array([[1, 2], [2, 1]]))
    >>> bool(first == second)
    False
    """
    flat = np.ascontiguousarray(rows).reshape(len(rows), -1).view(np.uint8)
    lacking = -flat.shape[1] % WORD
    if lacking:
        flat = np.pad(flat, ((0, 0), (0, lacking)))
    words = flat.view(np.uint64)
    return np.asarray(words @ _odd(words.shape[1]))  # (N, words) @ (words,) -> (N,)


def content_sum(data: bytes) -> np.uint64:
    """One number for what a file holds."""
    return np.uint64(int.from_bytes(hashlib.sha256(data).digest()[:WORD]))


@cache
def _odd(count: int) -> NDArray[np.uint64]:
    found = np.random.default_rng(0).integers(0, 1 << 64, count, np.uint64)
    return found | np.uint64(1)


def check_sums(
    name: str, rows: NDArray[Any], found: NDArray[np.uint64], sums: NDArray[np.uint64] | None
) -> None:
    """Refuse rows that are not what they were.

    Args:
        name: of the file.
        rows: their numbers.
        found: their sums now.
        sums: those from before; None asks nothing.

    Raises:
        UserFileError: one differs.

    """
    if sums is None or np.array_equal(found, sums):
        return
    raise changed(f"image {rows[np.flatnonzero(found != sums)[0]]} of {name} is another one")


def changed(got: str) -> UserFileError:
    """The error for data that are not what they were when the run began."""
    return UserFileError(
        "the data changed during training",
        expected="files that stay as they are until the run ends",
        got=got,
        todo="put them back and continue with --resume, or start over with another --out",
    )
