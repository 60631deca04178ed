"""Where a training run stands: everything that a checkpoint must hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from allbps.nn import Params
from allbps.train.engine import Score, State, Taken


@dataclass(frozen=True)
class EpochRow:
    """One line of the log.

    Attributes:
        epoch: 1 is the first.
        steps: taken since the start of the run.
        lr: learning rate of the epoch's last step.
        loss, accuracy: mean over the epoch's examples, each seen before its update.
        held_loss, held_accuracy: on held-out images, after the epoch.

    """

    epoch: int
    steps: int
    lr: float
    loss: float
    accuracy: float
    held_loss: float
    held_accuracy: float


@dataclass(frozen=True)
class Moment:
    """The state of a run between two steps.

    Attributes:
        state: parameters and what the optimiser remembers.
        epoch: finished epochs.
        step: finished steps of the epoch in progress.
        loss_sum, examples, right, labels: sums over those steps.
        history: one row for each finished epoch.
        best: the parameters with the lowest held-out loss, where early stopping wants them.
        drawn: seed and first stream of each generator that the net draws from.

    """

    state: State
    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    examples: int = 0
    right: int = 0
    labels: int = 0
    history: tuple[EpochRow, ...] = ()
    best: Params | None = None
    drawn: tuple[tuple[int, int], ...] = ()

    def after(self, state: State, taken: Taken, drawn: Sequence[tuple[int, int]] = ()) -> Moment:
        """The moment after these steps, in which these generators are known.

        Losses are added one by one, so that their sum does not depend on how many steps were taken
        at once.
        """
        loss_sum = self.loss_sum
        for loss, size in zip(taken.losses, taken.sizes, strict=True):
            loss_sum += loss * size
        return replace(
            self,
            state=state,
            step=self.step + len(taken.losses),
            loss_sum=loss_sum,
            examples=self.examples + sum(taken.sizes),
            right=self.right + taken.right,
            labels=self.labels + taken.labels,
            drawn=tuple(drawn),
        )

    def end_of_epoch(self, lr: float, held: Score, keep_best: bool) -> Moment:
        """The epoch is over: its row is written, its sums start again."""
        row = EpochRow(
            epoch=self.epoch + 1,
            steps=int(self.state.optimiser["step"]),
            lr=lr,
            loss=self.loss_sum / self.examples,
            accuracy=self.right / self.labels,
            held_loss=held.loss,
            held_accuracy=held.accuracy,
        )
        history = (*self.history, row)
        best = self.best
        if keep_best and best_epoch(history) == row.epoch:
            best = self.state.params
        return Moment(self.state, epoch=row.epoch, history=history, best=best, drawn=self.drawn)

    @property
    def running(self) -> Score | None:
        """Loss and accuracy of the epoch in progress."""
        if not self.examples:
            return None
        return Score(self.loss_sum / self.examples, self.right / self.labels)


def best_epoch(history: Sequence[EpochRow]) -> int:
    """The epoch with the lowest held-out loss, the first of equals; 0 before the first."""
    return min(history, key=lambda row: row.held_loss).epoch if history else 0
