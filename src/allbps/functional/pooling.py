"""Maxima, means and p-norms over windows that go over one, two or three axes."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from allbps.functional.common import (
    Size,
    misfit,
    misused,
    one_row,
    several,
    works_on_arrays,
)
from allbps.ir import Node, Op, lift
from allbps.ops import pool
from allbps.ops.arithmetic import power
from allbps.ops.comparison import where
from allbps.ops.function import abs_, maximum, sign
from allbps.ops.shape import pad as pad_op
from allbps.ops.shape import reshape

Lengths = tuple[int, ...]


@dataclass(frozen=True)
class Windows:
    """Windows over the last axes of an array, a number of each kind for each axis."""

    kernel: Lengths
    stride: Lengths
    padding: Lengths
    dilation: Lengths
    ceil: bool

    @staticmethod
    def of(n: int, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: Any) -> Windows:
        """From PyTorch's arguments; a stride left out is the window's size."""
        size = several(kernel, n, "kernel_size")
        named = isinstance(stride, (tuple, list)) and not stride
        return Windows(
            size,
            size if stride is None or named else several(stride, n, "stride"),
            several(padding, n, "padding"),
            several(dilation, n, "dilation"),
            bool(ceil),
        )

    def counts(self, lengths: Lengths) -> Lengths:
        """How many windows there are along each axis."""
        made = []
        for n, k, s, p, d in zip(
            lengths, self.kernel, self.stride, self.padding, self.dilation, strict=True
        ):
            room = n + 2 * p - (k - 1) * d - 1
            count = (-(-room // s) if self.ceil else room // s) + 1
            # a window that would start behind the image and its padding does not count
            made.append(count - 1 if self.ceil and (count - 1) * s >= n + p else count)
        return tuple(made)

    def beyond(self, lengths: Lengths) -> Lengths:
        """How far the last window reaches beyond the padding."""
        reach = [
            (count - 1) * s + (k - 1) * d + 1
            for count, k, s, d in zip(
                self.counts(lengths), self.kernel, self.stride, self.dilation, strict=True
            )
        ]
        rooms = (n + 2 * p for n, p in zip(lengths, self.padding, strict=True))
        return tuple(max(0, r - room) for r, room in zip(reach, rooms, strict=True))

    def attrs(self, first: int, last: int, batched: bool = True) -> dict[str, Any]:
        """Attributes of a pooling of two axes; axis −1 has windows of one element."""
        axes = (first, last)

        def of(lengths: Lengths, none: int) -> tuple[int, int]:
            a, b = (none if k < 0 else lengths[k] for k in axes)
            return a, b

        return pool.window(
            of(self.kernel, 1), of(self.stride, 1), of(self.padding, 0), of(self.dilation, 1),
            batched=batched,
        )  # fmt: skip


def checked(name: str, x: Node, windows: Windows) -> None:
    """Are there windows, and axes for them?

    Raises:
        ShapeError: another number of axes, or an input smaller than the window.
        ArgumentError: a number that makes no sense.

    """
    n = len(windows.kernel)
    if x.ndim not in (n + 1, n + 2) and not (n == 2 and x.ndim == 2):
        axes = ", ".join(("L",) if n == 1 else ("D", "H", "W")[3 - n :])
        raise misfit(
            f"{name} takes channels, or a batch of them",
            expected=f"(N, C, {axes}) or (C, {axes})",
            got=str(x.shape),
        )
    if min(*windows.kernel, *windows.stride, *windows.dilation) < 1 or min(windows.padding) < 0:
        raise misused(
            f"{name}: window, stride and dilation start at 1, padding at 0",
            got=f"kernel_size={windows.kernel}, stride={windows.stride},"
            f" padding={windows.padding}, dilation={windows.dilation}",
        )
    if min(windows.counts(x.shape[-n:])) < 1:
        raise misfit(
            f"{name}: the window is larger than the input",
            expected=f"at least {windows.kernel}, dilation {windows.dilation},"
            f" of padding {windows.padding}",
            got=str(x.shape),
        )


# -- maxima ----------------------------------------------------------------------------------------
@works_on_arrays
def max_pool2d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest number of each window; in a tie the first in row-major order gets the δ.

    Args:
        input: (N, C, H, W), (C, H, W) or a matrix.
        kernel_size: the window, one number or (rows, columns).
        stride: step between windows; the window's size where it is left out.
        padding: rows and columns around the image that never win.
        dilation: step between the elements of a window.
        ceil_mode: also windows that reach beyond the padding.
        return_indices: also where each maximum stands in the flattened image.

    Raises:
        ShapeError: the window is larger than the image.
        ArgumentError: a window, stride, padding or dilation that makes no sense.

    >>> max_pool2d(np.arange(16.0).reshape(4, 4), 2)
    array([[ 5.,  7.],
           [13., 15.]])

    """
    windows = Windows.of(2, kernel_size, stride, padding, dilation, ceil_mode)
    return _max("max_pool2d", lift(input), windows, return_indices)


@works_on_arrays
def max_pool1d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest number of each window along the last axis: (N, C, L) or (C, L).

    Arguments and errors are those of ``max_pool2d``, with one number for each.

    >>> max_pool1d(np.array([[1.0, 3.0, 2.0, 0.0]]), 2)
    array([[3., 2.]])
    """
    windows = Windows.of(1, kernel_size, stride, padding, dilation, ceil_mode)
    return _max("max_pool1d", lift(input), windows, return_indices)


@works_on_arrays
def max_pool3d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest number of each window of a volume: (N, C, D, H, W) or (C, D, H, W).

    Arguments and errors are those of ``max_pool2d``, with three numbers for each.

    >>> max_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), 2).item()
    7.0
    """
    windows = Windows.of(3, kernel_size, stride, padding, dilation, ceil_mode)
    return _max("max_pool3d", lift(input), windows, return_indices)


def _max(name: str, x: Node, windows: Windows, return_indices: bool) -> Any:
    checked(name, x, windows)
    n = len(windows.kernel)
    wide = _bordered(x, windows.beyond(x.shape[-n:]))
    values = over_windows(pool.max_pool2d_op, wide, windows)
    if not return_indices:
        return values
    return values, _places(wide, windows, x.shape[-n:])


def _bordered(x: Node, beyond: Lengths) -> Node:
    """What never wins behind the last axes."""
    if not any(beyond):
        return x
    width = ((0, 0),) * (x.ndim - len(beyond)) + tuple((0, more) for more in beyond)
    inside = np.pad(np.ones(x.shape[-len(beyond) :], bool), width[-len(beyond) :])
    lowest = -np.inf if x.is_float else int(np.iinfo(x.dtype).min)
    return where(inside, pad_op(x, width=width), lowest)


def over_windows(op: Op | Callable[..., Node], x: Node, windows: Windows) -> Node:
    """A pooling of two axes, over one, two or three: of a volume first the planes."""
    n = len(windows.kernel)
    if n == 2:
        return op(x, **windows.attrs(0, 1, batched=x.ndim != 2))
    if n == 1:
        pooled = op(one_row(x), **windows.attrs(-1, 0))
        return reshape(pooled, shape=(*pooled.shape[:-2], pooled.shape[-1]))
    lead = prod(x.shape[:-3])
    planes = op(reshape(x, shape=(lead, *x.shape[-3:])), **windows.attrs(1, 2))
    columns = reshape(planes, shape=(lead, planes.shape[1], prod(planes.shape[2:])))
    pooled = op(columns, **windows.attrs(0, -1))
    return reshape(pooled, shape=(*x.shape[:-3], pooled.shape[1], *planes.shape[2:]))


def _places(wide: Node, windows: Windows, lengths: Lengths) -> Node:
    """Where each maximum stands in the flattened input, of which ``wide`` may have more."""
    n = len(windows.kernel)
    if n < 3:
        found = over_windows(pool.winner_index_op, wide, windows)
        return _renumbered(found, wide.shape[-n:], lengths)
    lead = prod(wide.shape[:-3])
    volume = reshape(wide, shape=(lead, *wide.shape[-3:]))
    planes = pool.max_pool2d_op(volume, **windows.attrs(1, 2))
    within = pool.winner_index_op(volume, **windows.attrs(1, 2))  # in each plane
    flat = (lead, planes.shape[1], prod(planes.shape[2:]))
    best = pool.winner_index_op(reshape(planes, shape=flat), **windows.attrs(0, -1))
    depth = best // flat[2]
    within = pool.gather_from_op(reshape(within, shape=flat), best)
    within = _renumbered(within, wide.shape[-2:], lengths[1:])
    places = depth * (lengths[1] * lengths[2]) + within
    return reshape(places, shape=(*wide.shape[:-3], best.shape[1], *planes.shape[2:]))


def _renumbered(places: Node, wide: Lengths, lengths: Lengths) -> Node:
    """Places in rows of one length as places in rows of another."""
    if wide[-1] == lengths[-1]:
        return places
    return places // wide[-1] * lengths[-1] + places % wide[-1]


# -- means -----------------------------------------------------------------------------------------
@works_on_arrays
def avg_pool2d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Node:
    """The mean of each window: (N, C, H, W), (C, H, W) or a matrix.

    Other arguments and errors are those of ``max_pool2d``.

    Args:
        input: an image.
        kernel_size: the window.
        stride: step between windows.
        padding: zeros around the image.
        ceil_mode: also windows that reach beyond the padding; what lies there does not count.
        count_include_pad: do the zeros around the image count?
        divisor_override: what the sum of a window is divided by.

    >>> avg_pool2d(np.arange(16.0).reshape(4, 4), 2)
    array([[ 2.5,  4.5],
           [10.5, 12.5]])

    """
    windows = Windows.of(2, kernel_size, stride, padding, 1, ceil_mode)
    return _mean("avg_pool2d", lift(input), windows, count_include_pad, divisor_override)


@works_on_arrays
def avg_pool1d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Node:
    """The mean of each window along the last axis: (N, C, L) or (C, L).

    Arguments and errors are those of ``avg_pool2d``, with one number for each.

    >>> avg_pool1d(np.array([[1.0, 3.0, 2.0, 0.0]]), 2)
    array([[2., 1.]])
    """
    windows = Windows.of(1, kernel_size, stride, padding, 1, ceil_mode)
    return _mean("avg_pool1d", lift(input), windows, count_include_pad, None)


@works_on_arrays
def avg_pool3d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Node:
    """The mean of each window of a volume: (N, C, D, H, W) or (C, D, H, W).

    Arguments and errors are those of ``avg_pool2d``, with three numbers for each.

    >>> avg_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), 2).item()
    3.5
    """
    windows = Windows.of(3, kernel_size, stride, padding, 1, ceil_mode)
    return _mean("avg_pool3d", lift(input), windows, count_include_pad, divisor_override)


def _mean(name: str, x: Node, windows: Windows, with_pad: bool, divisor: int | None) -> Node:
    checked(name, x, windows)
    if divisor == 0:
        raise misused(f"{name} divides by divisor_override", got="divisor_override=0")
    n = len(windows.kernel)
    lengths, beyond = x.shape[-n:], windows.beyond(x.shape[-n:])
    if any(beyond):
        x = pad_op(x, width=((0, 0),) * (x.ndim - n) + tuple((0, more) for more in beyond))
    pooled = over_windows(pool.avg_pool2d_op, x, windows)
    counted = np.asarray(divisor) if divisor else _counted(windows, lengths, with_pad)
    share = prod(windows.kernel) / counted
    return pooled if np.all(share == 1) else pooled * lift(share.astype(pooled.dtype))


def _counted(windows: Windows, lengths: Lengths, with_pad: bool) -> Any:
    """How many elements of each window count: an axis for each of the windows'."""
    counted: Any = np.ones(())
    counts = windows.counts(lengths)
    for n, k, s, p, count in zip(
        lengths, windows.kernel, windows.stride, windows.padding, counts, strict=True
    ):
        start = np.arange(count) * s - p
        end = np.minimum(start + k, n + p)
        here = end - start if with_pad else np.minimum(end, n) - np.maximum(start, 0)
        counted = counted[..., None] * here
    return counted


# -- p-norms ---------------------------------------------------------------------------------------
@works_on_arrays
def lp_pool1d(
    input: Any,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Node:
    """(Σ xᵖ)^(1/p) of each window along the last axis; arguments as ``lp_pool2d``.

    >>> lp_pool1d(np.array([[3.0, 4.0]]), 2, 2)
    array([[5.]])
    """
    return _power_mean("lp_pool1d", 1, lift(input), norm_type, (kernel_size, stride, ceil_mode))


@works_on_arrays
def lp_pool2d(
    input: Any,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Node:
    """(Σ xᵖ)^(1/p) of each window; 0 where the sum is negative, as in PyTorch.

    Args:
        input: (N, C, H, W) or (C, H, W).
        norm_type: p.
        kernel_size: the window.
        stride: step between windows.
        ceil_mode: as in ``avg_pool2d``.

    Raises:
        ShapeError: the window is larger than the image.
        ArgumentError: a window or stride that makes no sense, or p is 0.

    >>> lp_pool2d(np.array([[[3.0], [4.0]]]), 2, (2, 1))
    array([[[5.]]])

    """
    return _power_mean("lp_pool2d", 2, lift(input), norm_type, (kernel_size, stride, ceil_mode))


@works_on_arrays
def lp_pool3d(
    input: Any,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Node:
    """(Σ xᵖ)^(1/p) of each window of a volume; arguments as ``lp_pool2d``.

    >>> lp_pool3d(np.array([[[[3.0, 4.0]]]]), 2, (1, 1, 2)).item()
    5.0
    """
    return _power_mean("lp_pool3d", 3, lift(input), norm_type, (kernel_size, stride, ceil_mode))


def _power_mean(name: str, n: int, x: Node, p: float, given: Any) -> Node:
    if p == 0:
        raise misused(f"{name} takes a p-th root", got="norm_type=0")
    kernel, stride, ceil_mode = given
    windows = Windows.of(n, kernel, stride, 0, 1, ceil_mode)
    mean = _mean(name, power(x, exponent=p), windows, True, None)
    # PyTorch's sign(m) · relu(|m|): |m| where m is not negative
    total = sign(mean) * maximum(abs_(mean), 0.0) * float(prod(windows.kernel))
    return power(total, exponent=1.0 / p)
