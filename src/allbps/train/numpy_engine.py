"""Steps by emitted NumPy source: the net is traced once for each batch size, and the text runs."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps import nn
from allbps.backward import backward
from allbps.data import Examples
from allbps.extras import needs
from allbps.ir import Site
from allbps.ir.draws import Draws, drawing, draws_here
from allbps.nn import Model, Params
from allbps.optim import clip_grad_norm
from allbps.readings.source import Program, emit
from allbps.trace import trace
from allbps.train.engine import Score, State, Taken, Task

EVALUATED_AT_ONCE = 256


class NumpyEngine:
    """Runs the NumPy source of the net's forward and backward pass."""

    def __init__(self, task: Task) -> None:
        with needs("threadpoolctl", extra="train", purpose="the numpy engine"):
            from threadpoolctl import ThreadpoolController

        self.task = task
        self._blas = ThreadpoolController()
        self._programs: dict[int, tuple[Program, Callable[..., Any]]] = {}

    def run(self, state: State, batches: Sequence[NDArray[Any]]) -> tuple[State, Taken]:
        """Step by step: forward, loss, backward, update."""
        losses: list[float] = []
        right, labels = 0, 0
        with self._alone():
            for batch in batches:
                state, loss, logits = self._step(state, batch)
                losses.append(loss)
                if not math.isfinite(loss):
                    break
                expected = self.task.images.labels[batch]
                right, labels = right + hits(logits, expected), labels + expected.size
        sizes = tuple(len(batch) for batch in batches[: len(losses)])
        return state, Taken(tuple(losses), sizes, right, labels)

    def announce(self, epoch: int, batches: list[NDArray[Any]]) -> None:
        """They are read ahead."""
        self.task.feed.announce(epoch, batches)

    def _step(self, state: State, batch: NDArray[Any]) -> tuple[State, float, NDArray[Any]]:
        values = self._values(state, batch)
        program, function = self._program(values)
        given = {name: values[name] for name in program.arguments}
        loss, logits, *running, grads = function(**given)
        if self.task.clip is not None:
            grads, _ = clip_grad_norm(grads, self.task.clip)
        model = self.task.model
        moved, memory = self.task.optimiser.update(
            model.learnt(state.params), grads, state.optimiser
        )
        followed = zip(filter(model.is_running, state.params), running, strict=True)
        params = {**state.params, **moved, **dict(followed)}  # in the order they were in
        return State(params, memory), float(loss), logits

    def evaluate(self, params: Params, images: Examples) -> Score:
        """Forward only, in pieces that fit the memory."""
        loss, right = 0.0, 0
        with self._alone(), self.task.judging():
            for start in range(0, len(images), EVALUATED_AT_ONCE):
                part = slice(start, start + EVALUATED_AT_ONCE)
                x, labels = images.fetch(np.arange(len(images))[part])
                mean, logits = self.task.model.objective(params, x, labels)
                loss += float(mean) * len(labels)
                right += hits(logits, labels)
        return Score(loss / len(images), right / images.labels.size)

    def origin(self, state: State, batch: NDArray[Any]) -> str:
        """Go through the program line by line."""
        values = self._values(state, batch)
        for name, value in values.items():
            if not np.isfinite(value).all():
                return f"{name} itself, after the step before"
        with self._alone():
            program, _ = self._program(values)
            reached = program.run(values)
        for line in (*program.forward, *program.backward):
            name = line.node.name
            if name in reached and not np.isfinite(reached[name]).all():
                return f"{line.code}{_at(line.node.site)}"
        return "none in the forward and backward pass"

    def source(self, batch_size: int) -> str:
        """The text that runs for this batch size."""
        batch = np.arange(min(batch_size, len(self.task.images)))
        state = State(self._any_params(), {"step": np.array(0)})
        return self._program(self._values(state, batch))[0].text

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One thread, and no warnings.

        The matrices are so small that threads mostly wait for each other, and on a busy machine for
        other programs; and their number would change the last bits. Numbers that are not finite are
        found in the loss.
        """
        with self._blas.limit(limits=1, user_api="blas"), np.errstate(all="ignore"):
            yield

    def _any_params(self) -> Params:
        images = self.task.images
        rng = np.random.default_rng(0)
        return self.task.model.init(rng, images.shape, len(images.classes))

    def _values(self, state: State, batch: NDArray[Any]) -> dict[str, Any]:
        """Argument name -> array for the emitted function; the last is the number of the step."""
        x, labels = self.task.feed.fetch(batch)
        one = np.result_type(*state.params.values()).type(1)  # in the precision of the loss
        number = "step"
        while number in state.params:
            number += "_"
        last = {number: np.array(state.step)}
        return {**state.params, "x": x, "labels": labels, "dloss": one, **last}

    def _program(self, values: dict[str, Any]) -> tuple[Program, Callable[..., Any]]:
        """The program for arrays of these shapes; only the size of the batch varies."""
        size = len(values["labels"])
        if size not in self._programs:
            with self.task.stepping():
                program = step_program(self.task.model, values, [*values][-1])
            scope: dict[str, Any] = {}
            exec(compile(program.text, f"<{program.function} by allbps>", "exec"), scope)
            self._programs[size] = program, scope[program.function]
        return self._programs[size]


def hits(logits: NDArray[Any], labels: NDArray[Any]) -> int:
    """How many labels are predicted rightly: (N, …, classes), (N, …).

    >>> hits(np.eye(3), np.array([0, 1, 1]))
    2
    >>> hits(np.eye(4)[None], np.array([[0, 1, 1, 1]]))
    2
    """
    return int(np.sum(np.argmax(logits, axis=-1) == labels))


def step_program(model: Model, values: dict[str, Any], number: str = "") -> Program:
    """The source of one step: loss, logits, new running statistics, δ of what is learnt.

    Args:
        model: the net.
        values: name -> array: parameters, x, labels, dloss.
        number: which of them is the number of the step. A net that draws random numbers takes it as
            an argument, since they follow from it.

    """
    arguments = {name: value for name, value in values.items() if name not in ("dloss", number)}
    parameters = [name for name in arguments if name not in ("x", "labels")]
    draws = draws_here() or Draws()
    with drawing(draws):
        traced = trace(_with_signature(model, parameters), **arguments)
    if draws.drawn and number:
        arguments[number] = values[number]
        traced = trace(_with_signature(model, parameters, draws, number), **arguments)
    learnt = [name for name in parameters if not model.is_running(name)]
    return emit(backward(traced, wrt=learnt, cotangents={"loss": values["dloss"]}))


def _with_signature(
    model: Model, parameters: list[str], draws: Draws | None = None, number: str = ""
) -> Callable[..., Any]:
    """The net's objective as a function of each parameter by its own name.

    Args:
        model: the net.
        parameters: their names.
        draws: those that it repeats, at the step that an argument says.
        number: the name of that argument.

    """

    def step(**arguments: Any) -> tuple[Any, ...]:
        x, labels = arguments.pop("x"), arguments.pop("labels")
        with nullcontext() if draws is None else drawing(draws.again(arguments.pop(number))):
            loss, logits, running = model.training_objective(arguments, x, labels)
        return loss, logits, *(running[name] for name in parameters if model.is_running(name))

    step.__name__ = model.name
    names = [*parameters, "x", "labels", *([number] if number else [])]
    step.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
    )
    return step


def _at(site: Site | None) -> str:
    inside = site is not None and Path(site.file).parent == Path(nn.__file__).parent
    return f"  ({site})" if inside else ""
