"""allbps's machine: the compiled step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.bench.peer import as_losses
from allbps.bench.work import Work
from allbps.machine.compile import compile as compile_function
from allbps.machine.training import TrainStep
from allbps.optim import SGD


def compiled_step(work: Work) -> TrainStep:
    """The seam to the machine: forward, backward and update as one call.

    Running statistics are carried from step to step.
    """
    optimizer = SGD(work.lr, momentum=work.momentum)
    x, y = work.batch(0)
    examples = (work.learnt, x, y, *([work.running] if work.running else []))
    carry = "running" if work.running else None
    step = compile_function(
        _objective(work), *examples, params="p", optimizer=optimizer, carry=carry
    )
    assert isinstance(step, TrainStep)
    return step


def _objective(work: Work) -> Callable[..., Any]:
    def loss_of(p: Any, x: Any, y: Any) -> Any:
        loss, _, _ = work.model.training_objective(p, x, y)
        return loss

    def loss_and_running(p: Any, x: Any, y: Any, running: Any) -> Any:
        loss, _, new = work.model.training_objective({**p, **running}, x, y)
        return loss, new

    return loss_and_running if work.running else loss_of


class Steps:
    """One call from Python for each step."""

    def __init__(self, work: Work) -> None:
        self.work, self.step, self.taken = work, compiled_step(work), 0

    def run(self, steps: int) -> NDArray[Any]:
        """Step by step."""
        losses = []
        for _ in range(steps):
            x, y = self.work.batch(self.taken)
            losses.append(self.step(x, y))
            self.taken += 1
        return as_losses(losses)


class Epoch:
    """All steps of a run inside native code, mini-batches gathered there too."""

    def __init__(self, work: Work) -> None:
        self.work, self.step, self.taken = work, compiled_step(work), 0
        single = work.row == "lecture"
        self.x = work.x if single else work.x.reshape(-1, *work.x.shape[2:])
        self.y = work.y if single else work.y.reshape(-1, *work.y.shape[2:])
        examples = np.arange(len(self.x))
        self.order = examples if single else examples.reshape(len(work.x), -1)

    def run(self, steps: int) -> NDArray[Any]:
        """One call."""
        rows = (self.taken + np.arange(steps)) % len(self.order)
        self.taken += steps
        return np.asarray(self.step.run_epoch(self.x, self.y, order=self.order[rows]))
