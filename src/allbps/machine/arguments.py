"""Arguments on their way into a compiled function: checked, then copied or read where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.errors import ArgumentError, DtypeError, ShapeError
from allbps.ir import Node

from .executable import Executable
from .layout import row_major
from .tasks import Place

FEW = 4096
"""Numbers up to which an argument is copied; larger ones are read where the caller has them."""


@dataclass(frozen=True)
class Limit:
    """Numbers of an argument must be from 0 to below ``count``; ``what`` is one that is not."""

    count: int
    what: str


class Slot:
    """Where one array of the arguments goes.

    Args:
        node: the argument in the graph.
        place: where the step reads it.
        limit: of its numbers, if kernels trust them.
        executable: what reads it.

    """

    def __init__(
        self, node: Node, place: Place, limit: Limit | None, executable: Executable
    ) -> None:
        self.node, self.place, self.limit, self.executable = node, place, limit, executable
        self._shape = node.shape
        dense = place.layout.same_places(row_major(node.shape))
        self._large = dense and node.size > FEW

    def put(self, path: str, leaf: Any) -> None:
        """Let the step read this array.

        Args:
            path: its name for messages.
            leaf: anything NumPy makes an array of.

        Raises:
            ShapeError: it has another shape than the step was compiled for.
            DtypeError: it holds another kind of number.
            ArgumentError: its numbers are not what kernels trust them to be.

        """
        array = np.asarray(leaf)
        if array.shape != self._shape:
            raise ShapeError(
                f"{path} has another shape than the step was compiled for",
                expected=str(self._shape),
                got=str(array.shape),
                todo="compile again for this shape; the code is cached, so that is done once",
            )
        self.check(path, array)
        block = self.place.memory
        if self._large and self.executable.bind(block, array):
            return
        self.executable.bind(block, None)
        self.place.layout.fill(self.executable.blocks[block], array)

    def check(self, path: str, array: NDArray[Any]) -> None:
        """Refuse numbers of another kind than the step was compiled for."""
        kind, node = array.dtype.kind, self.node
        if kind not in "biuf" or (kind == "f" and not node.is_float):
            raise DtypeError(
                f"{path} holds another kind of number than the step was compiled for",
                expected=str(node.dtype),
                got=str(array.dtype),
            )
        if self.limit is not None and array.size:
            low, high = int(array.min()), int(array.max())
            if low < 0 or high >= self.limit.count:
                raise ArgumentError(
                    f"{path} holds {self.limit.what}",
                    expected=f"0 to {self.limit.count - 1}",
                    got=str(low if low < 0 else high),
                )
