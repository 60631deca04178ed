"""The stages of a step as a table to print: what each does, what it costs, how fast it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from allbps.machine.execution.timing import Timing
from allbps.machine.works.tasks import Task
from allbps.sheet import sheet, table


def stage_rows(regions: Sequence[Sequence[Task]]) -> list[Mapping[str, Any]]:
    """What each task does; tasks of one stage run at once."""
    return [
        {"stage": k, "work": task.label, "pieces": task.cut.pieces, "flops": task.flops,
         "numbers": task.traffic, "line": task.site, "numpy": task.python is not None}
        for k, region in enumerate(regions, 1)
        for task in region
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
        timed = ("ms", "of peak") if self.seconds else ()
        heads = ("stage", "MFLOP", "MB", *timed, "work", "line")
        count = len(heads)
        return sheet(table(heads, list(self._cells()), numbers=range(count - 2)))

    def _cells(self) -> Iterator[list[str]]:
        """A row of the table, column by column; the time of a stage beside its first work."""
        before = 0
        for row in self.rows:
            size = row["numbers"] * self.itemsize / 1e6
            first = row["stage"] != before
            before = row["stage"]
            times = self._time(before).split() if first and self.seconds else ["", ""]
            yield [
                str(row["stage"]), f"{row['flops'] / 1e6:.3f}", f"{size:.3f}",
                *(times if self.seconds else ()), str(row["work"]), str(row["line"] or ""),
            ]  # fmt: skip

    def _lines(self) -> Iterator[str]:
        shares = self.shares
        timed = f"  {'ms':>8}" if self.seconds else ""
        timed += f"  {'of peak':>7}" if shares else ""
        yield f"{'stage':>5}  {'MFLOP':>9}  {'MB':>8}{timed}  work"
        before = 0
        for row in self.rows:
            megabytes = row["numbers"] * self.itemsize / 1e6
            head = f"{row['stage']:>5}  {row['flops'] / 1e6:>9.3f}  {megabytes:>8.3f}"
            if self.seconds:
                time = f"  {self.seconds[row['stage'] - 1] * 1e3:>8.3f}"
                time += f"  {shares[row['stage'] - 1]:>7.0%}" if shares else ""
                head += time if row["stage"] != before else " " * len(time)
            before = row["stage"]
            yield f"{head}  {row['work']}" + (f"  ({row['line']})" if row["line"] else "")
        if self.seconds:
            total, flops = sum(self.seconds), sum(row["flops"] for row in self.rows)
            share = f"  {flops / total / self.peak:>7.0%}" if shares and total else ""
            yield f"total {flops / 1e6:>10.3f}  {'':>8}  {total * 1e3:>8.3f}{share}"
            if shares is None:
                yield f"shares of the peak cannot be said: {DISTURBED}"
