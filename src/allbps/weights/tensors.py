"""Arrays on disk as safetensors: the same bytes for the same arrays, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.errors import UserFileError
from allbps.extras import needs
from allbps.files import write_bytes
from allbps.weights.entry import Entries, Entry
from allbps.weights.numbers import KINDS, from_bits

PURPOSE = "saving and loading weights"
PICKLES = (b"PK\x03\x04", b"\x80\x02")
"""How the files of ``torch.save`` begin, new and old."""


def save_tensors(
    path: Path, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str],
    bfloat16: frozenset[str] = frozenset(),
) -> None:  # fmt: skip
    """Write arrays and metadata, whole or not at all.

    Args:
        path: the file.
        arrays: name -> array.
        metadata: name -> text.
        bfloat16: names of arrays of uint16 that are the bits of such numbers, which NumPy lacks.

    Raises:
        MissingExtraError: safetensors is not installed.
        UserFileError: the place cannot be written.

    """
    with needs("safetensors", extra="safetensors", purpose=PURPOSE):
        from safetensors.numpy import save

    # not ascontiguousarray, which makes a vector of a number
    rowwise = {name: np.asarray(a, order="C") for name, a in arrays.items()}
    packed = save(rowwise, dict(metadata))
    write_bytes(path, _in_one_order(packed, bfloat16))


def _in_one_order(packed: bytes, bfloat16: frozenset[str]) -> bytes:
    """The same file with its metadata sorted: the library writes them in random order."""
    header, start = _header(packed[:8], lambda length: packed[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    for name in bfloat16:
        header[name]["dtype"] = "BF16"
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + packed[start:]


def _header(prefix: bytes, read: Any) -> tuple[dict[str, Any], int]:
    """(header, where the numbers begin)."""
    length = int.from_bytes(prefix, "little")
    return json.loads(read(length)), 8 + length


def open_tensors(path: Path) -> tuple[Entries, dict[str, str]]:
    """(name -> entry, metadata) of a file; numbers are read entry by entry, when they are wanted.

    Raises:
        MissingExtraError: safetensors is not installed.
        UserFileError: the file is missing, truncated or no safetensors file.

    """
    with needs("safetensors", extra="safetensors", purpose=PURPOSE):
        from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise UserFileError(f"there is no file {path}", todo="check the path")
    try:
        with safe_open(path, "np") as file:  # which looks at every length and every place
            metadata: dict[str, str] = file.metadata() or {}
        with path.open("rb") as opened:
            header, start = _header(opened.read(8), opened.read)
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, str(error)) from error
    header.pop("__metadata__", None)
    return {name: _entry(path, start, name, place) for name, place in header.items()}, metadata


def _unreadable(path: Path, reason: str) -> UserFileError:
    with path.open("rb") as file:
        pickled = file.read(4).startswith(PICKLES)
    return UserFileError(
        f"{path} is truncated, or is not a safetensors file",
        expected="a .safetensors file",
        got="a file of torch.save" if pickled else reason,
        todo="bp.torch.from_state(torch.load(path, weights_only=True), like=params)"
        if pickled
        else "",
    )


def _entry(path: Path, start: int, name: str, place: Mapping[str, Any]) -> Entry:
    shape, kind = tuple(place["shape"]), KINDS.get(place["dtype"], place["dtype"])
    begin, end = place["data_offsets"]

    def read() -> NDArray[Any]:
        if kind not in KINDS.values():
            raise UserFileError(
                f"{name} in {path} holds numbers that NumPy has not",
                expected=", ".join(KINDS.values()),
                got=kind,
            )
        with path.open("rb") as file:
            file.seek(start + begin)
            data = file.read(end - begin)
        return from_bits(data, kind).reshape(shape)

    return Entry(shape, kind, read)


def load_tensors(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """(name -> array, metadata) of a file.

    Raises:
        MissingExtraError: safetensors is not installed.
        UserFileError: the file is missing, truncated or no safetensors file.

    """
    entries, metadata = open_tensors(path)
    return {name: entry.read() for name, entry in entries.items()}, metadata
