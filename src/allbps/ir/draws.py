"""Which random numbers a run draws: a seed for each generator, a stream for each draw.

The numbers themselves are operations of the graph (``ops/random.py``), functions of seed, step,
stream and place. So a run can be repeated with the same numbers, and the next step has others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from allbps.errors import ArgumentError


class Source(NamedTuple):
    """A generator that was asked.

    Attributes:
        generator: who it is.
        seed: what it gave.
        first: its first stream in this run.

    """

    generator: Any
    seed: int
    first: int


class Draws:
    """The draws of one run.

    Attributes:
        step: which of the repeated runs it is, 0 first; a traced number where it is an argument.

    """

    def __init__(self, step: Any = 0) -> None:
        self.step = step
        self._sources: dict[int, Source] = {}
        self._expected: list[tuple[int, int]] = []
        self._asked: list[Any] = []
        self._streams: dict[int, int] = {}

    @property
    def seeds(self) -> list[int]:
        """The seeds that generators gave, in the order in which they were asked."""
        return [source.seed for source in self._sources.values()]

    @property
    def given(self) -> list[tuple[int, int]]:
        """Seed and first stream of each generator, in that order."""
        return [(source.seed, source.first) for source in self._sources.values()]

    @property
    def drawn(self) -> bool:
        """Was any number drawn?"""
        return bool(self._streams)

    def again(self, step: Any) -> Draws:
        """The same draws at another step: each generator with the seed that it gave before."""
        draws = Draws(step)
        draws._sources, draws._expected = self._sources, self._expected
        return draws

    def expect(self, given: Iterable[tuple[int, int]]) -> None:
        """Let the generators that will be asked give what they gave in an earlier process."""
        self._expected[:] = [(seed, first) for seed, first in given]

    def source(self, generator: Any) -> Source | None:
        """What is known of a generator."""
        found = self._sources.get(id(generator))
        return found if found is not None and found.generator is generator else None

    def asked(self, generator: Any) -> bool:
        """Was a generator asked in this run, and not in one that it repeats?"""
        return any(other is generator for other in self._asked)

    def remember(self, generator: Any, seed: int, first: int, *, fixed: bool) -> Source:
        """Ask a generator only once.

        Args:
            generator: who is asked.
            seed: what it gives.
            first: its first stream.
            fixed: can it give no other seed?

        Raises:
            ArgumentError: it gave another seed before, in an earlier process.

        """
        if len(self._sources) < len(self._expected):
            before, first = self._expected[len(self._sources)]
            if fixed and before != seed:
                raise ArgumentError(
                    "a generator has a different seed from before",
                    expected=f"seed {before}",
                    got=f"seed {seed}",
                    todo="give it the seed it had, or start over",
                )
            seed = before
        self._asked.append(generator)
        self._sources[id(generator)] = Source(generator, seed, first)
        return self._sources[id(generator)]

    def next_stream(self, source: Source) -> int:
        """A stream of its seed that no other draw of this run has."""
        stream = self._streams.get(source.seed, source.first)
        self._streams[source.seed] = stream + 1
        return stream


_here: ContextVar[Draws | None] = ContextVar("allbps_draws", default=None)


def draws_here() -> Draws | None:
    """Those of the run that is going on; None outside of any trace."""
    return _here.get()


@contextmanager
def drawing(draws: Draws) -> Iterator[None]:
    """What is drawn inside belongs to a run."""
    token = _here.set(draws)
    try:
        yield
    finally:
        _here.reset(token)
