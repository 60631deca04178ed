"""Which tasks may run at once: regions between barriers, and where memory can be used again."""

from __future__ import annotations

from collections.abc import Sequence

from allbps.machine.works.tasks import Memory, Program, Task


def assign_regions(tasks: Sequence[Task]) -> list[list[Task]]:
    """Each task in the first region in which everything before it is done.

    A task waits for the writers of what it reads, and before it writes for all who used the
    block before.
    """
    written: dict[Memory, int] = {}
    read: dict[Memory, int] = {}
    regions: list[list[Task]] = []
    for task in tasks:
        first = 0
        for block in (*task.reads, *task.after):
            first = max(first, written.get(block, -1) + 1)
        for block in task.writes:
            first = max(first, written.get(block, -1) + 1, read.get(block, -1) + 1)
        task.region = first
        while len(regions) <= first:
            regions.append([])
        regions[first].append(task)
        for block in (*task.reads, *task.after):
            read[block] = max(read.get(block, -1), first)
        for block in task.writes:
            written[block] = first
    return regions


def arena(program: Program, kept: set[Memory], align: int = 16) -> tuple[dict[Memory, int], int]:
    """Offsets of the blocks that live within one step, so that memory is used again; its size.

    First fit, largest block first. Blocks overlap only if no region needs both.
    """
    life: dict[Memory, list[int]] = {}
    for task in program.tasks:
        for block in (*task.reads, *task.writes):
            span = life.setdefault(block, [task.region, task.region])
            span[0], span[1] = min(span[0], task.region), max(span[1], task.region)
    placed: list[tuple[int, int, list[int]]] = []
    offsets: dict[Memory, int] = {}
    end = 0
    for block in sorted(life, key=lambda m: -m.size):
        if block in kept or block.kind != "Real":
            continue
        size = -(-block.size // align) * align
        at = 0
        for start, stop, span in sorted(placed, key=lambda item: item[0]):
            together = span[0] <= life[block][1] and life[block][0] <= span[1]
            if together and at < stop and start < at + size:
                at = stop
        placed.append((at, at + size, life[block]))
        offsets[block] = at
        end = max(end, at + size)
    return offsets, end
