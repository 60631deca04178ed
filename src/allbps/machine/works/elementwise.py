"""Works that go element by element, as tasks."""

from __future__ import annotations

from allbps.machine.planning.layout import row_major
from allbps.machine.planning.plan import Work
from allbps.machine.works.loops import add_loop, arrays_read
from allbps.machine.works.nests import nest_of
from allbps.machine.works.places import Places


def emit_loop(places: Places, work: Work) -> None:
    """A loop as a task."""
    shape = work.outputs[0].shape
    inputs = arrays_read(work)
    here = [places.strided(value) for value in inputs]
    dense = (p.layout for v, p in zip(inputs, here, strict=True) if v.shape == shape and p.whole)
    layout = next(dense, row_major(shape))
    nest = nest_of(shape, [layout, *(p.layout for p in here)])
    outs = [places.put(value, layout) for value in work.outputs]
    add_loop(places.program, work, nest, list(zip(inputs, here, strict=True)),
             list(zip(work.outputs, outs, strict=True)))  # fmt: skip


KERNELS = {"loop": emit_loop}
"""Kind of work -> what makes its tasks."""
