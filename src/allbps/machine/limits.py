"""What kernels trust the numbers of an argument to be: classes, and rows of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from allbps.errors import ArgumentError
from allbps.machine.planning.plan import VIEWS, Plan, Value, Work
from allbps.machine.planning.windows import is_slice
from allbps.machine.works.embedding import is_lookup


class LimitError(ArgumentError):
    """The numbers of an argument are not what kernels trust them to be."""


@dataclass(frozen=True)
class Limit:
    """What kernels trust the numbers of an argument to be.

    Attributes:
        count: they are from 0 to below it.
        what: what the numbers are, for the message.
        views: works from the argument to the numbers that are meant; none for all of it.

    """

    count: int
    what: str
    views: tuple[Work, ...] = ()

    @property
    def of_a_part(self) -> bool:
        """Is only a part of the argument meant?"""
        return any(view.kind == "getitem" for view in self.views)

    def fits(self, numbers: NDArray[Any]) -> bool:
        """Are all of these numbers as they should be?"""
        inside = not numbers.size or (numbers.min() >= 0 and numbers.max() < self.count)
        return bool(inside)

    def check(self, path: str, array: NDArray[Any]) -> None:
        """Refuse an argument with other numbers.

        Raises:
            LimitError: there is one.

        """
        for view in self.views if self.of_a_part else ():
            assert view.node is not None
            array = view.node.op.run([array], view.node.attrs)
        if not self.fits(array):
            low, high = int(array.min()), int(array.max())
            raise LimitError(
                f"{self.what} out of range in {path}",
                expected=f"0 to {self.count - 1}",
                got=str(low if low < 0 else high),
            )


def limits(plan: Plan) -> dict[Value, tuple[Limit, ...]]:
    """The limits of the plan's inputs; what is worked out is looked at by the kernel."""
    views = {w.outputs[0]: w for w in plan.works if w.kind in VIEWS or is_slice(w)}
    found: dict[Value, tuple[Limit, ...]] = {}
    for work in plan.works:
        trusted = _trusted(work)
        if trusted is None:
            continue
        value, count, what = trusted
        way: list[Work] = []
        while value in views:
            way.insert(0, views[value])
            value = views[value].inputs[0]
        found[value] = (*found.get(value, ()), Limit(count, what, tuple(way)))
    return found


def _trusted(work: Work) -> tuple[Value, int, str] | None:
    """Whole numbers that a kernel takes as places: how many places there are, and what they are."""
    if work.kind in ("cross_entropy_loss", "cross_entropy"):
        return work.inputs[1], work.inputs[0].shape[-1], "class index"
    if work.kind == "one_hot":
        return work.inputs[0], work.outputs[0].shape[-1], "class index"
    if is_lookup(work):
        table = work.inputs[0] if work.kind == "getitem" else work.outputs[0]
        return work.inputs[1], table.shape[0], "index"
    return None
