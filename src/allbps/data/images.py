"""Labelled images, and the checks that every source of them passes."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.data.labels import indices, indices_like
from allbps.data.scale import Extent, Note, Scale, choose_scale, darkness, extent
from allbps.data.sources import IN_MEMORY, Source, chunks, digest, float_bytes, source_of
from allbps.data.stream import Streamed
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

    def fetch(self, index: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """(images, labels) at ``index``."""
        return self.x[index], self.labels[index]


Examples = Images | Streamed | Windows
"""What a net can learn from."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """What a source holds.

    Attributes:
        name: what the user called it.
        train: the examples to learn from.
        test: those that the source itself holds out, if it does.
        validation: those by which it wants decided when to stop, if it has any.
        notes: what was decided in reading it, for people.
        digest: hash of everything in its files, where it was made while they were read.

    """

    name: str
    train: Examples
    test: Examples | None = None
    validation: Examples | None = None
    notes: tuple[Note, ...] = ()
    digest: str = ""

    @cached_property
    def fingerprint(self) -> str:
        """Hash of every pixel and label: equal for equal data only."""
        if self.digest:
            return self.digest
        found = hashlib.sha256()
        for part in (self.train, self.test, self.validation):
            if part is not None and not isinstance(part, Streamed):
                found.update(f"{part.x.shape} {part.classes}".encode())
                found.update(np.ascontiguousarray(part.x).data)
                found.update(np.ascontiguousarray(part.labels).data)
        return found.hexdigest()


@dataclass(frozen=True, eq=False)
class Raw:
    """Images and labels as a file holds them.

    Attributes:
        source: the file or folder, for messages.
        pixels: (N, C, H, W), any real dtype: an array, or what reads it by rows.
        labels: (N,), integers or names.

    """

    source: str
    pixels: NDArray[Any] | Source
    labels: NDArray[Any]

    @cached_property
    def rows(self) -> Source:
        """The pixels, read by rows."""
        if not isinstance(self.pixels, np.ndarray):
            return self.pixels
        return source_of(self.pixels)

    def extent(self) -> Extent:
        """What all its pixels have in common."""
        found = [extent(self.source, part, start) for start, part in chunks(self.rows)]
        return functools.reduce(Extent.joined, found)


def assemble(
    name: str,
    train: Raw,
    test: Raw | None = None,
    validation: Raw | None = None,
    *,
    classes: Sequence[str] | None = None,
    white: float | None = None,
    scale: Scale | None = None,
    stream: bool | None = None,
    notes: Sequence[Note] = (),
) -> Dataset:
    """A data set from the images and labels of its parts: one scale, one size, one set of classes.

    Args:
        name: what the user called it.
        train: what is learnt from.
        test: what is held out, if anything is.
        validation: what decides when to stop, if anything does.
        classes: names of the classes; without it the distinct training labels, sorted.
        white: the number that is white, where the kind of number does not say it.
        scale: where it is known.
        stream: leave the pixels in the files, and read them while they are learnt; None does so
            where they would take much memory.
        notes: what is already to be said.

    Raises:
        UserFileError: counts differ, no or too few classes, NaN pixels, pixels or labels out of
            range, held-out images of another size or class.

    """
    parts = [raw for raw in (train, test, validation) if raw is not None]
    for raw in parts:
        _check_counts(raw)
    index, names = indices(train.source, train.labels, classes)
    extents = [] if scale else [raw.extent() for raw in parts]
    chosen = scale or choose_scale(name, extents, white)
    if stream is None:
        stream = float_bytes([raw.rows for raw in parts]) > IN_MEMORY
    found = hashlib.sha256(f"{chosen} {names}".encode())

    def read(raw: Raw, own: NDArray[np.int64]) -> Images | Streamed:
        stamps = raw.rows.stamps()  # before all is read: what changes meanwhile counts as changed
        sums = digest(raw.rows, found)
        found.update(own.data)
        everything = np.arange(len(own))
        if stream:
            return Streamed(raw.rows, everything, own, names, chosen, stamps, sums)
        return Images(chosen(raw.rows.take(everything, sums)), own, names)

    if len(names) < 2:
        raise UserFileError(
            f"{train.source} has fewer than two classes",
            expected="images of at least two classes, so that there is something to tell apart",
            got=f"only {names[0]}",
        )

    def held(raw: Raw | None) -> Images | Streamed | None:
        if raw is None:
            return None
        own = (
            indices(raw.source, raw.labels, names)[0]
            if classes is not None
            else indices_like(raw.source, raw.labels, names)
        )
        _check_size(raw, train)
        return read(raw, own)

    learnt, judged, deciding = read(train, index), held(test), held(validation)
    said = [Note(f"pixels: {chosen.kind if scale else chosen}", heed=False)]
    said += darkness(extents, chosen)
    if stream:
        said.append(Note("the images are read during training", heed=False))
    return Dataset(name, learnt, judged, deciding, (*said, *notes), found.hexdigest())


def _check_counts(raw: Raw) -> None:
    images, labels = raw.rows.shape[0], len(raw.labels)
    if images != labels:
        more, fewer = ("images", "labels") if images > labels else ("labels", "images")
        raise UserFileError(
            f"{raw.source} has more {more} than {fewer}",
            expected="one label for each image",
            got=f"{images} images and {labels} labels",
        )
    if labels == 0:
        raise UserFileError(
            f"{raw.source} holds no images", expected="at least two classes of images"
        )
    if 0 in raw.rows.shape:
        raise UserFileError(f"the images of {raw.source} are empty", got=f"shape {raw.rows.shape}")


def _check_size(raw: Raw, train: Raw) -> None:
    if raw.rows.shape[1:] != train.rows.shape[1:]:
        raise UserFileError(
            f"the images of {raw.source} differ in size from the training images",
            expected=size_text(train.rows.shape[1:]),
            got=size_text(raw.rows.shape[1:]),
        )


def size_text(shape: tuple[int, ...]) -> str:
    """``28×28, 1 channel``: height, width, channels.

    >>> size_text((3, 32, 30))
    '32×30, 3 channels'
    """
    channels, height, width = shape
    return f"{height}×{width}, {channels} channel{'s' if channels > 1 else ''}"
