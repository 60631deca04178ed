"""Indices that are constant arrays: worked out in advance as places in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.machine.planning.layout import Shape, row_major
from allbps.machine.planning.plan import Value, Work
from allbps.machine.works.places import Places
from allbps.machine.works.slices import zero
from allbps.machine.works.tasks import Memory, Program, Task, bounds, line_of, moved, pieces_for
from allbps.ops.index import numpy_index

LARGEST = 1 << 24
"""Numbers of an array whose places are still written down."""


def emit_pick(program: Program, places: Places, work: Work) -> bool:
    """Elements by a constant index; False for another."""
    x, out = work.inputs[0], work.outputs[0]
    at = _constant_index(work, x.shape)
    if at is None or x.dtype.kind != "f":
        return False
    pick(program, places, work, x, at, out)
    return True


def emit_pick_delta(program: Program, places: Places, work: Work) -> bool:
    """Zeros with numbers added at a constant index; False for another."""
    x, out = work.inputs[0], work.outputs[0]
    at = _constant_index(work, out.shape)
    if at is None or x.dtype.kind != "f":
        return False
    program.use("kernels.picks", "hand_back")
    delta = places.as_layout(x, row_major(x.shape))
    there = places.put(out, row_major(out.shape))
    zero(program, there)
    if not at.size:
        return True
    apart = len(np.unique(at)) == at.size  # then no two pieces meet
    pieces = pieces_for(at.size, 4) if apart else 1
    found = _written(program, at)
    call = f"hand_back({there.memory.name}, {delta.memory.name}, {found.name}, lo, hi)"
    program.tasks.append(
        Task(f"{there.memory.name}: δ where it was picked", pieces,
             (*bounds(at.size, pieces), call), (delta.memory, found), (there.memory,),
             flops=at.size, traffic=moved((x, out)), site=line_of(work))
    )  # fmt: skip
    return True


def pick(
    program: Program, places: Places, work: Work, x: Value, at: NDArray[np.int64], out: Value
) -> None:
    """A task that makes ``out`` of the numbers of ``x`` at some places, in row-major order."""
    program.use("kernels.picks", "pick")
    here = places.as_layout(x, row_major(x.shape))
    there = places.put(out, row_major(out.shape))
    if not at.size:
        return
    pieces = pieces_for(at.size, 4)
    found = _written(program, at)
    call = f"pick({there.memory.name}, {here.memory.name}, {found.name}, lo, hi)"
    program.tasks.append(
        Task(f"{there.memory.name}: picked from {here.memory.name}", pieces,
             (*bounds(at.size, pieces), call), (here.memory, found), (there.memory,),
             traffic=2 * at.size, site=line_of(work))
    )  # fmt: skip


def _written(program: Program, at: NDArray[np.int64]) -> Memory:
    return program.memory("places", at.size, "Int", kept=True, start=np.ravel(at))


def _constant_index(work: Work, shape: Shape) -> NDArray[np.int64] | None:
    """The places that the index of a work picks from an array of that shape."""
    arrays: list[Any] = [x.constant for x in work.inputs[1:]]
    size = int(np.prod(shape, dtype=np.int64))
    if any(array is None for array in arrays) or size > LARGEST:
        return None
    found = np.arange(size).reshape(shape)[numpy_index(work.attrs["parts"], arrays)]
    return np.asarray(found)
