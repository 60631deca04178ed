"""Images and sequences of another size: transposed convolution, upsampling, means of parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import allbps.functional as F

Size = int | Sequence[int]


def _pair(value: Size) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def conv_transpose2d(
    x: Any, weight: Any, bias: Any = None, *, stride: Size = 1, padding: Size = 0,
    output_padding: Size = 0, groups: int = 1, dilation: Size = 1,
) -> Any:  # fmt: skip
    """The δ of a convolution's input as a layer: (N, C, H, W), (C, O / groups, h, w).

    Zeros between the pixels, then a convolution with the kernels turned round.
    """
    if x.ndim == 3:
        options = {"stride": stride, "padding": padding, "output_padding": output_padding}
        made = conv_transpose2d(x[None], weight, bias, groups=groups, dilation=dilation, **options)
        return made[0]
    (s, t), (p, q), (e, f) = _pair(stride), _pair(padding), _pair(output_padding)
    (d, c), (h, w) = _pair(dilation), weight.shape[2:]
    n, channels, height, width = x.shape
    if (s, t) != (1, 1):
        x = np.reshape(x, (n, channels, height, 1, width, 1))
        x = np.pad(x, ((0, 0),) * 3 + ((0, s - 1), (0, 0), (0, t - 1)))
        x = np.reshape(x, (n, channels, height * s, width * t))
        x = x[:, :, : (height - 1) * s + 1, : (width - 1) * t + 1]
    around = (c * (w - 1) - q, c * (w - 1) - q + f, d * (h - 1) - p, d * (h - 1) - p + e)
    x = _cropped(x, around)
    each = weight.shape[1]
    kernels = np.reshape(weight[:, :, ::-1, ::-1], (groups, channels // groups, each, h, w))
    kernels = np.reshape(np.swapaxes(kernels, 1, 2), (groups * each, channels // groups, h, w))
    return F.conv2d(x, kernels, bias, dilation=(d, c), groups=groups)


def _cropped(x: Any, around: tuple[int, int, int, int]) -> Any:
    """Zeros around (left, right, above, below); a negative number of them cuts off."""
    left, right, above, below = around
    rows = slice(max(-above, 0), x.shape[2] - max(-below, 0))
    columns = slice(max(-left, 0), x.shape[3] - max(-right, 0))
    x = x[:, :, rows, columns] if min(around) < 0 else x
    return F.pad(x, tuple(max(k, 0) for k in around)) if max(around) > 0 else x


def conv_transpose1d(
    x: Any, weight: Any, bias: Any = None, *, stride: int = 1, padding: int = 0,
    output_padding: int = 0, groups: int = 1, dilation: int = 1,
) -> Any:  # fmt: skip
    """As ``conv_transpose2d``, along one axis: (N, C, L), (C, O / groups, l)."""
    made = conv_transpose2d(
        np.expand_dims(x, -2), np.expand_dims(weight, -2), bias, stride=(1, stride),
        padding=(0, padding), output_padding=(0, output_padding), groups=groups,
        dilation=(1, dilation),
    )  # fmt: skip
    return np.reshape(made, (*made.shape[:-2], made.shape[-1]))


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
