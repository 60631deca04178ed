"""What ``compile`` returns for functions and gradients: call it, or look inside."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.errors import ArgumentError
from allbps.ir import Node
from allbps.machine.arguments import Slot
from allbps.machine.building import Build
from allbps.machine.options import Options
from allbps.machine.stages import Stages, stage_rows
from allbps.machine.works.tasks import Place
from allbps.trace import trace
from allbps.tree import flatten, rebuild, tree_map

POSITIONAL = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}


class Called:
    """What the compiled forms share: arguments in, results out, and looking inside."""

    def __init__(self, build: Build, skipped: tuple[str, ...] = ()) -> None:
        self._build = build
        self._lock = threading.RLock()  # a call puts arguments, runs and reads results
        self._executable = build.executable
        limits = build.limits()
        self._slots = {
            x: Slot(x, place, limits.get(x, ()), self._executable)
            for x, place in build.inputs.items()
        }  # fmt: skip
        self._trees = {
            name: tree for name, tree in build.traced.parameters.items() if name not in skipped
        }
        self.signature = build.signature.replace(
            parameters=[p for n, p in build.signature.parameters.items() if n in self._trees]
        )
        kinds = {p.kind for p in self.signature.parameters.values()}
        self._all_positional = kinds <= POSITIONAL and len(self.signature.parameters) == len(
            self._trees
        )

    @property
    def threads(self) -> int:
        """How many threads run a step."""
        return self._executable.threads

    def source(self) -> str:
        """The generated source: what is compiled, in the language of the machine's kernels."""
        return self._executable.source.text

    def stages(self) -> Stages:
        """What is done, in order, with estimated operations and numbers moved."""
        itemsize = self._build.program.real.itemsize
        return Stages(tuple(stage_rows(self._executable.regions)), itemsize)

    def profile(self, repeats: int = 20) -> Stages:
        """The stages with the time each takes, and the share of the fastest product's speed.

        Args:
            repeats: medians are over so many runs, on the arguments of the last call.

        """
        seconds = tuple(self._executable.profile(repeats))
        peak = fastest_product(str(self._build.program.real), self.threads)
        return replace(self.stages(), seconds=seconds, peak=peak)

    def _take(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self._put(self._in_order(args, kwargs))

    def _put(self, given: Iterable[Any]) -> None:
        """Let the step read these arguments: all of them, or none where one is refused."""
        ready: list[tuple[Slot, NDArray[Any]]] = []
        for (name, tree), value in zip(self._trees.items(), given, strict=True):
            if isinstance(tree, Node):
                slot = self._slots[tree]
                ready.append((slot, slot.checked(name, value)))
            else:
                ready += self._checked(name, tree, value)
        put_all(ready)

    def _in_order(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterable[Any]:
        """One for each parameter of the function, in its order."""
        if not kwargs and len(args) == len(self._trees) and self._all_positional:
            return args
        try:
            bound = self.signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise ArgumentError(
                "the arguments do not match the compiled function",
                expected=f"{self._build.traced.function}{self.signature}",
                got=str(error),
            ) from None
        return [bound[name] for name in self._trees]

    def _checked(self, name: str, tree: Any, value: Any) -> Iterator[tuple[Slot, NDArray[Any]]]:
        """The slots of a container and the arrays for them.

        Raises:
            ArgumentError: it has other keys or lengths than when the function was compiled.

        """
        for (path, node), (_, leaf) in pairs_of(name, tree, value):
            if isinstance(node, Node):
                slot = self._slots[node]
                yield slot, slot.checked(path, leaf)
            elif leaf != node:
                raise ArgumentError(
                    f"{path} is fixed in the compiled function",
                    expected=repr(node), got=repr(leaf), todo="compile again for another value",
                )  # fmt: skip

    def _results(self) -> Any:
        arrays = [self._read(place) for place in self._build.results]
        return rebuild(self._build.result, iter(arrays))

    def _read(self, place: Place) -> Any:
        return place.layout.copied(self._build.blocks[place.memory])[()]


class Compiled(Called):
    """A compiled function: call it as the function."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the function returns."""
        with self._lock:
            self._take(args, kwargs)
            self._executable()
            return self._results()


class Gradients(Called):
    """A compiled loss with its gradients: ``(result, gradients)`` of a call."""

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """What the function returns, and the gradients of its (first) result.

        One parameter gives its container of gradients, several a dict by name.
        """
        with self._lock:
            self._take(args, kwargs)
            self._executable()
            result = self._results()
            grads = iter([self._read(place) for place in self._build.deltas])
        trees = {
            name: like_nodes(self._build.traced.parameters[name], grads)
            for name in self._build.chosen
        }
        chosen = self._build.chosen
        return result, trees[chosen[0]] if len(chosen) == 1 else trees


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


def like_nodes(tree: Any, arrays: Iterator[Any]) -> Any:
    return tree_map(lambda leaf: next(arrays) if isinstance(leaf, Node) else leaf, tree)


@functools.cache
def fastest_product(dtype: str, threads: int) -> float:
    """Operations a second of the fastest matrix product here: what a stage can be held against."""
    n = 512
    matrix = np.ones((n, n), dtype)
    traced = trace(lambda a, b: a @ b, matrix, matrix)
    signature = inspect.signature(lambda a, b: None)
    product = Build(signature, traced, Options(threads=threads)).executable
    # medians of runs in a row: at the first of them the other threads are still asleep
    return 2.0 * n**3 / min(product.profile(10)[0] for _ in range(3))
