"""An optimiser by itself as a compiled program: parameters and gradients in, new parameters out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from allbps.machine.execution.executable import Executable
from allbps.machine.language.operands import Memory
from allbps.machine.planning.layout import Layout
from allbps.machine.planning.rules import Rule
from allbps.machine.works.tasks import Place, Program
from allbps.machine.works.updates import Moving, emit_updates
from allbps.optim import Optimizer


@dataclass(frozen=True, eq=False)
class Held:
    """An array that the program keeps.

    Attributes:
        layout: how it lies in memory.
        memory: where, a vector.

    """

    layout: Layout
    memory: NDArray[Any]

    def read(self) -> NDArray[Any]:
        """A copy: an axis that lies scattered in memory has no view."""
        return self.layout.copied(self.memory)

    def write(self, array: NDArray[Any]) -> None:
        """Put these numbers in its place."""
        self.layout.fill(self.memory, array)


class Moves:
    """The update of all parameters, where the loss is a finite number.

    Args:
        names: of the parameters.
        start: where they begin; they are copied.
        layouts: how they lie in memory, and their gradients too.
        optimizer: how they move.
        max_norm: the longest that all gradients together may be.
        threads: how many; None for as many as pay.

    Attributes:
        real: the type of their numbers.
        params: the parameters, as the program has them.
        slots: for each what is remembered of it, by name.

    """

    def __init__(
        self,
        names: Sequence[str],
        start: Sequence[NDArray[Any]],
        layouts: Sequence[Layout],
        optimizer: Optimizer,
        max_norm: float | None,
        threads: int | None,
    ) -> None:
        self.real = start[0].dtype
        program, blocks = Program(self.real), dict[Memory, NDArray[Any]]()
        longest = math.inf if max_norm is None else max_norm
        self._rule = Rule(optimizer, clipped=longest < math.inf)
        loss = program.memory("loss", 1, kept=True)
        moving = [
            Moving(name, _kept(program, name, layout), _kept(program, f"d{name}", layout))
            for name, layout in zip(names, layouts, strict=True)
        ]
        slots, _ = emit_updates(program, self._rule, moving, loss, longest, blocks)
        self._run = Executable(program, blocks, [], loss, threads, self._rule.columns)
        self._loss = blocks[loss]
        self._deltas = [move.delta.memory for move in moving]
        self.params = [self._held(move.param) for move in moving]
        self.slots: list[Mapping[str, Held]] = [
            {name: self._held(place) for name, place in own.items()} for own in slots
        ]
        for param, array in zip(self.params, start, strict=True):
            param.write(array)

    def _held(self, place: Place) -> Held:
        return Held(place.layout, self._run.blocks[place.memory])

    def read_from(self, gradients: Sequence[NDArray[Any]]) -> None:
        """Take the gradients from these vectors in every step."""
        for block, vector in zip(self._deltas, gradients, strict=True):
            if not self._run.bind(block, vector):
                raise AssertionError("a gradient that is not dense")

    def __call__(self, loss: float, taken: int) -> None:
        """Move, as in the step after ``taken`` others."""
        self._loss[0] = loss
        self._run.rates[:] = self._rule.row(taken + 1)
        self._run()


def _kept(program: Program, name: str, layout: Layout) -> Place:
    return Place(program.memory(name, layout.size, kept=True), layout)
