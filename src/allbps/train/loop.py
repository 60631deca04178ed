"""The lecture's algorithm: choose examples at random, forward, loss, backward, K ← K − lr δK."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any

import numpy as np

from allbps.data import Examples, batch_order
from allbps.distributed import Workers
from allbps.errors import DivergedError
from allbps.optim import rate
from allbps.train.engine import Engine, State, Task
from allbps.train.moment import Moment, best_epoch
from allbps.train.options import TrainOptions
from allbps.tree import flatten

ASKING = (signal.SIGINT, signal.SIGTERM)
"""Signals that ask to stop: a person's Ctrl-C, a scheduler's or a launcher's SIGTERM."""
PAUSE = 0.25
"""About how many seconds of steps are taken before the loop looks up."""


@dataclass(frozen=True, eq=False)
class Course:
    """Everything a training run needs that does not change.

    Attributes:
        options: what the user chose.
        task: net, images and optimiser.
        engine: what computes.
        held: images that are never learnt from; the curve shows how the net does on them.

    """

    options: TrainOptions
    task: Task
    engine: Engine
    held: Examples


class Stop:
    """Has someone asked to stop, this worker or another one?

    Attributes:
        asked: was this one asked?
        agreed: do all know?

    """

    def __init__(self, workers: Workers | None = None) -> None:
        self._workers = workers or Workers.alone()
        self.asked = self.agreed = False

    def ask_all(self, at_once: int) -> int:
        """Agree on whether to stop; how many steps to take before the next time, as the first says.

        Workers that stopped at different steps would wait for each other for ever.
        """
        said = self._workers.gather(np.array([self.asked, at_once]))
        self.agreed = bool(said[:, 0].any())
        return int(said[0, 1])

    @contextmanager
    def on_interrupt(self) -> Iterator[None]:
        """Ctrl-C or SIGTERM asks to stop after the steps in hand; a second one stops at once."""
        before: dict[int, Any] = {}

        def ask(number: int, frame: FrameType | None) -> None:
            self.asked = True
            signal.signal(number, before[number])

        try:
            for heard in ASKING:
                before[heard] = signal.getsignal(heard)
                signal.signal(heard, ask)
        except ValueError:  # not in the main thread: there, Ctrl-C never arrives
            yield
            return
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def train(
    course: Course,
    moment: Moment,
    *,
    stop: Stop,
    watch: Callable[[Moment], None],
    save: Callable[[Moment], None],
) -> Moment:
    """Train until the last epoch, until it no longer helps, or until someone asks to stop.

    Args:
        course: what to train, on what, how.
        moment: where to start.
        stop: whether to stop.
        watch: told where the run stands a few times a second.
        save: told the same after every epoch.

    Raises:
        DivergedError: the loss became NaN or infinite; the last save stands.

    """
    while not finished(course.options, moment) and not stop.agreed:
        moment = _rest_of_epoch(course, moment, stop, watch)
        if moment.examples == len(course.task.images):
            moment = _close(course, moment)
            watch(moment)
            course.task.workers.each(partial(save, moment))  # a full disk is told to all
    return moment


def finished(options: TrainOptions, moment: Moment) -> bool:
    """Are all epochs done, or the last ``patience`` of them no better?"""
    stale = moment.epoch - best_epoch(moment.history)
    return moment.epoch >= options.epochs or (
        options.patience is not None and stale >= options.patience
    )


def _rest_of_epoch(
    course: Course, moment: Moment, stop: Stop, watch: Callable[[Moment], None]
) -> Moment:
    """The steps that are left in this epoch, some at a time."""
    options = course.options
    batches = batch_order(len(course.task.images), options.batch_size, options.seed, moment.epoch)
    course.task.workers.each(lambda: course.engine.announce(moment.epoch, batches[moment.step :]))
    at_once = 1
    while moment.step < len(batches):
        at_once = stop.ask_all(at_once)
        if stop.agreed:
            return moment
        part = batches[moment.step : moment.step + at_once]
        started = time.perf_counter()
        state, taken = course.engine.run(moment.state, part)
        seconds = time.perf_counter() - started
        if not math.isfinite(taken.losses[-1]):
            raise _loss_diverged(course, moment, part, taken.losses)
        _check_state(course, moment, state)
        moment = moment.after(state, taken, course.task.draws.given)
        watch(moment)
        at_once = max(1, min(2 * at_once, int(at_once * PAUSE / max(seconds, 1e-6))))
    return moment


def _close(course: Course, moment: Moment) -> Moment:
    """Judge the epoch on held-out images and write its row."""
    lr = rate(course.task.optimiser.lr, int(moment.state.optimiser["step"]) - 1)
    held = course.engine.evaluate(moment.state.params, course.held)
    if not math.isfinite(held.loss):
        raise diverged(
            course, moment, f"the loss on held-out examples became {held.loss}", "the loss itself"
        )
    return moment.end_of_epoch(lr, held, keep_best=course.options.patience is not None)


def _check_state(course: Course, moment: Moment, state: State) -> None:
    """A last step may have led to a state from which no loss is computed any more."""
    for path, array in flatten({**state.params, "optimiser": state.optimiser}):
        if not np.isfinite(array).all():
            what = "the optimiser's memory is" if "optimiser" in path else "the parameters are"
            raise diverged(course, moment, f"{what} no longer finite", path.lstrip("."))


def _loss_diverged(
    course: Course, moment: Moment, part: Sequence[Any], losses: Sequence[float]
) -> DivergedError:
    """The error for steps the last of which had a loss that is not a finite number."""
    good = len(losses) - 1
    state = course.engine.run(moment.state, part[:good])[0] if good else moment.state
    return diverged(
        course,
        moment,
        f"the loss became {losses[-1]} in epoch {moment.epoch + 1}, step {moment.step + good + 1}",
        f"the first that is not: {course.engine.origin(state, part[good])}",
    )


def diverged(course: Course, moment: Moment, what: str, got: str) -> DivergedError:
    """The error that ends a run; what was saved before stands."""
    options = course.options
    return DivergedError(
        what,
        expected="finite numbers",
        got=got,
        todo=f"a smaller --lr than {options.highest_rate:g}, or --clip 1; the state after"
        f" epoch {moment.epoch} is in {options.folder / 'checkpoint.safetensors'}",
    )
