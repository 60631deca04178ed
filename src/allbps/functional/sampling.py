"""Images read at the points of a grid."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from operator import index
from typing import Any

import numpy as np

from allbps.functional.common import misfit, misused, works_on_arrays
from allbps.ir import Node, lift
from allbps.ops.arithmetic import fmod
from allbps.ops.comparison import logical_and, where
from allbps.ops.function import abs_, astype, floor, rint
from allbps.ops.index import getitem_by
from allbps.ops.shape import reshape

PADDINGS = ("zeros", "border", "reflection")


@works_on_arrays
def affine_grid(theta: Any, size: Sequence[int], align_corners: bool | None = None) -> Node:
    """The points where an affine map takes the pixels of an image (arXiv:1506.02025).

    Args:
        theta: (N, 2, 3) for images, (N, 3, 4) for volumes.
        size: (N, C, H, W) or (N, C, D, H, W) of the image that is wanted.
        align_corners: do −1 and 1 mean the centres of the outermost pixels, not their edges?

    Returns:
        (N, H, W, 2) or (N, D, H, W, 3), x first.

    Raises:
        ShapeError: theta and size do not fit.

    >>> theta = np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.5]]])
    >>> affine_grid(theta, (1, 1, 1, 2), align_corners=True)
    array([[[[-1. ,  0.5],
             [ 1. ,  0.5]]]])

    """
    maps, lengths = lift(theta), tuple(map(index, size))
    n = len(lengths) - 2
    if n not in (2, 3) or maps.shape != (lengths[0], n, n + 1):
        raise misfit(
            "affine_grid: theta and size do not fit",
            expected="(N, 2, 3) and (N, C, H, W), or (N, 3, 4) and (N, C, D, H, W)",
            got=f"{maps.shape} and {lengths}",
        )
    axes = [_steps(m, bool(align_corners)) for m in lengths[2:]]
    places = np.stack([*np.meshgrid(*axes, indexing="ij")[::-1], np.ones(lengths[2:])], axis=-1)
    base = places.reshape(1, prod(lengths[2:]), n + 1).astype(maps.dtype)
    return reshape(lift(base) @ maps.mT, shape=(lengths[0], *lengths[2:], n))


def _steps(count: int, aligned: bool) -> Any:
    """Places of so many pixels between −1 and 1."""
    if count <= 1:
        return np.zeros(count)
    return np.linspace(-1.0, 1.0, count) * (1.0 if aligned else (count - 1) / count)


@works_on_arrays
def grid_sample(
    input: Any,
    grid: Any,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Node:
    """An image at the points of a grid: (N, C, H, W), (N, h, w, 2) -> (N, C, h, w).

    Args:
        input: images, or volumes (N, C, D, H, W).
        grid: points, x first, from −1 to 1; (N, d, h, w, 3) for volumes.
        mode: "bilinear" (of volumes: trilinear), "nearest", or "bicubic" of images.
        padding_mode: what stands outside: "zeros", the "border", or its "reflection".
        align_corners: do −1 and 1 mean the centres of the outermost pixels, not their edges?

    Raises:
        ShapeError: images and grid do not fit.
        ArgumentError: another mode or padding.

    >>> image = np.array([[[[1.0, 3.0]]]])
    >>> grid_sample(image, np.zeros((1, 1, 1, 2)))
    array([[[[2.]]]])

    """
    x, points = lift(input), lift(grid)
    n = x.ndim - 2
    fits = n in (2, 3) and points.ndim == n + 2 and points.shape[-1] == n
    if not fits or points.shape[0] != x.shape[0] or 0 in x.shape[1:]:
        raise misfit(
            "grid_sample: images and grid do not fit",
            expected="(N, C, H, W) and (N, h, w, 2), or (N, C, D, H, W) and (N, d, h, w, 3)",
            got=f"{x.shape} and {points.shape}",
        )
    known = ("bilinear", "nearest", "bicubic") if n == 2 else ("bilinear", "nearest")
    if mode not in known or padding_mode not in PADDINGS:
        raise misused(
            "grid_sample: unknown mode or padding",
            expected=f"one of {known} and one of {PADDINGS}",
            got=f"mode={mode!r}, padding_mode={padding_mode!r}",
        )
    lengths, aligned = x.shape[2:], bool(align_corners)
    flat = reshape(points, shape=(x.shape[0], prod(points.shape[1:-1]), n))
    found = []  # for each axis the numbers that a point is made of, and their weights
    for axis, length in enumerate(lengths):
        place = getitem_by(flat, (slice(None), slice(None), n - 1 - axis))
        half = (place + 1.0) / 2.0
        place = half * (length - 1) if aligned else half * length - 0.5
        found.append(_met(place, length, (mode, padding_mode, aligned)))
    total: Any = 0.0
    for corner in product(*found):
        total = total + _read(x, corner)
    return reshape(lift(total), shape=(*x.shape[:2], *points.shape[1:-1]))


def _met(place: Node, length: int, how: tuple[str, str, bool]) -> list[tuple[Node, Any]]:
    """Which numbers along an axis a point is made of, with their weights."""
    mode, padding, aligned = how
    if mode == "bicubic":
        first = floor(place)
        share = place - first
        return [
            (_inside(first + float(k), length, padding, aligned), _cubic(abs_(share - float(k))))
            for k in range(-1, 3)
        ]
    place = _inside(place, length, padding, aligned)
    if mode == "nearest":
        return [(rint(place), None)]
    first = floor(place)
    share = place - first
    return [(first, 1.0 - share), (first + 1.0, share)]


def _cubic(d: Node) -> Node:
    """Keys' convolution kernel with −¾ (IEEE Trans. ASSP 29, 1981), for distances below 2."""
    near = (1.25 * d - 2.25) * d * d + 1.0
    far = ((-0.75 * d + 3.75) * d - 6.0) * d + 3.0
    return where(d <= 1, near, far)


def _inside(place: Node, length: int, padding: str, aligned: bool) -> Node:
    """A place outside as one inside, by the border or its reflection."""
    if padding == "zeros":
        return place
    if padding == "reflection":
        low, span = (0.0, float(length - 1)) if aligned else (-0.5, float(length))
        place = _reflected(place, low, span)
    last = float(length - 1)
    return where(place <= 0, 0.0, where(place >= last, last, place))


def _reflected(place: Node, low: float, span: float) -> Node:
    if span == 0:
        return place * 0.0
    away = where(place < low, low - place, place - low)
    rest = fmod(away, span)
    turned = floor(away / span) % 2 == 1
    return where(turned, span - rest, rest) + low


def _read(x: Node, corner: tuple[tuple[Node, Any], ...]) -> Node:
    """(N, C, points): one of the numbers that points are made of, by its weight; 0 outside."""
    lengths, batch, channels = x.shape[2:], x.shape[0], x.shape[1]
    inside: Any = True
    place: Any = 0
    weight: Any = None
    for (at, share), length in zip(corner, lengths, strict=True):
        here = logical_and(at >= 0, at < length)
        inside = here if inside is True else logical_and(inside, here)
        whole = astype(where(here, at, 0.0), dtype=np.dtype(np.int64))
        place = place * length + whole
        if share is not None:
            weight = share if weight is None else weight * share
    count = place.shape[1]
    flat = reshape(x, shape=(batch, channels, prod(lengths)))
    rows, columns = np.arange(batch)[:, None, None], np.arange(channels)[None, :, None]
    apart = (batch, 1, count)
    numbers = getitem_by(flat, (rows, columns, reshape(place, shape=apart)))
    if weight is not None:
        numbers = numbers * reshape(weight, shape=apart)
    return where(reshape(inside, shape=apart), numbers, 0.0)
