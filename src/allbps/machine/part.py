"""Loss and gradients of one part of a batch, compiled for its size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.errors import ArgumentError, ShapeError
from allbps.ir import Graph, Node, values_on_demand
from allbps.ir.draws import drawing
from allbps.machine.building import Build, build
from allbps.machine.called import Called, Recipe
from allbps.machine.execution.regions import assign_regions
from allbps.machine.language.operands import Memory
from allbps.machine.path import Path
from allbps.machine.planning.layout import Layout
from allbps.machine.request import without_carry
from allbps.machine.summation import PACKET
from allbps.machine.weighing import Kind, Weighing, check_carried, weighing
from allbps.machine.works.emit import Blocks
from allbps.machine.works.tasks import ONCE, InPython, Place, Program
from allbps.trace import Traced, trace_bound
from allbps.tree import flatten, leaves, tree_map

Arrays = Sequence[NDArray[Any]]


@dataclass(eq=False)
class Packing:
    """Which arrays travel together: gradients, then what is carried, by number.

    The first part that is compiled decides, by the order in which its arrays are made.

    Attributes:
        made: told the number of a packet and its arrays, where these are ready before the rest.
        packets: numbers of the arrays in each.
        sizes: numbers in each array.
        layouts: how the parameters lie in memory, and their gradients too.

    """

    made: Callable[[int, Arrays, Kind, float], None]
    packets: list[list[int]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    layouts: list[Layout] = field(default_factory=list)

    def decide(self, program: Program, places: Sequence[Place]) -> None:
        """Arrays that are made one after the other, in packets that are worth sending."""
        last: dict[Any, int] = {}
        for k, region in enumerate(assign_regions(program.tasks)):
            last.update((block, k) for task in region for block in task.writes)
        order = sorted(range(len(places)), key=lambda k: (last.get(places[k].memory, -1), k))
        self.sizes = [place.layout.size for place in places]
        size = 0
        for k in order:
            if not self.packets or size >= PACKET:
                self.packets.append([])
                size = 0
            self.packets[-1].append(k)
            size += places[k].layout.size * program.real.itemsize


@dataclass(frozen=True)
class PartRecipe(Recipe):
    """How to compile a function for a part of a batch.

    Attributes:
        cut: names of the arguments that hold examples.
        chosen: names of those that are learnt.
        carry: the name of the one that every step replaces.
        packing: which arrays travel together.
        weighed: what was found for each graph.

    """

    cut: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()
    carry: str | None = None
    packing: Packing = field(default_factory=lambda: Packing(lambda *told: None))
    weighed: dict[Node, Weighing] = field(default_factory=dict)

    def traced(self, arguments: Mapping[str, Any], step: int) -> Traced:
        """The way that these arguments take; the weight of the part is its last result."""
        found = super().traced(arguments, step)
        more = {n: twice(v) if n in self.cut else v for n, v in arguments.items()}
        with values_on_demand(), drawing(self.draws.again(step)):
            double = trace_bound(self.f, more)
        params = [x for name in self.chosen for x in nodes_of(found.parameters[name])]
        weight = weighing(found, double, params)
        if self.carry is not None:
            result = without_carry(found, self.carry)
            new = found.graph.outputs[len(leaves(result)) :]
            check_carried(found, double, params, new)
        self.weighed[found.graph.outputs[0]] = weight
        if weight.over is None:
            return found
        graph = Graph(found.graph.inputs, (*found.graph.outputs, weight.over))
        return replace(found, graph=graph, outputs=(found.outputs, weight.over))

    def build(self, traced: Traced, *, guarded: bool = True) -> Build:
        """That way, compiled."""
        weight = self.weighed[traced.graph.outputs[0]]
        outputs = [*traced.graph.outputs]
        own = [] if self.carry is None else nodes_of(traced.parameters[self.carry])
        kept = outputs[:-1] if weight.over is not None else outputs
        first = len(kept) - len(own)

        def more(
            program: Program, deltas: Sequence[Place], results: Sequence[Place], blocks: Blocks,
            guards: bool,
        ) -> None:  # fmt: skip
            places = [*deltas, *results[first : len(kept)]]
            if not self.packing.packets:
                self.packing.decide(program, places)
            if guards or weight.over is not None or len(self.packing.packets) == 1:
                return
            read = _reader(places, len(deltas), blocks)
            for number in range(len(self.packing.packets)):
                _announce(program, number, places, read, self.packing, weight.kind)

        return build(
            self.signature, traced, self.options, guarded=guarded, more=more,
            layouts=self.packing.layouts,
        )  # fmt: skip


def _announce(
    program: Program, number: int, places: Sequence[Place], read: Reader, packing: Packing,
    kind: Kind,
) -> None:  # fmt: skip
    """A task in Python that tells as soon as a packet is complete."""
    members = packing.packets[number]

    def tell() -> None:
        packing.made(number, [read(k) for k in members], kind, 1.0)

    reads = tuple(dict.fromkeys(places[k].memory for k in members))
    program.add(f"packet {number + 1} is complete", ONCE, python=InPython(tell, reads, ()))


Reader = Callable[[int], NDArray[Any]]
"""Number of an array -> the array: gradients as they lie, what is carried as NumPy has it."""


def _reader(
    places: Sequence[Place], gradients: int, blocks: Mapping[Memory, NDArray[Any]]
) -> Reader:
    def read(k: int) -> NDArray[Any]:
        place = places[k]
        if k >= gradients:
            return _view(place, blocks)
        return blocks[place.memory][place.start : place.start + place.layout.size]

    return read


def _view(place: Place, blocks: Mapping[Any, NDArray[Any]]) -> NDArray[Any]:
    return place.layout.view(blocks[place.memory][place.start :])


def nodes_of(tree: Any) -> list[Node]:
    """The nodes of a container, in order."""
    return [x for x in leaves(tree) if isinstance(x, Node)]


class PartGradients(Called):
    """Loss and gradients of a part."""

    _recipe: PartRecipe

    def __init__(self, recipe: PartRecipe, traced: Traced) -> None:
        super().__init__(recipe, traced, recipe.chosen)

    def run(self, given: Sequence[Any], key: int, params: Arrays) -> None:
        """Work them out, with the random numbers of a key, where the parameters lie."""
        self.taken, self._params = key, params
        self._run(given)

    def _prepare(self, path: Path) -> None:
        super()._prepare(path)
        for x, memory in zip(path.build.request.params, self._params, strict=True):
            path.executable.bind(path.build.inputs[x].memory, memory)

    @property
    def path(self) -> Path:
        """The path that was taken last."""
        return self._path

    @property
    def weight(self) -> Weighing:
        """What the part counts, on that path."""
        return self._recipe.weighed[self._path.build.traced.graph.outputs[0]]

    @property
    def told_early(self) -> bool:
        """Did the step tell of its packets while it ran?"""
        build = self._path.build
        several = len(self._recipe.packing.packets) > 1
        return several and build.holds is None and self.weight.kind is not Kind.SHARE

    def packet(self, number: int) -> Arrays:
        """The arrays of a packet, where they lie."""
        build = self._path.build
        extra = self.weight.over is not None
        carried = len(self._recipe.packing.sizes) - len(build.deltas)
        stop = len(build.results) - extra
        places = [*build.deltas, *build.results[stop - carried : stop]]
        read = _reader(places, len(build.deltas), build.blocks)
        return [read(k) for k in self._recipe.packing.packets[number]]

    def numbers(self, count: int) -> list[float]:
        """The loss and other single numbers among the first results."""
        build = self._path.build
        return [float(_view(place, build.blocks)[()]) for place in build.results[:count]]

    @property
    def over(self) -> float:
        """By what the part's sum is divided; 1 where it is not a share."""
        build = self._path.build
        if self.weight.over is None:
            return 1.0
        return float(_view(build.results[-1], build.blocks)[()])


# -- arguments of a batch, cut -------------------------------------------------------------------
def twice(tree: Any) -> Any:
    """Every example twice."""
    return tree_map(lambda x: np.repeat(x, 2, axis=0) if is_batch(x) else x, tree)


def rows(tree: Any, start: int, stop: int) -> Any:
    """The examples from ``start`` to below ``stop``."""
    return tree_map(lambda x: x[start:stop] if is_batch(x) else x, tree)


def is_batch(leaf: Any) -> bool:
    """Is it an array with an axis of examples?"""
    return np.ndim(leaf) > 0 and not isinstance(leaf, str)


def as_arrays(tree: Any) -> Any:
    """Lists of numbers as they are; everything that has ``__array__`` as an array."""
    return tree_map(lambda x: np.asarray(x) if hasattr(x, "__array__") else x, tree)


def count_of(arguments: Mapping[str, Any]) -> int:
    """How many examples there are.

    Raises:
        ArgumentError: none, or arguments differ in that.

    """
    lengths = dict(_lengths(arguments))
    if not lengths or not min(lengths.values()):
        raise ArgumentError(
            "there is nothing to cut into parts",
            expected="an argument with at least one example along its first axis",
            got=", ".join(f"{name} of none" for name in lengths) or "no array except parameters",
        )
    if len(set(lengths.values())) > 1:
        raise ShapeError(
            "the arguments differ in their number of examples",
            expected="the same length along the first axis for all arrays that are not parameters",
            got=", ".join(f"{name} {n}" for name, n in lengths.items()),
            todo="an array that belongs to no example can be a variable outside the function",
        )
    return next(iter(lengths.values()))


def _lengths(arguments: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for name, tree in arguments.items():
        for path, leaf in flatten(tree, name):
            if is_batch(leaf):
                yield path, len(leaf)
