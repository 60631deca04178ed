"""Where raw pixels come from, a few rows at a time: arrays, files mapped into memory, image files.

A source may be larger than memory: nothing here reads all of it at once.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from allbps.data.decoding import Form, decode
from allbps.errors import UserFileError

CHUNK = 1 << 25
"""Bytes that are read at once when everything is gone through."""
IN_MEMORY = 1 << 28
"""Bytes of float32 pixels up to which a data set is held in memory."""


LOOKED_AT = 16
"""Scattered rows that are read before what was mapped for them is given back."""


class Source(Protocol):
    """Raw pixels (N, C, H, W)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""

    @property
    def decodes(self) -> bool:
        """Does reading a row take real work, worth processes of its own?"""

    def take(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows, as an array of its own."""

    def signature(self) -> tuple[Any, ...]:
        """Something that changes when the files do."""


@dataclass(frozen=True, eq=False)
class Held:
    """An array in memory."""

    array: NDArray[Any]
    decodes = False

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""
        return self.array.shape

    def take(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows."""
        return np.asarray(self.array[rows])

    def signature(self) -> tuple[Any, ...]:
        """It does not change."""
        return ()


@dataclass(frozen=True, eq=False)
class Mapped:
    """A view of a file that is mapped into memory.

    What was read is given back at once, so that a process holds no more of the file than it is
    looking at, however much of it the system keeps: it maps hundreds of neighbours of each page.

    Attributes:
        view: (N, C, H, W) of the mapped file.
        file: the file.

    """

    view: NDArray[Any]
    file: np.memmap[Any, Any]
    decodes = False

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""
        return self.view.shape

    def take(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows."""
        rows = np.asarray(rows)
        each = len(rows) if _follow(rows) else LOOKED_AT
        found = np.empty((len(rows), *self.view.shape[1:]), self.view.dtype)
        for start in range(0, len(rows), max(each, 1)):
            found[start : start + each] = self.view[rows[start : start + each]]
            self._give_back()
        return found

    def _give_back(self) -> None:
        if hasattr(mmap, "MADV_DONTNEED"):
            self.file._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]

    def signature(self) -> tuple[Any, ...]:
        """Size and time of the file."""
        return stamp(Path(str(self.file.filename)))


@dataclass(frozen=True, eq=False)
class Files:
    """Image files, decoded when they are needed."""

    paths: tuple[Path, ...]
    form: Form
    shape: tuple[int, ...]
    decodes = True

    def take(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The images of these rows."""
        return np.stack([decode(self.paths[row], self.form)[0] for row in rows])

    def signature(self) -> tuple[Any, ...]:
        """Size and time of every file."""
        return tuple(stamp(path) for path in self.paths)


def _follow(rows: NDArray[Any]) -> bool:
    """Are these rows neighbours, from first to last?"""
    return rows.dtype.kind in "iu" and bool(np.all(np.diff(rows) == 1))


def file_of(array: Any) -> np.memmap[Any, Any] | None:
    """The mapped file that an array is a view of, if it is one."""
    found = None
    while isinstance(array, (np.ndarray, memoryview)):
        found = array if isinstance(array, np.memmap) else found
        array = array.obj if isinstance(array, memoryview) else array.base
    return found


def stamp(path: Path) -> tuple[int, int]:
    """Size and time of a file.

    Raises:
        UserFileError: it is gone.

    """
    try:
        found = os.stat(path)
    except OSError as error:
        raise UserFileError(f"{path} cannot be read any more: {error.strerror}") from error
    return found.st_size, found.st_mtime_ns


def chunks(source: Source) -> Iterator[tuple[int, NDArray[Any]]]:
    """(number of the first row, rows), from the first to the last."""
    count = source.shape[0]
    each = max(1, CHUNK // (4 * int(np.prod(source.shape[1:]))))
    for start in range(0, count, each):
        yield start, source.take(np.arange(start, min(start + each, count)))


def digest(source: Source, into: Any) -> None:
    """Put everything that the source holds into a hash."""
    into.update(str(source.shape).encode())
    if isinstance(source, Files):
        into.update(str(source.form).encode())
        for path in source.paths:
            into.update(hashlib.sha256(path.read_bytes()).digest())
        return
    for _, part in chunks(source):
        into.update(str(part.dtype).encode())
        into.update(np.ascontiguousarray(part).data)


def float_bytes(sources: Sequence[Source]) -> int:
    """Bytes of all of them as float32."""
    return sum(4 * int(np.prod(source.shape, dtype=object)) for source in sources)
