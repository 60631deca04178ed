"""Small works that go row by row, one behind the other, as one task: nobody waits between them.

The product of a few rows and what is done with it element by element, as in each step of a
recurrent layer, take microseconds; a barrier behind each would take as long. Where every row of a
result depends on the same row of what it is made from, a thread may do all of its rows from the
first work to the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from allbps.machine.language.operands import Memory
from allbps.machine.works.tasks import ByRow, Cut, Stretch, Task

EACH = 8
"""Rows in a piece of a chain: of fewer, reading the weights would take longer than they do."""
LONGEST = 64
"""Tasks in a chain: what LLVM needs for a function grows faster than the function."""
FAR = 256
"""Tasks behind the last that joined among which another one is looked for."""


@dataclass
class _Chain:
    """Tasks that became one, and what of the memory that they touch belongs to each row."""

    rows: int
    tasks: list[Task] = field(default_factory=list)
    parts: list[ByRow] = field(default_factory=list)
    reads: dict[Memory, set[Stretch | None]] = field(default_factory=dict)
    writes: dict[Memory, set[Stretch | None]] = field(default_factory=dict)

    def takes(self, task: Task, own: Mapping[Memory, Stretch]) -> bool:
        """Does each row of a task need only the same row of what is here already?"""
        return all(self._apart(m, own.get(m), self.writes) for m in task.reads) and all(
            self._apart(m, own.get(m), self.writes) and self._apart(m, own.get(m), self.reads)
            for m in task.writes
        )

    def _apart(
        self, memory: Memory, own: Stretch | None, touched: Mapping[Memory, set[Stretch | None]]
    ) -> bool:
        return all(
            own is not None and other is not None and own.by_row_with(other, self.rows)
            for other in touched.get(memory, ())
        )

    def add(self, task: Task, part: ByRow) -> None:
        self.tasks.append(task)
        self.parts.append(part)
        for memories, touched in ((task.reads, self.reads), (task.writes, self.writes)):
            for memory in memories:
                touched.setdefault(memory, set()).add(part.own.get(memory))

    def task(self) -> Task:
        """All of them as one."""
        if len(self.tasks) == 1:
            return self.tasks[0]
        first = self.tasks[0]
        return Task(
            f"{first.label} and {len(self.tasks) - 1} more, row by row",
            Cut(self.rows, self.rows // EACH),
            tuple(call for part in self.parts for call in part.calls),
            sum(task.flops for task in self.tasks), sum(task.traffic for task in self.tasks),
            first.site, joined=tuple(self.tasks),
        )  # fmt: skip


@dataclass
class _Later:
    """Tasks that have to wait for a chain."""

    tasks: list[Task] = field(default_factory=list)
    reads: set[Memory] = field(default_factory=set)
    writes: set[Memory] = field(default_factory=set)

    def holds_up(self, task: Task) -> bool:
        """Must a task wait for one of these?"""
        return not (
            self.writes.isdisjoint(task.reads)
            and self.writes.isdisjoint(task.writes)
            and self.reads.isdisjoint(task.writes)
        )

    def add(self, task: Task) -> None:
        self.tasks.append(task)
        self.reads.update(task.reads)
        self.writes.update(task.writes)


def join_rows(tasks: Iterable[Task]) -> list[Task]:
    """The tasks, with those that can go row by row together as one.

    A chain begins with a small product. Tasks between its members that have to wait for one of
    them come behind it, all others before it.
    """
    pending, done = list(tasks), list[Task]()
    while pending:
        first = pending.pop(0)
        part = first.by_row(first.small_rows) if first.by_row and first.small_rows else None
        if part is None or first.small_rows < 2 * EACH:
            done.append(first)
            continue
        chain, later = _Chain(first.small_rows), _Later()
        chain.add(first, part)
        pending = list(_gathered(chain, later, pending, done))
        done.append(chain.task())
    return done


def _gathered(
    chain: _Chain, later: _Later, pending: list[Task], before: list[Task]
) -> Iterator[Task]:
    """Let tasks join a chain; yields those that come behind it."""
    last = 0
    for k, task in enumerate(pending):
        if k - last > FAR or len(chain.tasks) >= LONGEST:
            yield from later.tasks
            yield from pending[k:]
            return
        waits = later.holds_up(task)
        part = None if waits or task.by_row is None else task.by_row(chain.rows)
        if part is not None and chain.takes(task, part.own):
            chain.add(task, part)
            last = k
        elif waits or task.small_rows or not chain.takes(task, {}):
            later.add(task)
        else:
            before.append(task)
    yield from later.tasks
