"""A training step in parts: the same bits whoever computes which part, alone or with others."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.errors import ArgumentError, NonFiniteError, ShapeError
from allbps.ir import Node
from allbps.machine.called import Recipe
from allbps.machine.common import packet_for
from allbps.machine.exchange import Exchange
from allbps.machine.execution.runtime import default_threads
from allbps.machine.kept import Kept
from allbps.machine.origin import first_nonfinite
from allbps.machine.part import (
    Arrays,
    Packing,
    PartGradients,
    PartRecipe,
    as_arrays,
    count_of,
    rows,
)
from allbps.machine.parts import bounds, check_enough, share
from allbps.machine.reports import Found, Reports, digest_of
from allbps.machine.request import without_carry
from allbps.machine.stages import Stages
from allbps.machine.summation import Summation
from allbps.machine.weighing import Kind
from allbps.optim import Optimizer
from allbps.trace import Traced
from allbps.tree import leaves, rebuild


class PartedStep:
    """A compiled training step that cuts each batch into parts.

    Every worker computes the loss and the gradients of some parts; all are added up in one order
    and every worker takes the same update. What a step makes depends on the number of parts and not
    on how many workers there are, to the last bit.

    Attributes:
        optimizer: how parameters move.
        parts: into how many parts a batch is cut.
        taken: how many steps have been taken.

    """

    def __init__(
        self,
        recipe: Recipe,
        traced: Traced,
        arguments: Mapping[str, Any],
        exchange: Exchange,
        parts: int,
    ) -> None:
        options = recipe.options
        assert options.optimizer is not None
        check_enough(parts, exchange.size)
        self.optimizer: Optimizer = options.optimizer
        self.parts, self.taken, self._exchange = parts, 0, exchange
        self._lock = threading.RLock()
        self._chosen, self._carry = options.chosen(traced), options.carried(traced)
        self._names = tuple(arguments)
        self._cut = tuple(n for n in arguments if n not in (*self._chosen, self._carry))
        self._result = traced.outputs if self._carry is None else without_carry(traced, self._carry)
        _check_results(self._result)
        self._signature = recipe.signature.replace(
            parameters=[p for n, p in recipe.signature.parameters.items() if n in self._cut]
        )
        self._packing = Packing(self._made)
        threads = options.threads or _own_threads(exchange)
        plain = replace(
            options, optimizer=None, max_norm=None, carry=None, parts=None, group=None,
            threads=threads,
        )  # fmt: skip
        self._recipe = PartRecipe(
            recipe.f, recipe.signature, plain, recipe.draws, self._cut, self._chosen, self._carry,
            self._packing,
        )  # fmt: skip
        self._compiled: dict[int, PartGradients] = {}
        given = {name: as_arrays(arguments[name]) for name in self._cut}
        start, stop = bounds(count_of(given), parts)[0]
        first = {n: rows(tree, start, stop) for n, tree in given.items()}
        self._last = self._compiled_for(stop - start, {**arguments, **first}, 0)
        self._kept = Kept(
            traced, self._chosen, self._carry, options.optimizer, options.max_norm, threads,
            self._packing.layouts,
        )  # fmt: skip
        self._connect()
        self._fresh = True

    def _connect(self) -> None:
        """Room for the sums, where the optimiser reads them."""
        sizes, exchange, groups = self._packing.sizes, self._exchange, self._packing.packets
        real = self._kept.moves.real
        packets = [
            packet_for([sizes[k] for k in members], real, exchange, self.parts)
            for members in groups
        ]
        self._sum = Summation(packets, exchange)
        found = {
            k: packet.array(place)
            for packet, members in zip(packets, groups, strict=True)
            for place, k in enumerate(members)
        }
        sums = [found[k] for k in range(len(sizes))]
        self._gradients = sums[: len(self._kept.moves.params)]
        self._kept.moves.read_from(self._gradients)
        self._averages = sums[len(self._gradients) :]
        self._reports = Reports(exchange, self.parts, len(leaves(self._result)))

    @property
    def sent(self) -> int:
        """Bytes of gradients that this worker sends to others in a step."""
        return self._sum.sent

    # -- taking steps ------------------------------------------------------------------------------
    def share(self, count: int) -> slice:
        """Which examples of a batch of ``count`` this worker reads."""
        return share(count, self.parts, self._exchange.rank, self._exchange.size)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take a step on a whole batch, of which this worker reads its share.

        Args:
            args: the arguments other than the parameters and what is carried.
            kwargs: the same by name.

        Returns:
            the loss; where the function returns other numbers beside it, those too, each as an
            array with one number for each part.

        Raises:
            NonFiniteError: the loss is NaN or infinite; the parameters are as before.
            ArgumentError: the loss cannot be taken in parts, or workers differ in what they do.

        """
        given = as_arrays(self._bound(args, kwargs))
        count = count_of(given)
        own = self.share(count)
        return self._step(count, {n: rows(v, own.start, own.stop) for n, v in given.items()})

    def on_share(self, count: int, *args: Any, **kwargs: Any) -> Any:
        """Take a step on a batch of ``count`` examples, given this worker's share of it only.

        Arguments, result and errors are those of a call; ``share`` tells which examples it wants.
        """
        given = as_arrays(self._bound(args, kwargs))
        own = self.share(count)
        if own.stop > own.start and count_of(given) != own.stop - own.start:
            raise ShapeError(
                "this is not the worker's share of the batch",
                expected=f"examples {own.start} to {own.stop - 1} of {count}",
                got=f"{count_of(given)} examples",
            )
        return self._step(count, given)

    def give_up(self, count: int, problem: Exception) -> None:
        """Tell the others why this worker cannot take the step on a batch of ``count``.

        Raises:
            Exception: the problem.

        """
        self._step(count, {}, problem)

    def run_epoch(self, *data: Any, order: Any) -> NDArray[Any]:
        """Take a step for each row of ``order``, (steps, batch), on data that is at hand.

        Returns:
            the losses, (steps,).

        Raises:
            NonFiniteError: a loss is NaN or infinite; the parameters are as before that step.

        """
        losses = []
        for row in np.asarray(order):
            own = row[self.share(len(row))]
            taken = self.on_share(len(row), *(np.asarray(values)[own] for values in data))
            losses.append(leaves(taken)[0])
        return np.array(losses, self._kept.moves.real)

    def _bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        try:
            bound = self._signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise ArgumentError(
                "the arguments do not match the compiled function",
                expected=str(self._signature),
                got=str(error),
            ) from None
        return {name: as_arrays(bound[name]) for name in self._cut}

    def _step(self, count: int, own: Mapping[str, Any], problem: Exception | None = None) -> Any:
        with self._lock:
            found = self._computed(count, own) if problem is None else self._failed(problem)
            self._sum.leave()
            digest = digest_of(self._kept.everything(), self._recipe.draws) if self._fresh else 0
            try:
                reports = self._reports.exchanged(self.taken, count, digest, found)
            finally:
                self._sum.finish()
            self._fresh = False
            loss, scale = reports.loss()
            if not math.isfinite(loss):
                self._refuse(loss, *reports.first_bad(), own, count)
            self._move(loss, scale)
            real = self._kept.moves.real
            return rebuild(self._result, iter([real.type(loss), *reports.beside()]))

    def _move(self, loss: float, scale: float) -> None:
        if scale != 1:
            for gradient in self._gradients:
                np.multiply(gradient, gradient.dtype.type(scale), out=gradient)
        self._kept.moves(loss, self.taken)
        for here, new in zip(self._kept.carried, self._averages, strict=True):
            here[...] = new.reshape(here.shape)
        self.taken += 1

    # -- the parts of this worker ------------------------------------------------------------------
    @property
    def _mine(self) -> range:
        return range(*bounds(self.parts, self._exchange.size)[self._exchange.rank])

    def _computed(self, count: int, own: Mapping[str, Any]) -> Found:
        """Loss and gradients of this worker's parts; what went wrong is part of what was found."""
        self._sum.begin(min(count, self.parts))
        found, width = Found(), len(leaves(self._result))
        params = [held.memory for held in self._kept.moves.params]
        try:
            for k, start, stop in self._stretches(count):
                self._weight = (stop - start) / count
                self._last_of_mine = k == self._mine[-1]
                if start == stop:
                    for number in range(len(self._packing.packets)):
                        self._push(number, None)
                    continue
                part, arguments = self._prepared(own, start, stop, self._key(k))
                self._last = part
                part.run(arguments, self._key(k), params)
                if not part.told_early:
                    for number in range(len(self._packing.packets)):
                        self._made(number, part.packet(number), part.weight.kind, part.over / count)
                found.add(part.weight.kind, stop - start, part.over, part.numbers(width))
        except Exception as problem:  # all workers are told of it, and then it is raised
            found.problem = problem
        return found

    def _failed(self, problem: Exception) -> Found:
        """Nothing was computed."""
        self._sum.begin(self.parts)
        return Found(problem=problem)

    def _stretches(self, count: int) -> list[tuple[int, int, int]]:
        """Each of this worker's parts: its number, and where it lies in the worker's share."""
        cut = bounds(count, self.parts)
        first = cut[self._mine.start][0]
        return [(k, cut[k][0] - first, cut[k][1] - first) for k in self._mine]

    def _prepared(
        self, own: Mapping[str, Any], start: int, stop: int, key: int
    ) -> tuple[PartGradients, list[Any]]:
        """What computes the part from ``start`` to ``stop`` of the share, and its arguments."""
        arguments = {n: rows(tree, start, stop) for n, tree in own.items()}
        arguments |= self._kept.carried_argument()
        part = self._compiled.get(stop - start)
        if part is None:
            part = self._compiled_for(stop - start, {**self._kept.params(), **arguments}, key)
        return part, [arguments[name] for name in part.path.trees]

    def _compiled_for(self, size: int, arguments: Mapping[str, Any], key: int) -> PartGradients:
        """What computes parts of a size."""
        if size not in self._compiled:
            in_order = {name: arguments[name] for name in self._names}
            self._compiled[size] = PartGradients(self._recipe, self._recipe.traced(in_order, key))
        return self._compiled[size]

    def _key(self, k: int) -> int:
        """Which random numbers part ``k`` draws in this step."""
        return self.taken * self.parts + k

    def _made(self, number: int, arrays: Arrays, kind: Kind, over: float) -> None:
        """A packet of the part in hand is there: what it counts, into the sum."""
        counts = {Kind.MEAN: self._weight, Kind.TOTAL: 1.0, Kind.SHARE: over}[kind]
        members = self._packing.packets[number]
        starts = self._sum.packets[number].starts

        def fill(flat: NDArray[Any]) -> None:
            for k, start, array in zip(members, starts, arrays, strict=False):
                weight = counts if k < len(self._gradients) else self._weight
                out = flat[start : start + array.size].reshape(array.shape)
                if weight:
                    np.multiply(array, array.dtype.type(weight), out=out)
                else:
                    out[...] = 0

        self._push(number, fill)

    def _push(self, number: int, fill: Any) -> None:
        self._sum.packets[number].push(fill)
        if self._last_of_mine:
            self._sum.ready(number)

    def _refuse(
        self, loss: float, rank: int, which: int, own: Mapping[str, Any], count: int
    ) -> None:
        """Say where the first number that is not finite comes from: the worker who knows tells."""
        text = ""
        if rank == self._exchange.rank:
            held = [s for s in self._stretches(count) if s[1] < s[2]]
            k, start, stop = held[which]
            part, arguments = self._prepared(own, start, stop, self._key(k))
            part.path.put(arguments)
            name, line = first_nonfinite(part.path, self._key(k))
            text = (name and f"{name} is the first value that is not finite") + (
                line and f" ({line})"
            )
        raise NonFiniteError(
            f"the loss is {loss}",
            where=self._reports.said_by(rank, text),
            todo="a smaller learning rate, or clipped gradients; the parameters are as before",
        )

    # -- what is kept, and looking inside ----------------------------------------------------------
    @property
    def params(self) -> dict[str, Any]:
        """Copies of the parameters, by argument name; all workers must set the same."""
        return self._kept.params()

    @params.setter
    def params(self, new: Mapping[str, Any]) -> None:
        self._kept.put_params(new)
        self._fresh = True

    @property
    def optimizer_state(self) -> dict[str, Any]:
        """What the optimiser remembers, a container as ``optimizer.init(step.params)`` makes it."""
        return self._kept.state(self.taken)

    @optimizer_state.setter
    def optimizer_state(self, new: Mapping[str, Any]) -> None:
        self._kept.put_state(new)
        self.taken = int(new["step"])
        self._fresh = True

    @property
    def carried(self) -> Any:
        """A copy of the argument that every step replaces by the mean over the parts."""
        return self._kept.carried_tree()

    @carried.setter
    def carried(self, new: Any) -> None:
        self._kept.put_carried(new)
        self._fresh = True

    def stages(self) -> Stages:
        """What is done for one part, in order."""
        return self._last.stages()

    def source(self) -> str:
        """The generated source for one part."""
        return self._last.source()


def _own_threads(exchange: Exchange) -> int | None:
    """As many as pay; where workers share a machine, this one's share of its CPUs."""
    return None if exchange.local == 1 else max(1, default_threads() // exchange.local)


def _check_results(result: Any) -> None:
    """Refuse a function that returns arrays beside its loss."""
    for x in leaves(result):
        if not isinstance(x, Node) or x.shape != ():
            raise ArgumentError(
                "a step in parts returns single numbers beside the loss",
                expected="numbers of shape ()",
                got=f"{x.name} of shape {x.shape}" if isinstance(x, Node) else repr(x),
                todo="return its sum, or leave it out",
            )
