"""Images that are read while they are learnt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.data.augment import Augmentation
from allbps.data.scale import Scale
from allbps.data.sources import CHUNK, Held, Source, Stamps
from allbps.data.sums import changed


@dataclass(frozen=True, eq=False)
class Streamed:
    """Images with their classes, of which only the labels are in memory.

    Attributes:
        source: the pixels of all images of the files.
        rows: (N,), which of them these are.
        labels: (N,), int64, each an index into ``classes``.
        classes: names of the classes.
        scale: of the pixels.
        written: what the files were like when the run began.
        sums: (all,), of each row of the source then.
        mean, spread: (C, 1, 1), what is taken off each channel, and what it is divided by.
        change: how images are changed, if they are.

    """

    source: Source
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    scale: Scale
    written: Stamps
    sums: NDArray[np.uint64] | None = None
    mean: NDArray[np.float32] | None = None
    spread: NDArray[np.float32] | None = None
    change: Augmentation | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        channels, height, width = self.source.shape[1:]
        whole = channels, height, width
        return self.change.shape(whole) if self.change else whole

    def take(self, index: NDArray[Any]) -> Streamed:
        """The images at ``index``."""
        return replace(self, rows=self.rows[index], labels=self.labels[index])

    def changed(self, change: Augmentation | None) -> Streamed:
        """The same images, changed in this way."""
        return replace(self, change=change)

    def normalised(self, mean: NDArray[Any], spread: NDArray[Any]) -> Streamed:
        """The same images with ``mean`` taken off, divided by ``spread``, both (C,)."""
        mean, spread = (np.asarray(a, np.float32)[:, None, None] for a in (mean, spread))
        return replace(self, mean=mean, spread=spread)

    def mean_and_spread(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """(mean, standard deviation) of each channel, (C,), over all images."""
        sums = np.zeros((2, self.source.shape[1]))
        each = max(1, CHUNK // (4 * int(np.prod(self.source.shape[1:]))))
        for start in range(0, len(self), each):
            rows = self.rows[start : start + each]
            x = self.scale(self._raw(rows)).astype(np.float64)
            sums += np.sum(x, (0, 2, 3)), np.sum(x * x, (0, 2, 3))
        mean, square = sums / (len(self) * np.prod(self.source.shape[2:]))
        spread = np.sqrt(np.maximum(square - mean**2, 0))
        return mean, np.where(spread > 0, spread, 1)

    def read(
        self, index: NDArray[Any], draws: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """The images at ``index``, (N, C, H, W), float32.

        Args:
            index: which.
            draws: how each is changed; None crops the middle.

        Raises:
            UserFileError: one is not what it was when the run began.

        """
        rows = self.rows[index]
        order = np.argsort(rows, kind="stable")  # in the order in which they lie in the file
        x = np.empty((len(rows), *self.source.shape[1:]), np.float32)
        x[order] = self.scale(self._raw(rows[order]))
        if self.change is not None:
            x = self.change(x, draws)
        if self.mean is not None and self.spread is not None:
            x = (x - self.mean) / self.spread
        return np.ascontiguousarray(x, np.float32)

    def _raw(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Raw pixels, the same as ever."""
        return self.source.take(rows, None if self.sums is None else self.sums[rows])

    def fetch(self, index: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """(images, labels) at ``index``, not changed by chance."""
        return self.read(index), self.labels[index]

    def check_unchanged(self) -> None:
        """Refuse files that are not what they were when the run began.

        Raises:
            UserFileError: they are not.

        """
        now = self.source.stamps()
        others = [path for path, stamp in self.written.items() if now[path] != stamp]
        if others:
            more = f" and {len(others) - 1} more" if len(others) > 1 else ""
            raise changed(f"{others[0]}{more} of another size or time of modification")


def as_streamed(images: Any) -> Streamed:
    """The same images as ones that may be changed on their way, in memory or not."""
    if isinstance(images, Streamed):
        return images
    rows = np.arange(len(images))
    held = Held(images.x)
    return Streamed(held, rows, images.labels, images.classes, Scale(1.0, ""), held.stamps())
