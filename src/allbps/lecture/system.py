"""What a system of the lecture is made of: prose, numbers and worked examples, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from allbps.worked import Worked, explain


@dataclass(frozen=True)
class Prose:
    """A paragraph; mathematics stands between dollar signs, in the notation of the house."""

    text: str


@dataclass(frozen=True)
class Numbers:
    """Named arrays that accompany an explanation.

    Attributes:
        caption: what they show.
        compute: gives symbol -> value.
    """

    caption: str
    compute: Callable[[], Mapping[str, Any]]


@dataclass(frozen=True)
class Table:
    """Rows of numbers under headings.

    Attributes:
        caption: what the table shows.
        headings: one per column.
        compute: gives the rows.
    """

    caption: str
    headings: tuple[str, ...]
    compute: Callable[[], Sequence[Sequence[float]]]


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
    """

    function: Callable[..., Any]
    inputs: Mapping[str, Any]
    wrt: tuple[str, ...] | None = None
    cotangents: Mapping[str, Any] = field(default_factory=dict)
    symbols: Mapping[str, str] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    caption: str = ""

    def work(self, seed: int | None = None) -> Worked:
        """Derive it, on the hand-chosen numbers or on others drawn from a seed."""
        inputs, cotangents = self.inputs, self.cotangents
        if seed is not None:
            rng = np.random.default_rng(seed)
            inputs = {
                name: value if name in self.fixed else like(value, rng)
                for name, value in inputs.items()
            }
            cotangents = {name: like(value, rng) for name, value in cotangents.items()}
        return explain(
            self.function, wrt=self.wrt, cotangents=cotangents, symbols=self.symbols, **inputs
        )


def like(value: Any, rng: np.random.Generator) -> Any:
    """Other numbers of the same shape, integers for integers, else with one decimal."""
    if not isinstance(value, (float, np.ndarray)):
        return value
    shape = np.shape(value)
    if np.all(np.asarray(value) == np.round(value)):
        return rng.integers(-4, 10, shape).astype(float)[()]
    return np.round(rng.uniform(-2, 2, shape), 1)[()]


Section = Prose | Numbers | Table | Example


@dataclass(frozen=True)
class System:
    """One system of the lecture.

    Attributes:
        name: what the command line calls it.
        title: its heading.
        sections: what there is to say, in order.
    """

    name: str
    title: str
    sections: tuple[Section, ...]

    @property
    def examples(self) -> Iterator[Example]:
        """The worked examples among the sections."""
        return (section for section in self.sections if isinstance(section, Example))
