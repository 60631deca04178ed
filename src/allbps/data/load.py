"""``--data``: which kind of source it names."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from allbps.data.decoding import Decoding
from allbps.data.digits import load_digits
from allbps.data.folder import has_class_folders, load_folder
from allbps.data.idx import GZIP, NAMES, holds_idx, load_idx_folder, load_idx_pair
from allbps.data.images import Dataset
from allbps.data.npz import holds_npy, load_npy_folder, load_npy_pair, load_npz
from allbps.data.tables import load_tables
from allbps.data.tables_of import data_set_in, holds_tables, is_table
from allbps.errors import ArgumentError, UserFileError

KNOWN = (
    "digits; an .npz archive; a Parquet or Arrow file, or a folder of such; a folder of class"
    f" folders; a folder with {NAMES}; or IMAGES,LABELS in IDX format or as two .npy files"
)


class DataWarning(UserWarning):
    """Data that were read, though perhaps not as they were meant."""


def load(source: str | Path, decoding: Decoding | None = None) -> Dataset:
    """Load the images that ``source`` names.

    Args:
        source: ``digits``, or a path: an ``.npz`` archive, a folder with IDX files, a file of IDX
            images (its labels beside it), ``IMAGES,LABELS``, or a folder of class folders.
        decoding: how files are read.

    Raises:
        UserFileError: there is nothing there, or it is not what it should be.
        ArgumentError: ``decoding`` for a source that it does not suit.
        MissingExtraError: a library for this kind is not installed.

    Warns:
        DataWarning: something was left out, or may not be meant so; all notes are in the result.

    >>> len(load("digits").train)
    1797

    """
    dataset = read(source, decoding)
    for note in dataset.notes:
        if note.heed:
            warnings.warn(f"{source}: {note.text}", DataWarning, stacklevel=2)
    return dataset


def read(source: str | Path, decoding: Decoding | None = None) -> Dataset:
    """As ``load``, for those who show the notes themselves."""
    decoding = decoding or Decoding()
    path = Path(source).expanduser()
    if path.is_dir():
        path = data_set_in(path)
    arrays = path.is_dir() and (holds_idx(path) or holds_npy(path) or holds_tables(path))
    if path.is_dir() and str(source) != "digits" and not arrays:
        return _from_folder(path, decoding)
    if decoding.size or decoding.grayscale:
        raise ArgumentError(
            "--resize and --grayscale are for folders of image files",
            got=f"{source}, which is not such a folder",
            todo="leave them out",
        )
    if str(source) == "digits":
        if decoding.alpha or decoding.white or decoding.stream:
            raise ArgumentError(
                "--alpha, --white and --stream are for data of your own",
                got="digits",
                todo="leave them out",
            )
        return load_digits()
    if path.is_dir():
        return _from_array_folder(path, decoding)
    if path.is_file():
        return _from_file(path, decoding)
    return _from_pair(str(source), decoding)


def _from_array_folder(path: Path, decoding: Decoding) -> Dataset:
    if holds_tables(path):
        return load_tables(path, **_how(decoding))
    return (load_npy_folder if holds_npy(path) else load_idx_folder)(path, **_how(decoding))


def _from_pair(source: str, decoding: Decoding) -> Dataset:
    first, comma, second = source.partition(",")
    if not comma:
        raise UserFileError(
            f"there is no {source}", expected=KNOWN, todo="check the path given to --data"
        )
    pair = Path(first).expanduser(), Path(second).expanduser()
    arrays = all(path.suffix == ".npy" for path in pair)
    return (load_npy_pair if arrays else load_idx_pair)(*pair, **_how(decoding))


def _how(decoding: Decoding) -> dict[str, Any]:
    """What applies to arrays too."""
    return {"alpha": decoding.alpha, "white": decoding.white, "stream": decoding.stream}


def _from_folder(path: Path, decoding: Decoding) -> Dataset:
    if has_class_folders(path):
        return load_folder(path, decoding)
    raise UserFileError(
        f"the folder {path} holds no data that allbps knows",
        expected=f"folders of images, one for each class; or {NAMES}",
        got=", ".join(sorted(p.name for p in path.iterdir())[:5]) or "an empty folder",
        todo="for IDX files with other names give both: --data IMAGES,LABELS"
        if any("idx" in p.name for p in path.iterdir())
        else "",
    )


def _from_file(path: Path, decoding: Decoding) -> Dataset:
    if is_table(path):
        return load_tables(path, **_how(decoding))
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise UserFileError(f"{path} cannot be read: {error.strerror}") from error
    if path.suffix == ".npz" or start == b"PK\x03\x04":
        return load_npz(path, **_how(decoding))
    if start[:2] in (GZIP, b"\0\0") or "idx" in path.name:
        return load_idx_pair(path, **_how(decoding))
    raise UserFileError(
        f"{path} is not a kind of data that allbps knows", expected=KNOWN, got=f"a file {path.name}"
    )
