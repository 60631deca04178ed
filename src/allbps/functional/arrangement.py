"""Images and batches in another shape: borders, patches, and pixels for channels."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from allbps.functional.common import Size, misfit, misused, several, works_on_arrays
from allbps.ir import Node, lift
from allbps.ops.index import getitem_by, put_add_op
from allbps.ops.shape import pad as pad_op
from allbps.ops.shape import reshape, transpose

Width = tuple[tuple[int, int], ...]


# -- borders ---------------------------------------------------------------------------------------
@works_on_arrays
def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Node:
    """A border around the last axes: (before last, after last, before last but one, …).

    Args:
        input: any array.
        pad: pairs of lengths, those of the last axis first; negative ones cut off.
        mode: "constant"; "reflect" (without repeating the edge), "replicate" or "circular", of one
            to three axes, in front of which one or two others stand.
        value: what stands there in the mode "constant"; 0 where it is left out.

    Raises:
        ArgumentError: pairs that the axes do not allow, or another mode.

    >>> pad(np.array([[1.0, 2.0]]), (1, 0, 0, 1))
    array([[0., 1., 2.],
           [0., 0., 0.]])
    >>> pad(np.array([[1.0, 2.0, 3.0]]), (2, 1), mode="reflect")
    array([[3., 2., 1., 2., 3., 2.]])

    """
    node = lift(input)
    pairs = [(index(pad[k]), index(pad[k + 1])) for k in range(0, len(pad) - 1, 2)][::-1]
    if len(pad) % 2 or len(pairs) > node.ndim:
        raise misused(
            "pad needs a pair for each of the last axes",
            expected=f"at most {node.ndim} pairs",
            got=str(tuple(pad)),
        )
    width = ((0, 0),) * (node.ndim - len(pairs)) + tuple(pairs)
    if any(n + a + b < 0 for n, (a, b) in zip(node.shape, width, strict=True)):
        raise misused("pad cuts off more than there is", expected=str(node.shape), got=str(pad))
    if mode != "constant":
        return _pad_by_elements(node, width, len(pairs), mode, value)
    padded = pad_op(node, width=width)
    if not value:
        return padded
    inside = lift(pad_op(np.ones(node.shape, node.dtype), width=width)).value
    return padded + lift(node.dtype.type(value) * (1 - inside))


def _pad_by_elements(x: Node, width: Width, axes: int, mode: str, value: float | None) -> Node:
    """A border of elements of ``x``, axis by axis."""
    if mode not in SOURCES:
        known = "'constant', 'reflect', 'replicate' or 'circular'"
        raise misused("unknown mode of padding", expected=known, got=repr(mode))
    if value is not None:
        raise misused(f"the mode {mode!r} has no value", got=f"value={value!r}")
    if axes not in (1, 2, 3) or x.ndim not in (axes + 1, axes + 2):
        raise misused(
            f"the mode {mode!r} pads one to three axes behind one or two others",
            expected=f"{axes + 1} or {axes + 2} axes for {axes} pairs",
            got=f"shape {x.shape}",
        )
    for axis, (before, after) in enumerate(width):
        if (before, after) != (0, 0):
            places = SOURCES[mode](x.shape[axis], before, after)
            x = getitem_by(x, (*(slice(None),) * axis, places))
    return x


def _replicated(n: int, before: int, after: int) -> Any:
    if n == 0:
        raise misused("there is no edge to replicate", got="an axis of length 0")
    return np.clip(np.arange(-before, n + after), 0, n - 1)


def _reflected(n: int, before: int, after: int) -> Any:
    start, kept, wanted = _cut_first(n, before, after, 1)
    back = np.abs(wanted)
    return start + np.where(back < kept, back, 2 * (kept - 1) - back)


def _wrapped(n: int, before: int, after: int) -> Any:
    start, kept, wanted = _cut_first(n, before, after, 0)
    return start + wanted % kept


def _cut_first(n: int, before: int, after: int, spared: int) -> tuple[int, int, Any]:
    """Where what negative lengths leave begins, how long it is, and the places that are wanted.

    Raises:
        ArgumentError: a border longer than what is left.

    """
    start, kept = max(-before, 0), n + min(before, 0) + min(after, 0)
    if kept < 1 or max(before, after) > kept - spared:
        raise misused(
            "a border that is reflected or wrapped needs a longer axis",
            expected=f"at most {max(kept - spared, 0)} on each side",
            got=f"({before}, {after}) for length {n}",
        )
    return start, kept, np.arange(-max(before, 0), kept + max(after, 0))


SOURCES = {"reflect": _reflected, "replicate": _replicated, "circular": _wrapped}
"""Mode -> which of n numbers stand in a row with so many more before and after it."""


# -- pixels and channels ---------------------------------------------------------------------------
@works_on_arrays
def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Node:
    """The axes from ``start_dim`` to ``end_dim`` as one, in row-major order.

    >>> flatten(np.zeros((2, 3, 4)), 1).shape
    (2, 12)
    """
    node = lift(input)
    first, last = start_dim % max(node.ndim, 1), end_dim % max(node.ndim, 1)
    middle = int(np.prod(node.shape[first : last + 1], dtype=np.int64))
    return reshape(node, shape=(*node.shape[:first], middle, *node.shape[last + 1 :]))


@works_on_arrays
def pixel_shuffle(input: Any, upscale_factor: int) -> Node:
    """Channels as pixels: (…, C r², H, W) -> (…, C, H r, W r) (Shi et al., arXiv:1609.05158).

    Raises:
        ShapeError: the channels are no multiple of r².
        ArgumentError: r is below 1.

    >>> pixel_shuffle(np.arange(4.0).reshape(4, 1, 1), 2)
    array([[[0., 1.],
            [2., 3.]]])

    """
    x, r = lift(input), _factor(upscale_factor, "upscale_factor")
    if x.ndim < 3 or x.shape[-3] % r**2:
        raise misfit("pixel_shuffle: the channels do not fit", f"(…, C · {r}², H, W)", str(x.shape))
    *front, c, h, w = x.shape
    n = len(front)
    parts = reshape(x, shape=(*front, c // r**2, r, r, h, w))
    moved = transpose(parts, axes=(*range(n), n, n + 3, n + 1, n + 4, n + 2))
    return reshape(moved, shape=(*front, c // r**2, h * r, w * r))


@works_on_arrays
def pixel_unshuffle(input: Any, downscale_factor: int) -> Node:
    """Pixels as channels: (…, C, H r, W r) -> (…, C r², H, W), ``pixel_shuffle`` undone.

    Raises:
        ShapeError: height or width are no multiple of r.
        ArgumentError: r is below 1.

    >>> pixel_unshuffle(np.arange(4.0).reshape(1, 2, 2), 2).ravel()
    array([0., 1., 2., 3.])

    """
    x, r = lift(input), _factor(downscale_factor, "downscale_factor")
    if x.ndim < 3 or x.shape[-2] % r or x.shape[-1] % r:
        raise misfit(
            "pixel_unshuffle: height and width do not fit", f"multiples of {r}", str(x.shape)
        )
    *front, c, h, w = x.shape
    n = len(front)
    parts = reshape(x, shape=(*front, c, h // r, r, w // r, r))
    moved = transpose(parts, axes=(*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return reshape(moved, shape=(*front, c * r**2, h // r, w // r))


def _factor(value: Any, name: str) -> int:
    (factor,) = several(value, 1, name)
    if factor < 1:
        raise misused(f"{name} starts at 1", got=f"{name}={value!r}")
    return factor


@works_on_arrays
def channel_shuffle(input: Any, groups: int) -> Node:
    """The channels, taken from each group in turn: (N, C, …) (Zhang et al., arXiv:1707.01083).

    Raises:
        ShapeError: the channels do not divide into groups.

    >>> channel_shuffle(np.arange(4.0).reshape(1, 4, 1), 2).ravel()
    array([0., 2., 1., 3.])

    """
    x = lift(input)
    if x.ndim < 3 or groups < 1 or x.shape[1] % groups:
        raise misfit(
            "channel_shuffle: the channels do not divide into groups",
            expected=f"(N, C, …) with C a multiple of {groups}",
            got=str(x.shape),
        )
    apart = reshape(x, shape=(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]))
    swapped = transpose(apart, axes=(0, 2, 1, *range(3, apart.ndim)))
    return reshape(swapped, shape=x.shape)


# -- patches ---------------------------------------------------------------------------------------
@works_on_arrays
def unfold(
    input: Any, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
) -> Node:
    """The patches of an image as columns: (N, C, H, W) -> (N, C · h · w, patches); or without N.

    Args:
        input: images.
        kernel_size: rows and columns of a patch, h and w.
        dilation: step between its elements.
        padding: zeros around the image.
        stride: step between patches.

    Raises:
        ShapeError: the input is no image, or smaller than a patch.
        ArgumentError: a number that makes no sense.

    >>> unfold(np.arange(4.0).reshape(1, 2, 2), (1, 2))
    array([[0., 2.],
           [1., 3.]])

    """
    x = lift(input)
    if x.ndim not in (3, 4):
        raise misfit("unfold takes images", "(N, C, H, W) or (C, H, W)", str(x.shape))
    cells = _patches("unfold", x.shape[-2:], (kernel_size, dilation, padding, stride))
    (rows, columns), width = cells
    if any(pair != (0, 0) for pair in width):
        x = pad_op(x, width=((0, 0),) * (x.ndim - 2) + width)
    met = getitem_by(x, (..., rows[:, None, :, None], columns[None, :, None, :]))
    *front, channels, h, w, down, across = met.shape
    return reshape(met, shape=(*front, channels * h * w, down * across))


@works_on_arrays
def fold(
    input: Any,
    output_size: Size,
    kernel_size: Size,
    dilation: Size = 1,
    padding: Size = 0,
    stride: Size = 1,
) -> Node:
    """The sum of patches at their places: (N, C · h · w, patches) -> (N, C, *output_size).

    The adjoint of ``unfold``, whose arguments it takes.

    Raises:
        ShapeError: not as many patches, or no multiple of their elements.
        ArgumentError: a number that makes no sense.

    >>> fold(np.ones((2, 2)), (1, 3), (1, 2))
    array([[[1., 2., 1.]]])

    """
    x, size = lift(input), several(output_size, 2, "output_size")
    (rows, columns), width = _patches("fold", size, (kernel_size, dilation, padding, stride))
    (h, down), (w, across) = rows.shape, columns.shape
    if x.ndim not in (2, 3) or x.shape[-2] % (h * w) or x.shape[-1] != down * across:
        raise misfit(
            "fold: the patches do not fit",
            expected=f"(N, C · {h * w}, {down * across}) or without N",
            got=str(x.shape),
        )
    front = (*x.shape[:-2], x.shape[-2] // (h * w))
    patches = reshape(x, shape=(*front, h, w, down, across))
    wide = tuple(n + a + b for n, (a, b) in zip(size, width, strict=True))
    whole = ((None, None, None),) * len(front)
    image = put_add_op(
        patches, rows[:, None, :, None], columns[None, :, None, :],
        shape=(*front, *wide), parts=(*whole, "array", "array"),
    )  # fmt: skip
    cut = tuple((-a, -b) for a, b in width)
    return image if wide == size else pad_op(image, width=((0, 0),) * len(front) + cut)


def _patches(name: str, lengths: Sequence[int], given: Any) -> tuple[tuple[Any, Any], Width]:
    """For rows and columns (element of a patch, patch) -> place in the padded image; the padding.

    Raises:
        ShapeError: no patch fits.
        ArgumentError: a number that makes no sense.

    """
    words = ("kernel_size", "dilation", "padding", "stride")
    kernel, dilation, padding, stride = (
        several(value, 2, word) for value, word in zip(given, words, strict=True)
    )
    if min(*kernel, *dilation, *stride) < 1 or min(padding) < 0:
        raise misused(
            f"{name}: kernel, dilation and stride start at 1, padding at 0",
            got=f"{kernel}, {dilation}, {stride} and {padding}",
        )
    places = []
    for n, k, d, p, s in zip(lengths, kernel, dilation, padding, stride, strict=True):
        count = (n + 2 * p - (k - 1) * d - 1) // s + 1
        if count < 1:
            raise misfit(
                f"{name}: the image is smaller than a patch",
                expected=f"at least {kernel}, dilation {dilation}, with padding {padding}",
                got=str(tuple(lengths)),
            )
        places.append(np.arange(k)[:, None] * d + np.arange(count) * s)
    return (places[0], places[1]), tuple((p, p) for p in padding)
