"""Random numbers as tasks. A key is memory that is kept: a seed, and the number of the step."""

from __future__ import annotations

import numpy as np

from allbps.machine.kernels import random as kernels
from allbps.machine.language.calls import Finite
from allbps.machine.language.operands import HI, LO, Memory
from allbps.machine.planning.layout import row_major
from allbps.machine.planning.plan import Work
from allbps.machine.works.places import Places
from allbps.machine.works.tasks import ONCE, Cut, NoKernelError, Program

COST = 40
"""Operations for a word."""


def emit_key(places: Places, work: Work) -> None:
    """Memory for a key; who runs the step says which step it is."""
    memory = places.put(work.outputs[0], row_major((2,)), kept=True).memory
    memory.start = np.array([work.attrs["seed"], 0])


def emit_bernoulli(places: Places, work: Work) -> None:
    """Truth values with a probability."""
    key = places.of(work.inputs[0]).memory
    out, size = work.outputs[0], work.outputs[0].size
    there = places.put(out, row_major(out.shape)).memory
    call = kernels.bernoulli.on(
        Y=there, key=key, stream=work.attrs["stream"], threshold=int(work.attrs["keep"] * 2**32),
        size=size, lo=LO, hi=HI,
    )  # fmt: skip
    cut = Cut.of(-(-size // 4), 4 * COST)
    places.program.add(f"{there.name}: bernoulli", cut, call, flops=COST * size, work=work)


def emit_uniform(places: Places, work: Work) -> None:
    """Numbers in [0, 1)."""
    out, size, real = work.outputs[0], work.outputs[0].size, places.program.real
    if out.dtype != real:
        raise NoKernelError
    key = places.of(work.inputs[0]).memory
    there = places.put(out, row_major(out.shape)).memory
    single = real == np.float32
    kernel = kernels.uniform_single if single else kernels.uniform
    call = kernel.on(Y=there, key=key, stream=work.attrs["stream"], size=size, lo=LO, hi=HI)
    each = 4 if single else 2
    cut = Cut.of(-(-size // each), 4 * COST)
    places.program.add(
        f"{there.name}: uniform", cut, call, flops=4 * COST * size // each, work=work
    )


def emit_next_step(program: Program, key: Memory, loss: Memory) -> None:
    """A task that goes on to the numbers of the next step, unless the loss is not a number."""
    call = kernels.next_step.on(key=key).when(Finite(loss))
    program.add(f"{key.name}: the next step", ONCE, call, traffic=0)


KERNELS = {"key": emit_key, "bernoulli": emit_bernoulli, "uniform": emit_uniform}
"""Kind of work -> what makes its tasks."""
