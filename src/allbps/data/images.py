"""Labelled images in memory, and the checks that every source of them passes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.data.windows import Windows
from allbps.errors import UserFileError


@dataclass(frozen=True, eq=False)
class Images:
    """Images with their classes.

    Attributes:
        x: (N, C, H, W), float32 in [0, 1].
        labels: (N,), int64, each an index into ``classes``.
        classes: names of the classes.

    """

    x: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        channels, height, width = self.x.shape[1:]
        return channels, height, width

    def take(self, index: NDArray[Any]) -> Images:
        """The images at ``index``."""
        return Images(self.x[index], self.labels[index], self.classes)


Examples = Images | Windows
"""What a net can learn from."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """What a source holds.

    Attributes:
        name: what the user called it.
        train: the examples to learn from.
        test: those that the source itself holds out, if it does.

    """

    name: str
    train: Examples
    test: Examples | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Hash of every pixel and label: equal for equal data only."""
        digest = hashlib.sha256()
        for part in (self.train, self.test):
            if part is not None:
                digest.update(f"{part.x.shape} {part.classes}".encode())
                digest.update(np.ascontiguousarray(part.x).data)
                digest.update(np.ascontiguousarray(part.labels).data)
        return digest.hexdigest()


def labelled(
    source: str, pixels: NDArray[Any], labels: NDArray[Any], classes: Sequence[str] | None = None
) -> Images:
    """Images from raw pixels and raw labels.

    Args:
        source: the file or folder, for messages.
        pixels: (N, C, H, W), any real dtype; integers are divided by the largest value of their
            kind (255, or 65535 for 16 bits), floats above 1 by 255.
        labels: (N,), integers or names.
        classes: their names; without it the distinct labels, sorted, are the classes.

    Raises:
        UserFileError: counts differ, no or too few classes, NaN pixels, pixels or labels out of
            range.

    """
    if len(pixels) != len(labels):
        more, fewer = ("images", "labels") if len(pixels) > len(labels) else ("labels", "images")
        raise UserFileError(
            f"{source} has more {more} than {fewer}",
            expected="one label for each image",
            got=f"{len(pixels)} images and {len(labels)} labels",
        )
    if len(labels) == 0:
        raise UserFileError(f"{source} holds no images", expected="at least two classes of images")
    x = unit_range(source, pixels)
    index, names = _indices(source, labels, classes)
    if len(names) < 2:
        raise UserFileError(
            f"{source} has fewer than two classes",
            expected="images of at least two classes, so that there is something to tell apart",
            got=f"only {names[0]}",
        )
    return Images(x, index, names)


def unit_range(source: str, pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Pixels as float32 in [0, 1].

    Raises:
        UserFileError: a pixel is not finite, negative or too large.

    """
    if pixels.dtype.kind not in "biuf":
        raise UserFileError(
            f"the pixels of {source} are not numbers",
            expected="integers 0 … 255 or floats 0 … 1",
            got=f"dtype {pixels.dtype}",
        )
    if pixels.size == 0:
        raise UserFileError(f"the images of {source} are empty", got=f"shape {pixels.shape}")
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        first = np.argwhere(~np.isfinite(pixels))[0]
        raise UserFileError(
            f"{source} has pixels that are not finite numbers",
            expected="numbers 0 … 1 or 0 … 255",
            got=f"{pixels[tuple(first)]} in image {first[0]}",
        )
    low, high = float(pixels.min()), float(pixels.max()) + 0.0  # not -0
    top = _top(pixels.dtype, high)
    if low < 0 or high > top:
        raise UserFileError(
            f"{source} has pixels out of range",
            expected=f"numbers 0 … {top:g}",
            got=f"numbers {low:g} … {high:g}",
            todo="scale them to 0 … 1 before saving",
        )
    return (np.asarray(pixels, np.float32) / np.float32(top)).astype(np.float32)


def _top(dtype: np.dtype[Any], high: float) -> float:
    """The value that means white."""
    if dtype.kind == "b" or (dtype.kind == "f" and high <= 1):
        return 1.0
    return 65535.0 if dtype == np.uint16 and high > 255 else 255.0


def _indices(
    source: str, labels: NDArray[Any], classes: Sequence[str] | None
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Labels as indices into the names of the classes."""
    labels = _whole(labels)
    if labels.dtype.kind == "U" and classes is None:
        names, index = np.unique(labels, return_inverse=True)
        return index.astype(np.int64), tuple(map(str, names))
    if labels.dtype.kind not in "iu":
        raise UserFileError(
            f"the labels of {source} are not classes",
            expected="one integer, or one name, for each image",
            got=f"dtype {labels.dtype}",
        )
    allowed = f"0 … {len(classes) - 1}" if classes else "0, 1, 2, …"
    wrong = (labels < 0) | (labels >= len(classes)) if classes else labels < 0
    if wrong.any():
        first = int(np.argmax(wrong))
        raise UserFileError(
            f"{source} has labels out of range",
            expected=f"labels {allowed}",
            got=f"{labels[first]} for image {first}",
        )
    if classes:
        return labels.astype(np.int64), tuple(classes)
    values, index = np.unique(labels, return_inverse=True)
    return index.astype(np.int64), tuple(map(str, values))


def labelled_like(source: str, pixels: NDArray[Any], labels: NDArray[Any], train: Images) -> Images:
    """Held-out images: of the size and the classes of ``train``.

    Raises:
        UserFileError: they are not, or what ``labelled`` raises.

    """
    names = _whole(labels).astype(str)
    known = {name: k for k, name in enumerate(train.classes)}
    strange = [name for name in np.unique(names) if name not in known]
    if strange:
        raise UserFileError(
            f"{source} has labels out of range",
            expected="the classes of the training images: " + _some(train.classes),
            got=f"{strange[0]} for image {int(np.argmax(names == strange[0]))}",
        )
    index = np.array([known[name] for name in names], np.int64)
    held = labelled(source, pixels, index, train.classes)
    if held.shape != train.shape:
        raise UserFileError(
            f"the images of {source} differ in size from the training images",
            expected=size_text(train.shape),
            got=size_text(held.shape),
        )
    return held


def _whole(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels such as 3.0, which other programs save, as integers."""
    if labels.dtype.kind == "f" and np.array_equal(labels, np.rint(labels)):
        return labels.astype(np.int64)
    return labels


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (" …" if len(names) > 10 else "")


def size_text(shape: tuple[int, int, int]) -> str:
    """``28×28, 1 channel``: height, width, channels.

    >>> size_text((3, 32, 30))
    '32×30, 3 channels'
    """
    channels, height, width = shape
    return f"{height}×{width}, {channels} channel{'s' if channels > 1 else ''}"
