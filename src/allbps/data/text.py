"""Text to learn from: a file in UTF-8, cut into windows of characters."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from allbps.data.images import Dataset
from allbps.data.windows import Windows
from allbps.errors import ArgumentError, UserFileError


def load_text(source: str | Path, length: int) -> Dataset:
    """The characters of a UTF-8 file in windows of ``length``.

    What is left at the end and fills no window is not used. The text holds nothing out itself.

    Args:
        source: path of the file.
        length: characters that the net reads at once.

    Raises:
        UserFileError: there is no such file, it is not UTF-8 text, or it is too short.
        ArgumentError: no length.

    """
    if length < 1:
        raise ArgumentError(
            "--context is out of range", expected="a number of at least 1", got=str(length)
        )
    text = _read(Path(source).expanduser())
    classes = tuple(sorted(set(text)))
    if len(classes) < 2:
        raise UserFileError(
            f"{source} has fewer than two different characters",
            expected="a text, so that there is something to predict",
            got=f"{len(text)} characters",
        )
    count = (len(text) - 1) // length
    if count < 2:
        raise UserFileError(
            f"{source} is too short",
            expected=f"at least {2 * length + 1} characters: two windows of {length}, one to learn"
            " from and one held out",
            got=f"{len(text)} characters",
            todo="give a longer text, or a smaller --context",
        )
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    numbers = np.searchsorted(np.unique(points), points).astype(np.int64)
    x = numbers[: count * length].reshape(count, length)
    labels = numbers[1 : count * length + 1].reshape(count, length)
    return Dataset(str(source), Windows(x, labels, classes))


def _read(path: Path) -> str:
    if not path.is_file():
        raise UserFileError(
            f"there is no text file {path}",
            expected="the path of a UTF-8 text file",
            got="a folder" if path.is_dir() else "nothing there",
            todo="check the path given to --data",
        )
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserFileError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserFileError(
            f"{path} is not UTF-8 text",
            expected="UTF-8",
            got=f"byte 0x{raw[error.start]:02x} at position {error.start}",
            todo=f"convert it, as with: iconv -f LATIN1 -t UTF-8 {path.name}",
        ) from error
