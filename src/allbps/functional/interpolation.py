"""Images of another size."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from operator import index
from typing import Any

import numpy as np

from allbps.functional.adaptive import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from allbps.functional.common import misfit, misused, works_on_arrays
from allbps.ir import Node, lift
from allbps.ops.index import getitem_by
from allbps.ops.shape import broadcast_to, reshape

MODES = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
"""Mode -> over how many axes it goes; others go over one, two or three."""
WITH_CORNERS = tuple(MODES)
AREA = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}


@works_on_arrays
def interpolate(
    input: Any,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Node:
    """A sequence, image or volume (N, C, …) of another size.

    Args:
        input: (N, C, L), (N, C, H, W) or (N, C, D, H, W).
        size: the new lengths; or
        scale_factor: how many times the old ones, rounded down.
        mode: "nearest", "nearest-exact", "linear" (of sequences), "bilinear" and "bicubic" (of
            images), "trilinear" (of volumes) or "area" (means).
        align_corners: do the centres of the outermost numbers stay where they are, rather than
            their outer edges?
        recompute_scale_factor: take the factor of the rounded lengths.
        antialias: weigh all numbers that a new one stands for ("bilinear" and "bicubic").

    Raises:
        ArgumentError: an unknown mode, an option that the mode has not, both or neither of size and
            factor.
        ShapeError: the mode does not fit the axes.

    >>> interpolate(np.array([[[1.0, 3.0]]]), size=4, mode="linear")
    array([[[1. , 1.5, 2.5, 3. ]]])

    """
    x = lift(input)
    _check_mode(x, mode, align_corners, antialias)
    n = x.ndim - 2
    sizes, factors = _sizes(x.shape[2:], size, scale_factor, bool(recompute_scale_factor))
    if mode == "area":
        made: Node = lift(AREA[n](x, sizes))
        return made
    for k, (new, factor) in enumerate(zip(sizes, factors, strict=True)):
        way = _Way(x.shape[2 + k], new, factor, bool(align_corners), antialias)
        x = _resized(x, 2 + k, way, mode)
    return x


def _check_mode(x: Node, mode: str, align_corners: bool | None, antialias: bool) -> None:
    if mode not in ("nearest", "nearest-exact", "area", *MODES):
        known = ", ".join(map(repr, ("nearest", "nearest-exact", "area", *MODES)))
        raise misused("unknown mode of interpolation", expected=known, got=repr(mode))
    if x.ndim not in (3, 4, 5) or MODES.get(mode, x.ndim - 2) != x.ndim - 2:
        wanted = MODES.get(mode)
        raise misfit(
            f"interpolate with mode={mode!r}",
            expected=f"(N, C, …) of {wanted + 2 if wanted else '3, 4 or 5'} axes",
            got=str(x.shape),
        )
    if align_corners is not None and mode not in WITH_CORNERS:
        raise misused(f"the mode {mode!r} has no align_corners", got=repr(align_corners))
    if antialias and mode not in ("bilinear", "bicubic"):
        raise misused(f"the mode {mode!r} has no antialias", got="antialias=True")


def _sizes(
    lengths: tuple[int, ...], size: Any, scale_factor: Any, recompute: bool
) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """New lengths, and the factor that counts; None where it is that of the lengths."""
    n = len(lengths)
    factors: tuple[float | None, ...] = (None,) * n
    if (size is None) == (scale_factor is None):
        raise misused("interpolate needs either size or scale_factor")
    if size is not None:
        if recompute:
            raise misused("recompute_scale_factor goes with scale_factor", got=f"size={size!r}")
        listed = tuple(size) if isinstance(size, (tuple, list, np.ndarray)) else (size,) * n
        sizes = tuple(map(index, listed))
    else:
        several = isinstance(scale_factor, (tuple, list, np.ndarray))
        wanted = tuple(map(float, scale_factor if several else (scale_factor,) * n))
        sizes = tuple(floor(m * f) for m, f in zip(lengths, wanted, strict=False))
        factors = factors if recompute else wanted
    if len(sizes) != n or min(sizes) < 1 or min(lengths) < 1:
        raise misused(
            "interpolate: lengths start at 1",
            expected=f"{n} of them",
            got=f"{lengths} to {sizes}",
        )
    return sizes, factors


@dataclass(frozen=True)
class _Way:
    """From one length to another.

    Attributes:
        old: the length that there is.
        new: the length that is wanted.
        factor: PyTorch's scale factor, where it counts.
        corners: align_corners.
        antialias: weigh all numbers that a new one stands for.

    """

    old: int
    new: int
    factor: float | None
    corners: bool
    antialias: bool

    @property
    def step(self) -> float:
        """How far apart the new numbers are, measured in old ones."""
        if self.corners:
            return (self.old - 1) / (self.new - 1) if self.new > 1 else 0.0
        return 1 / self.factor if self.factor and self.factor > 0 else self.old / self.new

    def centres(self) -> Any:
        """Where the centre of each new number lies, 0 being that of the first old one."""
        places = np.arange(self.new)
        return self.step * places if self.corners else self.step * (places + 0.5) - 0.5


def _resized(x: Node, axis: int, way: _Way, mode: str) -> Node:
    if mode == "nearest" and way.new % way.old == 0 and way.factor in (None, way.new // way.old):
        return _repeated(x, axis, way.new // way.old)
    taps, weights = _taps(way, mode, x.dtype)
    front = (slice(None),) * axis
    if weights is None:
        return getitem_by(x, (*front, taps[:, 0]))
    after = (1,) * (x.ndim - axis - 1)
    total: Any = None
    for place, weight in zip(taps.T, weights.T, strict=True):
        share = np.reshape(weight, (-1, *after)).astype(x.dtype)
        part = getitem_by(x, (*front, place)) * share
        total = part if total is None else total + part
    return lift(total)


def _repeated(x: Node, axis: int, times: int) -> Node:
    """Each number so many times in a row."""
    if times == 1:
        return x
    apart = (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :])
    spread = (*x.shape[: axis + 1], times, *x.shape[axis + 1 :])
    whole = (*x.shape[:axis], x.shape[axis] * times, *x.shape[axis + 1 :])
    return reshape(broadcast_to(reshape(x, shape=apart), shape=spread), shape=whole)


def _taps(way: _Way, mode: str, dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """(new, taps): which old numbers a new one is made of, and their weights; None for 1."""
    if mode in ("nearest", "nearest-exact"):
        # PyTorch's own arithmetic: in the input's precision, rounded to a single one before ⌊·⌋
        step, shift = dtype.type(way.step), dtype.type(0.5 if mode == "nearest-exact" else 0.0)
        exact = (np.arange(way.new).astype(dtype) + shift) * step
        place = np.floor(exact.astype(np.float32)).astype(int)
        return np.minimum(place, way.old - 1)[:, None], None
    if way.antialias:
        return _wide_taps(way, cubic=mode == "bicubic")
    centres = way.centres()
    if mode == "bicubic":
        first = np.floor(centres)
        taps = first[:, None] + np.arange(-1, 3)
        weights = _cubic(centres[:, None] - taps, -0.75)
        return np.clip(taps, 0, way.old - 1).astype(int), weights
    centres = np.maximum(centres, 0.0)
    first = np.minimum(np.floor(centres).astype(int), way.old - 1)
    share = np.clip(centres - first, 0.0, 1.0)
    taps = np.stack([first, np.minimum(first + 1, way.old - 1)], axis=1)
    return taps, np.stack([1.0 - share, share], axis=1)


def _cubic(distance: Any, a: float) -> Any:
    """Keys' convolution kernel (IEEE Trans. ASSP 29, 1981)."""
    d = np.abs(distance)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((d - 5) * d + 8) * d * a - 4 * a
    return np.where(d < 1, near, np.where(d < 2, far, 0.0))


def _wide_taps(way: _Way, cubic: bool) -> tuple[Any, Any]:
    """As Pillow does it: the kernel is stretched where the image shrinks."""
    stretch = max(way.step, 1.0)
    reach = (2.0 if cubic else 1.0) * stretch
    centres = way.step * (np.arange(way.new) + 0.5)
    first = np.maximum((centres - reach + 0.5).astype(int), 0)
    last = np.minimum((centres + reach + 0.5).astype(int), way.old)
    offsets = np.arange(int(np.max(last - first)))
    taps = first[:, None] + offsets
    distance = (taps - centres[:, None] + 0.5) / stretch
    weights = _cubic(distance, -0.5) if cubic else np.maximum(1.0 - np.abs(distance), 0.0)
    weights = np.where(taps < last[:, None], weights, 0.0)
    weights = weights / np.sum(weights, axis=1, keepdims=True)
    return np.minimum(taps, way.old - 1), weights


@works_on_arrays
def upsample(
    input: Any,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Node:
    """PyTorch's former name of ``interpolate``.

    >>> upsample(np.array([[[1.0, 2.0]]]), scale_factor=2)
    array([[[1., 1., 2., 2.]]])
    """
    return lift(interpolate(lift(input), size, scale_factor, mode, align_corners))


@works_on_arrays
def upsample_nearest(
    input: Any,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
) -> Node:
    """``interpolate`` with mode "nearest".

    >>> upsample_nearest(np.array([[[1.0, 2.0]]]), scale_factor=2)
    array([[[1., 1., 2., 2.]]])
    """
    return lift(interpolate(lift(input), size, scale_factor))


@works_on_arrays
def upsample_bilinear(
    input: Any,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
) -> Node:
    """``interpolate`` with mode "bilinear" and aligned corners.

    >>> upsample_bilinear(np.array([[[[1.0, 2.0]]]]), size=(1, 3))
    array([[[[1. , 1.5, 2. ]]]])
    """
    return lift(interpolate(lift(input), size, scale_factor, "bilinear", True))
