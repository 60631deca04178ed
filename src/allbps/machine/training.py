"""A compiled training step: it keeps the parameters and moves them, by the step or the epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.errors import (
    AllBPsError,
    ArgumentError,
    DtypeError,
    NonFiniteError,
    ShapeError,
    unknown_name,
)
from allbps.ir import Node
from allbps.machine.building import Build
from allbps.machine.called import Called, like_nodes, pairs_of, put_all
from allbps.machine.works.updates import rates_of, slots_used, table_of_rates
from allbps.optim import Optimizer


class TrainStep(Called):
    """A compiled training step: forward, backward and update in one call.

    Attributes:
        optimizer: how parameters move.
        taken: how many steps have been taken.

    """

    def __init__(self, build: Build, optimizer: Optimizer) -> None:
        kept = () if build.carry is None else (build.carry,)
        super().__init__(build, skipped=(*build.chosen, *kept))
        self.optimizer, self.taken = optimizer, 0
        self._loss_node = build.traced.graph.outputs[0]
        self._loss = build.blocks[build.results[0].memory]
        for x in (*build.params, *build.carried):
            place = build.inputs[x]
            place.layout.fill(build.blocks[place.memory], np.asarray(build.traced.values[x]))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take a step on the arguments other than the parameters; what the function returned.

        Raises:
            NonFiniteError: the loss is NaN or infinite; the parameters are as before.

        """
        with self._lock:
            loss = self._advance(self._in_order(args, kwargs))
            if not math.isfinite(loss):
                self._refuse(float(loss))
            return loss if self._build.result is self._loss_node else self._results()

    def _advance(self, given: Iterable[Any]) -> Any:
        """Take a step on these arguments; its loss, which counts if it is a finite number."""
        self._put(given)
        self._executable.rates[0] = rates_of(self.optimizer, self.taken + 1)
        self._executable()
        loss = self._loss[0]
        self.taken += math.isfinite(loss)
        return loss

    @property
    def params(self) -> dict[str, Any]:
        """Copies of the parameters, by argument name."""
        return self._by_name([self._read(self._build.inputs[x]) for x in self._build.params])

    @params.setter
    def params(self, new: Mapping[str, Any]) -> None:
        trees = self._build.traced.parameters
        for name in self._build.chosen:
            if name not in new:
                raise unknown_name(name, list(new), "parameter")
        put_all(pair for n in self._build.chosen for pair in self._checked(n, trees[n], new[n]))

    @property
    def carried(self) -> Any:
        """A copy of the argument that every step replaces; None without one."""
        build = self._build
        if build.carry is None:
            return None
        found = iter([self._read(build.inputs[x]) for x in build.carried])
        return like_nodes(build.traced.parameters[build.carry], found)

    @carried.setter
    def carried(self, new: Any) -> None:
        carry = self._build.carry
        if carry is None:
            raise ArgumentError(
                "this step carries no argument over", todo="name one when compiling: carry="
            )
        put_all(self._checked(carry, self._build.traced.parameters[carry], new))

    @property
    def optimizer_state(self) -> dict[str, Any]:
        """What the optimiser remembers, a container as ``optimizer.init(step.params)`` makes it."""
        used = slots_used(self.optimizer)
        state: dict[str, Any] = {"step": np.array(self.taken)}
        for slot in self.optimizer.slots:
            arrays = [
                self._slot(x, used.index(slot)) if slot in used else np.zeros(x.shape, x.dtype)
                for x in self._build.params
            ]
            state[slot] = self._by_name(arrays)
        return state

    @optimizer_state.setter
    def optimizer_state(self, new: Mapping[str, Any]) -> None:
        used = slots_used(self.optimizer)
        for name in ("step", *used):
            if name not in new:
                raise unknown_name(name, list(new), "part of the optimizer's state")
        found = [list(self._remembered(slot, new[slot])) for slot in used]
        for k, arrays in enumerate(found):
            for x, array in arrays:
                layout = self._build.inputs[x].layout
                layout.fill(self._build.blocks[self._build.slots[x][k]], array)
        self.taken = int(new["step"])

    def _remembered(self, slot: str, new: Any) -> Iterator[tuple[Node, NDArray[Any]]]:
        """Each parameter and what ``new``, a container as the parameters', holds for it."""
        build = self._build
        trees = {name: build.traced.parameters[name] for name in build.chosen}
        for (path, x), (_, leaf) in pairs_of(slot, trees, new):
            if not isinstance(x, Node):
                continue
            array = np.asarray(leaf)
            if array.shape != x.shape or array.dtype.kind not in "biuf":
                raise ShapeError(
                    f"{path} is not like its parameter",
                    expected=f"{x.dtype} {x.shape}",
                    got=f"{array.dtype} {array.shape}",
                )
            yield x, array

    def _by_name(self, arrays: Iterable[NDArray[Any]]) -> dict[str, Any]:
        """Arrays, one for each parameter, arranged as the arguments they belong to."""
        found, trees = iter(arrays), self._build.traced.parameters
        return {name: like_nodes(trees[name], found) for name in self._build.chosen}

    def _slot(self, x: Node, k: int) -> NDArray[Any]:
        layout = self._build.inputs[x].layout
        return layout.copied(self._build.blocks[self._build.slots[x][k]])

    def run_epoch(self, *data: Any, order: Any, allow_nonfinite: bool = False) -> NDArray[Any]:
        """Take a step for each row of ``order``, in native code where every operation has a kernel.

        Args:
            data: for each argument that is not kept by the step, all its examples.
            order: numbers of examples, (steps, batch); (steps,) for one example a step.
            allow_nonfinite: stop at a loss that is NaN or infinite, and return it as the last one.

        Returns:
            the losses, (steps,).

        Raises:
            NonFiniteError: a loss is NaN or infinite; the parameters are as before that step.
            ShapeError: the data are no examples of what was compiled.
            DtypeError: ``order`` holds no integers.

        """
        numbers, batched = _examples_of_steps(order)
        sets = self._data(data, numbers, batched)
        with self._lock:
            counts = self._executable.counts_steps
            losses = (self._many if counts else self._one_by_one)(sets, numbers)
            wrong = len(losses) > 0 and not np.isfinite(losses[-1])
            if wrong and not allow_nonfinite:
                self._refuse(float(losses[-1]))
        return losses

    def _many(self, sets: Sequence[NDArray[Any]], numbers: NDArray[np.int64]) -> NDArray[Any]:
        """The losses of steps in native code; the last one may be no finite number."""
        real = self._build.program.real
        rates = table_of_rates(self.optimizer, self.taken, len(numbers), real)
        losses = self._executable.run_many(numbers, sets, rates)
        self.taken += int(np.isfinite(losses).sum())
        return losses

    def _one_by_one(self, sets: Sequence[NDArray[Any]], numbers: NDArray[np.int64]) -> NDArray[Any]:
        """The losses of steps that come back to Python; the last one may be no finite number."""
        losses = []
        for row in numbers:
            given = zip(sets, self._build.fetched, strict=True)
            loss = self._advance([values[row].reshape(x.shape) for values, x in given])
            losses.append(loss)
            if not np.isfinite(loss):
                break
        return np.array(losses, self._build.program.real)

    def _data(
        self, data: Sequence[Any], numbers: NDArray[np.int64], batched: bool
    ) -> list[NDArray[Any]]:
        """The examples of each argument, checked."""
        rest = self._build.fetched
        for x in rest:
            if batched and x.shape[:1] != numbers.shape[1:]:
                raise ShapeError(
                    "order has another number of examples in a step than was compiled",
                    expected=f"(steps, {x.shape[0] if x.shape else 1})",
                    got=str(numbers.shape),
                )
        if len(data) != len(rest):
            raise ArgumentError(
                "the data sets do not match the arguments of a step",
                expected=", ".join(x.name for x in rest),
                got=f"{len(data)} data sets",
            )
        sets = [self._examples(x, values, batched) for x, values in zip(rest, data, strict=True)]
        count = min((len(values) for values in sets), default=0)
        if numbers.size and (numbers.min() < 0 or numbers.max() >= count):
            raise ArgumentError(
                "order names an example that there is not", expected=f"0 to {count - 1}",
                got=f"{numbers.min()} to {numbers.max()}",
            )  # fmt: skip
        for x, values in zip(rest, sets, strict=True):
            self._slots[x].check_examples(x.name, values, numbers)
        return sets

    def _examples(self, x: Node, values: Any, batched: bool) -> NDArray[Any]:
        array = np.asarray(values)
        one = x.shape[1:] if batched else x.shape
        if array.shape[1:] != one:
            raise ShapeError(
                f"{x.name}: these are no examples of what was compiled",
                expected=f"(examples{''.join(f', {n}' for n in one)})",
                got=str(array.shape),
            )
        self._slots[x].check_kind(x.name, array)
        dtype = self._build.program.dtype(self._build.inputs[x].memory)
        return np.ascontiguousarray(array, dtype)

    def first_nonfinite(self, *args: Any, **kwargs: Any) -> str:
        """Which value of a step on these arguments is not finite, the first one; takes no step.

        Its name and line; an empty text where all are finite.
        """
        with self._lock:
            self._take(args, kwargs)
            name, line = self._origin()
        return f"{name}  ({line})" if line else name

    def _refuse(self, loss: float) -> None:
        name, line = self._origin()
        where = f"{name} is the first that is not finite" if name else ""
        raise NonFiniteError(
            f"the loss is {loss}",
            where=where + (f" ({line})" if line else ""),
            todo="a smaller learning rate, or clipped gradients; the parameters are as before",
        )

    def _origin(self) -> tuple[str, str]:
        """The first node of this step that is not finite or cannot be worked out, and its line."""
        build = self._build
        known: dict[Node, Any] = {x: self._read(place) for x, place in build.inputs.items()}
        for node in build.traced.graph.nodes:
            problem = ""
            if node not in known:
                try:
                    known[node] = _worked_out(node, known)
                except (AllBPsError, IndexError, ValueError) as error:
                    problem = f" ({str(error).splitlines()[0]})"
            if problem or (node.is_float and not np.isfinite(known[node]).all()):
                return f"{node.name or node.op.name}{problem}", str(node.site or "")
        return "", ""


def _examples_of_steps(order: Any) -> tuple[NDArray[np.int64], bool]:
    """Numbers of the examples of each step, (steps, batch), and whether there is a batch axis."""
    numbers = np.asarray(order)
    if numbers.size and numbers.dtype.kind not in "iu":
        raise DtypeError(
            "order holds no numbers of examples", expected="integers", got=str(numbers.dtype)
        )
    batched = numbers.ndim == 2
    whole = np.ascontiguousarray(numbers, np.int64)
    return (whole if batched else whole[:, None]), batched


def _worked_out(node: Node, known: Mapping[Node, Any]) -> Any:
    """A node's value, by its operation's own text and checks."""
    if not node.inputs:
        return node.value
    values = [known[x] for x in node.inputs]
    with np.errstate(all="ignore"):
        return node.op(*values, **node.attrs).value
