"""A compiled training step: it keeps the parameters and moves them, by the step or the epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.errors import (
    ArgumentError,
    DtypeError,
    NonFiniteError,
    ShapeError,
    unknown_name,
)
from allbps.ir import Node, refuse_foreign
from allbps.machine.building import Build
from allbps.machine.called import Called, Recipe
from allbps.machine.limits import LimitError
from allbps.machine.origin import first_nonfinite
from allbps.machine.path import Path, like_nodes, pairs_of, put_all
from allbps.machine.planning.rules import Rule
from allbps.optim import Optimizer
from allbps.trace import Traced


class TrainStep(Called):
    """A compiled training step: forward, backward and update in one call.

    Attributes:
        optimizer: how parameters move.
        taken: how many steps have been taken.

    """

    def __init__(self, recipe: Recipe, traced: Traced, optimizer: Optimizer) -> None:
        kept = recipe.options.carried(traced)
        skipped = (*recipe.options.chosen(traced), *(() if kept is None else (kept,)))
        super().__init__(recipe, traced, skipped)
        self.optimizer = optimizer
        for x in (*self._build.request.params, *self._build.request.carried):
            place = self._build.inputs[x]
            place.layout.fill(self._build.blocks[place.memory], np.asarray(traced.values[x]))

    @property
    def _build(self) -> Build:
        """Of the path that was taken last, which holds the parameters."""
        return self._path.build

    def _enter(self, path: Path) -> None:
        """Make it the current path: parameters, state and what is carried go over to it."""
        before, there = self._path.build, path.build
        if before is there:
            return
        for old, new in zip(before.inputs, there.inputs, strict=True):
            if old in before.request.changing:
                pairs = [(before.inputs[old], there.inputs[new])]
                slots, others = before.slots.get(old, {}), there.slots.get(new, {})
                pairs += [(slots[name], others[name]) for name in slots]
                for here, place in pairs:
                    numbers = here.layout.view(before.blocks[here.memory])
                    place.layout.fill(there.blocks[place.memory], numbers)
        self._path = path

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take a step on the arguments other than the parameters; what the function returned.

        Raises:
            NonFiniteError: the loss is NaN or infinite; the parameters are as before.

        """
        with self._lock:
            self._go(args, kwargs)
            loss = self._counted()
            if not math.isfinite(loss):
                self._refuse(float(loss))
            return loss if self._path.is_number else self._path.results()

    def _counted(self) -> Any:
        """The loss of the step that was run, which counts if it is a finite number."""
        loss = self._path.first[0]
        self.taken += math.isfinite(loss)
        return loss

    def _prepare(self, path: Path) -> None:
        super()._prepare(path)
        rates = path.executable.rates
        for k, number in enumerate(self._rule.row(self.taken + 1)):
            rates[k] = number

    @property
    def params(self) -> dict[str, Any]:
        """Copies of the parameters, by argument name."""
        return self._by_name([self._path.argument(x) for x in self._build.request.params])

    @params.setter
    def params(self, new: Mapping[str, Any]) -> None:
        trees, chosen = self._build.traced.parameters, self._build.request.chosen
        for name in chosen:
            if name not in new:
                raise unknown_name(name, list(new), "parameter")
        put_all(pair for n in chosen for pair in self._path.checked(n, trees[n], new[n]))

    @property
    def carried(self) -> Any:
        """A copy of the argument that every step replaces; None without one."""
        build = self._build
        if build.request.carry is None:
            return None
        found = iter([self._path.argument(x) for x in build.request.carried])
        return like_nodes(build.traced.parameters[build.request.carry], found)

    @carried.setter
    def carried(self, new: Any) -> None:
        carry = self._build.request.carry
        if carry is None:
            raise ArgumentError(
                "this step carries no argument over", todo="name one when compiling: carry="
            )
        put_all(self._path.checked(carry, self._build.traced.parameters[carry], new))

    @property
    def optimizer_state(self) -> dict[str, Any]:
        """What the optimiser remembers, a container as ``optimizer.init(step.params)`` makes it."""
        state: dict[str, Any] = {"step": np.array(self.taken)}
        for slot in self.optimizer.slots:
            state[slot] = self._by_name([self._slot(x, slot) for x in self._build.request.params])
        return state

    @optimizer_state.setter
    def optimizer_state(self, new: Mapping[str, Any]) -> None:
        slots = self._build.slots
        used = sorted({name for own in slots.values() for name in own})
        for name in ("step", *used):
            if name not in new:
                raise unknown_name(name, list(new), "part of the optimizer's state")
        found = {name: list(self._remembered(name, new[name])) for name in used}
        for name, arrays in found.items():
            for x, array in arrays:
                if name in slots[x]:
                    place = slots[x][name]
                    place.layout.fill(self._build.blocks[place.memory], array)
        self.taken = int(new["step"])

    def _remembered(self, slot: str, new: Any) -> Iterator[tuple[Node, NDArray[Any]]]:
        """Each parameter and what ``new``, a container as the parameters', holds for it."""
        build = self._build
        trees = {name: build.traced.parameters[name] for name in build.request.chosen}
        for (path, x), (_, leaf) in pairs_of(slot, trees, new):
            if not isinstance(x, Node):
                continue
            array, shape = np.asarray(leaf), self._shape(x, slot)
            if array.shape != shape or array.dtype.kind not in "biuf":
                raise ShapeError(
                    f"{path} does not match its parameter",
                    expected=f"{x.dtype} {shape}",
                    got=f"{array.dtype} {array.shape}",
                )
            yield x, array

    def _by_name(self, arrays: Iterable[NDArray[Any]]) -> dict[str, Any]:
        """Arrays, one for each parameter, arranged as the arguments they belong to."""
        found, trees = iter(arrays), self._build.traced.parameters
        return {name: like_nodes(trees[name], found) for name in self._build.request.chosen}

    def _slot(self, x: Node, slot: str) -> NDArray[Any]:
        """What is remembered of a parameter; zeros where nothing needs to be."""
        place = self._build.slots[x].get(slot)
        zeros: NDArray[Any] = np.zeros(self._shape(x, slot), x.dtype)
        return zeros if place is None else self._path.read(place, x.dtype)

    def _shape(self, x: Node, slot: str) -> tuple[int, ...]:
        k = next(k for k, y in enumerate(self._build.request.params) if y is x)
        return self.optimizer.rule_of(k).slot_shape(slot, x.shape) or ()

    @property
    def _rule(self) -> Rule:
        """The optimiser as formulas, on the current path."""
        assert self._build.rule is not None
        return self._build.rule

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
            ShapeError: the data are not examples of what was compiled.
            DtypeError: ``order`` holds no integers.

        """
        numbers, batched = _examples_of_steps(order)
        self._check_order(data, numbers, batched)
        with self._lock:
            losses = self._steps(data, numbers, batched)
            wrong = len(losses) > 0 and not np.isfinite(losses[-1])
            if wrong and not allow_nonfinite:
                self._refuse(float(losses[-1]))
        return losses

    def _steps(
        self, data: Sequence[Any], numbers: NDArray[np.int64], batched: bool
    ) -> NDArray[Any]:
        """The losses of all steps, each on its path; the last one may be no finite number."""
        losses: list[NDArray[Any]] = []
        done = 0
        while done < len(numbers) and (not losses or np.isfinite(losses[-1][-1])):
            sets = self._data(data, batched)
            ahead = numbers[done:]
            native = self._trusted(sets, ahead) if self._path.executable.counts_steps else 0
            if native:
                losses.append(self._many(sets, ahead[:native]))
                if not self._path.holds:
                    losses[-1] = losses[-1][:-1]  # not a step: its arguments go another way
                done += len(losses[-1])
                if not len(losses[-1]):
                    losses.pop()
            if done < len(numbers) and (not native or not self._path.holds):
                losses.append(np.array([self._one(sets, numbers[done])]))
                done += 1
        real = self._build.program.real
        return np.concatenate(losses).astype(real) if losses else np.zeros(0, real)

    def _trusted(self, sets: Sequence[NDArray[Any]], numbers: NDArray[np.int64]) -> int:
        """How many of these steps, one after the other, read numbers that kernels may trust.

        Raises:
            LimitError: not even the first does.

        """
        fetched = list(zip(self._build.fetched, sets, strict=True))
        slots = self._path.slots

        def check(rows: NDArray[np.int64]) -> None:
            for x, values in fetched:
                slots[x].check_examples(x.name, values, rows)

        try:
            check(numbers)
        except LimitError:
            for k in range(len(numbers)):
                try:
                    check(numbers[k : k + 1])
                except LimitError:
                    return k
        return len(numbers)

    def _many(self, sets: Sequence[NDArray[Any]], numbers: NDArray[np.int64]) -> NDArray[Any]:
        """The losses of steps in native code; the last one may be no finite number."""
        real = self._build.program.real
        with np.errstate(over="ignore"):  # an endless rate is found in the parameters
            rates = self._rule.table(self.taken, len(numbers), real)
        self._path.begin(self.taken)
        losses = self._path.executable.run_many(numbers, sets, rates)
        self.taken += int(np.isfinite(losses).sum())
        return losses

    def _one(self, sets: Sequence[NDArray[Any]], row: NDArray[np.int64]) -> Any:
        """The loss of a step that comes back to Python."""
        found = zip(sets, self._build.fetched, strict=True)
        arrays = iter([values[row].reshape(x.shape).astype(x.dtype) for values, x in found])
        self._run([like_nodes(tree, arrays) for tree in self._path.trees.values()])
        return self._counted()

    def _check_order(self, data: Sequence[Any], numbers: NDArray[np.int64], batched: bool) -> None:
        """Refuse an order that does not name examples of the data."""
        rest = self._build.fetched
        for x in rest:
            if batched and x.shape[:1] != numbers.shape[1:]:
                raise ShapeError(
                    "order has a different number of examples per step from what was compiled",
                    expected=f"(steps, {x.shape[0] if x.shape else 1})",
                    got=str(numbers.shape),
                )
        if len(data) != len(rest):
            raise ArgumentError(
                "the data do not match the arguments of a step",
                expected=", ".join(x.name for x in rest),
                got=f"{len(data)} data sets",
            )
        count = min((len(values) for values in self._data(data, batched)), default=0)
        if numbers.size and (numbers.min() < 0 or numbers.max() >= count):
            raise ArgumentError(
                "order contains an index outside the data", expected=f"0 to {count - 1}",
                got=f"{numbers.min()} to {numbers.max()}",
            )  # fmt: skip

    def _data(self, data: Sequence[Any], batched: bool) -> list[NDArray[Any]]:
        """The examples of each argument, as the current path reads them."""
        pairs = zip(self._build.fetched, data, strict=True)
        return [self._examples(x, values, batched) for x, values in pairs]

    def _examples(self, x: Node, values: Any, batched: bool) -> NDArray[Any]:
        if isinstance(values, np.ndarray):
            refuse_foreign(values, x.name)
        array = np.asarray(values)
        one = x.shape[1:] if batched else x.shape
        if array.shape[1:] != one:
            raise ShapeError(
                f"examples of {x.name} do not have the shape the step was compiled for",
                expected=f"(examples{''.join(f', {n}' for n in one)})",
                got=str(array.shape),
            )
        self._path.slots[x].check_kind(x.name, array)
        dtype = self._build.program.dtype(self._build.inputs[x].memory)
        return np.ascontiguousarray(array, dtype)

    def first_nonfinite(self, *args: Any, **kwargs: Any) -> str:
        """Which value of a step on these arguments is not finite, the first one; takes no step.

        Its name and line; an empty text where all are finite.
        """
        with self._lock:
            self._path.put(self._in_order(args, kwargs))
            name, line = self._origin()
        return f"{name}  ({line})" if line else name

    def _refuse(self, loss: float) -> None:
        name, line = self._origin()
        where = f"{name} is the first value that is not finite" if name else ""
        raise NonFiniteError(
            f"the loss is {loss}",
            where=where + (f" ({line})" if line else ""),
            todo="a smaller learning rate, or clipped gradients; the parameters are as before",
        )

    def _origin(self) -> tuple[str, str]:
        return first_nonfinite(self._path, self.taken)


def _examples_of_steps(order: Any) -> tuple[NDArray[np.int64], bool]:
    """Numbers of the examples of each step, (steps, batch), and whether there is a batch axis."""
    numbers = np.asarray(order)
    if numbers.size and numbers.dtype.kind not in "iu":
        raise DtypeError(
            "order must hold indices of examples", expected="integers", got=str(numbers.dtype)
        )
    batched = numbers.ndim == 2
    whole = np.ascontiguousarray(numbers, np.int64)
    return (whole if batched else whole[:, None]), batched
