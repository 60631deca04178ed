"""The stages of a step as a table to print: what each does, what it costs, how fast it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True)
class Stages:
    """The stages of a step; printing it shows a table.

    Attributes:
        rows: one for each work: stage, work, pieces, flops, numbers, line, numpy.
        itemsize: bytes of a number.
        seconds: of each stage, if measured.
        peak: operations a second of the fastest product on this machine, if measured.

    """

    rows: tuple[Mapping[str, Any], ...]
    itemsize: int
    seconds: tuple[float, ...] = ()
    peak: float = 0.0

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
        timed = f"  {'ms':>8}  {'of peak':>7}" if self.seconds else ""
        yield f"{'stage':>5}  {'MFLOP':>9}  {'MB':>8}{timed}  work"
        before = 0
        for row in self.rows:
            megabytes = row["numbers"] * self.itemsize / 1e6
            head = f"{row['stage']:>5}  {row['flops'] / 1e6:>9.3f}  {megabytes:>8.3f}"
            if self.seconds:
                head += self._time(row["stage"]) if row["stage"] != before else " " * 19
            before = row["stage"]
            yield f"{head}  {row['work']}" + (f"  ({row['line']})" if row["line"] else "")
        if self.seconds:
            total = sum(self.seconds)
            flops = sum(row["flops"] for row in self.rows)
            yield f"total {flops / 1e6:>10.3f}  {'':>8}  {total * 1e3:>8.3f}" + (
                f"  {flops / total / self.peak:>7.0%}" if total and self.peak else ""
            )

    def _time(self, stage: int) -> str:
        seconds = self.seconds[stage - 1]
        flops = sum(row["flops"] for row in self.rows if row["stage"] == stage)
        share = flops / seconds / self.peak if seconds > 0 and self.peak else 0.0
        return f"  {seconds * 1e3:>8.3f}  {share:>7.0%}"
