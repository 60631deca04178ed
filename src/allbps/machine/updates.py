"""The optimiser in the step: how each parameter moves, with torch.optim's formulas.

Rates that change from step to step stand in a table, one row a step, so that a schedule needs no
new code and many steps can run without coming back to Python.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.optim import SGD, Adam, Optimizer, RMSprop, rate

from .places import memories
from .tasks import Memory, Place, Program, Task, bounds, pieces_for

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


def update_call(optimizer: Optimizer, moving: Moving, clip: str) -> tuple[str, str]:
    """The kernel that moves a parameter, and the call of it for elements lo..hi."""
    p, g = moving.param.memory.name, moving.delta.memory.name
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
    program: Program, optimizer: Optimizer, parameters: list[Moving], loss: Memory, finite: str
) -> None:
    """Tasks that move every parameter, once the loss is known to be a finite number."""
    for moving in parameters:
        kernel, call = update_call(optimizer, moving, "1.0")
        program.use("kernels.optimise", kernel)
        size = moving.param.layout.size
        pieces = pieces_for(size, 10)
        slots = tuple(moving.slots)
        program.tasks.append(
            Task(
                f"{moving.name}: {type(optimizer).__name__}", pieces,
                (*bounds(size, pieces), f"if {finite}:", f"    {call}"),
                (*memories([moving.delta, moving.param]), *slots),
                (moving.param.memory, *slots), flops=4 * size, traffic=3 * size, after=(loss,),
            )
        )  # fmt: skip
