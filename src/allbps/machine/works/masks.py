"""A ReLU's mask, laid on δ by the task that makes it."""

from __future__ import annotations

from allbps.machine.planning.plan import Work
from allbps.machine.works.places import Places
from allbps.machine.works.tasks import Place, Program


def gate_of(places: Places, work: Work, out: Place) -> Place | None:
    """The ReLU's result, laid out as its δ; None where there is no ReLU."""
    return places.as_layout(work.inputs[2], out.layout) if work.attrs.get("mask") else None


def masked(
    program: Program, target: str, gate: Place | None, width: int, rows: str = "lo, hi"
) -> tuple[str, ...]:
    """The line that lays the mask on some rows of ``target``; nothing where there is no ReLU."""
    if gate is None:
        return ()
    program.use("kernels.activation", "mask")
    return (f"mask({target}, {gate.memory.name}, {width}, {rows}, 0, {width})",)
