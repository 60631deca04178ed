"""Which tasks may run at once: regions between barriers, and where memory can be used again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from allbps.machine.language.operands import Memory
from allbps.machine.works.tasks import Task


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
        for block in task.reads:
            first = max(first, written.get(block, -1) + 1)
        for block in task.writes:
            before = -1 if block.shared else written.get(block, -1)
            first = max(first, before + 1, read.get(block, -1) + 1)
        while len(regions) <= first:
            regions.append([])
        regions[first].append(task)
        for block in task.reads:
            read[block] = max(read.get(block, -1), first)
        for block in task.writes:
            written[block] = max(written.get(block, -1), first)
    return regions


def arena(regions: Sequence[Sequence[Task]], align: int = 16) -> tuple[dict[Memory, int], int]:
    """Offsets of the blocks that live within one step, so that memory is used again; its size.

    First fit, largest block first. Blocks overlap only if no region needs both.
    """
    life: dict[Memory, list[int]] = {}
    for k, region in enumerate(regions):
        for block in {block for task in region for block in (*task.reads, *task.writes)}:
            life.setdefault(block, [k, k])[1] = k
    placed = np.zeros((4, 0), np.int64)  # start, stop, first and last region, by start
    offsets: dict[Memory, int] = {}
    for block in sorted(life, key=lambda m: -m.size):
        if block.kept or block.kind != "Real":
            continue
        size = -(-block.size // align) * align
        first, last = life[block]
        together = (placed[2] <= last) & (first <= placed[3])
        at = _first_gap(placed[0, together], placed[1, together], size)
        here = np.searchsorted(placed[0], at, side="right")
        placed = np.insert(placed, here, (at, at + size, first, last), axis=1)
        offsets[block] = at
    return offsets, int(placed[1].max(initial=0))


def _first_gap(starts: NDArray[np.int64], stops: NDArray[np.int64], size: int) -> int:
    """Where ``size`` numbers first fit between stretches that are sorted by their starts.

    >>> _first_gap(np.array([0, 4, 20]), np.array([8, 6, 30]), 10)
    8
    """
    ends = np.concatenate([[0], np.maximum.accumulate(stops)])
    fits = np.append(starts, np.iinfo(np.int64).max) - ends >= size
    return int(ends[np.argmax(fits)])
