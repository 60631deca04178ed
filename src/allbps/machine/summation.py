"""Arrays summed over the parts of a batch, packet by packet, while parts are still computed.

Every worker adds up the blocks of the tree among its own parts. Then each becomes the owner of a
slice of every packet: it is sent the blocks of all workers for that slice, makes the additions that
are left, and the slices are gathered. That is a reduce-scatter and an all-gather in which the order
of the sums is ours; with a power of two of workers as many bytes move as in PyTorch's all-reduce.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.machine.exchange import Exchange
from allbps.machine.parts import Tree, blocks, bounds

PACKET = 1 << 22
"""Bytes from which on arrays are not put into one packet."""


class Packet:
    """Some arrays of a sum, one behind the other.

    Args:
        sizes: numbers in each.
        real: their dtype.
        exchange: the workers.
        parts: how many parts there are.

    Attributes:
        total: the sum over all parts, in the order of the arrays, once it is there.
        starts: where each array begins.
        slice, length: numbers in what a worker owns of it, and in all slices.
        blocks: of the tree, for each worker.

    """

    def __init__(
        self, sizes: Sequence[int], real: np.dtype[Any], exchange: Exchange, parts: int
    ) -> None:
        self.starts = [0, *accumulate(sizes)]
        self.slice = -(-max(self.starts[-1], 1) // exchange.size)
        self.exchange, self._real = exchange, real
        self.length = self.slice * exchange.size
        self.total = np.zeros(self.length, real)
        self._free: list[NDArray[Any]] = []
        ranges = bounds(parts, exchange.size)
        self.blocks = [list(blocks(*own)) for own in ranges]
        self._first = ranges[exchange.rank][0]
        come = self.slice * sum(map(len, self.blocks))
        self._come = np.zeros(come if exchange.size > 1 else 0, real)
        self.begin()

    def begin(self) -> None:
        """A new sum."""
        self._tree = Tree[NDArray[Any]](self._add)
        self._leaf = self._first

    def push(self, fill: Callable[[NDArray[Any]], None] | None) -> None:
        """The next of this worker's parts, written by ``fill``; None where it holds no example."""
        flat = None
        if fill is not None:
            flat = self._leaf_memory()
            fill(flat)
        self._tree.push(0, self._leaf, flat)
        self._leaf += 1

    def _leaf_memory(self) -> NDArray[Any]:
        """Where the next part is written."""
        return self._free.pop() if self._free else np.zeros(self.length, self._real)

    def _add(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        with np.errstate(all="ignore"):  # numbers that are not finite are found in the losses
            np.add(a, b, out=a)
        self._free.append(b)
        return a

    def exchanged(self, used: int) -> Callable[[], None]:
        """Sum over all workers, of the first ``used`` parts; call the result to have it.

        Between the two, all workers must have heard from each other once more.
        """
        if self.exchange.size == 1:
            total = self._tree.total()
            if total is not None:  # else some part failed, of which the reports tell
                self.total[...] = total
                self._free.append(total)
            return lambda: None
        own, lengths = self.blocks[self.exchange.rank], [len(b) for b in self.blocks]
        found = [value for *_, value in self._tree.blocks]
        if len(found) != len(own):  # some part failed: what is sent is not used
            found = [None] * len(own)
        here = [np.zeros(self.length, self._real) if flat is None else flat for flat in found]
        go = here[0] if len(here) == 1 else self._interleaved(here)
        come = [n * self.slice for n in lengths]
        self.exchange.swap(self._come, go, come, [len(own) * self.slice] * self.exchange.size)
        self._free += [flat for flat in found if flat is not None]
        rows = self._come.reshape(-1, self.slice)
        return self.exchange.gather(self.total, self._sum_of_slice(rows, used))

    def _interleaved(self, flats: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """For each worker its slice of every block."""
        shaped = [flat.reshape(self.exchange.size, self.slice) for flat in flats]
        return np.stack(shaped, axis=1).reshape(-1)

    def _sum_of_slice(self, rows: Iterable[NDArray[Any]], used: int) -> NDArray[Any]:
        """What this worker owns, from the blocks of all."""
        tree = Tree[NDArray[Any]](self._add_slices)
        every = [block for own in self.blocks for block in own]
        for (level, index), row in zip(every, rows, strict=True):
            tree.push(level, index, row if index << level < used else None)
        total = tree.total()
        assert total is not None
        return total

    @staticmethod
    def _add_slices(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        with np.errstate(all="ignore"):
            np.add(a, b, out=a)
        return a

    @property
    def sent(self) -> int:
        """Bytes that this worker sends in a step."""
        copies = 1 + len(self.blocks[self.exchange.rank])
        return (self.exchange.size - 1) * copies * self.slice * self.total.itemsize

    def array(self, k: int) -> NDArray[Any]:
        """The sum of one of the arrays, a vector."""
        return self.total[self.starts[k] : self.starts[k + 1]]


class Summation:
    """All packets of a step, exchanged in one order; several of them by a thread of its own.

    Args:
        packets: in the order in which they are exchanged.
        exchange: the workers.

    """

    def __init__(self, packets: Sequence[Packet], exchange: Exchange) -> None:
        self.packets = packets
        beside = exchange.size > 1 and len(packets) > 1  # the last one has nothing to run beside
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="allbps-sum") if beside else None
        self._ready: set[int] = set()
        self._going: list[Future[Callable[[], None]]] = []
        self._used = 0

    @property
    def sent(self) -> int:
        """Bytes that this worker sends in a step."""
        return sum(packet.sent for packet in self.packets)

    def begin(self, used: int) -> None:
        """A new step, of which the first ``used`` parts hold examples."""
        self._ready.clear()
        self._going.clear()
        self._used = used
        for packet in self.packets:
            packet.begin()

    def ready(self, number: int) -> None:
        """This worker's parts are all in a packet."""
        self._ready.add(number)
        while len(self._going) in self._ready:
            packet = self.packets[len(self._going)]
            self._going.append(self._start(packet))

    def _start(self, packet: Packet) -> Future[Callable[[], None]]:
        if self._thread is not None:
            return self._thread.submit(packet.exchanged, self._used)
        done: Future[Callable[[], None]] = Future()
        try:
            done.set_result(packet.exchanged(self._used))
        except Exception as error:  # raised where it is waited for, as if a thread had met it
            done.set_exception(error)
        return done

    def leave(self) -> None:
        """Let all packets be on their way; those that never became ready go as they are."""
        for k in range(len(self.packets)):
            if k not in self._ready:
                self.ready(k)
        for future in self._going:
            future.result()

    def finish(self) -> None:
        """Have all sums, after ``leave`` and once all workers have heard from each other again."""
        for future in self._going:
            future.result()()
