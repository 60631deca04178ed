"""A batch in parts, and sums over parts in an order that depends on their number alone.

The parts are the leaves of a binary tree. A worker adds up the blocks of the tree that lie among
its own parts; whoever puts the blocks together makes the additions that are left. So each addition
has the same two operands whoever makes it, and the sum the same bits for any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Generic, TypeVar

from allbps.errors import ArgumentError

T = TypeVar("T")


def bounds(count: int, parts: int) -> list[tuple[int, int]]:
    """Where each part of ``count`` things begins and ends; the first ones are larger by one.

    >>> bounds(10, 4)
    [(0, 3), (3, 6), (6, 8), (8, 10)]
    >>> bounds(2, 3)
    [(0, 1), (1, 2), (2, 2)]

    """
    each, more = divmod(count, parts)
    starts = [k * each + min(k, more) for k in range(parts + 1)]
    return list(pairwise(starts))


def check_enough(parts: int, workers: int) -> None:
    """Refuse workers that would have nothing to do.

    Raises:
        ArgumentError: there are fewer parts than workers.

    """
    if workers > parts:
        raise ArgumentError(
            "there are more workers than parts",
            expected=f"at most {parts} workers, or more parts",
            got=f"{workers} workers",
        )


def share(count: int, parts: int, rank: int, size: int) -> slice:
    """Which of ``count`` examples lie in the parts of a worker.

    >>> [share(10, 4, rank, 2) for rank in range(2)]
    [slice(0, 6, None), slice(6, 10, None)]

    """
    cut = bounds(count, parts)
    first, stop = bounds(parts, size)[rank]
    return slice(cut[first][0], cut[stop - 1][1])


def blocks(first: int, stop: int) -> Iterator[tuple[int, int]]:
    """The largest blocks of the tree that make up the parts from ``first`` to below ``stop``.

    A block (level, index) holds the 2^level parts from index · 2^level on.

    >>> list(blocks(0, 8)), list(blocks(3, 8))
    ([(3, 0)], [(0, 3), (2, 1)])

    """
    while first < stop:
        level = 0
        while first % (2 << level) == 0 and first + (2 << level) <= stop:
            level += 1
        yield level, first >> level
        first += 1 << level


class Tree(Generic[T]):
    """A sum that takes its summands from left to right, and adds neighbours as the tree says.

    Args:
        add: adds two neighbours; it may write into the left one.

    >>> tree = Tree[str](lambda a, b: f"({a}+{b})")
    >>> for k in range(5):
    ...     tree.push(0, k, str(k))
    >>> tree.total()
    '(((0+1)+(2+3))+4)'

    """

    def __init__(self, add: Callable[[T, T], T]) -> None:
        self._add = add
        self.blocks: list[tuple[int, int, T | None]] = []

    def push(self, level: int, index: int, value: T | None) -> None:
        """The next block; None where it holds nothing."""
        self.blocks.append((level, index, value))
        while len(self.blocks) > 1:
            (left, j, a), (right, k, b) = self.blocks[-2:]
            if left != right or j % 2 or k != j + 1:
                return
            self.blocks[-2:] = [(left + 1, j // 2, self._both(a, b))]

    def total(self) -> T | None:
        """All of it, once every part is there."""
        found = None
        for _, _, value in reversed(self.blocks):
            found = self._both(value, found)
        return found

    def _both(self, a: T | None, b: T | None) -> T | None:
        if a is None or b is None:
            return a if b is None else b
        return self._add(a, b)
