"""What a training run came to, for people and for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from allbps.train.engine import Score


@dataclass(frozen=True)
class Report:
    """The end of a training run.

    Attributes:
        model, data, engine: what was trained, on what, by what.
        examples: how many images were learnt from, decided when to stop, and were held out.
        classes: their names.
        parameters: how many numbers were learnt.
        epochs: how many were finished.
        steps: how many were taken.
        loss: mean over the last epoch's training examples, None before the first is finished.
        held_out: on images that played no part in training; None where interrupted.
        seconds: spent in training, in this run.
        examples_per_second: in this run.
        remarks: what was decided in reading the data.
        note: why training ended before the last epoch, if it did.
        files: file -> what it holds.
        go_on: the command that goes on from here.
        interrupted: was it stopped by hand?

    """

    model: str
    data: str
    engine: str
    examples: Mapping[str, int]
    classes: tuple[str, ...]
    parameters: int
    epochs: int
    steps: int
    loss: float | None
    held_out: Score | None
    seconds: float
    examples_per_second: float
    remarks: tuple[str, ...]
    note: str
    files: Mapping[str, str]
    go_on: str
    interrupted: bool

    def to_json(self) -> dict[str, Any]:
        """As plain dicts, lists, numbers and strings."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [self._what(), *self.remarks, *self._how()]
        if self.files:
            width = max(map(len, self.files))
            lines += ["written:"]
            lines += [f"  {name.ljust(width)}  {what}" for name, what in self.files.items()]
        if self.interrupted:
            lines += ["to go on:", f"  {self.go_on}"]
        return "\n".join(lines)

    def _what(self) -> str:
        counts = ", ".join(f"{n} {name}" for name, n in self.examples.items() if n)
        return textwrap.dedent(
            f"""\
            {self.model} on {self.data}: {counts}; {len(self.classes)} classes; \
{self.parameters:,} parameters"""
        )

    def _how(self) -> list[str]:
        done = f"{self.epochs} epoch{'s' * (self.epochs != 1)}, {self.steps:,} steps"
        lines = [f"{done} in {self.seconds:.1f} s ({self.examples_per_second:,.0f} examples/s)"]
        if self.note:
            lines.append(self.note)
        if self.held_out is not None:
            lines.append(
                f"held-out accuracy {self.held_out.accuracy:.1%}, loss {self.held_out.loss:.3f}"
            )
        return lines
