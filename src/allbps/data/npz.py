"""NumPy's ``.npz`` archives of images and labels."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.data.arrays import as_images
from allbps.data.images import Dataset, Raw, assemble
from allbps.data.scale import left_out
from allbps.errors import UserFileError

TRAIN_KEYS = (
    ("x_train", "y_train"),
    ("train_images", "train_labels"),
    ("X_train", "y_train"),
    ("images", "labels"),
    ("X", "y"),
    ("x", "y"),
    ("data", "target"),
)
TEST_KEYS = (("x_test", "y_test"), ("test_images", "test_labels"), ("X_test", "y_test"))
VALIDATION_KEYS = (
    ("x_val", "y_val"),
    ("x_valid", "y_valid"),
    ("x_validation", "y_validation"),
    ("val_images", "val_labels"),
    ("validation_images", "validation_labels"),
    ("X_val", "y_val"),
    ("X_valid", "y_valid"),
)
ZIP, EMPTY_ZIP, NPY = b"PK\x03\x04", b"PK\x05\x06", b"\x93NUMPY"
"""How an archive, one without members, and a single array start."""


def load_npz(
    path: Path,
    *,
    alpha: str | None = None,
    white: float | None = None,
    stream: bool | None = None,
) -> Dataset:
    """Images and labels of an archive under one of the usual pairs of keys.

    Raises:
        UserFileError: the archive cannot be read, or has no such keys, or what it holds is wrong.

    """
    return load_arrays(path, _read(path), alpha=alpha, white=white, stream=stream)


def holds_npy(folder: Path) -> bool:
    """Does the folder hold training images as single arrays, ``x_train.npy`` and so on?"""
    names = {path.stem for path in folder.glob("*.npy")}
    return any(set(pair) <= names for pair in TRAIN_KEYS)


def load_npy_folder(
    folder: Path,
    *,
    alpha: str | None = None,
    white: float | None = None,
    stream: bool | None = None,
) -> Dataset:
    """A folder of ``.npy`` files under the names that an archive has, mapped into memory.

    Raises:
        UserFileError: as ``load_arrays``; a file is not an array.

    """
    arrays = {path.stem: read_npy(path) for path in sorted(folder.glob("*.npy"))}
    return load_arrays(folder, arrays, alpha=alpha, white=white, stream=stream)


def load_npy_pair(
    images: Path,
    labels: Path,
    *,
    alpha: str | None = None,
    white: float | None = None,
    stream: bool | None = None,
) -> Dataset:
    """A file of images and a file of labels, mapped into memory.

    Raises:
        UserFileError: as ``load_arrays``; a file is not an array.

    """
    arrays = {"images": read_npy(images), "labels": read_npy(labels)}
    return load_arrays(images, arrays, alpha=alpha, white=white, stream=stream)


def read_npy(path: Path) -> NDArray[Any]:
    """The array in one file, as a view of the file.

    Raises:
        UserFileError: there is none.

    """
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except FileNotFoundError:
        raise UserFileError(f"there is no file {path}", todo="check the path") from None
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        objects = "Python objects" in str(error) or "pickle" in str(error).lower()
        raise UserFileError(
            f"{path} " + ("holds Python objects" if objects else f"is not an array: {error}"),
            expected="an array of numbers, written by np.save",
            todo="np.stack(images) before np.save: images of one size, labels of one kind"
            if objects
            else "copy or download it again",
        ) from error


def load_arrays(
    path: Path,
    arrays: Mapping[str, NDArray[Any]],
    *,
    alpha: str | None = None,
    white: float | None = None,
    stream: bool | None = None,
) -> Dataset:
    """Images and labels under one of the usual pairs of names.

    Names, the first pair that is there: ``x_train, y_train``; ``train_images, train_labels``;
    ``X_train, y_train``; ``images, labels``; ``X, y``; ``x, y``; ``data, target``. Test images, if
    any, under ``x_test, y_test`` and so on, validation images under ``x_val, y_val`` and so on.
    ``classes`` may name the classes. Images are (N, H, W), (N, H, W, C), (N, C, H, W) or rows of
    H·H pixels.

    Args:
        path: where the arrays come from, for messages.
        arrays: by name.
        alpha: see ``Decoding``.
        white: see ``Decoding``.
        stream: see ``Decoding``.

    Raises:
        UserFileError: there are no such names, or what is there is wrong.

    """
    keys = _first(TRAIN_KEYS, arrays)
    if keys is None:
        raise UserFileError(
            f"{path} has no images and labels under names that allbps knows",
            expected="one of " + "; ".join(", ".join(pair) for pair in TRAIN_KEYS),
            got=", ".join(sorted(arrays)) or "an empty archive",
            todo="np.savez(path, images=…, labels=…)",
        )
    held, deciding = _first(TEST_KEYS, arrays), _first(VALIDATION_KEYS, arrays)

    def raw(pair: tuple[str, str]) -> Raw:
        source = str(path) if pair is keys else f"{pair[0]} in {path}"
        return Raw(source, *_pair(path, arrays, pair, alpha))

    used = {"classes", *keys, *(held or ()), *(deciding or ())}
    return assemble(
        str(path),
        raw(keys),
        raw(held) if held else None,
        raw(deciding) if deciding else None,
        classes=_class_names(path, arrays["classes"]) if "classes" in arrays else None,
        white=white,
        stream=stream,
        notes=left_out(sorted(set(arrays) - used)),
    )


def _first(
    pairs: tuple[tuple[str, str], ...], arrays: Mapping[str, NDArray[Any]]
) -> tuple[str, str] | None:
    return next((pair for pair in pairs if set(pair) <= set(arrays)), None)


def _read(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file:  # np.load leaves a file open that it cannot read
            _check_start(path, file.read(6))
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                found = {key: _member(path, archive, key) for key in archive.files}
    except (EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise UserFileError(
            f"{path} is a damaged .npz archive: {error}",
            expected="an archive as written by np.savez",
            got=f"{path.stat().st_size} bytes",
            todo="copy or download it again",
        ) from error
    except OSError as error:
        raise UserFileError(f"{path} cannot be read: {error.strerror or error}") from error
    return {key: array for key, array in found.items() if isinstance(array, np.ndarray)}


def _check_start(path: Path, start: bytes) -> None:
    if start[:4] in (ZIP, EMPTY_ZIP):
        return
    got = f"the bytes {start.hex(' ')}"
    if start == NPY:
        got = "one array, written by np.save"
    raise UserFileError(
        f"{path} is not an .npz archive" if start else f"{path} is empty",
        expected="an archive of arrays, written by np.savez",
        got=got if start else "0 bytes",
        todo="np.savez(path, images=…, labels=…)",
    )


def _member(path: Path, archive: Any, key: str) -> Any:
    """One array of the archive; the bytes of a file in it that is none."""
    try:
        return archive[key]
    except (ValueError, SyntaxError, tokenize.TokenError) as error:
        objects = "pickle" in str(error)
        raise UserFileError(
            f"{key} in {path} " + ("holds Python objects" if objects else f"is damaged: {error}"),
            expected="an array of numbers",
            got="an array of dtype object" if objects else "",
            todo="np.stack(images) before np.savez: images of one size, labels of one kind"
            if objects
            else "copy or download the archive again",
        ) from error


def _class_names(path: Path, names: NDArray[Any]) -> list[str]:
    if names.ndim != 1:
        raise UserFileError(
            f"classes in {path} is not a list of names",
            expected="one name for each class, shape (K,)",
            got=f"shape {names.shape}",
        )
    return [str(name) for name in names]


def _pair(
    path: Path, arrays: Mapping[str, NDArray[Any]], keys: tuple[str, str], alpha: str | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    pixels, labels = arrays[keys[0]], arrays[keys[1]]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise UserFileError(
            f"{keys[1]} in {path} is not a list of labels",
            expected="one label for each image, shape (N,)",
            got=f"shape {labels.shape}",
        )
    return as_images(f"{keys[0]} in {path}", pixels, alpha), labels
