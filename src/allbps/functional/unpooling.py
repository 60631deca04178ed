"""Back from pooled numbers to an image, and pooling over windows at random places."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from operator import index
from typing import Any

import numpy as np

from allbps.functional.adaptive import first_largest
from allbps.functional.common import (
    Size,
    array,
    granted,
    misfit,
    misused,
    several,
    works_on_arrays,
)
from allbps.functional.pooling import Windows
from allbps.ir import Node, lift
from allbps.ops.comparison import logical_and
from allbps.ops.function import astype, trunc
from allbps.ops.index import getitem_by
from allbps.ops.join import joined
from allbps.ops.questions import all_
from allbps.ops.reduce import max_
from allbps.ops.shape import reshape
from allbps.ops.unpool import place_at_op
from allbps.random import uniform_node

Lengths = tuple[int, ...]


@works_on_arrays
def max_unpool1d(
    input: Any,
    indices: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Node:
    """Maxima back at their places along the last axis; arguments as ``max_unpool2d``.

    >>> max_unpool1d(np.array([[3.0, 7.0]]), np.array([[1, 2]]), 2)
    array([[0., 3., 7., 0.]])
    """
    return _unpooled(1, lift(input), array(indices), (kernel_size, stride, padding), output_size)


@works_on_arrays
def max_unpool2d(
    input: Any,
    indices: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Node:
    """Maxima back at their places, zeros elsewhere: (N, C, h, w) or (C, h, w).

    Args:
        input: the maxima of ``max_pool2d``.
        indices: their places in the flattened image, of that shape.
        kernel_size: the pooling's window.
        stride: its step; the window's size where it is left out.
        padding: its padding.
        output_size: of the image, or of the whole result; left out, what the pooling would need.

    Raises:
        ShapeError: maxima and places do not fit.
        ArgumentError: a place outside of the image, or a size that the pooling would not fit.

    >>> max_unpool2d(np.array([[[7.0]]]), np.array([[[2]]]), 2)
    array([[[0., 0.],
            [7., 0.]]])

    """
    return _unpooled(2, lift(input), array(indices), (kernel_size, stride, padding), output_size)


@works_on_arrays
def max_unpool3d(
    input: Any,
    indices: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Node:
    """Maxima back at their places in a volume; arguments as ``max_unpool2d``.

    >>> max_unpool3d(np.array([[[[7.0]]]]), np.array([[[[2]]]]), 2).ravel().tolist()
    [0.0, 0.0, 7.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    return _unpooled(3, lift(input), array(indices), (kernel_size, stride, padding), output_size)


def _unpooled(n: int, x: Node, places: Node, given: Any, output_size: Any) -> Node:
    if x.shape != places.shape or x.ndim not in (n + 1, n + 2):
        raise misfit(
            f"max_unpool{n}d: maxima and places do not fit",
            expected=f"indices of the shape of the input, which has {n + 1} or {n + 2} axes",
            got=f"input {x.shape}, indices {places.shape}",
        )
    kernel, stride, padding = given
    windows = Windows.of(n, kernel, stride, padding, 1, False)
    size = _unpooled_size(x.shape[-n:], windows, output_size)
    inside = logical_and(places >= 0, places < prod(size))
    if not granted(all_(inside, axis=None, keepdims=False)):
        raise misused(f"max_unpool{n}d: a place outside of {size}", got=str(np.max(places.value)))
    rows = (prod(x.shape[:-n]), 1, prod(x.shape[-n:]))
    placed = place_at_op(reshape(x, shape=rows), reshape(places, shape=rows), size=(1, prod(size)))
    return reshape(placed, shape=(*x.shape[:-n], *size))


def _unpooled_size(lengths: Lengths, windows: Windows, output_size: Any) -> Lengths:
    usual = tuple(
        (n - 1) * s - 2 * p + k
        for n, k, s, p in zip(lengths, windows.kernel, windows.stride, windows.padding, strict=True)
    )
    if output_size is None:
        return usual
    size = tuple(map(index, output_size))[-len(lengths) :]
    fits = len(size) == len(usual) and all(
        abs(m - n) < s for m, n, s in zip(size, usual, windows.stride, strict=True)
    )
    if not fits:
        raise misused(
            "output_size does not fit the pooling",
            expected=f"less than one stride {windows.stride} from {usual}",
            got=f"output_size={output_size!r}",
        )
    return size


# -- windows at random places ----------------------------------------------------------------------
@works_on_arrays
def fractional_max_pool2d(
    input: Any,
    kernel_size: Size,
    output_size: Size | None = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
    *,
    rng: Any = None,
) -> Any:
    """Maxima of windows at random places (Graham, arXiv:1412.6071): (N, C, H, W) or (C, H, W).

    Args:
        input: images.
        kernel_size: the window.
        output_size: how many windows along each axis; or
        output_ratio: which share of the lengths, in (0, 1).
        return_indices: also where each maximum stands in the flattened image.
        _random_samples: (N, C, 2) numbers in [0, 1) that decide the places.
        rng: where they are drawn from else; as in ``dropout``.

    Raises:
        ShapeError: the windows do not fit.
        ArgumentError: neither or both of size and ratio, or no source of random numbers.

    >>> fractional_max_pool2d(np.arange(4.0).reshape(1, 2, 2), 1, output_size=2, rng=0)
    array([[[0., 1.],
            [2., 3.]]])

    """
    given = (kernel_size, output_size, output_ratio, _random_samples, rng)
    return _fractional(2, lift(input), given, return_indices)


@works_on_arrays
def fractional_max_pool3d(
    input: Any,
    kernel_size: Size,
    output_size: Size | None = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
    *,
    rng: Any = None,
) -> Any:
    """``fractional_max_pool2d`` of volumes: (N, C, D, H, W) or (C, D, H, W).

    >>> fractional_max_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), 2, output_size=1, rng=0).item()
    7.0
    """
    given = (kernel_size, output_size, output_ratio, _random_samples, rng)
    return _fractional(3, lift(input), given, return_indices)


def _fractional(n: int, x: Node, given: Any, return_indices: bool) -> Any:
    name = f"fractional_max_pool{n}d"
    kernel_size, output_size, ratio, samples, rng = given
    if x.ndim not in (n + 1, n + 2):
        raise misfit(f"{name} takes channels", f"{n + 1} or {n + 2} axes", str(x.shape))
    if (output_size is None) == (ratio is None):
        raise misused(f"{name} needs either output_size or output_ratio")
    lengths, kernel = x.shape[-n:], several(kernel_size, n, "kernel_size")
    if output_size is None:
        ratios = ratio if isinstance(ratio, (tuple, list)) else (ratio,) * n
        size = tuple(int(m * float(r)) for m, r in zip(lengths, ratios, strict=True))
    else:
        size = several(output_size, n, "output_size")
    if any(s + k - 1 > m or min(s, k) < 1 for s, k, m in zip(size, kernel, lengths, strict=True)):
        raise misfit(
            f"{name}: the windows do not fit",
            expected=f"windows {kernel}, one further on each time, in {lengths}",
            got=f"output_size={size}",
        )
    lead = prod(x.shape[:-n])
    if samples is None:
        if rng is None:
            raise misused(f"{name} needs a random generator", todo="pass rng=0")
        share = uniform_node(rng, (lead, n), x.dtype)
    else:
        share = reshape(lift(samples), shape=(lead, n))
    values, places = _of_random_windows(reshape(x, shape=(lead, *lengths)), share, kernel, size)
    values = reshape(values, shape=(*x.shape[:-n], *size))
    return (values, reshape(places(), shape=values.shape)) if return_indices else values


def _of_random_windows(x: Node, share: Node, kernel: Lengths, size: Lengths) -> tuple[Node, Any]:
    """Maxima (lead, *size), and a function that gives their places in the flattened input."""
    n, lead, lengths = len(kernel), x.shape[0], x.shape[1:]
    place: Any = 0  # (lead, s₁, …, sₙ, k₁, …, kₙ)
    for axis, (k, s, m) in enumerate(zip(kernel, size, lengths, strict=True)):
        # PyTorch's numbers for an image are those of the columns first
        column = n - 1 - axis if n == 2 else axis
        start = _starts(getitem_by(share, (slice(None), slice(column, column + 1))), k, s, m)
        within = np.arange(k).reshape((1,) * (n + axis + 1) + (k,) + (1,) * (n - axis - 1))
        shape = (lead,) + tuple(s if j == axis else 1 for j in range(n)) + (1,) * n
        place = place * m + (reshape(start, shape=shape) + within)
    flat = reshape(x, shape=(lead * prod(lengths),))
    offset = np.arange(lead).reshape((lead,) + (1,) * (2 * n)) * prod(lengths)
    rows = (lead * prod(size), prod(kernel))
    met = reshape(getitem_by(flat, place + offset), shape=rows)

    def places() -> Node:
        cells = reshape(place, shape=rows)
        return getitem_by(cells, (np.arange(rows[0]), first_largest(met)))

    return max_(met, axis=-1, keepdims=False), places


def _starts(share: Node, kernel: int, size: int, length: int) -> Node:
    """Where each window begins, after a number in [0, 1): (lead, 1) -> (lead, size)."""
    last = np.full((share.shape[0], 1), length - kernel)
    if size == 1:
        return lift(last)
    step = (length - kernel) / (size - 1)
    before = trunc((np.arange(size - 1) + share) * step) - trunc(share * step)
    return joined([astype(before, dtype=np.dtype(np.int64)), last], 1)
