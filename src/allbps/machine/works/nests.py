"""Nests of loops over several arrays, in the order of the result's memory.

Axes that lie the same way in all of them become one; what is left is a nest whose innermost loop is
dense.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from allbps.machine.planning.layout import Layout, Run, common_refinement
from allbps.machine.works.tasks import NoKernelError


@dataclass(frozen=True)
class Nest:
    """A nest of loops over several arrays.

    Attributes:
        lengths: of the loops, outermost first.
        strides: for each array, how far one turn of each loop moves in it.

    """

    lengths: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]

    @property
    def rows(self) -> int:
        """Turns of all loops but the innermost."""
        return int(np.prod(self.lengths[:-1], dtype=np.int64))


def nest_of(shape: Sequence[int], layouts: Sequence[Layout], leading: int = 0) -> Nest:
    """The loops that walk arrays broadcast to ``shape``, in the order of the first one's memory.

    Args:
        shape: what is walked.
        layouts: of the arrays; their axes are counted from the last.
        leading: the array whose memory gives the order.

    Raises:
        NoKernelError: the arrays are cut up in ways that do not fit.

    """
    axes = []
    for axis in range(len(shape)):
        runs: list[list[Run]] = []
        for layout in layouts:
            own = axis - (len(shape) - len(layout.axes))
            dims = layout.axes[own] if own >= 0 else ()
            runs.append([(layout.dims[d], layout.strides[d]) for d in dims])
        axes.append(runs)
    return nest_of_runs(axes, leading) if shape else Nest((1,), ((0,),) * len(layouts))


def nest_of_runs(axes: Sequence[Sequence[Sequence[Run]]], leading: int = 0) -> Nest:
    """The same from the runs of each array along each axis.

    Raises:
        NoKernelError: the arrays are cut up in ways that do not fit.

    """
    count = len(axes[0]) if axes else 2
    loops: list[tuple[int, tuple[int, ...]]] = []
    for runs in axes:
        cut = common_refinement(runs)
        if cut is None:
            raise NoKernelError
        pieces = zip(*cut, strict=True) if any(runs) else ()
        loops += [(piece[0][0], tuple(stride for _, stride in piece)) for piece in pieces]
    loops.sort(key=lambda loop: -loop[1][leading])
    joined: list[tuple[int, tuple[int, ...]]] = []
    for length, strides in loops:
        if joined and all(s == length * t for s, t in zip(joined[-1][1], strides, strict=True)):
            joined[-1] = (joined[-1][0] * length, strides)
        else:
            joined.append((length, strides))
    lengths = tuple(length for length, _ in joined) or (1,)
    columns = tuple(strides for _, strides in joined) or ((0,) * count,)
    return Nest(lengths, tuple(zip(*columns, strict=True)))


LINE = 16
"""Numbers of four bytes that fill a cache line."""
FAR = 4096
"""Numbers that an axis must span: less stays in the first cache, in any order."""


def in_lines(nest: Nest) -> Nest:
    """The nest of a copy between two arrays that are dense along different axes, line by line.

    Element by element, one of the two would be walked in leaps that leave every line after one
    number. So the longer of the two axes is cut into lines: of each a few numbers side by side,
    for all turns of the other loops, in the order of the array in which these lie dense.
    """
    dense = [next((k for k, step in enumerate(steps) if step == 1), None) for steps in nest.strides]
    if None in dense or dense[0] == dense[1]:
        return nest
    longer = max((k for k in dense if k is not None), key=lambda k: nest.lengths[k])
    other = nest.strides[1 if dense[0] == longer else 0]
    count, rest = divmod(nest.lengths[longer], LINE)
    if rest or other[longer] < LINE or other[longer] * nest.lengths[longer] < FAR:
        return nest
    order = sorted((k for k in range(len(other)) if k != longer), key=lambda k: -other[k])
    return Nest(
        (count, *(nest.lengths[k] for k in order), LINE),
        tuple(
            (steps[longer] * LINE, *(steps[k] for k in order), steps[longer])
            for steps in nest.strides
        ),
    )
