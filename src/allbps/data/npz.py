"""NumPy's ``.npz`` archives of images and labels."""

from __future__ import annotations

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
    classes = [str(name) for name in arrays["classes"]] if "classes" in arrays else None
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
        # np.load leaves a file open that it opened itself and cannot read
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise UserFileError(
            f"{path} cannot be read as an .npz archive: {error}",
            expected="an archive written by np.savez, with arrays of numbers",
        ) from error


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
