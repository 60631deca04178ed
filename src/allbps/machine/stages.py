"""The stages of a step as a table to print: what each does, what it costs, how fast it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from allbps.machine.execution.timing import Timing
from allbps.machine.works.tasks import Task
from allbps.sheet import sheet, table


def stage_rows(regions: Sequence[Sequence[Task]]) -> list[Mapping[str, Any]]:
    """What each task does; tasks of one stage run at once, or row by row one behind the other."""
    return [
        {"stage": k, "work": part.label + (", row by row" if task.joined else ""),
         "pieces": task.cut.pieces, "flops": part.flops, "numbers": part.traffic,
         "line": part.site, "numpy": part.python is not None}
        for k, region in enumerate(regions, 1)
        for task in region
        for part in task.joined or (task,)
    ]  # fmt: skip


DISTURBED = "another program took the CPU, or slowed it down, while this was timed"


@dataclass(frozen=True)
class Stages:
    """The stages of a step; printing it shows a table.

    Attributes:
        rows: one for each work: stage, work, pieces, flops, numbers, line, numpy.
        itemsize: bytes of a number.
        timing: of each stage, if measured.
        peak: operations a second of multiply-adds in registers here, if measured.

    """

    rows: tuple[Mapping[str, Any], ...]
    itemsize: int
    timing: Timing | None = None
    peak: float = 0.0

    @property
    def seconds(self) -> tuple[float, ...]:
        """Of each stage; none if not measured."""
        return self.timing.seconds if self.timing is not None else ()

    @property
    def shares(self) -> tuple[float, ...] | None:
        """Of each stage, the share of the peak; None where it cannot be said.

        Namely where nothing was measured, where another program took the CPU meanwhile, and where
        some share comes out above the whole, so that the peak or a time must be wrong.
        """
        if self.timing is None or not self.timing.alone or not self.peak:
            return None
        flops = [0] * len(self.seconds)
        for row in self.rows:
            flops[row["stage"] - 1] += row["flops"]
        found = tuple(
            n / (s * self.peak) if s > 0 else 0.0 for n, s in zip(flops, self.seconds, strict=True)
        )
        return found if max(found, default=0.0) <= 1 else None

    def __str__(self) -> str:
        return "\n".join(self._lines())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        heads = ("stage", "MFLOP", "MB", *self._timed, "work", "line")
        shown = table(heads, list(self._cells()), numbers=range(len(heads) - 2))
        return sheet(shown + (f"<p>{self._silence}</p>" if self._silence else ""))

    @property
    def _timed(self) -> tuple[str, ...]:
        """Headings of what was measured of each stage."""
        return () if not self.seconds else ("ms",) if self.shares is None else ("ms", "of peak")

    @property
    def _silence(self) -> str:
        """Why there are no shares, where there might be."""
        missing = bool(self.seconds) and self.shares is None
        return f"shares of the peak cannot be given: {DISTURBED}" if missing else ""

    def _times(self, stage: int) -> list[str]:
        """What was measured of a stage, under those headings."""
        seconds, shares = self.seconds, self.shares
        ms = [f"{seconds[stage - 1] * 1e3:.3f}"] if seconds else []
        return [*ms, *([f"{shares[stage - 1]:.0%}"] if shares is not None else [])]

    def _cells(self) -> Iterator[list[str]]:
        """A row of the table, column by column; the time of a stage beside its first work."""
        before = 0
        for row in self.rows:
            size, stage = row["numbers"] * self.itemsize / 1e6, row["stage"]
            times = self._times(stage) if stage != before else [""] * len(self._timed)
            before = stage
            yield [
                str(stage), f"{row['flops'] / 1e6:.3f}", f"{size:.3f}", *times, str(row["work"]),
                str(row["line"] or ""),
            ]  # fmt: skip

    def _lines(self) -> Iterator[str]:
        widths = (5, 9, 8, 8, 7)

        def line(cells: Sequence[str]) -> str:
            return "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=False))

        yield line(["stage", "MFLOP", "MB", *self._timed]) + "  work"
        for *cells, work, where in self._cells():
            yield f"{line(cells)}  {work}" + (f"  ({where})" if where else "")
        if self.seconds:
            total, flops = sum(self.seconds), sum(row["flops"] for row in self.rows)
            share = flops / total / self.peak if self.shares is not None and total else None
            last = [f"{total * 1e3:.3f}", *([f"{share:.0%}"] if share is not None else [])]
            yield line(["total", f"{flops / 1e6:.3f}", "", *last])
        if self._silence:
            yield self._silence
