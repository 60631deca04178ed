"""From a plan to tasks: each work by the kernel that takes it, or through NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from allbps.machine.planning.assembly import landings
from allbps.machine.planning.layout import Layout, row_major
from allbps.machine.planning.plan import VIEWS, Plan, Value, Work
from allbps.machine.planning.substitutes import plain_pool
from allbps.machine.planning.sums import SUMS
from allbps.machine.planning.windows import is_window
from allbps.machine.works import (
    axes,
    contractions,
    grouped,
    heads,
    images,
    moves,
    norms,
    picks,
    rows,
    slices,
    taps,
)
from allbps.machine.works.loops import add_copy, emit_loop, uses_integers
from allbps.machine.works.nests import NoLoopError
from allbps.machine.works.places import Places, memories
from allbps.machine.works.products import NoProductError
from allbps.machine.works.sums import emit_sum
from allbps.machine.works.tasks import Memory, Place, Program, Task, line_of

Blocks = dict[Memory, Any]
"""The arrays behind blocks of memory, once they exist."""


class Emitter:
    """Turns the works of a plan into the tasks of a program.

    Args:
        program: where tasks and memory go.
        plan: what to do.
        params: values whose layout may be chosen.
        blocks: filled later with the arrays behind blocks; NumPy works read it when they run.

    """

    def __init__(
        self, program: Program, plan: Plan, params: Iterable[Value], blocks: Blocks
    ) -> None:
        self.program, self.plan, self.blocks = program, plan, blocks
        self.places = Places(program, params)
        self.places.copy = self._copy
        self.places.landings = landings(plan)
        self.by_numpy: list[Work] = []
        self._maker = {value: work for work in plan.works for value in work.outputs}
        for value in plan.inputs:
            if value not in self.places._open:
                self.places.put(value, row_major(value.shape), kept=True)

    def emit(self) -> None:
        """All works, in order."""
        for work in self.plan.works:
            self._one(work)

    def _copy(self, value: Value, here: Place, layout: Layout) -> Place:
        return add_copy(self.program, self.places, value, here, layout)

    def _one(self, work: Work) -> None:
        if self._is_view(work):
            self.places.view(work)
            return
        usable = self._has_right_numbers(work) and not _is_empty(work)
        emit = self._kernel(work) if usable else None
        if emit is not None:
            before = len(self.program.tasks)
            try:
                if emit(self.program, self.places, work) is not False:
                    return
            except (NoLoopError, NoProductError):
                del self.program.tasks[before:]
        self._through_numpy(work)

    def _is_view(self, work: Work) -> bool:
        """Does it only say where numbers are found?"""
        if work.kind == "getitem":
            found = is_window(work) and work.outputs[0].size > 0
            return found and self._has_right_numbers(work)
        return work.kind in VIEWS and work.kind != "identity"

    def _has_right_numbers(self, work: Work) -> bool:
        """Kernels take the program's reals, truth values as bytes, and int64."""
        real, good = self.program.real, (np.dtype(bool), np.dtype(np.int64), np.dtype(np.uint8))
        values = [*work.outputs, *(x for x in work.inputs if x.uniform is None)]
        values += [out for step in work.steps for out in step.outputs]
        return all(v.dtype == real or v.dtype in good for v in values)

    def _kernel(self, work: Work) -> Callable[[Program, Places, Work], Any] | None:
        """The function that makes tasks of a work, if there is one."""
        kind = work.kind
        if kind == "loop":
            return None if uses_integers(work) else emit_loop
        if kind in SUMS:
            return emit_sum if work.outputs[0].dtype == self.program.real else None
        if kind in CONVOLUTIONS:
            return CONVOLUTIONS[kind][images.is_plain(work)]
        if kind == "max_pool2d":
            return images.emit_max_pool if self._pool_fits(work) else None
        if kind in WITH_PARTNER:
            return self._with_partner
        return KERNELS.get(kind)

    def _pool_fits(self, work: Work) -> bool:
        return work.node is not None and plain_pool(work.node)

    def _with_partner(self, program: Program, places: Places, work: Work) -> None:
        """The δ of a work that kept something for it, as its second result."""
        kept = self._maker[work.inputs[1]].outputs[1]
        WITH_PARTNER[work.kind](program, places, work, kept)

    # ---- without a kernel

    def _through_numpy(self, work: Work) -> None:
        """A task that runs the NumPy text of each step."""
        steps = work.steps or (work,)
        for step in steps:
            named = step.node is not None and step.node.op.name == step.kind
            if not named and step.kind not in ("broadcast_to", "identity"):
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
                known[value] = _as_array(value, place.layout.view(block))
            for step in steps:
                made = _run(step, [known.get(x, x.constant) for x in step.inputs])
                known[step.outputs[0]] = made
            for value, place in out.items():
                if value in known:
                    place.layout.fill(self.blocks[place.memory], np.asarray(known[value]))

        label = f"{work.outputs[0].name or '…'} = {', '.join(s.kind for s in steps)} in NumPy"
        self.program.tasks.append(
            Task(
                label, 1, (),
                memories(here.values()), memories(out.values()), call=call, site=line_of(work),
            )
        )  # fmt: skip


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
    if step.kind == "relu" and step.node is None:
        return np.maximum(values[0], 0)
    assert step.node is not None
    return step.node.op.run(values, step.node.attrs)


def _first_of(*makers: Callable[[Program, Places, Work], bool]) -> Callable[..., bool]:
    """The first of several makers that takes the work."""
    return lambda program, places, work: any(make(program, places, work) for make in makers)


KERNELS: dict[str, Callable[[Program, Places, Work], Any]] = {
    "avg_pool2d": images.emit_average_pool,
    "avg_pool_x": images.emit_average_pool_input,
    "getitem": _first_of(rows.emit_embedding, picks.emit_pick),
    "put_add": _first_of(slices.emit_slice_delta, rows.emit_embedding_delta, picks.emit_pick_delta),
    "assemble": slices.emit_assembly,
    "attention": heads.emit_attention,
    "batch_norm": norms.emit_batch_norm,
    "layer_norm": norms.emit_layer_norm,
    "cross_entropy_loss": rows.emit_cross_entropy,
    **axes.KERNELS,
    **contractions.KERNELS,
    **moves.KERNELS,
}
"""Kind of work -> what makes tasks of it. Loops, sums and pooling need a closer look first."""

CONVOLUTIONS = {
    "conv2d": (grouped.emit_grouped, taps.emit_convolution),
    "conv2d_x": (grouped.emit_grouped_input, images.emit_conv_input),
    "conv2d_w": (grouped.emit_grouped_weights, images.emit_conv_weights),
}
"""The same for convolutions: of any form, and of the plain one."""

WITH_PARTNER: dict[str, Callable[[Program, Places, Work, Value], None]] = {
    "max_pool_x": images.emit_max_pool_input,
    "batch_norm_x": norms.emit_batch_norm_delta,
    "attention_x": heads.emit_attention_delta,
    "layer_norm_x": norms.emit_layer_norm_delta,
}
"""The same for a δ that needs what the forward work kept: winners, moments."""
