"""IDX files, the format of MNIST and Fashion-MNIST; plain or compressed with gzip.

Source of the format: Y. LeCun, C. Cortes, C. Burges, "The MNIST database", section "File formats".
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.data.images import Dataset, labelled, labelled_like
from allbps.errors import UserFileError

KINDS = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP = b"\x1f\x8b"
PARTS = ("train", "t10k")
NAMES = "train-images-idx3-ubyte and train-labels-idx1-ubyte, each also with .gz"


def read_idx(path: Path) -> NDArray[Any]:
    """The array in one IDX file.

    Raises:
        UserFileError: it is missing, not IDX, or not as long as its header says.

    """
    data = _bytes(path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in KINDS or data[3] == 0:
        raise UserFileError(
            f"{path} is not an IDX file",
            expected="a file that starts with 00 00, a kind of number (08 for bytes), and the"
            " number of axes",
            got=f"the bytes {data[:4].hex(' ') or '(none)'}",
        )
    dtype, axes = np.dtype(KINDS[data[2]]), data[3]
    start = 4 + 4 * axes
    if len(data) < start:
        raise _cut_short(path, start, len(data))
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", axes, 4))
    length = start + dtype.itemsize * int(np.prod(shape, dtype=object))
    if len(data) != length:
        raise _cut_short(path, length, len(data), shape)
    array = np.frombuffer(data, dtype, offset=start).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data[:2] == GZIP else data
    except FileNotFoundError:
        raise UserFileError(f"there is no file {path}", todo="check the path") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserFileError(f"{path} cannot be read: {error}") from error


def _cut_short(
    path: Path, expected: int, got: int, shape: tuple[int, ...] | None = None
) -> UserFileError:
    sizes = f", as its header says {'×'.join(map(str, shape))}" if shape else ""
    return UserFileError(
        f"{path} is {'truncated' if got < expected else 'longer than its header says'}",
        expected=f"{expected} bytes{sizes}",
        got=f"{got} bytes",
        todo="copy or download it again",
    )


def holds_idx(folder: Path) -> bool:
    """Does the folder hold the training files under their usual names?"""
    return _find(folder, "train", "images") is not None


def load_idx_folder(folder: Path) -> Dataset:
    """The four files of MNIST in one folder; the two test files may be missing.

    Raises:
        UserFileError: a file is missing or wrong.

    """
    pairs = {part: _pair(folder, part) for part in PARTS}
    found = pairs["train"]
    assert found is not None, "holds_idx saw the training images"
    train = labelled(str(folder), *_arrays(*found))
    held = pairs["t10k"]
    test = labelled_like(str(held[0]), *_arrays(*held), train) if held else None
    return Dataset(str(folder), train, test)


def load_idx_pair(images: Path, labels: Path | None = None) -> Dataset:
    """A file of images and a file of labels; the latter, if not named, lies beside the former.

    Raises:
        UserFileError: a file is missing or wrong.

    """
    if labels is None:
        labels = _sibling(images)
    return Dataset(str(images), labelled(str(images), *_arrays(images, labels)))


def _sibling(images: Path) -> Path:
    name = images.name.replace("images", "labels").replace("idx3", "idx1")
    for candidate in (name, name.removesuffix(".gz"), f"{name}.gz"):
        if candidate != images.name and (images.parent / candidate).is_file():
            return images.parent / candidate
    raise UserFileError(
        f"there are no labels for {images}",
        expected=f"{images.with_name(name)} beside it"
        if name != images.name
        else "a file of labels",
        todo="name both files: --data IMAGES,LABELS",
    )


def _pair(folder: Path, part: str) -> tuple[Path, Path] | None:
    images, labels = _find(folder, part, "images"), _find(folder, part, "labels")
    if images is None and labels is None:
        return None
    if images is None or labels is None:
        present = (images or labels or folder).name
        raise UserFileError(
            f"{folder} has {present} but no {part} {'labels' if images else 'images'}",
            expected=NAMES.replace("train", part),
        )
    return images, labels


def _find(folder: Path, part: str, what: str) -> Path | None:
    axes = 3 if what == "images" else 1
    for separator in "-.":
        for ending in ("", ".gz"):
            path = folder / f"{part}-{what}{separator}idx{axes}-ubyte{ending}"
            if path.is_file():
                return path
    return None


def _arrays(images: Path, labels: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """(N, C, H, W) pixels and (N,) labels."""
    pixels, classes = read_idx(images), read_idx(labels)
    if pixels.ndim not in (3, 4):
        raise UserFileError(
            f"{images} holds no images",
            expected="an array of images: count, height, width",
            got=f"an array of {pixels.ndim} {'axis' if pixels.ndim == 1 else 'axes'}",
        )
    if classes.ndim != 1:
        raise UserFileError(
            f"{labels} holds no labels",
            expected="an array of 1 axis: count",
            got=f"an array of {classes.ndim} axes",
        )
    return (pixels[:, None] if pixels.ndim == 3 else pixels), classes
