"""A folder that holds one folder of images for each class."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from allbps.data.images import Dataset, labelled, labelled_like
from allbps.errors import UserFileError
from allbps.extras import needs

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
TEST_FOLDERS = ("test", "val", "valid", "validation")
GRAY = frozenset({"1", "L", "LA", "I;16", "I;16B", "I;16L"})


@dataclass(frozen=True)
class Decoding:
    """How image files become arrays.

    Attributes:
        size: (height, width) to resize to; None leaves them, and they must agree.
        grayscale: one channel; None means one channel if every file is gray, else three.

    """

    size: tuple[int, int] | None = None
    grayscale: bool | None = None


@dataclass(frozen=True)
class File:
    """One image file and the name of its class."""

    path: Path
    label: str


def load_folder(folder: Path, decoding: Decoding) -> Dataset:
    """Images of class folders; ``train`` and ``test`` (or ``val``) folders of them are understood.

    Raises:
        UserFileError: fewer than two classes, an empty class folder, a file that is no image,
            images of different sizes.
        MissingExtraError: Pillow is not installed.

    """
    top = {path.name: path for path in _folders(folder)}
    held = next((top[name] for name in TEST_FOLDERS if name in top and "train" in top), None)
    train_folder = top["train"] if held else folder
    train_files = _files(train_folder)
    test_files = _files(held) if held else []
    pixels = _decode([*train_files, *test_files], decoding)
    split = len(train_files)
    names = np.array([file.label for file in (*train_files, *test_files)])
    train = labelled(str(train_folder), pixels[:split], names[:split])
    if held is None:
        return Dataset(str(folder), train)
    return Dataset(
        str(folder), train, labelled_like(str(held), pixels[split:], names[split:], train)
    )


def has_class_folders(folder: Path) -> bool:
    """Does the folder hold folders?"""
    return bool(_folders(folder))


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _files(folder: Path) -> list[File]:
    classes = _folders(folder)
    if len(classes) < 2:
        raise UserFileError(
            f"{folder} has fewer than two classes",
            expected="at least two folders of images, one for each class",
            got=", ".join(p.name for p in classes) or "no folders",
        )
    found = []
    for name in classes:
        files = sorted(p for p in name.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
        if not files:
            raise UserFileError(
                f"the class folder {name} holds no images",
                expected="files that end in " + ", ".join(sorted(SUFFIXES)),
                todo="put images there, or remove the folder",
            )
        found += [File(path, name.name) for path in files]
    return found


def _decode(files: list[File], decoding: Decoding) -> NDArray[Any]:
    """(N, C, H, W), uint8."""
    opened = [_open(file.path) for file in files]
    gray = decoding.grayscale
    if gray is None:
        gray = all(image.mode in GRAY for image in opened)
    arrays = [_array(image, gray, decoding.size) for image in opened]
    if decoding.size is None:
        _check_sizes(files, arrays)
    return np.stack(arrays).transpose(0, 3, 1, 2)  # (N, H, W, C) -> (N, C, H, W)


def _open(path: Path) -> Image:
    with needs("pillow", extra="train", purpose="reading image files"):
        from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            image.load()
            return ImageOps.exif_transpose(image)
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise _corrupt(path, "not an image" if path.stat().st_size else "empty") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise _corrupt(path, str(error)) from error


def _corrupt(path: Path, reason: str) -> UserFileError:
    return UserFileError(
        f"the image file {path} cannot be read: {reason}", todo="replace it, or remove it"
    )


def _array(image: Image, gray: bool, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """(H, W, C)."""
    from PIL import Image as Pillow

    if image.mode.startswith("I;16"):  # Pillow clips 16 bits where it should scale them
        image = Pillow.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    image = image.convert("L" if gray else "RGB")
    if size is not None:
        height, width = size
        image = image.resize((width, height), Pillow.Resampling.BILINEAR)
    array = np.asarray(image, np.uint8)
    return array[:, :, None] if gray else array


def _check_sizes(files: list[File], arrays: Iterable[NDArray[np.uint8]]) -> None:
    first: tuple[File, tuple[int, ...]] | None = None
    for file, array in zip(files, arrays, strict=True):
        first = first or (file, array.shape)
        if array.shape != first[1]:
            height, width = first[1][:2]
            raise UserFileError(
                "the images differ in size",
                expected=f"{height}×{width} everywhere, as in {first[0].path}",
                got=f"{array.shape[0]}×{array.shape[1]} in {file.path}",
                todo=f"--resize {height}x{width}",
            )
