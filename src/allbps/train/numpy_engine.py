"""Steps by emitted NumPy source: the net is traced once for each batch size, and the text runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps import nn
from allbps.backward import backward
from allbps.data import Images
from allbps.ir import Site
from allbps.nn import Model, Params
from allbps.optim import clip_grad_norm
from allbps.readings.source import Program, emit
from allbps.trace import trace
from allbps.train.engine import Score, State, StepResult, Task

EVALUATED_AT_ONCE = 256
ONE = np.float32(1)


class NumpyEngine:
    """Runs the NumPy source of the net's forward and backward pass."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._programs: dict[int, tuple[Program, Callable[..., Any]]] = {}

    def run(self, state: State, batches: Sequence[NDArray[Any]]) -> tuple[State, list[StepResult]]:
        """Step by step: forward, loss, backward, update."""
        results = []
        with np.errstate(all="ignore"):  # the loop looks at the loss itself
            for batch in batches:
                state, result = self._step(state, batch)
                results.append(result)
        return state, results

    def _step(self, state: State, batch: NDArray[Any]) -> tuple[State, StepResult]:
        values = self._values(state, batch)
        program, function = self._program(values)
        loss, logits, grads = function(**values, **program.constants)
        if self.task.clip is not None:
            grads, _ = clip_grad_norm(grads, self.task.clip)
        params, memory = self.task.optimiser.update(state.params, grads, state.optimiser)
        correct = int(np.sum(np.argmax(logits, axis=1) == values["labels"]))
        return State(params, memory), StepResult(float(loss), correct, len(batch))

    def evaluate(self, params: Params, images: Images) -> Score:
        """Forward only, in pieces that fit the memory."""
        loss, correct = 0.0, 0
        with np.errstate(all="ignore"):
            for start in range(0, len(images), EVALUATED_AT_ONCE):
                part = slice(start, start + EVALUATED_AT_ONCE)
                labels = images.labels[part]
                mean, logits = self.task.model.objective(params, images.x[part], labels)
                loss += float(mean) * len(labels)
                correct += int(np.sum(np.argmax(logits, axis=1) == labels))
        return Score(loss / len(images), correct / len(images))

    def origin(self, state: State, batch: NDArray[Any]) -> str:
        """Go through the program line by line."""
        values = self._values(state, batch)
        for name, value in values.items():
            if not np.isfinite(value).all():
                return f"{name} itself, after the step before"
        program, _ = self._program(values)
        with np.errstate(all="ignore"):
            reached = program.run({**values, **program.constants})
        for line in (*program.forward, *program.backward):
            name = line.node.name
            if name in reached and not np.isfinite(reached[name]).all():
                return f"{line.code}{_at(line.node.site)}"
        return "none in the forward and backward pass"

    def source(self, batch_size: int) -> str:
        """The text that runs for this batch size."""
        batch = np.arange(min(batch_size, len(self.task.images)))
        state = State(self._any_params(), {})
        return self._program(self._values(state, batch))[0].text

    def _any_params(self) -> Params:
        images = self.task.images
        rng = np.random.default_rng(0)
        return self.task.model.init(rng, images.shape, len(images.classes))

    def _values(self, state: State, batch: NDArray[Any]) -> dict[str, Any]:
        """Argument name -> array for the emitted function."""
        images = self.task.images
        return {**state.params, "x": images.x[batch], "labels": images.labels[batch], "dloss": ONE}

    def _program(self, values: dict[str, Any]) -> tuple[Program, Callable[..., Any]]:
        """The program for arrays of these shapes; only the size of the batch varies."""
        size = len(values["labels"])
        if size not in self._programs:
            program = step_program(self.task.model, values)
            scope: dict[str, Any] = {}
            exec(compile(program.text, f"<{program.function} by allbps>", "exec"), scope)
            self._programs[size] = program, scope[program.function]
        return self._programs[size]


def step_program(model: Model, values: dict[str, Any]) -> Program:
    """The source of one step: loss, logits and the δ of every parameter; δx is not needed."""
    arguments = {name: value for name, value in values.items() if name != "dloss"}
    parameters = [name for name in arguments if name not in ("x", "labels")]
    traced = trace(_with_signature(model, parameters), **arguments)
    return emit(backward(traced, wrt=parameters, cotangents={"loss": values["dloss"]}))


def _with_signature(model: Model, parameters: list[str]) -> Callable[..., Any]:
    """The net's objective as a function of each parameter by its own name."""

    def step(**arguments: Any) -> tuple[Any, Any]:
        x, labels = arguments.pop("x"), arguments.pop("labels")
        return model.objective(arguments, x, labels)

    step.__name__ = model.name
    names = [*parameters, "x", "labels"]
    step.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
    )
    return step


def _at(site: Site | None) -> str:
    return f"  ({site})" if site is not None and site.file == nn.__file__ else ""
