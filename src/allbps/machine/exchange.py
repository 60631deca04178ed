"""What a step in parts needs of the workers' way to each other, and the worker that is alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class Exchange(Protocol):
    """Workers that take the same steps.

    Attributes:
        rank: which of them this is, 0 first.
        size: how many there are.
        local: how many of them share this machine's CPUs.

    """

    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    @property
    def local(self) -> int: ...

    def swap(
        self, out: NDArray[Any], own: NDArray[Any], come: Sequence[int], go: Sequence[int]
    ) -> None:
        """Give every worker a stretch of ``own`` and get one from each, in the order of ranks.

        Args:
            out: where what comes is put, a vector.
            own: what goes, a vector of the same dtype.
            come: lengths of what comes from each.
            go: lengths of what goes to each.

        """

    def gather(self, out: NDArray[Any], own: NDArray[Any]) -> Callable[[], None]:
        """Let every worker have the vectors of all, of one length; call the result to wait."""

    def room(self, count: int, real: np.dtype[Any]) -> NDArray[Any] | None:
        """A vector of so many zeros that all workers see; None where they share no memory.

        All call this together.
        """


class Alone:
    """One worker."""

    rank, size, local = 0, 1, 1

    def swap(
        self, out: NDArray[Any], own: NDArray[Any], come: Sequence[int], go: Sequence[int]
    ) -> None:
        """Nobody else is there."""
        out[...] = own

    def gather(self, out: NDArray[Any], own: NDArray[Any]) -> Callable[[], None]:
        """Nobody else is there."""
        out[...] = own
        return lambda: None

    def room(self, count: int, real: np.dtype[Any]) -> NDArray[Any] | None:
        """Nobody else is there."""
        return None
