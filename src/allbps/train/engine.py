"""The seam between the training loop and what computes its steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from numpy.typing import NDArray

from allbps.data import Examples
from allbps.distributed import Workers
from allbps.errors import ArgumentError
from allbps.ir.draws import Draws, drawing
from allbps.nn import Model, Params
from allbps.optim import Optimizer
from allbps.train.feed import Feed


@dataclass(frozen=True)
class State:
    """What a step changes.

    Attributes:
        params: name -> array.
        optimiser: what the optimiser remembers, a container of arrays.

    """

    params: Params
    optimiser: dict[str, Any]

    @property
    def step(self) -> int:
        """How many steps were taken: which random numbers the next one draws."""
        return int(self.optimiser["step"])


@dataclass(frozen=True)
class Taken:
    """What is known of some steps beside the new state.

    Attributes:
        losses: mean over each mini-batch, before its update; the last one may be no finite number.
        sizes: examples in each mini-batch.
        right: labels that were predicted rightly in all of them, before the updates.
        labels: how many labels there were.

    """

    losses: tuple[float, ...]
    sizes: tuple[int, ...]
    right: int
    labels: int


@dataclass(frozen=True)
class Score:
    """How a net does on some images.

    Attributes:
        loss: mean cross-entropy.
        accuracy: share that is classified rightly.

    """

    loss: float
    accuracy: float


class Engine(Protocol):
    """Computes steps on the training images it was made with.

    ``run`` takes many steps at once, so that an engine in native code need not come back for each;
    the state it is given stays valid, so that a run can be stopped between two calls.
    """

    def run(self, state: State, batches: Sequence[NDArray[Any]]) -> tuple[State, Taken]:
        """Take a step for each mini-batch, given as indices of examples, to the first bad loss."""

    def announce(self, epoch: int, batches: list[NDArray[Any]]) -> None:
        """These mini-batches come next."""

    def evaluate(self, params: Params, images: Examples) -> Score:
        """Loss and accuracy on ``images``."""

    def origin(self, state: State, batch: NDArray[Any]) -> str:
        """Which value of a step from ``state`` is the first value that is not finite."""

    def source(self, batch_size: int) -> str:
        """The step as a program to read."""


@dataclass(frozen=True, eq=False)
class Task:
    """What an engine works on.

    Attributes:
        model: the net.
        images: what to learn from.
        optimiser: how parameters change.
        clip: the longest gradient, or None.
        threads: how many compute; None takes as many as pay.
        seed: of how examples are changed.
        workers: those who train together.
        draws: the seeds of the generators that the net draws from; what a step draws follows from
            them and the number of the step.

    """

    model: Model
    images: Examples
    optimiser: Optimizer
    clip: float | None
    threads: int | None = None
    seed: int = 0
    workers: Workers = field(default_factory=Workers.alone)
    draws: Draws = field(default_factory=Draws)

    @cached_property
    def feed(self) -> Feed:
        """The examples on their way into the steps."""
        return Feed(self.images, self.seed)

    @contextmanager
    def stepping(self) -> Iterator[None]:
        """Where a step is traced, for any size of a mini-batch: its draws are those of the run.

        Raises:
            ArgumentError: the net that is judged draws random numbers too.

        """
        with self._drawing(judged=self.model.training is None):
            yield

    @contextmanager
    def judging(self) -> Iterator[None]:
        """Where the net is judged: nothing of it may depend on chance.

        Raises:
            ArgumentError: it draws random numbers.

        """
        with self._drawing(judged=True):
            yield

    @contextmanager
    def _drawing(self, *, judged: bool) -> Iterator[None]:
        draws = self.draws.again(0)
        with drawing(draws):
            yield
        if judged and draws.drawn:
            raise ArgumentError(
                f"the net {self.model.name} draws random numbers during evaluation",
                expected="a forward pass that is the same each time, without dropout",
                todo="give Model(forward=…) without them, and the one with them as training=…",
            )
