"""What a system of the lecture is made of: prose, numbers and worked examples, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from allbps.lecture.draw import draw
from allbps.worked import Worked, explain


@dataclass(frozen=True)
class Prose:
    """A paragraph; mathematics stands between dollar signs, in the notation of the house.

    Attributes:
        text: the paragraph, or what writes it from the first example where it speaks of numbers.
    """

    text: str | Callable[[Worked], str]

    def about(self, first: Worked) -> str:
        """The paragraph beside an example."""
        return self.text if isinstance(self.text, str) else self.text(first)


@dataclass(frozen=True)
class Display:
    """Equations on lines of their own, in compact notation.

    Attributes:
        equations: one below the other.
    """

    equations: tuple[str, ...]


@dataclass(frozen=True)
class Code:
    """Lines of a program.

    Attributes:
        caption: what they do.
        write: gives the lines, from the first example of the system.
    """

    caption: str
    write: Callable[[Worked], str]


@dataclass(frozen=True)
class Numbers:
    """Named arrays that accompany an explanation.

    Attributes:
        caption: what they show.
        compute: gives symbol -> value, from the first example of the system.
    """

    caption: str
    compute: Callable[[Worked], Mapping[str, Any]]


@dataclass(frozen=True)
class Table:
    """Rows of numbers under headings.

    Attributes:
        caption: what the table shows.
        headings: one per column.
        compute: gives the rows, from the first example of the system.
    """

    caption: str
    headings: tuple[str, ...]
    compute: Callable[[Worked], Sequence[Sequence[float]]]


@dataclass(frozen=True)
class Example:
    """A forward function and numbers for it; the backward pass is derived.

    Attributes:
        function: the forward computation.
        inputs: hand-chosen arguments.
        wrt: the arguments whose δ is wanted; all where None.
        cotangents: given δ of outputs, where there is no loss.
        symbols: how names are written, where the name itself would not do.
        fixed: arguments that a seed does not change (labels, one-hot rows).
        caption: what is new in this example.
        by: a step for each operation, or for each line.
        labels: headings above steps, by the steps' names: ``{"dp": "Step 3a"}``.
        holds: does what the text says of the example hold for these numbers?
    """

    function: Callable[..., Any]
    inputs: Mapping[str, Any]
    wrt: tuple[str, ...] | None = None
    cotangents: Mapping[str, Any] = field(default_factory=dict)
    symbols: Mapping[str, str] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    caption: str = ""
    by: str = "operation"
    labels: Mapping[str, str] = field(default_factory=dict)
    holds: Callable[[Worked], bool] = lambda worked: True

    def work(self, seed: int | None = None) -> Worked:
        """Derive it, on the hand-chosen numbers or on others drawn from a seed."""
        if seed is None:
            return self.on(self.inputs, self.cotangents)
        return draw(self.on, self.inputs, self.cotangents, self.fixed, self.holds, seed)

    def on(self, inputs: Mapping[str, Any], cotangents: Mapping[str, Any]) -> Worked:
        """Derive it on these numbers."""
        worked = explain(
            self.function, wrt=self.wrt, cotangents=cotangents, symbols=self.symbols, **inputs
        )
        return replace(worked, by=self.by, labels=self.labels)


Section = Prose | Display | Code | Numbers | Table | Example


@dataclass(frozen=True)
class System:
    """One system of the lecture.

    Attributes:
        name: what the command line calls it.
        title: its heading.
        sections: what there is to say, in order.
        slides: titles of the lecture's slides that it follows; empty for what goes beyond them.
    """

    name: str
    title: str
    sections: tuple[Section, ...]
    slides: str = ""

    @property
    def examples(self) -> Iterator[Example]:
        """The worked examples among the sections."""
        return (section for section in self.sections if isinstance(section, Example))
