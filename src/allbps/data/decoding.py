"""Image files as arrays: every kind of file that Pillow can open, every kind of pixel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from allbps.data.arrays import on_ground
from allbps.data.scale import Extent, extent
from allbps.errors import ArgumentError, UserFileError
from allbps.extras import needs

if TYPE_CHECKING:
    from PIL.Image import Image

ALPHA = ("white", "channel")
GRAY = frozenset({"1", "L", "LA", "La", "F", "I", "I;16", "I;16B", "I;16L", "I;16N"})
OF_SIXTEEN_BITS = frozenset({"PNG", "PPM"})
"""Formats whose whole numbers of more than 8 bits Pillow gives in 32 bits, 65535 being white."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Source: ITU-R BT.601, the weights that Pillow uses too."""
TURNED = 5
"""EXIF orientations from here on exchange height and width."""


@dataclass(frozen=True)
class Decoding:
    """How files become arrays.

    Attributes:
        size: (height, width) to resize image files to; None leaves them, and they must agree.
        grayscale: one channel; None means one channel if every file is gray, else three.
        alpha: ``white`` lays transparent images on white, ``channel`` keeps alpha as the last
            channel; None means white for image files, and refuses arrays that may hold alpha.
        white: the number that becomes 1, where the kind of number does not say it.
        stream: read images while they are learnt; None does so where they would take much memory.

    """

    size: tuple[int, int] | None = None
    grayscale: bool | None = None
    alpha: str | None = None
    white: float | None = None
    stream: bool | None = None

    def __post_init__(self) -> None:
        if self.alpha is not None and self.alpha not in ALPHA:
            raise ArgumentError(
                "--alpha is not known", expected=" or ".join(ALPHA), got=str(self.alpha)
            )
        if self.white is not None and not 0 < self.white < np.inf:
            raise ArgumentError(
                "--white is out of range", expected="a number above 0", got=str(self.white)
            )


@dataclass(frozen=True)
class Header:
    """What a file says of itself before its pixels are read.

    Attributes:
        mode: Pillow's name for its kind of pixel.
        size: (height, width), turned as EXIF says.
        alpha: is there a transparency in it?
        frames: pictures in the file, of which the first is read.
        wide: 32-bit whole numbers or floats, which do not say what is white.
        narrowed: has it more bits a colour than the 8 that Pillow gives?

    """

    mode: str
    size: tuple[int, int]
    alpha: bool
    frames: int
    wide: bool
    narrowed: bool

    @property
    def gray(self) -> bool:
        """Has it no colour?"""
        return self.mode in GRAY


@dataclass(frozen=True)
class Form:
    """What every image of a data set is brought to.

    Attributes:
        gray: one channel of brightness, else three of colour.
        alpha: is alpha kept as a further channel?
        size: (height, width) to resize to, if any.
        whites: kind of number -> what is white in files that do not say it.

    """

    gray: bool
    alpha: bool
    size: tuple[int, int] | None
    whites: Mapping[str, float]


@cache
def endings() -> frozenset[str]:
    """How names of files end that Pillow can open.

    Raises:
        MissingExtraError: Pillow is not installed.

    """
    with needs("pillow", extra="train", purpose="reading image files"):
        from PIL import Image

    known = Image.registered_extensions()  # which loads every plugin
    return frozenset(ending for ending, kind in known.items() if kind in Image.OPEN)


def is_image(path: Path) -> bool:
    """Is it named as an image, or, whatever its name, recognised as one?"""
    if path.suffix.lower() in endings():
        return True
    from PIL import Image

    try:
        with Image.open(path):
            return True
    except (OSError, SyntaxError, ValueError):
        return False


def header(path: Path) -> Header:
    """What the file says of itself.

    Raises:
        UserFileError: it is not an image.

    """
    with _opened(path) as image:
        height, width = image.size[::-1]
        layout = str(getattr(image, "tile", ""))  # looking for EXIF may read all pixels
        turned = image.getexif().get(0x0112, 1) >= TURNED
        return Header(
            mode=image.mode,
            size=(width, height) if turned else (height, width),
            alpha=_has_alpha(image),
            frames=getattr(image, "n_frames", 1),
            wide=image.mode == "F" or (image.mode == "I" and image.format not in OF_SIXTEEN_BITS),
            narrowed=image.mode[:1] not in "IF" and ";16" in layout,
        )


def wide_extent(path: Path) -> Extent:
    """The extent of the numbers of a file that does not say what is white.

    Raises:
        UserFileError: it cannot be read.

    """
    return extent(str(path), np.asarray(_read(path))[None])


def decode(path: Path, form: Form, data: bytes | None = None) -> tuple[NDArray[np.float32], bool]:
    """The image (C, H, W) in [0, 1], and whether its drawing has vanished on white.

    Args:
        path: the file.
        form: what it is brought to.
        data: what the file holds, where it was read already.

    Raises:
        UserFileError: it cannot be read.

    """
    colour, cover = _planes(_read(path, data), form.whites)
    if form.gray and colour.shape[2] == 3:
        colour = colour @ LUMA[:, None]  # (H, W, 3) @ (3, 1) -> (H, W, 1)
    elif not form.gray and colour.shape[2] == 1:
        colour = np.repeat(colour, 3, axis=2)
    vanished = False
    if form.alpha:
        kept = np.ones_like(colour[..., :1]) if cover is None else cover
        colour = _resized_with_cover(colour, kept, form.size)
    else:
        if cover is not None:
            colour = on_ground(colour, cover)
            vanished = bool(np.ptp(colour) < 1 / 255 and np.ptp(cover) > 0)
        colour = _resized(colour, form.size)
    return colour.transpose(2, 0, 1), vanished


@contextmanager
def _opened(path: Path, data: bytes | None = None) -> Iterator[Image]:
    """The open file; whatever is wrong with it, found now or when its pixels are read, is said."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path if data is None else BytesIO(data)) as image:
            yield image
    except UnidentifiedImageError as error:
        raise _corrupt(path, "not an image" if path.stat().st_size else "empty") from error
    except Image.DecompressionBombError as error:
        raise _corrupt(path, f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise _corrupt(path, str(error)) from error


def _read(path: Path, data: bytes | None = None) -> Image:
    from PIL import ImageOps

    with _opened(path, data) as image:
        image.load()
        return ImageOps.exif_transpose(image)


def _corrupt(path: Path, reason: str) -> UserFileError:
    return UserFileError(
        f"the image file {path} cannot be read: {reason}", todo="replace it, or remove it"
    )


def _has_alpha(image: Image) -> bool:
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def _planes(
    image: Image, whites: Mapping[str, float]
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Colour (H, W, 1 or 3) and cover (H, W, 1), both in [0, 1]; None where all is covered."""
    mode = image.mode
    if mode in ("1", "F") or mode.startswith("I"):
        raw = np.asarray(image)
        clear = image.info.get("transparency")
        cover = None if clear is None else (raw != clear).astype(np.float32)[..., None]
        return (raw.astype(np.float32) / np.float32(_white(mode, whites)))[..., None], cover
    if not _has_alpha(image):
        plain = image.convert("L" if mode in GRAY else "RGB")
        return _bytes(plain), None
    both = _bytes(image.convert("LA" if mode in GRAY else "RGBA"))
    return both[..., :-1], both[..., -1:]


def _white(mode: str, whites: Mapping[str, float]) -> float:
    if mode in ("1", "F", "I"):
        return 1.0 if mode == "1" else whites.get("float" if mode == "F" else "integer", 65535.0)
    return 65535.0


def _bytes(image: Image) -> NDArray[np.float32]:
    """(H, W, C)."""
    array = np.asarray(image, np.float32) / np.float32(255)
    return array[..., None] if array.ndim == 2 else array


def _resized(planes: NDArray[np.float32], size: tuple[int, int] | None) -> NDArray[np.float32]:
    """(H, W, C), each channel resized by itself."""
    if size is None or planes.shape[:2] == size:
        return planes
    from PIL import Image

    height, width = size
    return np.stack(
        [
            np.asarray(
                Image.fromarray(np.ascontiguousarray(planes[..., k])).resize(
                    (width, height), Image.Resampling.BILINEAR
                )
            )
            for k in range(planes.shape[2])
        ],
        axis=-1,
    )


def _resized_with_cover(
    colour: NDArray[np.float32], cover: NDArray[np.float32], size: tuple[int, int] | None
) -> NDArray[np.float32]:
    """(H, W, C + 1): what is not covered lends its colour to no neighbour."""
    small = _resized(cover, size)
    weighted = _resized(colour * cover, size)
    own = np.divide(weighted, small, out=np.zeros_like(weighted), where=small > 0)
    return np.concatenate([own if size else colour, small], axis=-1)
