"""Arrays of images, however their axes are arranged, as (N, C, H, W)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.data.scale import BY_DTYPE
from allbps.errors import UserFileError

COLOURS, WITH_ALPHA = (1, 3), (2, 4)
"""Numbers of channels without and with one for alpha."""


def as_images(source: str, pixels: NDArray[Any], alpha: str | None = None) -> NDArray[Any]:
    """Images as (N, C, H, W).

    Args:
        source: where they come from, for messages.
        pixels: (N, H, W), (N, H, W, C), (N, C, H, W) or rows of H·H pixels.
        alpha: what to do with a last channel that is alpha, see ``Decoding``.

    Raises:
        UserFileError: these are not images, or it cannot be told which axis is which.

    """
    shape = pixels.shape
    side = round(shape[1] ** 0.5) if len(shape) == 2 else 0
    if len(shape) == 2 and side * side == shape[1]:
        return pixels.reshape(len(pixels), 1, side, side)
    if len(shape) == 3:
        return pixels[:, None]
    if len(shape) == 4:
        images = _channels_first(source, pixels)
        if images is not None:
            return _without_alpha(source, images, alpha)
    raise UserFileError(
        f"{source} holds no images",
        expected="shape (N, H, W), (N, C, H, W) or (N, H, W, C) with 1 or 3 channels (2 or 4 with"
        " alpha), or (N, H·H)",
        got=f"shape {shape}",
    )


def _channels_first(source: str, pixels: NDArray[Any]) -> NDArray[Any] | None:
    """(N, C, H, W); None where neither axis can be channels."""
    for known in (COLOURS, COLOURS + WITH_ALPHA):
        first, last = pixels.shape[1] in known, pixels.shape[3] in known
        if first and last and not pixels.shape[1:] == (1, pixels.shape[2], 1):
            raise UserFileError(
                f"it cannot be told whether {source} has its channels first or last",
                expected="shape (N, C, H, W) or (N, H, W, C)",
                got=f"shape {pixels.shape}",
                todo="pad the images with rows and columns, so that only one axis can be channels",
            )
        if first:
            return pixels
        if last:
            return pixels.transpose(0, 3, 1, 2)
    return None


def _without_alpha(source: str, images: NDArray[Any], alpha: str | None) -> NDArray[Any]:
    channels = images.shape[1]
    if channels not in WITH_ALPHA or alpha == "channel":
        return images
    if alpha is None:
        raise UserFileError(
            f"{source} has {channels} channels, of which the last may be alpha",
            expected="1 or 3 channels, or --alpha for the last one",
            got=f"shape {images.shape}",
            todo="--alpha white lays the images on white; --alpha channel keeps every channel",
        )
    colour, cover = images[:, :-1], images[:, -1:]
    white = np.float32(BY_DTYPE.get(images.dtype.name, 1.0 if images.max() <= 1 else 255.0))
    laid = white * on_ground(colour / white, cover / white)
    return (
        laid.astype(images.dtype)
        if images.dtype.kind == "f"
        else np.rint(laid).astype(images.dtype)
    )


def on_ground(colour: NDArray[Any], cover: NDArray[Any]) -> NDArray[Any]:
    """Colours in [0, 1] laid on white, as far as they cover it."""
    return np.asarray(colour * cover + (1 - cover), np.float32)
