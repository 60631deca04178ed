"""Writing files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from allbps.errors import UserFileError


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text; see ``write_bytes``."""
    write_bytes(path, text.encode())


def write_bytes(path: Path | str, data: bytes) -> None:
    """Replace a file by new contents in one step: a reader sees the old or the new, never a part.

    Missing folders are made.

    Raises:
        UserFileError: the place cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        above = next((p for p in path.parents if p.exists() and not p.is_dir()), None)
        raise UserFileError(
            f"{path} cannot be written: {f'{above} is not a folder' if above else error.strerror}",
            todo="choose another place with --out",
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
