"""What workers tell each other after a step: losses, and whether all did the same and well."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.errors import ArgumentError, WorkerError, within
from allbps.ir.draws import Draws
from allbps.machine.exchange import Exchange
from allbps.machine.parts import bounds
from allbps.machine.weighing import Kind

MESSAGE = 1000
"""Bytes of a message."""
KINDS = (Kind.TOTAL, Kind.MEAN, Kind.SHARE)
HEAD, EACH = 6, 3
"""Numbers before those of the parts, and of each part before its own."""


@dataclass
class Found:
    """What a worker found out about its parts of a batch.

    Attributes:
        parts: for each that holds examples: how its loss counts, its examples, by what its sum is
            divided, its loss and the numbers beside it.
        problem: what went wrong.

    """

    parts: list[tuple[Kind, int, float, list[float]]] = field(default_factory=list)
    problem: Exception | None = None

    def add(self, kind: Kind, examples: int, over: float, numbers: list[float]) -> None:
        """The next part."""
        self.parts.append((kind, examples, over, numbers))


class Reports:
    """The reports of all workers.

    Args:
        exchange: the workers.
        parts: how many parts a batch is cut into.
        width: numbers that a part's function returns, the loss first.

    """

    def __init__(self, exchange: Exchange, parts: int, width: int) -> None:
        self._exchange, self._width = exchange, EACH + width
        self._most = max(stop - first for first, stop in bounds(parts, exchange.size))
        length = 8 * (HEAD + self._most * self._width) + MESSAGE
        self._all = np.zeros((exchange.size, length), np.uint8)
        self._parts: list[tuple[int, NDArray[np.float64]]] = []

    def exchanged(self, taken: int, count: int, digest: int, own: Found) -> Reports:
        """Tell and be told.

        Raises:
            Exception: what went wrong here.
            WorkerError: something went wrong elsewhere.
            ArgumentError: workers differ in where they stand.

        """
        head = [taken, count, digest >> 32, digest & 0xFFFFFFFF, own.problem is not None]
        rows = [[KINDS.index(k), n, over, *numbers] for k, n, over, numbers in own.parts]
        numbers = np.zeros(HEAD + self._most * self._width)
        numbers[:HEAD] = [*head, len(rows)]
        flat = np.array(rows, np.float64).ravel()
        numbers[HEAD : HEAD + len(flat)] = flat
        text = _text(own.problem)
        self._tell(np.concatenate([numbers.view(np.uint8), text]))
        heads = [self._numbers(rank)[:HEAD] for rank in range(self._exchange.size)]
        self._check(heads, own.problem)
        self._parts = [
            (rank, row)
            for rank, each in enumerate(heads)
            for row in self._numbers(rank)[HEAD:].reshape(-1, self._width)[: int(each[5])]
        ]
        return self

    def _tell(self, own: NDArray[Any]) -> None:
        self._exchange.gather(self._all.reshape(-1), own)()

    def _numbers(self, rank: int) -> NDArray[np.float64]:
        return self._all[rank, :-MESSAGE].copy().view(np.float64)

    def _message(self, rank: int) -> str:
        return bytes(self._all[rank, -MESSAGE:]).rstrip(b"\0").decode("utf-8", "replace")

    def _check(self, heads: list[NDArray[np.float64]], problem: Exception | None) -> None:
        if problem is not None:
            raise problem
        for rank, head in enumerate(heads):
            if head[4]:
                raise WorkerError(
                    f"worker {rank} of {len(heads)} could not take the step",
                    got=within(self._message(rank)),
                )
        for place, what in ((0, "the number of the step"), (1, "the size of the batch")):
            said = [int(head[place]) for head in heads]
            _same(what, said)
        _same(
            "parameters, optimiser or seeds",
            [f"{int(head[2]):08x}{int(head[3]):08x}" for head in heads],
            "start all workers from the same state and seed",
        )

    # -- what they come to -------------------------------------------------------------------------
    def loss(self) -> tuple[float, float]:
        """(the loss of the batch, what the sum of the gradients must be multiplied by).

        Raises:
            ArgumentError: the losses of the parts count in different ways.

        """
        rows = [row for _, row in self._parts]
        kinds = {KINDS[int(row[0])] for row in rows}
        if len(kinds) > 1:
            raise ArgumentError(
                "the loss counts in one way in some parts of the batch, in another way in others",
                expected="the same path through the function for all parts",
                got=" and ".join(sorted(kind.name.lower() for kind in kinds)) + " of the examples",
                todo="return a sum over the examples, divided by a number given as an argument",
            )
        (kind,) = kinds
        count = sum(row[1] for row in rows)
        if kind is Kind.TOTAL:
            return math.fsum(row[EACH] for row in rows), 1.0
        weights = [row[1] if kind is Kind.MEAN else row[2] for row in rows]
        total = math.fsum(weights)
        if not total:
            return math.nan, 1.0
        pairs = zip(weights, rows, strict=True)
        loss = math.fsum(w * row[EACH] for w, row in pairs if w) / total
        return loss, count / total

    def first_bad(self) -> tuple[int, int]:
        """(rank, number among its parts) of the first part with a loss that is not finite."""
        before = dict.fromkeys(range(self._exchange.size), 0)
        for rank, row in self._parts:
            if not math.isfinite(row[EACH]):
                return rank, before[rank]
            before[rank] += 1
        return self._parts[0][0], 0

    def beside(self) -> list[NDArray[np.float64]]:
        """What the function returned beside the loss: each a number for each part."""
        rows = np.stack([row for _, row in self._parts])
        return list(rows[:, EACH + 1 :].T)

    def said_by(self, rank: int, text: str) -> str:
        """What one worker has to say to all; a call that all make together."""
        empty = np.zeros(self._all.shape[1] - MESSAGE, np.uint8)
        self._tell(np.concatenate([empty, _bytes(text)]))
        return self._message(rank)


def _text(problem: Exception | None) -> NDArray[np.uint8]:
    return _bytes("" if problem is None else str(problem) or type(problem).__name__)


def _bytes(text: str) -> NDArray[np.uint8]:
    found = np.zeros(MESSAGE, np.uint8)
    encoded = text.encode()[:MESSAGE]
    found[: len(encoded)] = np.frombuffer(encoded, np.uint8)
    return found


def _same(what: str, said: list[Any], todo: str = "let all workers take the same steps") -> None:
    if len(set(said)) > 1:
        other = next(k for k, word in enumerate(said) if word != said[0])
        raise ArgumentError(
            f"workers differ in {what}",
            expected=f"{said[0]}, as worker 0 has it",
            got=f"{said[other]} at worker {other}",
            todo=todo,
        )


def digest_of(arrays: Iterable[NDArray[Any]], draws: Draws) -> int:
    """A number that tells where steps begin: parameters, what is remembered, seeds."""
    found, other = 0, 1
    for array in arrays:
        data = np.ascontiguousarray(array).tobytes()
        found, other = zlib.crc32(data, found), zlib.adler32(data, other)
    return zlib.crc32(repr(draws.seeds).encode(), found) << 32 | other
