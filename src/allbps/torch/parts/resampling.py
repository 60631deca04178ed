"""Images and sequences of another size: upsampling, means of parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import allbps.functional as F

Size = int | Sequence[int]


def adaptive_avg_pool1d(x: Any, output_size: Size) -> Any:
    """Means of parts of the last axis."""
    (parts,) = (output_size,) if isinstance(output_size, int) else output_size
    made = F.adaptive_avg_pool2d(np.expand_dims(x, -2), (1, parts))
    return np.reshape(made, (*x.shape[:-1], parts))


def avg_pool1d(
    x: Any, kernel_size: int, *, stride: int, padding: int = 0, count_include_pad: bool = True
) -> Any:
    """The mean of each window along the last axis."""
    made = F.avg_pool2d(
        np.expand_dims(x, -2), (1, kernel_size), (1, stride), (0, padding),
        count_include_pad=count_include_pad,
    )  # fmt: skip
    return np.reshape(made, (*x.shape[:-1], made.shape[-1]))


def upsample_nearest(x: Any, sizes: tuple[int, ...], factors: Any = None) -> Any:
    """(N, C, …) -> (N, C, *sizes): each place takes the number of the one it came from."""
    for k, size in enumerate(sizes):
        axis, length = k + 2, x.shape[k + 2]
        if size == length:
            continue
        if size % length == 0:
            x = np.repeat(x, size // length, axis=axis)
            continue
        scale = length / size if factors is None else 1.0 / factors[k]
        single = np.arange(size, dtype=np.float32) * np.float32(scale)
        places = np.minimum(np.floor(single).astype(np.int64), length - 1)
        x = x[(slice(None),) * axis + (places,)]
    return x


def upsample_linear(x: Any, sizes: tuple[int, ...], aligned: bool, factors: Any = None) -> Any:
    """(N, C, …) -> (N, C, *sizes), linear between the nearest numbers along each axis.

    As two products with matrices of weights, rows of which sum to 1.
    """
    matrices = [
        _between(n, size, aligned, None if factors is None else factors[k]).astype(x.dtype)
        for k, (n, size) in enumerate(zip(x.shape[2:], sizes, strict=True))
    ]
    if len(sizes) == 1:
        return x @ matrices[0].T  # (N, C, L) · (L, size)
    above, left = matrices
    return above @ x @ left.T  # (rows, H) · (N, C, H, W) · (W, columns)


def _between(length: int, size: int, aligned: bool, factor: float | None) -> Any:
    """A matrix (size, length) of linear interpolation."""
    place = np.arange(size, dtype=np.float64)
    if aligned:
        place = place * ((length - 1) / (size - 1) if size > 1 else 0.0)
    else:
        scale = length / size if factor is None else 1.0 / factor
        place = np.maximum((place + 0.5) * scale - 0.5, 0.0)
    low = np.minimum(place.astype(np.int64), length - 1)
    high = np.minimum(low + 1, length - 1)
    share = place - low
    matrix = np.zeros((size, length))
    np.add.at(matrix, (np.arange(size), low), 1 - share)
    np.add.at(matrix, (np.arange(size), high), share)
    return matrix
