"""Augmentation: each epoch sees every image a little changed, as the seed and the epoch say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allbps.errors import ArgumentError

AUGMENT_STREAM = 4
"""Keeps what is drawn here apart from the other random numbers of a run."""
KINDS = "shift=PIXELS, crop=PIXELS, flip"


@dataclass(frozen=True)
class Augmentation:
    """How training images are changed; held-out images are only cropped, in the middle.

    Attributes:
        shift: images are moved by up to so many pixels; what comes in at the edge repeats it.
        crop: so many rows and columns are cut off, anywhere.
        flip: are images mirrored left to right, every second on average?

    """

    shift: int = 0
    crop: int = 0
    flip: bool = False

    def shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """(C, H, W) of a changed image.

        Raises:
            ArgumentError: nothing would be left.

        """
        channels, height, width = shape
        if min(height, width) <= self.crop:
            raise ArgumentError(
                "the images are too small for --augment crop",
                expected=f"more than {self.crop} rows and columns",
                got=f"{height}×{width}",
            )
        return channels, height - self.crop, width - self.crop

    def draws(self, count: int, seed: int, epoch: int) -> NDArray[np.int64]:
        """What becomes of each of ``count`` images in an epoch: (count, 3), down, right, mirrored.

        It depends on seed, epoch and the number of the image only.
        """
        rng = np.random.default_rng([seed, AUGMENT_STREAM, epoch])
        room = 2 * self.shift + self.crop
        places = rng.integers(0, room + 1, (count, 2))
        return np.column_stack([places, rng.integers(0, 2, count) * self.flip])

    def __call__(
        self, x: NDArray[np.float32], draws: NDArray[np.int64] | None
    ) -> NDArray[np.float32]:
        """Images (N, C, H, W), changed; with no draws only cropped in the middle."""
        _, height, width = self.shape(x.shape[1:])
        if draws is None:
            start = self.crop // 2
            return x[:, :, start : start + height, start : start + width]
        edges = ((0, 0), (0, 0), (self.shift, self.shift), (self.shift, self.shift))
        padded = np.pad(x, edges, mode="edge")
        down = (draws[:, 0, None] + np.arange(height))[:, None, :, None]  # (N, 1, H, 1)
        across = np.arange(width)
        columns = np.where(draws[:, 2, None] == 1, across[::-1], across)  # (N, W)
        right = (draws[:, 1, None] + columns)[:, None, None, :]  # (N, 1, 1, W)
        rows = np.arange(len(x))[:, None, None, None]
        channels = np.arange(x.shape[1])[None, :, None, None]
        return np.asarray(padded[rows, channels, down, right])


def augmentation(text: str) -> Augmentation:
    """``shift=2,flip`` as an augmentation.

    Raises:
        ArgumentError: it is none.

    >>> augmentation("shift=2,flip")
    Augmentation(shift=2, crop=0, flip=True)
    """
    found: dict[str, int | bool] = {}
    for word in text.split(","):
        name, equals, number = word.strip().partition("=")
        if name == "flip" and not equals:
            found[name] = True
        elif name in ("shift", "crop") and number.isdecimal() and int(number) > 0:
            found[name] = int(number)
        else:
            raise ArgumentError("--augment is not understood", expected=KINDS, got=word)
    return Augmentation(**found)  # type: ignore[arg-type]
