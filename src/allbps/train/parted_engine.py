"""Steps in parts: the same bits for any number of workers, each of whom computes some parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from allbps.data import Examples
from allbps.errors import AllBPsError, NonFiniteError
from allbps.train.engine import Score, State, Taken, Task
from allbps.train.machine_engine import EVALUATED_AT_ONCE, MachineEngine, hits_of

if TYPE_CHECKING:
    from allbps.machine.parted import PartedStep


class PartedEngine(MachineEngine):
    """Runs compiled steps in parts, together with other workers."""

    def __init__(self, task: Task, parts: int, size: int) -> None:
        from allbps.machine.parts import check_enough

        super().__init__(task)
        check_enough(parts, task.workers.size)
        self._parts, self._size = parts, min(size, len(task.images))
        self._parted: PartedStep | None = None
        self._left: State | None = None
        self._shares: dict[int, NDArray[Any]] = {}
        self._origin = ""

    def announce(self, epoch: int, batches: list[NDArray[Any]]) -> None:
        """This worker's shares of them are read ahead."""
        self._shares = {id(batch): self._share(batch) for batch in batches}
        own = [share for share in self._shares.values() if len(share)]
        self.task.feed.announce(epoch, own)

    def _share(self, batch: NDArray[Any]) -> NDArray[Any]:
        from allbps.machine.parts import share

        workers = self.task.workers
        return batch[share(len(batch), self._parts, workers.rank, workers.size)]

    def run(self, state: State, batches: Sequence[NDArray[Any]]) -> tuple[State, Taken]:
        """Step by step; every worker takes the same ones."""
        step = self._step_in_parts(state)
        self._bring(step, state)
        losses: list[float] = []
        right = 0.0
        for batch in batches:
            try:
                loss, found = step.on_share(len(batch), *self._fetch(step, batch))
            except NonFiniteError as error:
                losses.append(float("nan"))
                self._origin = error.where
                break
            losses.append(float(loss))
            right += float(np.sum(found))
        done = [batch for batch, loss in zip(batches, losses, strict=False) if np.isfinite(loss)]
        labels = sum(map(len, done)) * self.task.images.labels[:1].size
        sizes = tuple(len(batch) for batch in batches[: len(losses)])
        return self._state(step, state), Taken(tuple(losses), sizes, round(right), labels)

    def _fetch(self, step: PartedStep, batch: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """This worker's share of a mini-batch; if it cannot be read, all workers are told why."""
        images = self.task.images
        own = self._shares.get(id(batch))
        own = self._share(batch) if own is None else own
        if not len(own):
            return np.zeros((0, *images.shape), np.float32), images.labels[:0]
        try:
            return self.task.feed.fetch(own)
        except AllBPsError as error:
            step.give_up(len(batch), error)
            raise

    def evaluate(self, params: Mapping[str, Any], images: Examples) -> Score:
        """Each worker some pieces; they are added up in the order of the pieces."""
        size, workers = min(EVALUATED_AT_ONCE, len(images)), self.task.workers
        starts = range(0, len(images), size)
        own = starts[workers.rank :: workers.size]
        found = np.zeros((-(-len(starts) // workers.size), 2))
        done = workers.each(lambda: [self.piece(params, images, start, size) for start in own])
        found[: len(own)] = np.reshape(done, (-1, 2))
        every = workers.gather(found.ravel()).reshape(workers.size, -1, 2)
        each = every.swapaxes(0, 1).reshape(-1, 2)[: len(starts)]
        loss, right = 0.0, 0.0
        for piece in each:
            loss += float(piece[0])
            right += float(piece[1])
        return Score(loss / len(images), right / images.labels.size)

    def origin(self, state: State, batch: NDArray[Any]) -> str:
        """What was found when the loss was no finite number."""
        for name, value in state.params.items():
            if not np.isfinite(value).all():
                return f"{name} itself, after the step before"
        return self._origin

    def source(self, batch_size: int) -> str:
        """The text that was compiled for a part."""
        if self._parted is None:
            return super().source(-(-batch_size // self._parts))
        return self._parted.source()

    # ---- compiling, and the state in and out

    def _step_in_parts(self, state: State) -> PartedStep:
        from allbps.machine.parted import PartedStep

        if self._parted is None:
            model, images, task = self.task.model, self.task.images, self.task
            running = self._running(state.params)

            def objective(params: Any, x: Any, labels: Any, carried: Any) -> Any:
                loss, logits, new = model.training_objective({**params, **carried}, x, labels)
                return (loss, hits_of(logits, labels)), new

            def alone(params: Any, x: Any, labels: Any) -> Any:
                loss, logits, _ = model.training_objective(params, x, labels)
                return loss, hits_of(logits, labels)

            examples = [model.learnt(state.params), *images.fetch(np.arange(self._size))]
            with task.stepping():
                step = self._compile(
                    objective if running else alone, *examples, *([running] if running else []),
                    params="params", carry="carried" if running else None,
                    optimizer=task.optimiser, max_norm=task.clip, threads=task.threads,
                    group=task.workers.exchange, parts=self._parts,
                )  # fmt: skip
            assert isinstance(step, PartedStep)
            self._parted = step
        return self._parted

    def _running(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {name: p for name, p in params.items() if self.task.model.is_running(name)}

    def _bring(self, step: PartedStep, state: State) -> None:
        """Let the step go on from a state; what it has itself just left is there already."""
        if self._left is state:
            return
        step.params = {"params": self.task.model.learnt(state.params)}
        slots = {k: {"params": v} for k, v in state.optimiser.items() if k != "step"}
        step.optimizer_state = {"step": state.optimiser["step"], **slots}
        if running := self._running(state.params):
            step.carried = running

    def _state(self, step: PartedStep, before: State) -> State:
        params = {**before.params, **step.params["params"], **(step.carried or {})}
        remembered = step.optimizer_state
        slots = {k: v["params"] for k, v in remembered.items() if k != "step"}
        self._left = State(params, {"step": remembered["step"], **slots})
        return self._left
