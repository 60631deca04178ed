"""A ReLU's mask, laid on δ by the task that makes it."""

from __future__ import annotations

from dataclasses import dataclass

from allbps.machine.kernels.activation import mask
from allbps.machine.language.calls import Call
from allbps.machine.language.operands import HI, LO, Memory, Pointer, Whole
from allbps.machine.planning.plan import Work
from allbps.machine.works.places import Places
from allbps.machine.works.tasks import Place


@dataclass(frozen=True)
class Gate:
    """The result of a ReLU, in rows of ``width`` numbers, laid out as the δ that it masks."""

    memory: Memory
    width: int

    def on(self, target: Pointer, lo: Whole | int = LO, hi: Whole | int = HI) -> Call:
        """The call that lays the mask on some rows of ``target``."""
        return mask.on(
            D=target, Y=self.memory, ld=self.width, lo=lo, hi=hi, left=0, right=self.width
        )


def mask_of(places: Places, work: Work, out: Place) -> Memory | None:
    """The result of the ReLU behind the δ that a work puts at ``out``; None where there is none."""
    return places.as_layout(work.inputs[2], out.layout).memory if work.attrs.get("mask") else None


def gate_of(places: Places, work: Work, out: Place, rows: int) -> Gate | None:
    """The gate of the δ that a work puts at ``out`` in so many rows; None without a ReLU."""
    memory = mask_of(places, work, out)
    return None if memory is None else Gate(memory, out.layout.size // rows)
