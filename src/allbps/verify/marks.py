"""What is said of a gradient that somebody handed in."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from allbps.verify.finding import Index, place

MOST_EDGES = 4
"""Lines that a δ comes through, as far as they are shown."""


class State(StrEnum):
    """What is to say of a gradient that was handed in."""

    RIGHT = "right"
    WRONG = "wrong"
    FOLLOWS = "follows from a mistake nearer to the loss"
    UNDECIDED = "explained by rounding, but not by rounding alone"


@dataclass(frozen=True)
class Mark:
    """The mark for one gradient.

    Attributes:
        node: the primal.
        state: right, wrong, a consequence, or what too few digits cannot decide.
        label: what the person called the gradient; δ and the primal's name if left out.
        edges: the statements that it comes through: ``Z3 = np.maximum(Z2, 0)``.
        mistakes: every simple mistake that gives these numbers, the likeliest first.
        made_at: the primal whose δ was computed wrongly, where that is known; not always ``node``.
        between: where the mistake must lie: the δ that is right before it, and the first that
            can be wrong.
        follows_from: the wrong gradients, nearer to the loss, that this one follows from.
        index, theirs: the worst element, and the number given there.
        expected: what follows there from the person's own gradients nearer to the loss.
        right: the right number there.
        common: what the wrong elements have in common.
        note: about shape, digits or conventions.
        where: the user's line.
        todo: what would decide it.

    """

    node: str
    state: State
    label: str = ""
    edges: tuple[str, ...] = ()
    mistakes: tuple[str, ...] = ()
    made_at: str = ""
    between: tuple[str, ...] = ()
    follows_from: tuple[str, ...] = ()
    index: Index | None = None
    theirs: float | None = None
    expected: float | None = None
    right: float | None = None
    common: str = ""
    note: str = ""
    where: str = ""
    todo: str = ""

    def __bool__(self) -> bool:
        return self.state is State.RIGHT

    @property
    def name(self) -> str:
        """The gradient as the person writes it."""
        return self.label or f"δ{self.node}"

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers."""
        return {key: _plain(value) for key, value in vars(self).items()}

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def without(self, mistakes: Collection[str]) -> str:
        """The same where mistakes have been named before."""
        if not mistakes or set(self.mistakes) != set(mistakes):
            return str(self)
        return "\n".join(replace(self, mistakes=(), edges=(), between=(), where="")._lines())

    def _lines(self) -> Iterator[str]:
        note = f" ({self.note})" if self.note else ""
        if self.state is State.RIGHT:
            yield f"{self.name} is right{note}"
            return
        at = place(self.name, self.index)
        if self.state is State.FOLLOWS:
            source = listed(self.follows_from) or "a mistake nearer to the loss"
            yield f"{self.name} is not right, but it follows from {source}{note}"
            if self.right is not None:
                yield f"  {at} is {self.theirs:.9g}; the right number is {self.right:.9g}"
            return
        if self.state is State.UNDECIDED:
            yield f"{self.name} cannot be decided{note}"
        else:
            yield f"{self.name} is wrong{note}"
        yield from self._numbers(at)
        yield from (f"  comes through {edge}" for edge in self.edges[:MOST_EDGES])
        if len(self.edges) > MOST_EDGES:
            yield f"  and through {len(self.edges) - MOST_EDGES} more lines"
        yield from (f"  this would explain it: {text}" for text in self.mistakes)
        if self.between and not self.mistakes:
            yield f"  the mistake lies between {' and '.join(self.between)}"
        if self.common:
            yield f"  {self.common}"
        if self.where:
            yield f"  at {self.where}"
        if self.todo:
            yield f"  fix: {self.todo}"

    def _numbers(self, at: str) -> Iterator[str]:
        if self.expected is None:
            return
        if self.right is None or f"{self.right:.9g}" == f"{self.expected:.9g}":
            yield f"  {at} is {self.theirs:.9g}, and should be {self.expected:.9g}"
            return
        source = listed(self.follows_from) or "your own gradients nearer to the loss"
        yield (
            f"  {at} is {self.theirs:.9g}; from {source} it would be {self.expected:.9g},"
            f" and the right number is {self.right:.9g}"
        )


def listed(names: Sequence[str]) -> str:
    """``a, b and c``."""
    *most, last = names or ("",)
    return f"{', '.join(most)} and {last}" if most else last


def _plain(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
