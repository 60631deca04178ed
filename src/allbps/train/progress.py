"""Live progress on stderr: rate, loss, accuracy, time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from allbps.train.moment import Moment


class Watch:
    """Counts the examples of this run and shows them, if someone is looking."""

    def __init__(self, examples_per_epoch: int, epochs: int, bar: Progress | None) -> None:
        self.per_epoch, self.epochs, self.bar = examples_per_epoch, epochs, bar
        self.seconds = 0.0
        self.examples = 0
        self._task: TaskID | None = None
        self._begun = 0.0
        self._first = 0

    def begin(self, moment: Moment) -> None:
        """Training starts from here."""
        self._begun, self._first = time.perf_counter(), self._seen(moment)
        if self.bar is not None:
            total = self.epochs * self.per_epoch
            self._task = self.bar.add_task("", total=total, loss="", held="", rate="")
            self.see(moment)

    def see(self, moment: Moment) -> None:
        """The run stands here now."""
        self.seconds = time.perf_counter() - self._begun
        self.examples = self._seen(moment) - self._first
        if self.bar is not None and self._task is not None:
            epoch = min(moment.epoch + 1, self.epochs)
            self.bar.update(
                self._task,
                completed=self._seen(moment),
                description=f"epoch {epoch}/{self.epochs}",
                loss=_score(moment),
                held=_held(moment),
                rate=f"{self.rate:,.0f}/s",
            )

    @property
    def rate(self) -> float:
        """Examples a second."""
        return self.examples / self.seconds if self.seconds else 0.0

    def _seen(self, moment: Moment) -> int:
        return moment.epoch * self.per_epoch + moment.examples


def _score(moment: Moment) -> str:
    """Loss and accuracy of the epoch in progress, between epochs of the last one."""
    now = moment.running or (moment.history[-1] if moment.history else None)
    return "" if now is None else f"loss {now.loss:.3f} accuracy {now.accuracy:.1%}"


def _held(moment: Moment) -> str:
    return f"held out {moment.history[-1].held_accuracy:.1%}" if moment.history else ""


@contextmanager
def watching(examples_per_epoch: int, epochs: int, quiet: bool) -> Iterator[Watch]:
    """A watch with a bar on stderr; without one if told, or if stderr is not a terminal.

    Colours follow ``NO_COLOR``, which rich honours.
    """
    if quiet or not sys.stderr.isatty():
        yield Watch(examples_per_epoch, epochs, None)
        return
    columns = (  # 80 characters in all
        TextColumn("{task.description}"),
        BarColumn(bar_width=6),
        TextColumn("{task.fields[loss]}"),
        TextColumn("{task.fields[held]}", style="bold"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, refresh_per_second=5) as bar:
        yield Watch(examples_per_epoch, epochs, bar)
