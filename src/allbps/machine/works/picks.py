"""Indices that are constant arrays: worked out in advance as places in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.machine.kernels import picks as kernels
from allbps.machine.language.operands import HI, LO, Memory
from allbps.machine.planning.layout import Shape, row_major
from allbps.machine.planning.plan import Value, Work
from allbps.machine.works.places import Places
from allbps.machine.works.slices import zero
from allbps.machine.works.tasks import Cut, NoKernelError, Program
from allbps.ops.index import numpy_index

LARGEST = 1 << 24
"""Numbers of an array whose places are still written down."""


def emit_pick(places: Places, work: Work) -> None:
    """Elements by a constant index."""
    x, out = work.inputs[0], work.outputs[0]
    pick(places, work, x, _constant_index(work, x.shape), out)


def emit_pick_delta(places: Places, work: Work) -> None:
    """Zeros with numbers added at a constant index."""
    program, x, out = places.program, work.inputs[0], work.outputs[0]
    at = _constant_index(work, out.shape)
    delta = places.as_layout(x, row_major(x.shape)).memory
    there = places.put(out, row_major(out.shape)).memory
    zero(program, there)
    if not at.size:
        return
    apart = len(np.unique(at)) == at.size  # then no two pieces meet
    cut = Cut.of(at.size, 4) if apart else Cut(at.size, 1)
    call = kernels.hand_back.on(D=there, G=delta, places=_kept(program, at), lo=LO, hi=HI)
    label = f"{there.name}: δ where it was picked"
    program.add(label, cut, call, flops=at.size, traffic=x.size + out.size, work=work)


def pick(places: Places, work: Work, x: Value, at: NDArray[np.int64], out: Value) -> None:
    """A task that makes ``out`` of the numbers of ``x`` at some places, in row-major order."""
    program, here = places.program, places.as_layout(x, row_major(x.shape)).memory
    there = places.put(out, row_major(out.shape)).memory
    if not at.size:
        return
    call = kernels.pick.on(Y=there, X=here, places=_kept(program, at), lo=LO, hi=HI)
    label = f"{there.name}: picked from {here.name}"
    program.add(label, Cut.of(at.size, 4), call, traffic=2 * at.size, work=work)


def _kept(program: Program, at: NDArray[np.int64]) -> Memory:
    return program.memory("places", at.size, "Int", kept=True, start=np.ravel(at))


def _constant_index(work: Work, shape: Shape) -> NDArray[np.int64]:
    """The places that the index of a work picks from an array of that shape.

    Raises:
        NoKernelError: the index is not constant, the array is too large, or holds no real numbers.

    """
    arrays: list[Any] = [x.constant for x in work.inputs[1:]]
    size = int(np.prod(shape, dtype=np.int64))
    constant = all(array is not None for array in arrays)
    if not constant or size > LARGEST or work.inputs[0].dtype.kind != "f":
        raise NoKernelError
    return np.asarray(np.arange(size).reshape(shape)[numpy_index(work.attrs["parts"], arrays)])


KERNELS = {"getitem": emit_pick, "put_add": emit_pick_delta}
"""Kind of work -> what makes its tasks."""
