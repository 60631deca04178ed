"""A training step in the caller's memory: parameters, what is remembered of them, what is carried.

A framework's own arrays are then always current, and what it writes into them is seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from allbps.ir import values_on_demand
from allbps.ir.draws import Draws, drawing
from allbps.machine.called import Recipe
from allbps.machine.compile import signature_of
from allbps.machine.options import Options
from allbps.machine.path import Path
from allbps.machine.request import request
from allbps.machine.training import TrainStep
from allbps.trace import Traced, trace

Arrays = Sequence[NDArray[Any]]


class SharedStep(TrainStep):
    """A training step whose parameters lie in arrays of the caller's."""

    def __init__(self, recipe: Recipe, traced: Traced) -> None:
        assert recipe.options.optimizer is not None
        assert recipe.options.in_place
        super().__init__(recipe, traced, recipe.options.optimizer)
        self._shared: tuple[Arrays, Sequence[Mapping[str, NDArray[Any]]], Arrays] | None = None

    @property
    def slot_names(self) -> list[tuple[str, ...]]:
        """What the optimizer remembers of each parameter."""
        build = self._build
        return [tuple(build.slots[x]) for x in build.request.params]

    def share(
        self, params: Arrays, slots: Sequence[Mapping[str, NDArray[Any]]], carried: Arrays
    ) -> None:
        """Work in these arrays from now on: dense, in row-major order, of the right dtype.

        Args:
            params: one for each parameter, in the order of the arguments' leaves.
            slots: for each parameter its slots by name.
            carried: one for each array that is carried over.

        """
        self._shared = (params, slots, carried)
        self._adopt(self._path)

    def _adopt(self, path: Path) -> None:
        if self._shared is None:
            return
        params, slots, carried = self._shared
        build = path.build
        for x, array in zip(build.request.params, params, strict=True):
            path.executable.adopt(build.inputs[x].memory, array)
        for x, own in zip(build.request.params, slots, strict=True):
            for name, place in build.slots[x].items():
                path.executable.adopt(place.memory, own[name])
        for x, array in zip(build.request.carried, carried, strict=True):
            path.executable.adopt(build.inputs[x].memory, array)

    def _enter(self, path: Path) -> None:
        """Make it the current path, in the same memory."""
        if path is not self._path:
            self._adopt(path)
            self._path = path


def traced_for(f: Any, arguments: Mapping[str, Any]) -> tuple[Traced, Draws]:
    """A function traced for a step, and where it drew from.

    Args:
        f: as for ``compile``; what it draws comes from an ``allbps.random.Generator``.
        arguments: examples by name.

    """
    draws = Draws()
    with values_on_demand(), drawing(draws):
        return trace(f, **arguments), draws


def reached(traced: Traced, options: Options) -> list[bool]:
    """For each parameter: does the loss depend on it in a way that has a δ?"""
    asked = request(traced, options)
    return [x in asked.deltas for x in asked.params]


def shared_step(f: Any, options: Options, traced: Traced, draws: Draws) -> SharedStep:
    """``compile`` for a step in the caller's memory, of what ``traced_for`` gave."""
    return SharedStep(Recipe(f, signature_of(f, traced), options, draws), traced)
