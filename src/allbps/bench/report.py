"""What was measured, for people and for programs."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from allbps.bench.agree import BOUND
from allbps.bench.peer import OURS


@dataclass
class Entry:
    """One peer on one row.

    Attributes:
        peer: its name.
        deviation: largest relative difference of its losses from the reference's.
        seconds: a step, one number a round; empty where it was not timed.
        cold, warm: seconds to prepare the first step, with empty caches and with full ones.
        memory: bytes at most beyond the import.
        note: why something is missing, or what ran otherwise than one would think.
        slow: was it stopped after one step? It was slow, or it was late.

    """

    peer: str
    deviation: float | None = None
    seconds: list[float] = field(default_factory=list)
    cold: float | None = None
    warm: float | None = None
    memory: float | None = None
    note: str = ""
    slow: bool = False

    def add(self, *notes: str) -> None:
        """Say more."""
        self.note = "; ".join(filter(None, (self.note, *notes)))

    @property
    def agrees(self) -> bool:
        """Does it compute the same?"""
        return self.deviation is not None and self.deviation <= BOUND

    @property
    def median(self) -> float | None:
        """Seconds a step."""
        return statistics.median(self.seconds) if self.seconds else None

    @property
    def spread(self) -> float | None:
        """Half the distance between the quartiles, as a share of the median."""
        if len(self.seconds) < 2:
            return None
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return (high - low) / 2 / statistics.median(self.seconds)

    def to_json(self) -> dict[str, Any]:
        """As plain numbers and strings."""
        return {
            "peer": self.peer, "deviation": self.deviation, "agrees": self.agrees,
            "median_s": self.median, "spread": self.spread, "rounds_s": self.seconds,
            "prepare_cold_s": self.cold, "prepare_warm_s": self.warm, "peak_bytes": self.memory,
            "note": self.note,
        }  # fmt: skip


@dataclass
class RowResult:
    """One row: all peers on it."""

    row: str
    title: str
    reference: str
    entries: list[Entry]

    @property
    def fastest_peer(self) -> Entry | None:
        """The fastest that is not ours and computes the same."""
        timed = [e for e in self.entries if e.seconds and e.agrees and e.peer not in OURS]
        return min(timed, key=lambda e: e.median or 0.0, default=None)

    def ratio(self, entry: Entry) -> float | None:
        """How many times as fast as the fastest peer: the median of the rounds' own ratios.

        Of a slow peer, only the rounds that it took part in.
        """
        best = self.fastest_peer
        if best is None or not entry.seconds:
            return None
        return statistics.median(
            theirs / ours for theirs, ours in zip(best.seconds, entry.seconds, strict=False)
        )

    def to_json(self) -> dict[str, Any]:
        """As plain numbers and strings."""
        best = self.fastest_peer
        return {
            "row": self.row, "title": self.title, "reference": self.reference,
            "fastest_peer": best.peer if best else None,
            "entries": [{**e.to_json(), "ratio": self.ratio(e)} for e in self.entries],
        }  # fmt: skip

    def cells(self, e: Entry) -> list[str]:
        """What a table shows of an entry, under HEADS."""
        return [
            e.peer,
            _shown(e.median, lambda v: f"{1e3 * v:.3g}"),
            _shown(e.spread, lambda v: f"±{v:.0%}"),
            _shown(self.ratio(e), times),
            _shown(e.deviation, lambda v: f"{v:.0e}"),
            _shown(e.cold, lambda v: f"{v:.2f} s"),
            _shown(e.warm, lambda v: f"{v:.2f} s"),
            _shown(e.memory, lambda v: f"{v / 2**20:.0f} MB"),
        ]

    def __str__(self) -> str:
        lines = [f"{self.row}: {self.title}", _line(HEADS)]
        for e in self.entries:
            lines += [_line(self.cells(e)).rstrip(), *([f"    {e.note}"] if e.note else [])]
        return "\n".join(lines)

    def to_markdown(self) -> str:
        """A heading, a table, and the notes below it."""
        rows = [_markdown(HEADS), "|---|" + "--:|" * (len(HEADS) - 1)]
        rows += [_markdown(self.cells(e)) for e in self.entries]
        notes = [f"- {e.peer}: {e.note}" for e in self.entries if e.note]
        return "\n\n".join(filter(None, (f"### {self.title}", "\n".join(rows), "\n".join(notes))))


HEADS = ["peer", "ms/step", "spread", "×fastest", "deviation", "cold", "warm", "peak"]
WIDTHS = [19, 8, 6, 8, 9, 7, 7, 7]
"""A line fits 80 characters."""


def _line(cells: list[str]) -> str:
    first, *others = zip(cells, WIDTHS, strict=True)
    return f"  {first[0]:<{first[1]}} " + " ".join(f"{text:>{width}}" for text, width in others)


def _markdown(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def times(ratio: float) -> str:
    """How many times as fast.

    >>> times(1234.5), times(0.5), times(0.00321)
    ('1234.50×', '0.50×', '0.003×')
    """
    return f"{ratio:.2f}×" if ratio >= 0.1 else f"{ratio:.1g}×"


def _shown(value: float | None, text: Callable[[float], str]) -> str:
    return "" if value is None else text(value)


@dataclass
class BenchReport:
    """All rows, and where they were measured."""

    machine: dict[str, Any]
    versions: dict[str, str]
    missing: list[str]
    rows: list[RowResult]
    interrupted: bool = False

    @property
    def agrees(self) -> bool:
        """Did everyone who ran compute the same?"""
        return all(e.agrees for row in self.rows for e in row.entries if e.deviation is not None)

    def to_json(self) -> dict[str, Any]:
        """As plain dicts, lists, numbers and strings."""
        return {
            "machine": self.machine, "versions": self.versions, "missing": self.missing,
            "bound": BOUND, "agrees": self.agrees, "interrupted": self.interrupted,
            "rows": [row.to_json() for row in self.rows],
        }  # fmt: skip

    def __str__(self) -> str:
        return "\n\n".join([self.head, *(str(row) for row in self.rows)])

    @property
    def head(self) -> str:
        """Where it was measured, and with which versions."""
        return "\n".join(self._head())

    def to_markdown(self) -> str:
        """Tables, to be read in a browser or put into a page as they are."""
        return "\n\n".join([*self._head(), *(row.to_markdown() for row in self.rows)]) + "\n"

    def _head(self) -> list[str]:
        where = ", ".join(f"{v}" for v in self.machine.values() if v)
        lines = [where, ", ".join(f"{k} {v}" for k, v in self.versions.items())]
        return lines + ([f"not installed: {', '.join(self.missing)}"] if self.missing else [])
