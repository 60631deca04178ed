"""Sums of workers that see one memory: nothing is sent but the word that it is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.machine.exchange import Exchange
from allbps.machine.summation import Packet


def packet_for(sizes: Sequence[int], real: np.dtype[Any], exchange: Exchange, parts: int) -> Packet:
    """Some arrays of a sum, in memory that all workers see where there is such memory."""
    plain = Packet(sizes, real, exchange, parts)
    if exchange.size == 1:
        return plain
    room = exchange.room(CommonPacket.needs(plain), real)
    return plain if room is None else CommonPacket(sizes, real, exchange, parts, room)


class CommonPacket(Packet):
    """Arrays of a sum whose blocks lie where all workers see them.

    Each worker makes the additions of its slice among the blocks of all, and writes the sum where
    all read it. That all blocks are there is said by a word of each worker; that all slices are, by
    what the workers tell each other after the sum, before they wait for it. Whoever has heard that
    may write new blocks; and new slices after the next word, when all have read the old ones.

    Args:
        sizes, real, exchange, parts: as for ``Packet``.
        room: memory of as many numbers as ``needs`` tells.

    """

    def __init__(
        self,
        sizes: Sequence[int],
        real: np.dtype[Any],
        exchange: Exchange,
        parts: int,
        room: NDArray[Any],
    ) -> None:
        super().__init__(sizes, real, exchange, parts)
        shaped = room.reshape(-1, self.length)
        self._whole = shaped[-1]
        self._theirs = shaped[:-1].reshape(exchange.size, -1, self.length)
        own = self.blocks[exchange.rank]
        self._begins = {index << level: row for row, (level, index) in enumerate(own)}
        self._words = np.zeros(exchange.size, np.uint8)

    @staticmethod
    def needs(packet: Packet) -> int:
        """How many numbers the workers' blocks and their sum need."""
        return (packet.exchange.size * max(map(len, packet.blocks)) + 1) * packet.length

    @property
    def sent(self) -> int:
        """Nothing of the arrays."""
        return 0

    def _leaf_memory(self) -> NDArray[Any]:
        """The first part of a block is where the block's sum will be."""
        row = self._begins.get(self._leaf)
        return super()._leaf_memory() if row is None else self._mine[row]

    @property
    def _mine(self) -> NDArray[Any]:
        mine: NDArray[Any] = self._theirs[self.exchange.rank]
        return mine

    def exchanged(self, used: int) -> Callable[[], None]:
        """Sum over all workers, of the first ``used`` parts; call the result to have it."""
        self.exchange.gather(self._words, np.ones(1, np.uint8))()
        cut = slice(self.exchange.rank * self.slice, (self.exchange.rank + 1) * self.slice)
        rows = [
            self._theirs[rank, row, cut]
            for rank, own in enumerate(self.blocks)
            for row in range(len(own))
        ]
        self._whole[cut] = self._sum_of_slice(rows, used)

        def take() -> None:
            self.total[...] = self._whole

        return take
