"""A program in memory: its blocks, its compiled parts, and running them in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import cache
from .codegen import (
    COUNT,
    DATA,
    EXAMPLES,
    LOSSES,
    ORDER,
    RATES,
    Feed,
    Source,
    stretches,
    write,
)
from .regions import arena, assign_regions
from .runtime import Step, default_threads
from .target import host
from .tasks import Memory, Program, Task
from .updates import RATES as RATE_COLUMNS

SMALL_STEP = 500_000
"""Operations in a step up to which one thread is faster than several that wait for each other."""
ALIGNMENT = 64


def aligned(size: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Zeros that begin at the start of a cache line."""
    raw = np.zeros(size * dtype.itemsize + ALIGNMENT, np.uint8)
    shift = -raw.ctypes.data % ALIGNMENT
    return raw[shift : shift + size * dtype.itemsize].view(dtype)


class Executable:
    """A program ready to run.

    Args:
        program: its tasks and memory.
        blocks: filled with the array behind each block.
        feeds: arguments that an epoch fetches by itself, by name of their block.
        loss: the block with the loss, for programs that take steps.
        threads: how many; None for as many as pay.

    """

    def __init__(
        self,
        program: Program,
        blocks: dict[Memory, NDArray[Any]],
        feeds: Sequence[Feed],
        loss: Memory | None,
        threads: int | None,
    ) -> None:
        self.program, self.blocks, self.feeds = program, blocks, feeds
        self.regions = assign_regions(program.tasks)
        self.parts = stretches(self.regions)
        flops = sum(task.flops for task in program.tasks)
        small = flops < SMALL_STEP
        self.threads = threads or (1 if small else default_threads())
        self.table = list(program.memories)
        self.source: Source = write(program, self.parts, self.table, feeds, loss)
        self._allocate()
        self.rates = np.zeros((1, RATE_COLUMNS), program.real)
        self.done = np.zeros(1, np.int64)
        self._entries = self._load(paste=small)
        self._calls = self._in_order()

    @property
    def counts_steps(self) -> bool:
        """Is a whole step one native function, so that many can run without coming back?"""
        return self.source.parts == ("step",) and "t: Int" in self.source.text

    def _allocate(self) -> None:
        """One array for everything that lives within a step, one each for what is kept."""
        kept = {block for block in self.table if block.kept}
        offsets, size = arena(self.program, kept)
        pool = aligned(size, self.program.real)
        for block in self.table:
            if block in offsets:
                self.blocks[block] = pool[offsets[block] : offsets[block] + block.size]
            else:
                self.blocks[block] = aligned(block.size, self.program.dtype(block))
            if block.start is not None:
                self.blocks[block][: block.start.size] = block.start
        self.memory = size * self.program.real.itemsize

    def _load(self, *, paste: bool) -> dict[str, Step]:
        if not self.source.parts:
            return {}
        single = self.program.real == np.float32
        loaded = cache.load_text(
            self.source.text, self.source.parts, host(), single=single, paste=paste
        )
        scratch = aligned(self.threads * max(self.program.scratch, 1), self.program.real)
        losses = np.zeros(1, self.program.real)
        arguments: list[NDArray[Any] | int] = [self.blocks[block] for block in self.table]
        arguments += [scratch, self.rates, 1, 0, 0, losses, self.done, *([0] * len(self.feeds))]
        return {name: Step(loaded, name, arguments, self.threads) for name in self.source.parts}

    def _in_order(self) -> list[Callable[[], None]]:
        entries = iter(self._entries.values())
        return [next(entries) if part.call is None else part.call.call for part in self.parts]  # type: ignore[misc]

    def __call__(self) -> None:
        """Run once."""
        for call in self._calls:
            call()

    def run_many(
        self,
        order: NDArray[np.int64],
        data: Sequence[NDArray[Any]],
        rates: NDArray[Any],
    ) -> NDArray[Any]:
        """Take a step for each row of ``order`` in native code; the losses of those that were done.

        Args:
            order: numbers of the examples of each step, (steps, examples).
            data: data sets, one for each feed, in the dtype of its block.
            rates: rows of the table of rates, (steps, RATES).

        """
        (step,) = self._entries.values()
        losses = np.zeros(len(order), self.program.real)
        first = len(self.table)
        before = step.arguments.copy()
        step.arguments[first + RATES] = rates.ctypes.data
        step.arguments[first + COUNT] = len(order)
        step.arguments[first + EXAMPLES] = order.shape[1]
        step.arguments[first + ORDER] = order.ctypes.data
        step.arguments[first + LOSSES] = losses.ctypes.data
        for feed, examples in zip(self.feeds, data, strict=True):
            step.arguments[first + DATA + feed.number] = examples.ctypes.data
        try:
            step()
        finally:
            step.arguments[...] = before
        return losses[: int(self.done[0])]


def stage_rows(regions: Sequence[Sequence[Task]]) -> list[Mapping[str, Any]]:
    """What each task does, for a table of stages."""
    return [
        {"stage": k + 1, "work": task.label, "pieces": task.pieces, "flops": task.flops,
         "numbers": task.traffic, "line": task.site, "numpy": task.call is not None}
        for k, region in enumerate(regions)
        for task in region
    ]  # fmt: skip
