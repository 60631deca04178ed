"""Steps in native code: the net is compiled once for each size of a mini-batch.

Many steps run without coming back to Python. What only a report needs, the number of labels that
were predicted rightly, is counted in native code too, next to the running statistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from allbps.data import Examples, Streamed
from allbps.extras import needs
from allbps.train.engine import Score, State, Taken, Task
from allbps.train.numpy_engine import hits

if TYPE_CHECKING:
    from allbps.machine.called import Compiled
    from allbps.machine.training import TrainStep

EVALUATED_AT_ONCE = 256
COUNTED = 1 << 23
"""Labels up to which the count, a float32, is exact."""
COPIED = 1 << 23
"""Bytes of streamed examples that steps in native code take at once."""


class MachineEngine:
    """Runs compiled steps."""

    def __init__(self, task: Task) -> None:
        with needs("llvmlite", extra="train", purpose="the machine engine"):
            from allbps.machine.compile import compile as compile_function

        self.task, self._compile = task, compile_function
        self._steps: dict[int, TrainStep] = {}
        self._forward: dict[int, Compiled] = {}
        self._inside: tuple[TrainStep, State] | None = None

    def run(self, state: State, batches: Sequence[NDArray[Any]]) -> tuple[State, Taken]:
        """Mini-batches of one size at a time."""
        losses: list[float] = []
        right, labels = 0, 0
        each = self.task.images.labels[:1].size
        for size, group in groupby(batches, len):
            order = list(group)
            at_once = max(1, self._most(size) // max(1, size * each))
            for start in range(0, len(order), at_once):
                part = order[start : start + at_once]
                state, found, more = self._run(state, part)
                losses += found
                if not np.isfinite(found[-1]):
                    break
                right, labels = right + more, labels + len(part) * size * each
            if losses and not np.isfinite(losses[-1]):
                break
        sizes = tuple(len(batch) for batch in batches[: len(losses)])
        return state, Taken(tuple(losses), sizes, right, labels)

    def _most(self, size: int) -> int:
        """Labels that are counted at once; of what is streamed, as much as is copied at once."""
        if self.task.feed.in_memory:
            return COUNTED
        each = 4 * size * int(np.prod(self.task.images.shape))
        return max(1, COPIED // each) * size

    def announce(self, epoch: int, batches: list[NDArray[Any]]) -> None:
        """They are read ahead."""
        self.task.feed.announce(epoch, batches)

    def _run(self, state: State, part: Sequence[NDArray[Any]]) -> tuple[State, list[float], int]:
        step = self._step(len(part[0]), state)
        self._put(step, state)
        x, labels, order = self._examples(part)
        losses = step.run_epoch(x, labels, order=order, allow_nonfinite=True)
        carried = step.carried
        after = self._taken_out(step, state, carried)
        return after, [float(loss) for loss in losses], round(float(carried["right"]))

    def _examples(
        self, part: Sequence[NDArray[Any]]
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Examples, their labels, and which of them each step takes."""
        feed, images = self.task.feed, self.task.images
        if isinstance(images, Streamed):
            pairs = [feed.fetch(batch) for batch in part]
            x, labels = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
            return x, labels, np.arange(len(x)).reshape(len(part), -1)
        return images.x, images.labels, np.stack(part)

    def evaluate(self, params: Mapping[str, Any], images: Examples) -> Score:
        """Forward only, in pieces of one size; the last one is filled up with its last example."""
        size = min(EVALUATED_AT_ONCE, len(images))
        loss, right = 0.0, 0
        for start in range(0, len(images), size):
            more, found = self.piece(params, images, start, size)
            loss, right = loss + more, right + found
        return Score(loss / len(images), right / images.labels.size)

    def piece(
        self, params: Mapping[str, Any], images: Examples, start: int, size: int
    ) -> tuple[float, int]:
        """(sum of losses, labels predicted rightly) of the images from ``start`` on."""
        rows = np.minimum(np.arange(start, start + size), len(images) - 1)
        count = min(size, len(images) - start)
        x, labels = images.fetch(rows)
        logits = self._forward_of(size, params, images)(params, x)[:count]
        return _cross_entropy(logits, labels[:count]) * count, hits(logits, labels[:count])

    def origin(self, state: State, batch: NDArray[Any]) -> str:
        """Go through the graph node by node."""
        for name, value in state.params.items():
            if not np.isfinite(value).all():
                return f"{name} itself, after the step before"
        step = self._step(len(batch), state)
        self._put(step, state)
        return step.first_nonfinite(*self.task.feed.fetch(batch))

    def source(self, batch_size: int) -> str:
        """The text that was compiled for this batch size."""
        images = self.task.images
        size = min(batch_size, len(images))
        params = self.task.model.init(np.random.default_rng(0), images.shape, len(images.classes))
        state = State(params, self.task.optimiser.init(self.task.model.learnt(params)))
        return self._step(size, state).source()

    # ---- compiling

    def _step(self, size: int, state: State) -> TrainStep:
        """The step for mini-batches of this size."""
        if size not in self._steps:
            self._steps[size] = self._compiled(size, state.params)
        return self._steps[size]

    def _compiled(self, size: int, params: Mapping[str, Any]) -> TrainStep:
        from allbps.machine.training import TrainStep

        model, images = self.task.model, self.task.images

        def objective(params: Any, x: Any, labels: Any, carried: Any) -> Any:
            loss, logits, running = model.training_objective({**params, **carried}, x, labels)
            right = carried["right"] + hits_of(logits, labels)
            return loss, {"right": right, **running}

        x, labels = images.fetch(np.arange(size) % len(images))
        with self.task.stepping():
            step = self._compile(
                objective, model.learnt(params), x, labels,
                self._carried(params), params="params", carry="carried",
                optimizer=self.task.optimiser, max_norm=self.task.clip, threads=self.task.threads,
            )  # fmt: skip
        assert isinstance(step, TrainStep)
        return step

    def _forward_of(self, size: int, params: Mapping[str, Any], images: Examples) -> Compiled:
        from allbps.machine.called import Compiled

        if size not in self._forward:
            with self.task.judging():
                forward = self._compile(
                    self.task.model.forward,
                    dict(params),
                    images.fetch(np.arange(size))[0],
                    threads=self.task.threads,
                )
            assert isinstance(forward, Compiled)
            self._forward[size] = forward
        return self._forward[size]

    # ---- the state, in and out

    def _carried(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The running statistics, and a count that begins at 0."""
        running = {name: p for name, p in params.items() if self.task.model.is_running(name)}
        return {"right": np.zeros((), np.result_type(*params.values())), **running}

    def _put(self, step: TrainStep, state: State) -> None:
        """Let the step go on from a state; what it has itself just left is there already."""
        here = self._inside is not None and self._inside[0] is step and self._inside[1] is state
        if not here:
            step.params = {"params": self.task.model.learnt(state.params)}
            slots = {k: {"params": v} for k, v in state.optimiser.items() if k != "step"}
            step.optimizer_state = {"step": state.optimiser["step"], **slots}
        step.carried = self._carried(state.params)

    def _taken_out(self, step: TrainStep, before: State, carried: Mapping[str, Any]) -> State:
        running = {name: array for name, array in carried.items() if name != "right"}
        params = {**before.params, **step.params["params"], **running}  # in the order they were in
        remembered = step.optimizer_state
        slots = {k: v["params"] for k, v in remembered.items() if k != "step"}
        after = State(params, {"step": remembered["step"], **slots})
        self._inside = step, after
        return after


def hits_of(logits: Any, labels: Any) -> Any:
    """How many labels have the highest score, the first of equals, as a sum of ones."""
    one = logits.dtype.type(1)
    classes, labels = np.arange(logits.shape[-1]), labels[..., None]
    own = np.sum(np.where(classes == labels, logits, 0 * one), axis=-1, keepdims=True)
    before = (logits > own) | ((logits == own) & (classes < labels))
    better = np.sum(np.where(before, one, 0 * one), axis=-1)
    return np.sum(np.where(better == 0, one, 0 * one))


def _cross_entropy(logits: NDArray[Any], labels: NDArray[Any]) -> float:
    """The mean of ln Σ eᶻ - z of the label's own score."""
    with np.errstate(all="ignore"):  # numbers that are not finite are found in the loss
        shifted = logits - np.max(logits, axis=-1, keepdims=True)
        own = np.take_along_axis(shifted, labels[..., None], axis=-1)[..., 0]
        return float(np.mean(np.log(np.sum(np.exp(shifted), axis=-1)) - own))
