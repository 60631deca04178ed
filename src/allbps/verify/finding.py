"""What a report is made of: findings of judges, the δ they are about, the origin of a NaN."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Index = tuple[int, ...]


class Verdict(StrEnum):
    """What one judge says of one δ."""

    AGREE = "agree"
    DISAGREE = "disagree"
    NOISY = "noisy: cannot be decided at this precision"
    CONVENTION = "a convention: one of the slopes at a kink"
    NOT_DIFFERENTIABLE = "not differentiable here"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True)
class Finding:
    """What one judge found out about the δ of one value.

    Attributes:
        judge: its name.
        node: the primal, ``Z2`` for δZ2.
        verdict: what it comes to.
        error: the largest |δ − the judge's| over the compared elements, divided by the largest
            |δ| of either over the whole array; None where nothing was compared.
        index: where that is; None for a comparison along a direction.
        ours, theirs: the two numbers there.
        compared: how many elements or directions were compared.
        excluded: how many elements have no derivative.
        note: why, in words.

    """

    judge: str
    node: str
    verdict: Verdict
    error: float | None = None
    index: Index | None = None
    ours: float | None = None
    theirs: float | None = None
    compared: int = 0
    excluded: int = 0
    note: str = ""

    @property
    def place(self) -> str:
        """``δZ2[0, 1]``."""
        return place(f"δ{self.node}", self.index)

    def __str__(self) -> str:
        if self.verdict is Verdict.DISAGREE:
            along = "" if self.index is not None else " along a random direction"
            text = (
                f"{self.place}{along}: {self.ours:.9g}, {self.judge} says {self.theirs:.9g}"
                f" (error {self.error:.1e})"
            )
            return f"{text}; {self.note}" if self.note else text
        if self.verdict is Verdict.NOISY:
            text = f"{self.place}: noisy: {self.ours:.3g}, {self.judge} says {self.theirs:.3g}"
            return f"{text}; {self.note}" if self.note else text
        return f"{self.place}: {self.judge}: {self.note or self.verdict}"


def place(name: str, index: Index | None) -> str:
    """An element of an array as the user would write it."""
    return f"{name}[{', '.join(map(str, index))}]" if index else name


@dataclass(frozen=True)
class Subject:
    """A δ that was to be verified.

    Attributes:
        node: the primal.
        where: the user's line.
        edges: the uses it comes through: ``d_relu, from Z3 = np.maximum(Z2, 0)``.

    """

    node: str
    where: str
    edges: tuple[str, ...]


@dataclass(frozen=True)
class Origin:
    """The first value that is NaN or infinite.

    Attributes:
        name: ``Z3`` or ``dZ3``.
        index: the first such element.
        value: the number there.
        where: the user's line.
        code: the emitted statement.
        operands: what went in: ``Z2[0, 1] = -3.0``.

    """

    name: str
    index: Index
    value: float
    where: str
    code: str
    operands: tuple[str, ...]

    def __str__(self) -> str:
        text = (
            f"{place(self.name, self.index)} = {self.value} is the first value that is not finite"
        )
        lines = [f"{text}, from {self.code}"]
        lines += [f"  with {', '.join(self.operands)}"] if self.operands else []
        lines += [f"  at {self.where}"] if self.where else []
        return "\n".join(lines)
