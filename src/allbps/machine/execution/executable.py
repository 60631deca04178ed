"""A program in memory: its blocks, its compiled parts, and running them in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.machine.execution.codegen import (
    BATCH,
    CLOCK,
    DONE,
    LOSSES,
    ORDER,
    SCRATCH,
    SECTION,
    STEPS,
    Feed,
    Layout,
    Source,
    stretches,
    write,
)
from allbps.machine.execution.regions import arena, assign_regions
from allbps.machine.execution.runtime import Step, default_threads
from allbps.machine.execution.timing import Timing, timed
from allbps.machine.language import cache
from allbps.machine.language.operands import RATES, Memory
from allbps.machine.language.target import host
from allbps.machine.works.tasks import Program

SMALL_STEP = 500_000
"""Operations in a step up to which one thread is faster than several that wait for each other."""
ALIGNMENT = 64


def aligned(size: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Zeros that begin at the start of a cache line."""
    raw = np.zeros(size * dtype.itemsize + ALIGNMENT, np.uint8)
    shift = -raw.ctypes.data % ALIGNMENT
    return raw[shift : shift + size * dtype.itemsize].view(dtype)


def _like(numbers: NDArray[Any], own: NDArray[Any]) -> bool:
    """Could native code read the one as it reads the other?"""
    return numbers.dtype == own.dtype and numbers.flags.c_contiguous and numbers.flags.aligned


class Executable:
    """A program ready to run.

    Args:
        program: its tasks and memory.
        blocks: filled with the array behind each block.
        feeds: arguments that an epoch fetches by itself.
        loss: the block with the loss, for programs that take steps.
        rates: columns of the table of rates.
        threads: how many; None for as many as pay.

    """

    def __init__(
        self,
        program: Program,
        blocks: dict[Memory, NDArray[Any]],
        feeds: Sequence[Feed],
        loss: Memory | None,
        threads: int | None,
        rates: int = 0,
    ) -> None:
        self.program, self.blocks = program, blocks
        self.regions = assign_regions(program.tasks)
        self.parts = stretches(self.regions)
        flops = sum(task.flops for task in program.tasks)
        small = flops < SMALL_STEP
        self.threads = threads or (1 if small else default_threads())
        named = {block for task in program.tasks for block in task.blocks}
        used = [block for block in program.memories if block.kept or block in named]
        self.layout = Layout(tuple(used), tuple(feeds), rates)
        self.loss = loss
        self.source: Source = write(program, self.parts, self.layout, loss)
        self._allocate()
        self._own = dict(self.blocks)
        self.rates = np.zeros(rates, program.real)
        self.blocks[RATES] = self.rates
        self.done = np.zeros(1, np.int64)
        longest = max((len(part.regions) for part in self.parts), default=0)
        self.clock = np.zeros(1 + longest, np.int64)
        self._paste = small and len(program.tasks) <= SECTION  # constant shapes in every kernel
        self._entries = self._load(self.source)
        self._calls = self._in_order(self._entries)
        self._written = {block for task in program.tasks for block in task.writes}

    @property
    def counts_steps(self) -> bool:
        """Is a whole step one native function, so that many can run without coming back?"""
        return self.source.counts_steps

    @property
    def entry(self) -> Step | None:
        """The one native function that a run is; None where it is several, or Python too."""
        whole = len(self.parts) == 1 and self.parts[0].call is None
        return next(iter(self._entries.values())) if whole and len(self._entries) == 1 else None

    def _allocate(self) -> None:
        """One array for everything that lives within a step, one each for what is kept."""
        offsets, size = arena(self.regions)
        pool = aligned(size, self.program.real)
        for block in self.layout.blocks:
            if block in offsets:
                self.blocks[block] = pool[offsets[block] : offsets[block] + block.size]
            else:
                self.blocks[block] = aligned(block.size, self.program.dtype(block))
            if block.start is not None:
                self.blocks[block][: block.start.size] = block.start
        self.memory = size * self.program.real.itemsize

    def _load(self, source: Source) -> dict[str, Step]:
        if not source.parts:
            return {}
        single = self.program.real == np.float32
        loaded = cache.load_text(
            source.text, source.parts, host(), single=single, paste=self._paste
        )
        scratch = aligned(self.threads * max(self.program.scratch, 1), self.program.real)
        losses = np.zeros(1, self.program.real)
        given: dict[Memory, NDArray[Any] | int] = {
            **self.blocks, SCRATCH: scratch, RATES: self.rates, STEPS: 1, LOSSES: losses,
            DONE: self.done, CLOCK: self.clock,
        }  # fmt: skip
        arguments = [given.get(block, 0) for block in self.layout.column]
        return {name: Step(loaded, name, arguments, self.threads) for name in source.parts}

    def bind(self, block: Memory, numbers: NDArray[Any] | None) -> bool:
        """Let the next runs read a block from a dense array of the caller's, or again from its own.

        False if the step writes the block, or the array is not what it is made of.
        """
        own = self._own[block]
        if numbers is None:
            numbers = own
        elif block in self._written or not _like(numbers, own):
            return False
        if self.blocks[block] is not numbers:
            self.blocks[block] = numbers.reshape(-1)
            for entry in self._entries.values():
                entry.replace(self.layout.column[block], self.blocks[block])
        return True

    def adopt(self, block: Memory, numbers: NDArray[Any]) -> None:
        """Keep a block in memory of the caller's for good: the step writes it there, too."""
        assert _like(numbers, self._own[block])
        if not numbers.size:  # nothing to keep: its block is there to have an address
            return
        assert numbers.size == block.size
        self._own[block] = self.blocks[block] = numbers.reshape(-1)
        for entry in self._entries.values():
            entry.replace(self.layout.column[block], self.blocks[block])

    def profile(self, repeats: int) -> Timing:
        """Seconds of each region, Python calls included, over ``repeats`` runs.

        Everything that is kept between runs is put back afterwards.
        """
        source = write(self.program, self.parts, self.layout, self.loss, clocks=True)
        calls = self._in_order(self._load(source))
        before = {block: self.blocks[block].copy() for block in self.layout.blocks if block.kept}
        timing = timed(lambda: self._timed(calls), repeats)
        for block, numbers in before.items():
            if block in self._written:
                self.blocks[block][...] = numbers
        return timing

    def _timed(self, calls: Sequence[Callable[[], None]]) -> list[float]:
        spent = np.zeros(len(self.regions))
        for part, call in zip(self.parts, calls, strict=True):
            start = time.perf_counter_ns()
            call()
            if part.call is not None:
                spent[part.first] += time.perf_counter_ns() - start
            for k in range(len(part.regions)):
                spent[part.first + k] += self.clock[k + 1] - self.clock[k]
        return list(spent * 1e-9)

    def _in_order(self, loaded: Mapping[str, Step]) -> list[Callable[[], None]]:
        entries = iter(loaded.values())
        tasks = (part.call for part in self.parts)
        return [task.python.run if task and task.python else next(entries) for task in tasks]

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
        for feed in self.layout.feeds:
            self.bind(feed.block, None)
        losses = np.zeros(len(order), self.program.real)
        before = step.arguments.copy()
        given: dict[Memory, NDArray[Any]] = {RATES: rates, ORDER: order, LOSSES: losses}
        given |= zip((feed.data for feed in self.layout.feeds), data, strict=True)
        numbers = {STEPS: len(order), BATCH: order.shape[1]}
        numbers |= {block: array.ctypes.data for block, array in given.items()}
        for block, number in numbers.items():
            step.arguments[self.layout.column[block]] = number
        try:
            step()
        finally:
            step.arguments[...] = before
        return losses[: int(self.done[0])]
