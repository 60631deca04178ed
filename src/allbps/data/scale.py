"""Which number is white: one scale for a whole data set, decided by the kind of its numbers.

Training, validation and held-out images are scaled alike, whatever the largest pixel in each is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.errors import UserFileError

BY_DTYPE = {"bool": 1.0, "uint8": 255.0, "uint16": 65535.0}
"""Kinds of numbers that images are made of, and what is white in them."""
DARK = 8
"""Images whose brightest pixel is less than white by more than this factor are remarked on."""


@dataclass(frozen=True)
class Note:
    """Something about a data set that its user should know.

    Attributes:
        text: in one sentence.
        heed: is it worth a warning, since it may not be what was wanted?

    """

    text: str
    heed: bool = True


def left_out(names: Sequence[str], what: str = "not part of the data set") -> list[Note]:
    """The remark on files or arrays that are not read.

    >>> left_out(["a.txt", "b.txt"], "not images")
    [Note(text='left out: 2 that are not images (a.txt, b.txt)', heed=True)]
    """
    if not names:
        return []
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return [
        Note(f"left out: {len(names)} that {'is' if len(names) == 1 else 'are'} {what} ({shown})")
    ]


@dataclass(frozen=True)
class Extent:
    """What the pixels of some images have in common.

    Attributes:
        kind: of their numbers: ``bool``, ``uint8``, ``uint16``, ``integer`` or ``float``.
        low, high: the least and the greatest.
        whole: is each a whole number?

    """

    kind: str
    low: float
    high: float
    whole: bool

    def joined(self, other: Extent) -> Extent:
        """Of both together; their kinds are equal."""
        return Extent(
            self.kind,
            min(self.low, other.low),
            max(self.high, other.high),
            self.whole and other.whole,
        )


def extent(source: str, pixels: NDArray[Any], first: int = 0) -> Extent:
    """The extent of raw pixels (N, …).

    Args:
        source: where they come from, for messages.
        pixels: any real dtype, not empty.
        first: the number of the first image.

    Raises:
        UserFileError: they are not numbers, or not finite.

    """
    kind = pixels.dtype.name if pixels.dtype.name in BY_DTYPE else ""
    if pixels.dtype.kind not in "biuf":
        raise UserFileError(
            f"the pixels of {source} are not numbers",
            expected="integers 0 … 255 or floats 0 … 1",
            got=f"dtype {pixels.dtype}",
        )
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        place = np.argwhere(~np.isfinite(pixels))[0]
        raise UserFileError(
            f"{source} has pixels that are not finite numbers",
            expected="numbers 0 … 1 or 0 … 255",
            got=f"{pixels[tuple(place)]} in image {first + place[0]}",
        )
    whole = pixels.dtype.kind != "f" or bool((pixels == np.rint(pixels)).all())
    low, high = float(pixels.min()) + 0.0, float(pixels.max()) + 0.0  # not -0
    return Extent(kind or ("float" if pixels.dtype.kind == "f" else "integer"), low, high, whole)


@dataclass(frozen=True)
class Scale:
    """Raw pixels divided by ``white`` are the numbers that a net sees.

    Attributes:
        white: what becomes 1.
        kind: of the raw numbers, for people.

    """

    white: float
    kind: str

    def __call__(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """The pixels as float32."""
        x = np.asarray(pixels, np.float32)
        return x if self.white == 1 else x / np.float32(self.white)

    def __str__(self) -> str:
        return f"{self.kind}, {self.white:g} becomes 1"


NAMES = {
    "bool": "true and false",
    "uint8": "8 bits",
    "uint16": "16 bits",
    "integer": "whole numbers",
    "float": "floats",
}


def choose_scale(source: str, extents: Iterable[Extent], asked: float | None) -> Scale:
    """The scale of all images of a data set.

    Booleans, 8 and 16 bits already say what is white: 1, 255 and 65535. Other integers are taken
    for 0 … 255. Floats up to 1 are taken as they are, whole ones up to 255 for 8 bits; anything
    else is refused, unless the user says what is white.

    Args:
        source: the data set, for messages.
        extents: one or more of each kind of number.
        asked: what the user says is white.

    Raises:
        UserFileError: pixels are out of range, or there are kinds that cannot be scaled alike.

    """
    kinds: dict[str, Extent] = {}
    for each in extents:
        kinds[each.kind] = kinds[each.kind].joined(each) if each.kind in kinds else each
    whites = {kind: asked or _white(found) for kind, found in kinds.items()}
    for kind, found in kinds.items():
        _check(source, found, whites[kind], asked)
    if len(set(whites.values())) > 1:
        raise UserFileError(
            f"the images of {source} are of different kinds",
            expected="the same dtype in training and held-out images",
            got=", ".join(f"{NAMES[kind]} (white is {w:g})" for kind, w in whites.items()),
            todo="save them in the same way",
        )
    return Scale(next(iter(whites.values())), " and ".join(NAMES[kind] for kind in kinds))


def _white(found: Extent) -> float:
    """What is white in one kind of number."""
    if found.kind == "float" and found.high <= 1:
        return 1.0
    return BY_DTYPE.get(found.kind, 255.0)


def _check(source: str, found: Extent, white: float, asked: float | None) -> None:
    broken = found.kind == "float" and white == 255 and not found.whole
    if found.low >= 0 and (asked or (found.high <= white and not broken)):
        return
    allowed = f"numbers 0 … {'1' if broken else f'{white:g}'}"
    raise UserFileError(
        f"{source} has pixels out of range",
        expected=allowed + (", or whole numbers 0 … 255" if broken else ""),
        got=f"numbers {found.low:g} … {found.high:g}",
        todo="scale them to 0 … 1 before saving"
        + ("" if found.low < 0 else f", or say what is white, as with --white {found.high:g}"),
    )


def darkness(extents: Sequence[Extent], scale: Scale) -> list[Note]:
    """A remark on images that are nearly black on this scale."""
    high = max((found.high for found in extents), default=scale.white)
    if high * DARK > scale.white or high == 0:
        return []
    return [
        Note(
            f"the images are dark: the largest pixel is {high:g}, and white is {scale.white:g}"
            f" in this kind of number ({scale.kind}); if it should be {high:g}: --white {high:g}"
        )
    ]
