"""IDX files, the format of MNIST and Fashion-MNIST; plain or compressed with gzip.

Source of the format: Y. LeCun, C. Cortes, C. Burges, "The MNIST database", section "File formats".
"""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.data.arrays import as_images
from allbps.data.images import Dataset, Raw, assemble
from allbps.data.scale import left_out
from allbps.errors import UserFileError

KINDS = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP = b"\x1f\x8b"
PARTS = {
    "train": ("train",),
    "test": ("t10k", "test"),
    "validation": ("val", "valid", "validation"),
}
"""Part of a data set -> how the names of its files call it."""
FILE = re.compile(
    r"(?P<prefix>.*?)(?P<part>train|t10k|test|valid|validation|val)-(?P<what>images|labels)"
    r"[-.]idx[1-4]-ubyte(\.gz)?"
)
NAMES = "train-images-idx3-ubyte and train-labels-idx1-ubyte, each also with .gz"


def read_idx(path: Path) -> NDArray[Any]:
    """The array in one IDX file: a view of the file where it is not compressed.

    Raises:
        UserFileError: it is missing, not IDX, or not as long as its header says.

    """
    data = _contents(path)
    if len(data) < 4 or bytes(data[:2]) != b"\0\0" or data[2] not in KINDS or data[3] == 0:
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
    return np.frombuffer(data, dtype, offset=start).reshape(shape)


def _contents(path: Path) -> memoryview:
    """What the file holds, without reading it where it is not compressed."""
    try:
        with path.open("rb") as file:
            if file.read(2) == GZIP:
                return memoryview(gzip.decompress(path.read_bytes()))
        if path.stat().st_size == 0:
            return memoryview(b"")
        mapped: Any = np.memmap(path, np.uint8, "r")
        return memoryview(mapped)
    except FileNotFoundError:
        raise UserFileError(f"there is no file {path}", todo="check the path") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserFileError(
            f"{path} cannot be read: {error}", todo="copy or download it again"
        ) from error


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
    """Does the folder hold training files under their usual names?"""
    return any(part == "train" and what == "images" for _, part, what in _found(folder))


def load_idx_folder(
    folder: Path,
    *,
    alpha: str | None = None,
    white: float | None = None,
    stream: bool | None = None,
) -> Dataset:
    """The four files of MNIST in one folder; the two test files may be missing.

    A prefix before the usual names, as EMNIST has one, is understood.

    Args:
        folder: where they lie.
        alpha: see ``Decoding``.
        white: see ``Decoding``.
        stream: see ``Decoding``.

    Raises:
        UserFileError: a file is missing or wrong, or the folder holds several data sets.

    """
    found = _found(folder)
    prefixes = sorted(
        {prefix for prefix, part, what in found if (part, what) == ("train", "images")}
    )
    if len(prefixes) > 1:
        raise UserFileError(
            f"{folder} holds several data sets",
            expected="one file of training images",
            got=", ".join(found[prefix, "train", "images"].name for prefix in prefixes),
            todo="name the files of one of them: --data IMAGES,LABELS",
        )
    raws = {
        part: _raw(*pair, alpha)
        for part in PARTS
        if (pair := _pair(folder, found, prefixes[0], part)) is not None
    }
    used = {path for (prefix, *_), path in found.items() if prefix == prefixes[0]}
    left = sorted(path.name for path in folder.iterdir() if "idx" in path.name and path not in used)
    twins = {name for name in left if name.removesuffix(".gz") in {path.name for path in used}}
    return assemble(
        str(folder),
        raws["train"],
        raws.get("test"),
        raws.get("validation"),
        white=white,
        stream=stream,
        notes=left_out([name for name in left if name not in twins]),
    )


def load_idx_pair(
    images: Path,
    labels: Path | None = None,
    *,
    alpha: str | None = None,
    white: float | None = None,
    stream: bool | None = None,
) -> Dataset:
    """A file of images and a file of labels; the latter, if not named, lies beside the former.

    Raises:
        UserFileError: a file is missing or wrong.

    """
    if labels is None:
        labels = _sibling(images)
    return assemble(str(images), _raw(images, labels, alpha), white=white, stream=stream)


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


Found = dict[tuple[str, str, str], Path]
"""(prefix, part, images or labels) -> the file."""


def _found(folder: Path) -> Found:
    """The files of the folder that are named as MNIST's are; packed ones only without others."""
    found: Found = {}
    for path in sorted(folder.iterdir(), reverse=True):  # so that the plain one replaces x.gz
        match = FILE.fullmatch(path.name)
        if match and path.is_file():
            part = next(part for part, names in PARTS.items() if match["part"] in names)
            found[match["prefix"], part, match["what"]] = path
    return found


def _pair(folder: Path, found: Found, prefix: str, part: str) -> tuple[Path, Path] | None:
    images, labels = found.get((prefix, part, "images")), found.get((prefix, part, "labels"))
    if images is None and labels is None:
        return None
    if images is None or labels is None:
        present = images or labels
        assert present is not None
        called = FILE.fullmatch(present.name)
        assert called is not None
        raise UserFileError(
            f"{folder} has {present.name} but no {called['part']} "
            + ("labels" if images else "images"),
            expected=NAMES.replace("train", prefix + called["part"]),
        )
    return images, labels


def _raw(images: Path, labels: Path, alpha: str | None) -> Raw:
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
    return Raw(str(images), as_images(str(images), pixels, alpha), classes)
