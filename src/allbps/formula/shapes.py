"""Which shapes fit: sizes that must be equal are joined, sizes of windows follow from others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Size = int
"""A number of rows or columns that may not be known yet: its place among all of them."""
Shape = tuple[Size, ...]
"""Rows and columns of a matrix; empty for a number."""
COMMON = (2, 3, 4)
"""What an unknown size becomes, in turn, so that few sizes are equal by chance."""


class MisfitError(Exception):
    """Sizes that cannot be."""


@dataclass(frozen=True)
class Link:
    """``result`` follows from ``parts``: forwards, and backwards for the part at ``of``."""

    result: Size
    parts: tuple[Size, ...]
    forwards: Callable[..., int]
    backwards: tuple[Callable[..., int | None], ...]


@dataclass
class Sizes:
    """All sizes of a formula, those that are equal joined into one."""

    parents: list[Size] = field(default_factory=list)
    known: dict[Size, int] = field(default_factory=dict)
    liked: dict[Size, int] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)

    def new(self, value: int | None = None) -> Size:
        """A size of its own, known or not."""
        size = len(self.parents)
        self.parents.append(size)
        if value is not None:
            self.known[size] = value
        return size

    def root(self, size: Size) -> Size:
        """The one of all equal sizes that stands for them."""
        while self.parents[size] != size:
            self.parents[size] = size = self.parents[self.parents[size]]
        return size

    def value(self, size: Size) -> int | None:
        """Its number, where it is known."""
        return self.known.get(self.root(size))

    def join(self, a: Size, b: Size) -> None:
        """These must be equal.

        Raises:
            MisfitError: they are known and are not.
        """
        a, b = self.root(a), self.root(b)
        if a == b:
            return
        first, second = self.known.get(a), self.known.pop(b, None)
        if None not in (first, second) and first != second:
            raise MisfitError(f"{first} and {second} where they must be equal")
        self.parents[b] = a
        if second is not None:
            self.known[a] = second
        self.liked = {self.root(size): value for size, value in self.liked.items()}

    def like(self, size: Size, value: int) -> None:
        """What it becomes where nothing says otherwise."""
        self.liked.setdefault(self.root(size), value)

    def solve(self, order: Sequence[Size]) -> None:
        """Make every size known: what follows first, then the unknown ones in this order.

        Raises:
            MisfitError: what follows contradicts what is known.
        """
        self._follow()
        taken = 0
        for size in order:
            root = self.root(size)
            if root not in self.known:
                liked = self.liked.get(root)
                self.known[root] = COMMON[taken % len(COMMON)] if liked is None else liked
                taken += liked is None
                self._follow()

    def _follow(self) -> None:
        while any(self._followed(link) for link in self.links):
            pass

    def _followed(self, link: Link) -> bool:
        result, parts = self.value(link.result), [self.value(part) for part in link.parts]
        unknown = [k for k, part in enumerate(parts) if part is None]
        if not unknown:
            return self._learn(link.result, link.forwards(*parts))
        if result is None or len(unknown) > 1:
            return False
        found = link.backwards[unknown[0]](result, *parts)
        return found is not None and self._learn(link.parts[unknown[0]], found)

    def _learn(self, size: Size, value: int) -> bool:
        if value < 1:
            raise MisfitError("a kernel or window that is larger than what it slides over")
        known = self.value(size)
        if known is not None and known != value:
            raise MisfitError(f"{known} and {value} where they must be equal")
        self.known[self.root(size)] = value
        return known is None
