"""What a step in parts keeps: parameters, what the optimiser remembers, and what is carried."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.errors import ArgumentError, ShapeError, unknown_name
from allbps.ir import Node
from allbps.machine.moves import Moves
from allbps.machine.part import nodes_of
from allbps.machine.path import like_nodes, pairs_of
from allbps.machine.planning.layout import Layout
from allbps.optim import Optimizer
from allbps.trace import Traced

Array = NDArray[Any]
Writer = Callable[[Array], None]


class Kept:
    """Read as containers, set as containers; the arrays themselves stay where they are.

    Args:
        traced: the function, with the values at which training begins.
        chosen: names of the arguments that are learnt.
        carry: name of the one that every step replaces.
        optimizer, max_norm, threads: as for ``compile``.
        layouts: how parameters lie in memory.

    Attributes:
        moves: the optimiser, with the parameters.
        carried: the arrays that are carried.

    """

    def __init__(
        self,
        traced: Traced,
        chosen: Sequence[str],
        carry: str | None,
        optimizer: Optimizer,
        max_norm: float | None,
        threads: int | None,
        layouts: Sequence[Layout],
    ) -> None:
        self._trees, self._chosen, self._carry = traced.parameters, chosen, carry
        self._slots = optimizer.slots
        nodes = [x for name in chosen for x in nodes_of(self._trees[name])]
        start = [np.asarray(traced.values[x]) for x in nodes]
        self.moves = Moves([x.name for x in nodes], start, layouts, optimizer, max_norm, threads)
        carried = [] if carry is None else nodes_of(self._trees[carry])
        self.carried = [np.array(traced.values[x]) for x in carried]

    def everything(self) -> Iterator[Array]:
        """All arrays, as they lie in memory."""
        for param in self.moves.params:
            yield param.memory
        for own in self.moves.slots:
            yield from (held.memory for held in own.values())
        yield from self.carried

    def carried_argument(self) -> dict[str, Any]:
        """The argument that is carried, where it lies; none without one."""
        if self._carry is None:
            return {}
        return {self._carry: like_nodes(self._trees[self._carry], iter(self.carried))}

    def _by_name(self, arrays: Sequence[Array]) -> dict[str, Any]:
        each = iter(arrays)
        return {name: like_nodes(self._trees[name], each) for name in self._chosen}

    # -- containers --------------------------------------------------------------------------------
    def params(self) -> dict[str, Any]:
        """Copies of the parameters, by argument name."""
        return self._by_name([p.read() for p in self.moves.params])

    def put_params(self, new: Mapping[str, Any]) -> None:
        """Set the parameters, all of them or none."""
        self._put([p.write for p in self.moves.params], new, "parameter")

    def _put(self, writers: Sequence[Writer], new: Mapping[str, Any], kind: str) -> None:
        for name in self._chosen:
            if name not in new:
                raise unknown_name(name, list(new), kind)
        found = [x for name in self._chosen for x in self._like(name, self._trees[name], new[name])]
        for write, array in zip(writers, found, strict=True):
            write(array)

    def state(self, taken: int) -> dict[str, Any]:
        """What the optimiser remembers, arranged as ``optimizer.init`` does."""
        found: dict[str, Any] = {"step": np.array(taken)}
        for slot in self._slots:
            pairs = zip(self.moves.params, self.moves.slots, strict=True)
            found[slot] = self._by_name(
                [own[slot].read() if slot in own else np.zeros_like(p.read()) for p, own in pairs]
            )
        return found

    def put_state(self, new: Mapping[str, Any]) -> None:
        """Set what the optimiser remembers."""
        used = sorted({name for own in self.moves.slots for name in own})
        for name in ("step", *used):
            if name not in new:
                raise unknown_name(name, list(new), "part of the optimizer's state")
        for slot in used:
            writers = [own[slot].write if slot in own else _ignore for own in self.moves.slots]
            self._put(writers, new[slot], f"{slot} of a parameter")

    def carried_tree(self) -> Any:
        """A copy of what is carried; None without."""
        if self._carry is None:
            return None
        copies = iter([array.copy() for array in self.carried])
        return like_nodes(self._trees[self._carry], copies)

    def put_carried(self, new: Any) -> None:
        """Set what is carried."""
        if self._carry is None:
            raise ArgumentError(
                "this step carries no argument over", todo="name one when compiling: carry="
            )
        found = list(self._like(self._carry, self._trees[self._carry], new))
        for here, array in zip(self.carried, found, strict=True):
            here[...] = array

    def _like(self, name: str, tree: Any, new: Any) -> Iterator[Array]:
        """The arrays of ``new``, which is arranged as ``tree``."""
        for (path, x), (_, leaf) in pairs_of(name, tree, new):
            if not isinstance(x, Node):
                continue
            array = np.asarray(leaf)
            if array.shape != x.shape or array.dtype.kind not in "biuf":
                raise ShapeError(
                    f"{path} differs from what the step was compiled for",
                    expected=f"{x.dtype} {x.shape}",
                    got=f"{array.dtype} {array.shape}",
                )
            yield array


def _ignore(array: Array) -> None:
    """What is not remembered of this parameter."""
