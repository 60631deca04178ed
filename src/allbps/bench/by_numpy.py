"""allbps's emitted NumPy source, with NumPy's own BLAS threads."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from allbps.bench.peer import as_losses
from allbps.bench.work import Work
from allbps.optim import SGD
from allbps.train.numpy_engine import step_program


class Emitted:
    """The text that ``allbps emit`` shows, and the optimiser in NumPy."""

    def __init__(self, work: Work) -> None:
        self.work, self.params = work, dict(work.params)
        self.optimiser = SGD(work.lr, momentum=work.momentum)
        self.state = self.optimiser.init(work.learnt)
        self.taken = 0
        values = self._values()
        self.program = step_program(work.model, values)
        scope: dict[str, Any] = {}
        exec(compile(self.program.text, "<step by allbps>", "exec"), scope)
        self.function = scope[self.program.function]

    def _values(self) -> dict[str, Any]:
        x, y = self.work.batch(self.taken)
        one = next(iter(self.params.values())).dtype.type(1)  # in the parameters' precision
        return {**self.params, "x": x, "labels": y, "dloss": one}

    def run(self, steps: int) -> NDArray[Any]:
        """Forward and backward by the text, then the update."""
        losses = []
        model = self.work.model
        for _ in range(steps):
            loss, _, *running, grads = self.function(**self._values(), **self.program.constants)
            learnt = model.learnt(self.params)
            moved, self.state = self.optimiser.update(learnt, grads, self.state)
            self.params |= moved
            self.params |= dict(zip(self.work.running, running, strict=True))
            self.taken += 1
            losses.append(loss)
        return as_losses(losses)
