"""Holding images out: a split that keeps the shares of the classes."""

from __future__ import annotations

import numpy as np

from allbps.data.images import Examples
from allbps.data.windows import Windows, split_windows
from allbps.errors import ArgumentError


def split(images: Examples, share: float, rng: np.random.Generator) -> tuple[Examples, Examples]:
    """(kept, held out): of every class about ``share`` is held out, at random; of a text, its end.

    A class of two or more images has at least one on either side; a single one is kept.

    Raises:
        ArgumentError: the share is not between 0 and 1, or no image can be held out.

    """
    if not 0 < share < 1:
        raise ArgumentError(
            "the held-out fraction is out of range",
            expected="a number between 0 and 1",
            got=str(share),
        )
    if isinstance(images, Windows):
        return split_windows(images, share)
    held: list[int] = []
    for label in range(len(images.classes)):
        members = rng.permutation(np.flatnonzero(images.labels == label))
        count = min(max(round(share * len(members)), 1), len(members) - 1)
        held.extend(members[: max(count, 0)])
    if not held:
        raise ArgumentError(
            "too few images for a held-out set",
            expected="a class with at least two images",
            got=f"{len(images)} images of {len(images.classes)} classes",
        )
    out = np.zeros(len(images), bool)
    out[held] = True
    return images.take(np.flatnonzero(~out)), images.take(np.flatnonzero(out))
