"""Maxima and means over windows."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.functional.common import Size, misused, one_row, pair, works_on_arrays
from allbps.ir import Node, lift
from allbps.ops import pool
from allbps.ops.reduce import mean
from allbps.ops.shape import reshape


@works_on_arrays
def max_pool2d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
) -> Node:
    """The largest number of each window; in a tie the first in row-major order gets the δ.

    Args:
        input: (N, C, H, W), (C, H, W) or a matrix.
        kernel_size: the window, one number or (rows, columns).
        stride: step between windows; the window's size where it is left out.
        padding: rows and columns around the image that never win.
        dilation: step between the elements of a window.

    Raises:
        ShapeError: the window is larger than the image.
        ArgumentError: a window, stride, padding or dilation that makes no sense.

    >>> max_pool2d(np.arange(16.0).reshape(4, 4), 2)
    array([[ 5.,  7.],
           [13., 15.]])

    """
    image = lift(input)
    return pool.max_pool2d_op(image, **_window(image, kernel_size, stride, padding, dilation))


def _window(
    image: Node, kernel_size: Size, stride: Size | None, padding: Size, dilation: Size = 1
) -> dict[str, Any]:
    kernel = pair(kernel_size, "kernel_size")
    return pool.window(
        kernel,
        kernel if stride is None else pair(stride, "stride"),
        pair(padding, "padding"),
        pair(dilation, "dilation"),
        batched=image.ndim != 2,
    )


@works_on_arrays
def max_pool1d(
    input: Any, kernel_size: int, stride: int | None = None, padding: int = 0, dilation: int = 1
) -> Node:
    """The largest number of each window along the last axis: (N, C, L) or (C, L).

    Arguments and errors are those of ``max_pool2d``, with one number for each.

    >>> max_pool1d(np.array([[1.0, 3.0, 2.0, 0.0]]), 2)
    array([[3., 2.]])
    """
    step = kernel_size if stride is None else stride
    row = one_row(lift(input))
    pooled = lift(max_pool2d(row, (1, kernel_size), (1, step), (0, padding), (1, dilation)))
    return reshape(pooled, shape=(*pooled.shape[:-2], pooled.shape[-1]))


@works_on_arrays
def avg_pool2d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    *,
    count_include_pad: bool = True,
) -> Node:
    """The mean of each window: (N, C, H, W), (C, H, W) or a matrix.

    Arguments and errors are those of ``max_pool2d``; the padding is zeros, which do not count
    without ``count_include_pad``.

    >>> avg_pool2d(np.arange(16.0).reshape(4, 4), 2)
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    image = lift(input)
    window = _window(image, kernel_size, stride, padding)
    pooled = pool.avg_pool2d_op(image, **window)
    if count_include_pad or window["padding"] == (0, 0):
        return pooled
    height, width = image.shape[-2:]
    kernel, step, around = window["kernel"], window["stride"], window["padding"]
    share = pool.inside_share((height, width), kernel, step, around)
    return pooled / lift(share.astype(pooled.dtype))


@works_on_arrays
def adaptive_avg_pool2d(input: Any, output_size: Size) -> Node:
    """Means over images (…, H, W) cut into ``output_size`` parts; 1 is the global mean.

    As in PyTorch part i of n goes from ⌊i L / n⌋ to ⌈(i + 1) L / n⌉, so parts may overlap.

    Raises:
        ArgumentError: an output size below 1.

    >>> adaptive_avg_pool2d(np.arange(12.0).reshape(1, 3, 4), (1, 2))
    array([[[4.5, 6.5]]])

    """
    image = lift(input)
    rows, columns = pair(output_size, "output_size")
    if min(rows, columns) < 1:
        raise misused("output_size starts at 1", got=f"output_size={output_size!r}")
    if (rows, columns) == (1, 1):
        return mean(image, axis=(-2, -1), keepdims=True)
    above = _means_of_parts(image.shape[-2], rows, image.dtype)
    left = _means_of_parts(image.shape[-1], columns, image.dtype)
    return lift(above) @ image @ lift(left.T)  # (rows, H) · (…, H, W) · (W, columns)


def _means_of_parts(length: int, parts: int, dtype: np.dtype[Any]) -> Any:
    """A matrix (parts, length) that takes the mean of each part."""
    kind = dtype if dtype.kind == "f" else np.dtype(np.float64)
    part, place = np.arange(parts)[:, None], np.arange(length)
    inside = (place >= part * length // parts) & (place < -(-(part + 1) * length // parts))
    return (inside / np.sum(inside, axis=1, keepdims=True)).astype(kind)
