"""Writing files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from allbps.errors import UserFileError

UNFINISHED = ".unfinished"
"""How the name of a file ends that is being written."""


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text; see ``write_bytes``."""
    write_bytes(path, text.encode())


def write_bytes(path: Path | str, data: bytes) -> None:
    """Replace a file by new contents in one step: a reader sees the old or the new, never a part.

    Missing folders are made. What a process that was killed left of the same file is removed.

    Raises:
        UserFileError: the place cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_left(path)
        with _unfinished(path) as (handle, temporary):
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
    except OSError as error:
        above = next((p for p in path.parents if p.exists() and not p.is_dir()), None)
        raise UserFileError(
            f"{path} cannot be written: {f'{above} is not a folder' if above else error.strerror}",
            todo="choose another place with --out",
        ) from error


@contextmanager
def _unfinished(path: Path) -> Iterator[tuple[int, str]]:
    """A new file beside ``path``, which is gone if it could not be finished.

    It is locked meanwhile, so that nobody takes it for one that was left.
    """
    while True:
        handle, temporary = tempfile.mkstemp(UNFINISHED, f".{path.name}.", path.parent)
        claim = os.dup(handle) if _lock(handle, wait=True) else None
        if os.path.exists(temporary):
            break
        for lost in filter(None, (handle, claim)):  # it was taken for one before it was locked
            os.close(lost)
    try:
        yield handle, temporary
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        if claim is not None:
            os.close(claim)


def _remove_left(path: Path) -> None:
    """Remove what those left who were killed while they wrote this file: nobody locks it."""
    for left in path.parent.glob(f".{escape(path.name)}.*{UNFINISHED}"):
        with suppress(OSError), left.open("rb") as file:
            if _lock(file.fileno()):
                left.unlink()


def _lock(handle: int, *, wait: bool = False) -> bool:
    """Lock an open file until it is closed; False where another does, or where none can."""
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
