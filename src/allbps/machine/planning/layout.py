"""Where the numbers of an array lie: the machine moves axes about without moving numbers.

An array's memory is a row-major block of *dims*, dense unless the array was cut out of a larger
one. A logical axis is made of some of them, major first. So transposing is renaming, merging two
axes is writing one list behind the other, and an image kept as (N, H, W, C) is still (N, C, H, W)
to the net, also after it was flattened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]
Run = tuple[int, int]
"""(length, stride): so many numbers, each so far behind the one before."""


@dataclass(frozen=True)
class Layout:
    """How logical axes lie in memory.

    Attributes:
        dims: lengths of the block, outermost first; no dim has length 1.
        axes: for each logical axis the dims it is made of, major first.
        steps: for each dim of a part of a larger block, how far apart its neighbours are.

    """

    dims: Shape
    axes: tuple[Shape, ...]
    steps: Shape | None = None

    @property
    def shape(self) -> Shape:
        """The logical shape."""
        return tuple(prod(self.dims[d] for d in axis) for axis in self.axes)

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return prod(self.dims)

    @cached_property
    def strides(self) -> Shape:
        """For each dim, how far apart its neighbours are."""
        if self.steps is not None:
            return self.steps
        return tuple(prod(self.dims[d + 1 :]) for d in range(len(self.dims)))

    def runs(self, axis: int) -> list[Run]:
        """The dims of one axis, major first, neighbours that form one run put together."""
        return merged([(self.dims[d], self.strides[d]) for d in self.axes[axis]])

    def same_places(self, other: Layout) -> bool:
        """Does every element have the same place in memory?"""
        return self.shape == other.shape and all(
            self.runs(k) == other.runs(k) for k in range(len(self.axes))
        )

    def transposed(self, order: Sequence[int]) -> Layout:
        """The layout of the transposed array, in the same memory."""
        return Layout(self.dims, tuple(self.axes[k] for k in order), self.steps)

    def reshaped(self, shape: Shape) -> Layout | None:
        """The layout of the reshaped array in the same memory, or None where it needs a copy."""
        if not prod(shape):
            return row_major(shape)  # of no numbers: they lie nowhere
        dims, steps = list(self.dims), list(self.strides)
        queue = [d for axis in self.axes for d in axis]
        axes: list[list[int]] = []
        for length in shape:
            n = length
            axis: list[int] = []
            while n > 1:
                if not queue:
                    return None
                d = queue.pop(0)
                if dims[d] > n:  # split: the major part belongs here, the rest to the next axis
                    if dims[d] % n:
                        return None
                    dims[d : d + 1] = [n, dims[d] // n]
                    steps[d : d + 1] = [steps[d] * dims[d + 1], steps[d]]
                    axes = [[e + (e > d) for e in a] for a in axes]
                    axis = [e + (e > d) for e in axis]
                    queue = [d + 1, *(e + (e > d) for e in queue)]
                elif n % dims[d]:
                    return None
                n //= dims[d]
                axis.append(d)
            axes.append(axis)
        kept = None if self.steps is None else tuple(steps)
        return Layout(tuple(dims), tuple(tuple(axis) for axis in axes), kept)

    def view(self, block: NDArray[np.generic]) -> NDArray[np.generic]:
        """A flat block of memory as the logical array; a copy only where an axis is scattered."""
        order = [d for axis in self.axes for d in axis]
        return block[: self.size].reshape(self.dims).transpose(order).reshape(self.shape)

    def copied(self, block: NDArray[np.generic]) -> NDArray[np.generic]:
        """The logical array in memory of its own."""
        view = self.view(block)
        return view.copy() if np.may_share_memory(view, block) else view

    def fill(self, block: NDArray[np.generic], array: NDArray[np.generic]) -> None:
        """Write a logical array into its flat block of memory."""
        order = [d for axis in self.axes for d in axis]
        lengths = [self.dims[d] for d in order]
        block[: self.size].reshape(self.dims).transpose(order)[...] = np.reshape(array, lengths)


def row_major(shape: Shape) -> Layout:
    """The usual layout: the last axis is dense."""
    return in_order(shape, range(len(shape)))


def in_order(shape: Shape, order: Sequence[int]) -> Layout:
    """Axes one after the other in memory in this order, the last one dense.

    >>> in_order((64, 3, 28, 28), (0, 2, 3, 1)).strides
    (2352, 84, 3, 1)
    """
    kept = [k for k in order if shape[k] != 1]
    axes = tuple((kept.index(k),) if k in kept else () for k in range(len(shape)))
    return Layout(tuple(shape[k] for k in kept), axes)


def image_layout(shape: Shape) -> Layout:
    """Channels last; a matrix is an image with one channel."""
    return in_order(shape, (0, 2, 3, 1)) if len(shape) == 4 else row_major(shape)


def channels_inside(shape: Shape) -> Layout:
    """(N, C, …) with the channels innermost."""
    return in_order(shape, (0, *range(2, len(shape)), 1))


def weight_layout(shape: Shape) -> Layout:
    """(h, w, C, O)."""
    return in_order(shape, (2, 3, 1, 0)) if len(shape) == 4 else row_major(shape)


def merged(runs: Sequence[Run]) -> list[Run]:
    """Neighbouring runs that continue each other as one."""
    out: list[Run] = []
    for length, stride in runs:
        if out and out[-1][1] == length * stride:
            out[-1] = (out[-1][0] * length, stride)
        else:
            out.append((length, stride))
    return out


def common_refinement(lists: Sequence[Sequence[Run]]) -> list[list[Run]] | None:
    """The same axis of several arrays, cut so that piece k has one length in all of them.

    An empty list is an axis of length 1 that is broadcast: it gets stride 0. None where the cuts
    do not nest.
    """
    pending = [list(runs) for runs in lists]
    out: list[list[Run]] = [[] for _ in lists]
    full = [k for k, runs in enumerate(pending) if runs]
    while any(pending[k] for k in full):
        if not all(pending[k] for k in full):
            return None
        minor = min(pending[k][-1][0] for k in full)  # cut from the minor end
        if minor == 0:
            return [[(0, 0)] for _ in lists]
        for k in range(len(lists)):
            if k not in full:
                out[k].insert(0, (minor, 0))
                continue
            length, stride = pending[k].pop()
            if length % minor:
                return None
            out[k].insert(0, (minor, stride))
            if length > minor:
                pending[k].append((length // minor, stride * minor))
    return out
