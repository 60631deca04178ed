"""One way through a function: what it takes for granted, its compiled step, and its arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.errors import ArgumentError
from allbps.ir import Node
from allbps.machine.arguments import Slot
from allbps.machine.building import Build
from allbps.machine.door import Door
from allbps.machine.guards import has_negative
from allbps.machine.templates import At, maker
from allbps.machine.works.tasks import Place
from allbps.trace import Guard, Traced
from allbps.tree import flatten, tree_map

Ready = list[tuple[Slot, NDArray[Any]]]
"""Arrays that were checked, and where each goes."""


class Path:
    """A function compiled for the way that its example took through it.

    Args:
        build: the function's graph on that way, compiled.
        skipped: arguments that are not given to every call.

    Attributes:
        door: the short way in, where there is one.
        first: memory of the first result, which is the loss of a step.
        is_number: is the first result all that the function returns?

    """

    def __init__(self, build: Build, skipped: Sequence[str] = ()) -> None:
        self.build, self.executable = build, build.executable
        self.slots = {
            x: Slot(x, place, build.limits.get(x, ()), self.executable)
            for x, place in build.inputs.items()
        }  # fmt: skip
        self.trees = {
            name: tree for name, tree in build.traced.parameters.items() if name not in skipped
        }
        self.door = Door.into(self.trees, self.slots, self.executable)
        outputs = build.traced.graph.outputs
        pairs = zip(build.results, outputs, strict=False)  # what is carried stands behind
        self._readers = [self._reader(place, y.dtype) for place, y in pairs]
        self._result = maker(numbered(build.request.result))
        self.is_number = build.request.result is outputs[0]
        self.first = build.blocks[build.results[0].memory]
        self._flag = None if build.holds is None else build.blocks[build.holds.memory]

    @property
    def guards(self) -> tuple[Guard, ...]:
        """What it takes for granted."""
        return self.build.traced.guards

    @property
    def may_differ(self) -> bool:
        """Might other arguments go another way?"""
        return bool(self.guards)

    @property
    def holds(self) -> bool:
        """Did the last call find everything as it takes it for granted?"""
        return self._flag is None or bool(self._flag[0])

    def begin(self, step: int) -> None:
        """Let the next run draw the random numbers of a step."""
        for key in self.build.keys:
            self.build.blocks[key][1] = step

    # -- arguments ---------------------------------------------------------------------------------
    def put(self, given: Iterable[Any]) -> None:
        """Let the step read these arguments: all of them, or none where one is refused."""
        ready: Ready = []
        for (name, tree), value in zip(self.trees.items(), given, strict=True):
            if isinstance(tree, Node):
                slot = self.slots[tree]
                ready.append((slot, slot.checked(name, value)))
            else:
                ready += self.checked(name, tree, value)
        put_all(ready)

    def checked(self, name: str, tree: Any, value: Any) -> Iterator[tuple[Slot, NDArray[Any]]]:
        """The slots of a container and the arrays for them.

        Raises:
            ArgumentError: it has other keys or lengths than when the function was compiled.

        """
        for (path, node), (_, leaf) in pairs_of(name, tree, value):
            if isinstance(node, Node):
                slot = self.slots[node]
                yield slot, slot.checked(path, leaf)
            elif leaf != node:
                raise ArgumentError(
                    f"{path} is fixed in the compiled function",
                    expected=repr(node), got=repr(leaf), todo="compile again for another value",
                )  # fmt: skip

    def as_traced(self, given: Iterable[Any]) -> dict[str, Any]:
        """All arguments by name as the step reads them, with those that it keeps itself."""
        values = dict(zip(self.trees, given, strict=True))
        arguments = {}
        for name, tree in self.build.traced.parameters.items():
            if name in values:
                pairs = pairs_of(name, tree, values[name])
                arrays = [np.asarray(v, x.dtype) for (_, x), (_, v) in pairs if isinstance(x, Node)]
            else:
                kept = [x for _, x in flatten(tree) if isinstance(x, Node)]
                arrays = [self.argument(x) for x in kept]
            arguments[name] = like_nodes(tree, iter(arrays))
        return arguments

    # -- results -----------------------------------------------------------------------------------
    def results(self) -> Any:
        """What the function returns."""
        return self._result([read() for read in self._readers])

    def gradients(self) -> Any:
        """Copies of the δ of the parameters, in containers like theirs; a dict of several."""
        readers, made = self._deltas
        return made([read() for read in readers])

    @cached_property
    def _deltas(self) -> tuple[list[Callable[[], Any]], Callable[[list[Any]], Any]]:
        asked = self.build.request
        pairs = zip(self.build.deltas, asked.params, strict=True)
        readers = [self._reader(place, x.dtype) for place, x in pairs]
        places = iter([At(k) for k in range(len(readers))])
        parameters = self.build.traced.parameters
        trees = {name: like_nodes(parameters[name], places) for name in asked.chosen}
        return readers, maker(trees[asked.chosen[0]] if len(trees) == 1 else trees)

    def _reader(self, place: Place, dtype: np.dtype[Any]) -> Callable[[], Any]:
        """``read`` of one place, ready to be called many times."""
        block = self.build.blocks[place.memory]
        view = place.layout.view(block)
        moves = any(place.memory is other.memory for other in self.build.inputs.values())
        if moves or view.dtype != dtype or not np.may_share_memory(view, block):
            return partial(self.read, place, dtype)
        return partial(view.__getitem__, ()) if view.ndim == 0 else view.copy

    def read(self, place: Place, dtype: np.dtype[Any]) -> Any:
        """A copy of what stands somewhere."""
        found = place.layout.copied(self.build.blocks[place.memory])
        return found.astype(dtype, copy=False)[()]

    def argument(self, x: Node) -> Any:
        """A copy of an argument as the step has it."""
        return self.read(self.build.inputs[x], x.dtype)


def way_of(traced: Traced) -> Any:
    """Equal for two traces that went the same way."""
    return tuple(guard.key for guard in traced.guards), has_negative(traced.values)


def pairs_of(name: str, tree: Any, value: Any) -> Iterator[tuple[tuple[str, Any], ...]]:
    """The leaves of two containers side by side, each with its path.

    Raises:
        ArgumentError: ``value`` has other keys or lengths than ``tree``.

    """
    wanted, given = list(flatten(tree, name)), list(flatten(value, name))
    here, there = dict(wanted), dict(given)
    if here.keys() != there.keys():
        missing = [path for path in here if path not in there]
        more = [path for path in there if path not in here]
        raise ArgumentError(
            f"{name} is not arranged as it was when the function was compiled",
            expected=", ".join(missing[:6]) or f"{len(here)} arrays",
            got=", ".join(more[:6]) or f"{len(there)} arrays",
        )
    return zip(wanted, given, strict=True)


def put_all(ready: Iterable[tuple[Slot, NDArray[Any]]]) -> None:
    """Let a step read arrays, once all of them are known to be right."""
    for slot, array in list(ready):
        slot.put(array)


def numbered(tree: Any) -> Any:
    """A container with the place of each leaf among all of them."""
    places = count()
    return tree_map(lambda _: At(next(places)), tree)


def like_nodes(tree: Any, arrays: Iterator[Any]) -> Any:
    """A container of nodes with arrays in their places."""
    return tree_map(lambda leaf: next(arrays) if isinstance(leaf, Node) else leaf, tree)


# -- looking at paths ------------------------------------------------------------------------------
class Decisions:
    """The paths that a compiled function has taken; printing it shows what decided.

    Attributes:
        rows: for each path its decisions, one text each: the user's line and what it found.
        current: which was taken last.

    """

    def __init__(self, paths: Sequence[Path], current: Path) -> None:
        self.rows = tuple(tuple(map(str, path.guards)) for path in paths)
        self.current = next((k for k, path in enumerate(paths) if path is current), 0)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    __repr__ = __str__

    def _lines(self) -> Iterator[str]:
        for k, row in enumerate(self.rows):
            yield f"path {k + 1}" + (", taken last" if k == self.current else "")
            yield from (f"  {decision}" for decision in row or ("nothing was looked at",))


def first_difference(one: Path, other: Path) -> Guard:
    """The first decision of ``one`` that is not as in the other."""
    pairs = zip(one.guards, other.guards, strict=False)
    apart = [guard for guard, theirs in pairs if guard.key != theirs.key]
    return apart[0] if apart else one.guards[-1]
