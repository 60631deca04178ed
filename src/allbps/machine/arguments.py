"""Arguments on their way into a compiled function: checked, then copied or read where they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.errors import DtypeError, ShapeError
from allbps.ir import Node, refuse_foreign
from allbps.machine.execution.executable import Executable
from allbps.machine.limits import Limit
from allbps.machine.planning.layout import row_major
from allbps.machine.works.tasks import Place

KINDS = {"f": "biuf", "i": "biu", "u": "biu", "b": "b"}
"""Kind of number that a step was compiled for -> kinds that it takes."""
FEW = 4096
"""Numbers up to which an argument is copied; larger ones are read where the caller has them."""


class Slot:
    """Where one array of the arguments goes.

    Args:
        node: the argument in the graph.
        place: where the step reads it.
        limits: of its numbers, where kernels trust them.
        executable: what reads it.

    """

    def __init__(
        self, node: Node, place: Place, limits: Sequence[Limit], executable: Executable
    ) -> None:
        self.node, self.place, self.limits, self.executable = node, place, limits, executable
        self._shape = node.shape
        dense = place.layout.same_places(row_major(node.shape))
        self._large = dense and node.size > FEW

    @property
    def plain(self) -> bool:
        """Is a dense array of the right shape and dtype copied here as it is, and always here?"""
        dense = self.place.layout.same_places(row_major(self.node.shape))
        own = self.executable.blocks[self.place.memory].dtype == self.node.dtype
        whole = not self.limits or (len(self.limits) == 1 and not self.limits[0].views)
        return dense and own and whole and not self._large and (not self.limits or self._is_int64)

    @property
    def below(self) -> int:
        """What the numbers of a plain argument must be below, from 0 on; 0 for anything."""
        return self.limits[0].count if self.limits else 0

    @property
    def _is_int64(self) -> bool:
        return self.node.dtype == np.int64

    def checked(self, path: str, leaf: Any) -> NDArray[Any]:
        """What the step may read, as an array.

        Args:
            path: its name for messages.
            leaf: anything NumPy makes an array of.

        Raises:
            ShapeError: it does not have the shape the step was compiled for.
            DtypeError: it holds another kind of number.
            LimitError: its numbers are not what kernels trust them to be.

        """
        if type(leaf) is not np.ndarray and not isinstance(leaf, np.generic):
            refuse_foreign(leaf, path)
        array = np.asarray(leaf)
        if array.shape != self._shape:
            raise ShapeError(
                f"{path} does not have the shape the step was compiled for",
                expected=str(self._shape),
                got=str(array.shape),
                todo="compile again for this shape; the code is cached, so this happens only once",
            )
        self.check_kind(path, array)
        for limit in self.limits:
            limit.check(path, array)
        return array

    def put(self, array: NDArray[Any]) -> None:
        """Let the step read an array that was checked."""
        block = self.place.memory
        if self._large and self.executable.bind(block, array):
            return
        self.executable.bind(block, None)
        self.place.layout.fill(self.executable.blocks[block], array)

    def check_examples(self, path: str, data: NDArray[Any], order: NDArray[np.int64]) -> None:
        """Refuse a data set of which steps could not read the examples that ``order`` names."""
        for limit in self.limits:
            if limit.of_a_part or not limit.fits(data):
                for rows in order:
                    limit.check(path, data[rows].reshape(self.node.shape))

    def check_kind(self, path: str, array: NDArray[Any]) -> None:
        """Refuse numbers of another kind than the step was compiled for, or out of its range."""
        kind, node = array.dtype.kind, self.node
        if kind not in KINDS[node.dtype.kind] or not _in_range(array, node.dtype):
            raise DtypeError(
                f"{path} has dtype {array.dtype}; the step was compiled for {node.dtype}",
                expected=str(node.dtype),
                got=str(array.dtype),
            )


def _in_range(array: NDArray[Any], dtype: np.dtype[Any]) -> bool:
    """Are whole numbers that are to become others of another size the same there?"""
    if dtype.kind == "f" or np.can_cast(array.dtype, dtype) or not array.size:
        return True
    bounds = np.iinfo(dtype)
    return bounds.min <= int(array.min()) and int(array.max()) <= bounds.max
