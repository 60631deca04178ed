"""From a plan to tasks: each work by the kernel that takes it, or through NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from allbps.machine.language.calls import once
from allbps.machine.language.operands import Memory
from allbps.machine.planning.assembly import assembled
from allbps.machine.planning.layout import row_major
from allbps.machine.planning.plan import BYTE, UNHELD, VIEWS, Value, Work
from allbps.machine.planning.windows import is_window
from allbps.machine.works import (
    attention,
    contractions,
    conv,
    elementwise,
    embedding,
    groups,
    loss,
    matrices,
    moves,
    norm,
    picks,
    pool,
    random,
    rows,
    slices,
    sums,
)
from allbps.machine.works.places import Places
from allbps.machine.works.tasks import ONCE, InPython, NoKernelError

Blocks = dict[Memory, Any]
"""The arrays behind blocks of memory, once they exist."""
Emit = Callable[[Places, Work], None]
"""Makes the tasks of a work, or raises NoKernelError before it gives memory to a result."""

FAMILIES: tuple[Mapping[str, Emit], ...] = (
    attention.KERNELS, contractions.KERNELS, conv.KERNELS, elementwise.KERNELS, embedding.KERNELS,
    groups.KERNELS, loss.KERNELS, matrices.KERNELS, moves.KERNELS, norm.KERNELS,
    slices.KERNELS, picks.KERNELS, pool.KERNELS, random.KERNELS, rows.KERNELS, sums.KERNELS,
)  # fmt: skip
"""What each family of kernels takes; of several that take a kind, the first that can does it."""


class Emitter:
    """Turns the works of a plan into the tasks of a program.

    Args:
        places: where its values lie.
        blocks: filled later with the arrays behind blocks; NumPy works read it when they run.

    """

    def __init__(self, places: Places, blocks: Blocks) -> None:
        self.places, self.program, self.blocks = places, places.program, blocks
        self.by_numpy: list[Work] = []

    def emit(self, work: Work) -> None:
        """One work."""
        if self._is_view(work):
            self.places.view(work)
            return
        usable = self._has_right_numbers(work) and not _is_empty(work)
        for kernels in FAMILIES if usable else ():
            if work.kind in kernels:
                try:
                    kernels[work.kind](self.places, work)
                except NoKernelError:
                    continue
                return
        self._through_numpy(work)

    def _is_view(self, work: Work) -> bool:
        """Does it only say where numbers are found?"""
        if work.kind == "getitem":
            found = is_window(work) and work.outputs[0].size > 0
            return found and self._has_right_numbers(work)
        return work.kind in VIEWS and work.kind != "identity"

    def _has_right_numbers(self, work: Work) -> bool:
        """Kernels take the program's reals, truth values and integers with a sign in 64 bits."""
        made = [*work.outputs, *(out for step in work.steps for out in step.outputs)]
        taken = [x for x in work.inputs if x.uniform is None]
        good = (self.program.real, np.dtype(bool), BYTE)
        return all(
            x.dtype in good or (x.dtype.kind in "iu" and x.dtype != UNHELD) for x in (*made, *taken)
        )

    # ---- without a kernel

    def _through_numpy(self, work: Work) -> None:
        """A task that runs the NumPy text of each step."""
        steps = work.steps or (work,)
        for step in steps:
            named = step.node is not None and step.node.op.name == step.kind
            if not named and step.kind not in OWN:
                raise AssertionError(f"{step.kind} has neither a kernel nor a NumPy text")
        if any(value.size for value in work.outputs):
            self.by_numpy.append(work)
        inputs = [value for value in work.inputs if value.constant is None]
        here = {value: self.places.of(value) for value in inputs}
        out = {value: self.places.put(value, row_major(value.shape)) for value in work.outputs}

        def call() -> None:
            known: dict[Value, Any] = {v: v.constant for v in work.inputs}
            for value, place in here.items():
                block = self.blocks[place.memory]
                known[value] = _as_array(value, place.layout.view(block[place.start :]))
            for step in steps:
                made = _run(step, [known.get(x, x.constant) for x in step.inputs])
                known[step.outputs[0]] = made
            for value, place in out.items():
                if value in known:
                    place.layout.fill(self.blocks[place.memory], np.asarray(known[value]))

        label = f"{work.outputs[0].name or '…'} = {', '.join(s.kind for s in steps)} in NumPy"
        reads, writes = (once(p.memory for p in known.values()) for known in (here, out))
        self.program.add(label, ONCE, python=InPython(call, reads, writes), traffic=0, work=work)


OWN = ("broadcast_to", "identity", "assemble", "matmul_sum")
"""Works of the machine's own that NumPy can do, too."""


def _is_empty(work: Work) -> bool:
    """Are there no numbers to read, or none to write?"""
    reads_none = bool(work.inputs) and all(value.size == 0 for value in work.inputs)
    return reads_none or any(value.size == 0 for value in work.outputs)


def _as_array(value: Value, array: Any) -> Any:
    """A block's numbers in the dtype that the text expects; no shape is a NumPy number."""
    return array.astype(value.dtype, copy=False)[()]


def _run(step: Work, values: list[Any]) -> Any:
    if step.kind == "broadcast_to":
        return np.broadcast_to(values[0], step.outputs[0].shape)
    if step.kind == "identity":
        return values[0]
    if step.kind == "assemble":
        return assembled(step, values)
    if step.kind == "matmul_sum":
        return sum(a @ b for a, b in zip(values[::2], values[1::2], strict=True))
    if step.kind == "relu" and step.node is None:
        return np.maximum(values[0], 0)
    assert step.node is not None
    return step.node.op.run(values, step.node.attrs)
