"""Which random numbers a run draws: a seed for each generator, a stream for each draw.

The numbers themselves are operations of the graph (``ops/random.py``), functions of seed, step,
stream and place. So a run can be repeated with the same numbers, and the next step has others.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple


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
        step: which of the repeated runs it is, 0 first.

    """

    def __init__(self, step: int = 0, sources: dict[int, Source] | None = None) -> None:
        self.step = step
        self._sources: dict[int, Source] = {} if sources is None else sources
        self._streams: dict[int, int] = {}

    @property
    def seeds(self) -> list[int]:
        """The seeds that generators gave, in the order in which they were asked."""
        return [source.seed for source in self._sources.values()]

    def again(self, step: int) -> Draws:
        """The same draws at another step: each generator with the seed that it gave before."""
        return Draws(step, self._sources)

    def source(self, generator: Any) -> Source | None:
        """What is known of a generator."""
        found = self._sources.get(id(generator))
        return found if found is not None and found.generator is generator else None

    def remember(self, generator: Any, seed: int, first: int) -> Source:
        """Ask a generator only once."""
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
