"""Cross-entropy as a loss with its δ."""

from __future__ import annotations

from allbps.machine.kernels import loss as kernels
from allbps.machine.language.operands import HI, LO
from allbps.machine.planning.layout import row_major
from allbps.machine.planning.plan import Work
from allbps.machine.works.places import Places
from allbps.machine.works.tasks import Cut, partial

OPERATIONS = 30
"""For each score, roughly."""


def emit_cross_entropy(places: Places, work: Work) -> None:
    """The loss, added up from partial results, and δ of the logits."""
    program, (logits, labels) = places.program, work.inputs
    x = places.as_layout(logits, row_major(logits.shape)).memory
    goal = places.as_layout(labels, row_major(labels.shape)).memory
    loss, delta = (places.put(value, row_major(value.shape)).memory for value in work.outputs)
    classes = logits.shape[-1]
    cut = Cut.of(logits.size // classes, classes * OPERATIONS)
    parts = partial(program, loss.name, 1, cut, loss)
    call = kernels.cross_entropy.on(
        L=parts.own, D=delta, X=x, labels=goal, scale=float(work.attrs["scale"]), N=classes,
        lo=LO, hi=HI,
    )  # fmt: skip
    label = f"{loss.name}, {delta.name}: cross-entropy of {logits.name or '…'}"
    program.add(label, cut, call, flops=OPERATIONS * logits.size, work=work)
    parts.combine(program, (loss, 0, 1))


KERNELS = {"cross_entropy_loss": emit_cross_entropy}
"""Kind of work -> what makes its tasks."""
