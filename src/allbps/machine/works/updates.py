"""The optimiser in the step: how each parameter moves, with torch.optim's formulas.

Rates that change from step to step stand in a table, one row a step, so that a schedule needs no
new code and many steps can run without coming back to Python.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.machine.kernels import optimise as kernels
from allbps.machine.kernels.fill import move, move_bytes, move_integers
from allbps.machine.kernels.reduce import clip_factor, sum_of_squares
from allbps.machine.language.calls import Call, Finite
from allbps.machine.language.operands import (
    HI,
    LO,
    PIECE,
    RATES,
    Memory,
    Number,
    Operand,
    Pointer,
    Scratch,
    Whole,
)
from allbps.machine.language.words import Kernel
from allbps.machine.works.tasks import ONCE, Cut, Place, Program, Task
from allbps.optim import SGD, Adam, Optimizer, RMSprop, rate

COLUMNS = 4
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
    """The rows for the steps after the first ``taken``: (steps, COLUMNS)."""
    if isinstance(optimizer, SGD) and not callable(optimizer.lr):
        table = np.full((steps, COLUMNS), rates_of(optimizer, taken + 2), real)
        table[:1] = rates_of(optimizer, taken + 1)
        return table
    rows = [rates_of(optimizer, t) for t in range(taken + 1, taken + 1 + steps)]
    return np.array(rows, real).reshape(steps, COLUMNS)


def slots_used(optimizer: Optimizer) -> tuple[str, ...]:
    """Which of the optimiser's arrays its settings need."""
    if isinstance(optimizer, SGD) and not optimizer.momentum:
        return ()
    return optimizer.slots


def update_call(
    optimizer: Optimizer, moving: Moving, delta: Pointer, clip: Operand, rows: dict[str, Whole]
) -> Call:
    """The call that moves some elements of a parameter."""
    p, decay = moving.param.memory, float(optimizer.weight_decay)
    common = {"P": p, "G": delta, "clip": clip, "lr": Number(RATES, 0), "decay": decay, **rows}
    if isinstance(optimizer, Adam):
        M, V = moving.slots
        return kernels.adam.on(
            **common,
            M=M,
            V=V,
            decoupled=optimizer.decoupled,
            beta1=float(optimizer.betas[0]),
            beta2=float(optimizer.betas[1]),
            eps=float(optimizer.eps),
            correction1=Number(RATES, 1),
            correction2=Number(RATES, 2),
        )
    if isinstance(optimizer, RMSprop):
        V, A, B = moving.slots
        return kernels.rmsprop.on(
            **common,
            V=V,
            A=A,
            B=B,
            alpha=float(optimizer.alpha),
            eps=float(optimizer.eps),
            rate=float(optimizer.momentum),
            centered=optimizer.centered,
        )
    assert isinstance(optimizer, SGD)
    if not optimizer.momentum:
        return kernels.sgd.on(**common)
    (V,) = moving.slots
    return kernels.momentum.on(
        **common,
        V=V,
        rate=float(optimizer.momentum),
        damping=float(optimizer.dampening),
        nesterov=optimizer.nesterov,
        first=Number(RATES, 3),
    )


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
            _update(program, optimizer, moving, loss, clip)
        else:
            program.tasks.remove(product)
            program.memories.remove(moving.delta.memory)
            _update_by_rows(program, optimizer, moving, loss, product, begin)


def _update(
    program: Program, optimizer: Optimizer, moving: Moving, loss: Memory, clip: Memory | None
) -> None:
    """The task that moves one parameter."""
    factor = 1.0 if clip is None else Number(clip)
    call = update_call(optimizer, moving, moving.delta.memory, factor, {"lo": LO, "hi": HI})
    size = moving.param.layout.size
    label = f"{moving.name}: {type(optimizer).__name__}"
    program.add(label, Cut.of(size, 10), call.when(Finite(loss)), flops=4 * size, traffic=3 * size)


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
    if moved & {*task.reads} or task.rows is None:
        return None
    return task if task.rows.most <= SCRATCH else None


def _update_by_rows(
    program: Program, optimizer: Optimizer, moving: Moving, loss: Memory, product: Task, begin: int
) -> None:
    """δ and update as one task: each piece moves the rows whose δ it has just made.

    So δ never goes through memory: it stands in scratch memory from ``begin`` on. The task stands
    last, behind all who read the parameter.
    """
    assert product.rows is not None
    rows, width = product.rows, product.rows.width
    delta = Scratch(rows.most, begin) + LO * -width
    update = update_call(optimizer, moving, delta, 1.0, {"lo": LO * width, "hi": HI * width})
    program.add(
        f"{product.label}, {moving.name}: {type(optimizer).__name__}", rows.cut,
        *rows.into(delta), update.when(Finite(loss)),
        flops=product.flops + 4 * rows.count * width,
        traffic=product.traffic + 2 * rows.count * width, site=product.site,
    )  # fmt: skip


MOVE: Mapping[str, Kernel[..., None]] = {"Real": move, "Int": move_integers, "Byte": move_bytes}


def emit_carry(program: Program, name: str, here: Place, there: Place, loss: Memory) -> None:
    """A task that makes a new value the argument of the next step, unless the loss is no number."""
    size = there.layout.size
    kernel = MOVE[there.memory.kind]
    call = kernel.on(Y=there.memory, X=here.memory, lo=LO, hi=HI).when(Finite(loss))
    program.add(f"{name}: carried over", Cut.of(size, 2), call, traffic=2 * size)


def _clip(program: Program, parameters: list[Moving], max_norm: float) -> Memory:
    """Tasks that find what to multiply every δ by, as torch.nn.utils.clip_grad_norm_ does."""
    cuts = [Cut.of(moving.delta.layout.size, 4) for moving in parameters]
    count = sum(cut.pieces for cut in cuts)
    squares = program.memory("squares", count, "Double", shared=True)
    clip = program.memory("clip", 1)
    first = 0
    for moving, cut in zip(parameters, cuts, strict=True):
        size = moving.delta.layout.size
        call = sum_of_squares.on(S=squares + (PIECE + first), X=moving.delta.memory, lo=LO, hi=HI)
        program.add(f"{moving.name}: length of δ", cut, call, flops=2 * size, traffic=size)
        first += cut.pieces
    call = clip_factor.on(clip=clip, squares=squares, count=count, largest=float(max_norm))
    program.add("clip: the length of all δ", ONCE, call, traffic=0)
    return clip
