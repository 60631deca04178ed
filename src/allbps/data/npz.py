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

from allbps.data.images import Dataset, labelled, labelled_like
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
CHANNELS = (1, 3)
ZIP, EMPTY_ZIP, NPY = b"PK\x03\x04", b"PK\x05\x06", b"\x93NUMPY"
"""How an archive, one without members, and a single array start."""


def load_npz(path: Path) -> Dataset:
    """Images and labels under one of the usual pairs of keys.

    Keys, the first pair that is there: ``x_train, y_train``; ``train_images, train_labels``;
    ``X_train, y_train``; ``images, labels``; ``X, y``; ``x, y``; ``data, target``. Test images, if
    any, under ``x_test, y_test`` and so on. ``classes`` may name the classes. Images are (N, H, W),
    (N, H, W, C), (N, C, H, W) or rows of H·H pixels.

    Raises:
        UserFileError: the archive cannot be read, or has no such keys, or what it holds is wrong.

    """
    arrays = _read(path)
    keys = next((pair for pair in TRAIN_KEYS if set(pair) <= set(arrays)), None)
    if keys is None:
        raise UserFileError(
            f"{path} has no images and labels under names that allbps knows",
            expected="one of " + "; ".join(", ".join(pair) for pair in TRAIN_KEYS),
            got=", ".join(sorted(arrays)) or "an empty archive",
            todo="np.savez(path, images=…, labels=…)",
        )
    classes = _class_names(path, arrays["classes"]) if "classes" in arrays else None
    train = labelled(str(path), *_pair(path, arrays, keys), classes)
    held = next((pair for pair in TEST_KEYS if set(pair) <= set(arrays)), None)
    if held is None:
        return Dataset(str(path), train)
    pixels, labels = _pair(path, arrays, held)
    if classes is not None:
        return Dataset(
            str(path), train, labelled(f"{held[0]} in {path}", pixels, labels, train.classes)
        )
    return Dataset(str(path), train, labelled_like(f"{held[0]} in {path}", pixels, labels, train))


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
            expected="an archive as np.savez wrote it",
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
        f"{path} is no .npz archive" if start else f"{path} is empty",
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
            f"classes in {path} is no list of names",
            expected="one name for each class, shape (K,)",
            got=f"shape {names.shape}",
        )
    return [str(name) for name in names]


def _pair(
    path: Path, arrays: Mapping[str, NDArray[Any]], keys: tuple[str, str]
) -> tuple[NDArray[Any], NDArray[Any]]:
    pixels, labels = arrays[keys[0]], arrays[keys[1]]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise UserFileError(
            f"{keys[1]} in {path} is no list of labels",
            expected="one label for each image, shape (N,)",
            got=f"shape {labels.shape}",
        )
    return _nchw(f"{keys[0]} in {path}", pixels), labels


def _nchw(source: str, pixels: NDArray[Any]) -> NDArray[Any]:
    """Images as (N, C, H, W)."""
    shape = pixels.shape
    side = round(shape[1] ** 0.5) if len(shape) == 2 else 0
    if len(shape) == 2 and side * side == shape[1]:
        return pixels.reshape(len(pixels), 1, side, side)
    if len(shape) == 3:
        return pixels[:, None]
    if len(shape) == 4 and shape[1] in CHANNELS:
        return pixels
    if len(shape) == 4 and shape[3] in CHANNELS:
        return pixels.transpose(0, 3, 1, 2)
    raise UserFileError(
        f"{source} holds no images",
        expected="shape (N, H, W), (N, C, H, W) or (N, H, W, C) with 1 or 3 channels, or (N, H·H)",
        got=f"shape {shape}",
    )
