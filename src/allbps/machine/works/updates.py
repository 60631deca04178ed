"""The optimiser in the step: how each parameter moves, with torch.optim's formulas.

Rates that change from step to step stand in a table, one row a step, so that a schedule needs no
new code and many steps can run without coming back to Python.
"""

from __future__ import annotations

import math
from collections.abc import Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.machine.works.places import memories
from allbps.machine.works.tasks import Memory, Place, Program, Task, bounds, pieces_for
from allbps.optim import SGD, Adam, Optimizer, RMSprop, rate

RATES = 4
"""Columns of the table: learning rate, Adam's two corrections, 1 in the very first step."""


@dataclass(frozen=True)
class Moving:
    """A parameter, its δ, and what the optimiser remembers of it, all in one layout."""

    name: str
    param: Place
    delta: Place
    slots: tuple[Memory, ...]


def rates_of(optimizer: Optimizer, t: int) -> list[float]:
    """The row of the table for step ``t``, 1 first."""
    lr = rate(optimizer.lr, t - 1)
    if isinstance(optimizer, Adam):
        beta1, beta2 = optimizer.betas
        return [lr, 1 - beta1**t, math.sqrt(1 - beta2**t), float(t == 1)]
    return [lr, 1.0, 1.0, float(t == 1)]


def table_of_rates(
    optimizer: Optimizer, taken: int, steps: int, real: np.dtype[Any]
) -> NDArray[Any]:
    """The rows for the steps after the first ``taken``: (steps, RATES)."""
    if isinstance(optimizer, SGD) and not callable(optimizer.lr):
        table = np.full((steps, RATES), rates_of(optimizer, taken + 2), real)
        table[:1] = rates_of(optimizer, taken + 1)
        return table
    rows = [rates_of(optimizer, t) for t in range(taken + 1, taken + 1 + steps)]
    return np.array(rows, real).reshape(steps, RATES)


def slots_used(optimizer: Optimizer) -> tuple[str, ...]:
    """Which of the optimiser's arrays its settings need."""
    if isinstance(optimizer, SGD) and not optimizer.momentum:
        return ()
    return optimizer.slots


def update_call(optimizer: Optimizer, moving: Moving, g: str, clip: str) -> tuple[str, str]:
    """The kernel that moves a parameter by δ ``g``, and the call of it for elements lo..hi."""
    p = moving.param.memory.name
    slots = "".join(f"{slot.name}, " for slot in moving.slots)
    decay = repr(float(optimizer.weight_decay))
    if isinstance(optimizer, Adam):
        b1, b2 = optimizer.betas
        rest = (
            f"rates[0], {decay}, {optimizer.decoupled}, {b1!r}, {b2!r}, {optimizer.eps!r}, "
            "rates[1], rates[2]"
        )
        return "adam", f"adam({p}, {g}, {slots}{clip}, {rest}, lo, hi)"
    if isinstance(optimizer, RMSprop):
        rest = (
            f"rates[0], {decay}, {optimizer.alpha!r}, {optimizer.eps!r}, "
            f"{optimizer.momentum!r}, {optimizer.centered}"
        )
        return "rmsprop", f"rmsprop({p}, {g}, {slots}{clip}, {rest}, lo, hi)"
    assert isinstance(optimizer, SGD)
    if not optimizer.momentum:
        return "sgd", f"sgd({p}, {g}, {clip}, rates[0], {decay}, lo, hi)"
    rest = (
        f"rates[0], {decay}, {float(optimizer.momentum)!r}, {float(optimizer.dampening)!r}, "
        f"{optimizer.nesterov}, rates[3] != 0.0"
    )
    return "momentum", f"momentum({p}, {g}, {slots}{clip}, {rest}, lo, hi)"


def emit_updates(
    program: Program,
    optimizer: Optimizer,
    parameters: list[Moving],
    loss: Memory,
    max_norm: float | None,
) -> None:
    """Tasks that move every parameter, once the loss is known to be a finite number.

    With ``max_norm`` all δ together are first shortened to that length where they are longer.
    """
    clip = None
    if max_norm is not None and max_norm < math.inf:
        clip = _clip(program, parameters, max_norm)
    begin = program.scratch  # behind what a product itself may put there
    moved = {moving.param.memory for moving in parameters}
    for moving in parameters:
        product = _product(program, moving, moved) if clip is None else None
        if product is None:
            program.tasks.append(_update(program, optimizer, moving, loss, clip))
        else:
            program.tasks.remove(product)
            program.memories.remove(moving.delta.memory)
            program.tasks.append(_update_by_rows(program, optimizer, moving, loss, product, begin))


def _update(
    program: Program, optimizer: Optimizer, moving: Moving, loss: Memory, clip: Memory | None
) -> Task:
    """The task that moves one parameter."""
    factor, clips = ("1.0", ()) if clip is None else (f"{clip.name}[0]", (clip,))
    kernel, call = update_call(optimizer, moving, moving.delta.memory.name, factor)
    program.use("kernels.optimise", kernel)
    size = moving.param.layout.size
    pieces = pieces_for(size, 10)
    return Task(
        f"{moving.name}: {type(optimizer).__name__}", pieces,
        (*bounds(size, pieces), f"if {_finite(loss)}:", f"    {call}"),
        (*memories([moving.delta, moving.param]), *moving.slots, *clips),
        (moving.param.memory, *moving.slots), flops=4 * size, traffic=3 * size, after=(loss,),
    )  # fmt: skip


SCRATCH = 1 << 16
"""Numbers of a δ that a thread may keep to itself: they should stay in its second cache."""


def _product(program: Program, moving: Moving, moved: Set[Memory]) -> Task | None:
    """The task that makes δ in blocks of rows, if nothing else needs it and a block is small.

    It must read no parameter: others might have been moved when it runs.
    """
    delta = moving.delta.memory
    touching = [task for task in program.tasks if delta in (*task.reads, *task.writes)]
    if len(touching) != 1 or delta.kept or not moving.delta.whole:
        return None
    (task,) = touching
    if moved & {*task.reads}:
        return None
    if task.rows is None or -(-task.rows.count // task.pieces) * task.rows.width > SCRATCH:
        return None
    return task


def _update_by_rows(
    program: Program, optimizer: Optimizer, moving: Moving, loss: Memory, product: Task, begin: int
) -> Task:
    """δ and update as one task: each piece moves the rows whose δ it has just made.

    So δ never goes through memory: it stands in scratch memory from ``begin`` on. The task stands
    last, behind all who read the parameter.
    """
    assert product.rows is not None
    rows, width = product.rows.count, product.rows.width
    kernel, call = update_call(optimizer, moving, "delta", "1.0")
    program.use("kernels.optimise", kernel)
    program.scratch = max(program.scratch, begin + -(-rows // product.pieces) * width)
    own = bounds(rows, product.pieces)
    return Task(
        f"{product.label}, {moving.name}: {type(optimizer).__name__}", product.pieces,
        (
            *own, f"delta = scratch + ({begin} - lo * {width})", *product.rows.into("delta"),
            *own, f"lo, hi = lo * {width}, hi * {width}",
            f"if {_finite(loss)}:", f"    {call}",
        ),
        (*product.reads, moving.param.memory, *moving.slots),
        (moving.param.memory, *moving.slots), flops=product.flops + 4 * rows * width,
        traffic=product.traffic + 2 * rows * width, after=(loss,), site=product.site,
    )  # fmt: skip


def emit_carry(program: Program, name: str, here: Place, there: Place, loss: Memory) -> None:
    """A task that makes a new value the argument of the next step, unless the loss is no number."""
    program.use("kernels.fill", "move")
    size = there.layout.size
    pieces = pieces_for(size, 2)
    call = f"move({there.memory.name}, {here.memory.name}, lo, hi)"
    program.tasks.append(
        Task(
            f"{name}: carried over", pieces,
            (*bounds(size, pieces), f"if {_finite(loss)}:", f"    {call}"),
            (here.memory,), (there.memory,), traffic=2 * size, after=(loss,),
        )
    )  # fmt: skip


def _finite(loss: Memory) -> str:
    return f"{loss.name}[0] - {loss.name}[0] == 0.0"


def _clip(program: Program, parameters: list[Moving], max_norm: float) -> Memory:
    """Tasks that find what to multiply every δ by, as torch.nn.utils.clip_grad_norm_ does."""
    program.use("kernels.reduce", "sum_of_squares", "clip_factor")
    program.use("language.words", "double")
    cuts = [pieces_for(moving.delta.layout.size, 4) for moving in parameters]
    squares = program.memory("squares", sum(cuts), "Double")
    clip = program.memory("clip", 1)
    first, parts = 0, []
    for moving, pieces in zip(parameters, cuts, strict=True):
        size, delta = moving.delta.layout.size, moving.delta.memory
        place = f"{squares.name}[p + {first}]" if first else f"{squares.name}[p]"
        call = f"{place} = sum_of_squares({delta.name}, lo, hi)"
        part = Memory(squares.name, pieces, "Double")  # each δ writes places of its own
        program.tasks.append(
            Task(
                f"{moving.name}: length of δ", pieces, (*bounds(size, pieces), call), (delta,),
                (part,), flops=2 * size, traffic=size, after=(squares,),
            )
        )  # fmt: skip
        first += pieces
        parts.append(part)
    call = f"{clip.name}[0] = clip_factor({squares.name}, {first}, double({float(max_norm)!r}))"
    program.tasks.append(
        Task("clip: the length of all δ", 1, (call,), (squares,), (clip,), after=tuple(parts))
    )
    return clip
