"""Where raw pixels come from, a few rows at a time: arrays, files mapped into memory, image files.

A source may be larger than memory: nothing here reads all of it at once.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from allbps.data.decoding import Form, decode
from allbps.data.sums import changed, check_sums, content_sum, row_sums

CHUNK = 1 << 25
"""Bytes that are read at once when everything is gone through."""
IN_MEMORY = 1 << 28
"""Bytes of float32 pixels up to which a data set is held in memory."""
LOOKED_AT = 16
"""Scattered rows that are read before what was mapped for them is given back."""
Sums = NDArray[np.uint64] | None
Stamps = dict[str, tuple[int, int]]
"""File -> its size and time."""


class Source(Protocol):
    """Raw pixels (N, C, H, W)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""

    @property
    def decodes(self) -> bool:
        """Does reading a row take real work, worth processes of its own?"""

    def take(self, rows: NDArray[Any], sums: Sums = None) -> NDArray[Any]:
        """The rows, as an array of its own.

        Args:
            rows: their numbers.
            sums: what ``digest`` gave for them; None takes them as they are.

        Raises:
            UserFileError: the file cannot be read, or a row is not the one that had the sum.

        """

    def stamps(self) -> Stamps:
        """What changes when the files do.

        Raises:
            UserFileError: a file is gone.

        """


@dataclass(frozen=True, eq=False)
class Held:
    """An array in memory."""

    array: NDArray[Any]
    decodes = False

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""
        return self.array.shape

    def take(self, rows: NDArray[Any], sums: Sums = None) -> NDArray[Any]:
        """The rows, which nobody else changes."""
        return np.asarray(self.array[rows])

    def stamps(self) -> Stamps:
        """There is no file."""
        return {}


@dataclass(frozen=True, eq=False)
class Stored:
    """Rows that lie one after the other in a file, and are read from there.

    They are not looked at in the memory that maps the file, though ``like`` says how they lie: a
    file that somebody else cuts short is an error here, and would end the process there.

    Attributes:
        path: the file.
        start: where its first row begins, in bytes.
        like: (N, C, H, W) of the mapped file.

    """

    path: Path
    start: int
    like: NDArray[Any]
    decodes = False

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""
        return self.like.shape

    def take(self, rows: NDArray[Any], sums: Sums = None) -> NDArray[Any]:
        """The rows."""
        each, *inner = self.like.strides
        raw = np.empty((len(rows), each), np.uint8)
        try:
            with self.path.open("rb", buffering=0) as file:
                for first, stop in _stretches(rows):
                    file.seek(self.start + int(rows[first]) * each)
                    _read_into(file, raw[first:stop].reshape(-1).data)
        except (OSError, EOFError) as error:
            raise changed(f"{self.path} cannot be read any more: {_reason(error)}") from error
        shape = len(rows), *self.shape[1:]
        found: NDArray[Any] = np.ndarray(shape, self.like.dtype, raw.data, 0, (each, *inner))
        if sums is not None:
            check_sums(str(self.path), rows, row_sums(found), sums)
        return found

    def stamps(self) -> Stamps:
        """Size and time of the file."""
        return stamps([self.path])


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

    def take(self, rows: NDArray[Any], sums: Sums = None) -> NDArray[Any]:
        """The rows."""
        each = len(rows) if _follow(rows) else LOOKED_AT
        found = np.empty((len(rows), *self.view.shape[1:]), self.view.dtype)
        for start in range(0, len(rows), max(each, 1)):
            found[start : start + each] = self.view[rows[start : start + each]]
            self._give_back()
        if sums is not None:
            check_sums(str(self.file.filename), rows, row_sums(found), sums)
        return found

    def _give_back(self) -> None:
        if hasattr(mmap, "MADV_DONTNEED"):
            self.file._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]

    def stamps(self) -> Stamps:
        """Size and time of the file."""
        return stamps([Path(str(self.file.filename))])


@dataclass(frozen=True, eq=False)
class Files:
    """Image files, decoded when they are needed."""

    paths: tuple[Path, ...]
    form: Form
    shape: tuple[int, ...]
    decodes = True

    def take(self, rows: NDArray[Any], sums: Sums = None) -> NDArray[Any]:
        """The images of these rows."""
        found = np.empty((len(rows), *self.shape[1:]), np.float32)
        for k, row in enumerate(rows):
            data = contents(self.paths[row])
            if sums is not None and content_sum(data) != sums[k]:
                raise changed(f"{self.paths[row]} holds something else")
            image, _ = decode(self.paths[row], self.form, data)
            if image.shape != found.shape[1:]:
                raise changed(f"{self.paths[row]} has another size")
            found[k] = image
        return found

    def stamps(self) -> Stamps:
        """Size and time of every file."""
        return stamps(self.paths)


def _follow(rows: NDArray[Any]) -> bool:
    """Are these rows neighbours, from first to last?"""
    return bool(np.all(np.diff(rows) == 1))


def _stretches(rows: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Where rows that are neighbours begin and end."""
    starts = np.flatnonzero(np.diff(rows, prepend=-2) != 1)
    yield from zip(starts.tolist(), [*starts[1:].tolist(), len(rows)], strict=True)


def _read_into(file: RawIOBase, out: memoryview) -> None:
    """Fill all of ``out``.

    Raises:
        EOFError: the file ends before.

    """
    while out:
        count = file.readinto(out)
        if not count:
            raise EOFError("it is shorter than it was")
        out = out[count:]


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def contents(path: Path) -> bytes:
    """What a file holds.

    Raises:
        UserFileError: it is gone.

    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise changed(f"{path} cannot be read any more: {_reason(error)}") from error


def source_of(array: NDArray[Any]) -> Source:
    """What reads rows of an array (N, C, H, W): in memory, or mapped from a file."""
    file = file_of(array)
    if file is None:
        return Held(array)
    each, *inner = array.strides
    lengths = zip(array.shape[1:], inner, strict=True)
    reach = array.itemsize + sum((n - 1) * stride for n, stride in lengths)
    if reach > each or min(inner) < 0:  # rows lie within each other: Fortran's order
        return Mapped(array, file)
    start = _address(array) - _address(file) + int(file.offset)
    return Stored(Path(str(file.filename)), start, array)


def _address(array: NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])


def file_of(array: Any) -> np.memmap[Any, Any] | None:
    """The mapped file that an array is a view of, if it is one."""
    found = None
    while isinstance(array, (np.ndarray, memoryview)):
        found = array if isinstance(array, np.memmap) else found
        array = array.obj if isinstance(array, memoryview) else array.base
    return found


def stamps(paths: Sequence[Path]) -> Stamps:
    """Size and time of files.

    Raises:
        UserFileError: one is gone.

    """
    found: Stamps = {}
    for path in paths:
        try:
            status = os.stat(path)
        except OSError as error:
            raise changed(f"{path} cannot be read any more: {_reason(error)}") from error
        found[str(path)] = status.st_size, status.st_mtime_ns
    return found


def chunks(source: Source) -> Iterator[tuple[int, NDArray[Any]]]:
    """(number of the first row, rows), from the first to the last."""
    count = source.shape[0]
    each = max(1, CHUNK // (4 * int(np.prod(source.shape[1:]))))
    for start in range(0, count, each):
        yield start, source.take(np.arange(start, min(start + each, count)))


def digest(source: Source, into: Any) -> NDArray[np.uint64]:
    """Put everything that the source holds into a hash; the sums of its rows."""
    into.update(str(source.shape).encode())
    sums = np.zeros(source.shape[0], np.uint64)
    if isinstance(source, Files):
        into.update(str(source.form).encode())
        for k, path in enumerate(source.paths):
            data = contents(path)
            into.update(hashlib.sha256(data).digest())
            sums[k] = content_sum(data)
        return sums
    for start, part in chunks(source):
        into.update(str(part.dtype).encode())
        into.update(np.ascontiguousarray(part).data)
        sums[start : start + len(part)] = row_sums(part)
    return sums


def float_bytes(sources: Sequence[Source]) -> int:
    """Bytes of all of them as float32."""
    return sum(4 * int(np.prod(source.shape, dtype=object)) for source in sources)
