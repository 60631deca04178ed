"""What was measured, for people and for programs."""

from __future__ import annotations

import statistics
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

    """

    peer: str
    deviation: float | None = None
    seconds: list[float] = field(default_factory=list)
    cold: float | None = None
    warm: float | None = None
    memory: float | None = None
    note: str = ""

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
        """How many times as fast as the fastest peer: the median of the rounds' own ratios."""
        best = self.fastest_peer
        if best is None or not entry.seconds:
            return None
        return statistics.median(
            theirs / ours for theirs, ours in zip(best.seconds, entry.seconds, strict=True)
        )

    def to_json(self) -> dict[str, Any]:
        """As plain numbers and strings."""
        best = self.fastest_peer
        return {
            "row": self.row, "title": self.title, "reference": self.reference,
            "fastest_peer": best.peer if best else None,
            "entries": [{**e.to_json(), "ratio": self.ratio(e)} for e in self.entries],
        }  # fmt: skip

    def __str__(self) -> str:
        head = (
            f"  {'peer':<20} {'ms/step':>10} {'spread':>7} {'×fastest':>9} {'deviation':>10}"
            f" {'cold':>8} {'warm':>8} {'peak':>8}"
        )
        lines = [f"{self.row}: {self.title}", head]
        lines += [self._line(entry) for entry in self.entries]
        return "\n".join(lines)

    def _line(self, e: Entry) -> str:
        cells = (
            _shown(e.median, lambda v: f"{1e3 * v:.4g}", 10),
            _shown(e.spread, lambda v: f"±{v:.0%}", 7),
            _shown(self.ratio(e), lambda v: f"{v:.2f}×", 9),
            _shown(e.deviation, lambda v: f"{v:.0e}", 10),
            _shown(e.cold, lambda v: f"{v:.2f} s", 8),
            _shown(e.warm, lambda v: f"{v:.2f} s", 8),
            _shown(e.memory, lambda v: f"{v / 2**20:.0f} MB", 8),
        )
        return f"  {e.peer:<20} " + " ".join(cells) + (f"  {e.note}" if e.note else "")


def _shown(value: float | None, text: Any, width: int) -> str:
    return ("" if value is None else text(value)).rjust(width)


@dataclass
class BenchReport:
    """All rows, and where they were measured."""

    machine: dict[str, Any]
    versions: dict[str, str]
    missing: list[str]
    rows: list[RowResult]

    @property
    def agrees(self) -> bool:
        """Did everyone who ran compute the same?"""
        return all(e.agrees for row in self.rows for e in row.entries if e.deviation is not None)

    def to_json(self) -> dict[str, Any]:
        """As plain dicts, lists, numbers and strings."""
        return {
            "machine": self.machine, "versions": self.versions, "missing": self.missing,
            "bound": BOUND, "agrees": self.agrees, "rows": [row.to_json() for row in self.rows],
        }  # fmt: skip

    def __str__(self) -> str:
        where = ", ".join(f"{v}" for v in self.machine.values() if v)
        lines = [where, ", ".join(f"{k} {v}" for k, v in self.versions.items())]
        if self.missing:
            lines.append(f"not installed: {', '.join(self.missing)}")
        return "\n".join(lines) + "\n\n" + "\n\n".join(str(row) for row in self.rows)
