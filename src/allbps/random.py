"""Random numbers that a compiled function draws afresh in every call, and that can be replayed."""

from __future__ import annotations

import random as python_random
from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from allbps.errors import ArgumentError
from allbps.ir import Node, lift, user_site
from allbps.ir.draws import Draws, Source, draws_here
from allbps.ops.function import cos, log, sqrt
from allbps.ops.random import bernoulli_op, key_node, uniform_op

Size = int | Sequence[int]
LARGEST = 2**63


class Generator:
    """A source of random numbers for traced functions, and for plain ones.

    A draw is a function of the seed, of how many draws came before it, and, in a compiled function,
    of which call it is: fresh numbers in each call, the same bits from the same seed for any number
    of threads, in emitted source, and after a resumed training. The bits are Philox4x32-10's
    (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11).

    Args:
        seed: from 0 to 2⁶³ − 1; or a NumPy generator, which is asked for one.

    Raises:
        ArgumentError: it is not a seed.

    >>> import allbps as bp
    >>> g = bp.random.Generator(0)
    >>> g.uniform(size=3).round(3).tolist(), bool(g.bernoulli(1.0))
    ([0.399, 0.736, 0.972], True)

    """

    def __init__(self, seed: Any = 0) -> None:
        self.seed, self._next = seed_of(seed), 0

    def random(self, size: Size = (), dtype: Any = np.float64) -> Any:
        """Uniform in [0, 1): multiples of 2⁻⁵³, or of 2⁻²⁴ in float32."""
        return _drawn(uniform_node(self, _shape(size), np.dtype(dtype)))

    def uniform(
        self, low: Any = 0.0, high: Any = 1.0, size: Size = (), dtype: Any = np.float64
    ) -> Any:
        """Uniform in [low, high)."""
        return _drawn(low + (high - low) * uniform_node(self, _shape(size), np.dtype(dtype)))

    def standard_normal(self, size: Size = (), dtype: Any = np.float64) -> Any:
        """Normal with mean 0 and variance 1; see ``normal``."""
        return _drawn(_normal(self, _shape(size), np.dtype(dtype)))

    def normal(
        self, loc: Any = 0.0, scale: Any = 1.0, size: Size = (), dtype: Any = np.float64
    ) -> Any:
        """Normal with mean ``loc`` and standard deviation ``scale``, which may be traced.

        By Box and Muller's formula √(−2 ln(1 − u)) cos(2πv) of two uniform numbers, so a compiled
        function and NumPy differ by what their logarithms and cosines do, a few units in the last
        place.
        """
        return _drawn(loc + scale * _normal(self, _shape(size), np.dtype(dtype)))

    def bernoulli(self, p: float = 0.5, size: Size = ()) -> Any:
        """True with probability p, a plain number, to 32 bits."""
        return _drawn(bernoulli_node(self, _shape(size), p))


def _shape(size: Size) -> tuple[int, ...]:
    return tuple(map(index, size)) if isinstance(size, Sequence) else (index(size),)


def seed_of(rng: Any) -> int:
    """A seed, from itself or from a generator of NumPy's or Python's."""
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**31))
    if isinstance(rng, np.random.RandomState):
        return int(rng.randint(2**31 - 1))
    if isinstance(rng, python_random.Random):
        return rng.randrange(2**31)
    try:
        seed = index(rng)
    except TypeError:
        seed = -1
    if not 0 <= seed < LARGEST or isinstance(rng, bool):
        raise ArgumentError(
            "this is not a source of random numbers",
            where=str(user_site() or ""),
            expected="a seed from 0 to 2⁶³ − 1, an allbps.random.Generator or a NumPy generator",
            got=repr(rng),
            todo="pass rng=allbps.random.Generator(seed) or rng=np.random.default_rng(seed)",
        )
    return seed


def _place(rng: Any) -> tuple[int, int]:
    """The seed and the stream of the next draw; a generator is asked for a seed once in a run."""
    draws = draws_here() or Draws()
    source = draws.source(rng) if not isinstance(rng, (int, np.integer)) else None
    if source is None:
        own = isinstance(rng, Generator)
        seed, first = (rng.seed, rng._next) if own else (seed_of(rng), 0)
        plain = isinstance(rng, (int, np.integer))
        source = Source(rng, seed, first) if plain else draws.remember(rng, seed, first, fixed=own)
    stream = draws.next_stream(source)
    if isinstance(rng, Generator):
        rng._next = max(rng._next, stream + 1)
    return source.seed, stream


def uniform_node(rng: Any, shape: tuple[int, ...], dtype: Any) -> Node:
    """Uniform in [0, 1); arguments and errors are those of ``bernoulli_node``."""
    seed, stream = _place(rng)
    return uniform_op(key_node(seed), stream=stream, shape=shape, dtype=dtype)


def _normal(rng: Any, shape: tuple[int, ...], dtype: Any) -> Node:
    far, angle = uniform_node(rng, shape, dtype), uniform_node(rng, shape, dtype)
    made: Node = sqrt(-2.0 * log(1.0 - far)) * cos(float(2 * np.pi) * angle)
    return made


def bernoulli_node(rng: Any, shape: tuple[int, ...], p: float) -> Node:
    """A mask that is true with probability p.

    Args:
        rng: a seed, a ``Generator``, or a generator of NumPy's.
        shape: of the mask.
        p: in [0, 1].

    Raises:
        ArgumentError: ``rng`` is not a source of random numbers, or p no probability.

    """
    if not 0 <= p <= 1:
        raise ArgumentError(
            "p must be a probability",
            where=str(user_site() or ""),
            expected="0 ≤ p ≤ 1",
            got=f"p={p!r}",
        )
    seed, stream = _place(rng)
    return bernoulli_op(key_node(seed), stream=stream, shape=shape, keep=float(p))


def _drawn(x: Any) -> Any:
    """In a traced function a node, else plain numbers."""
    node = lift(x)
    return node if node.traces else np.asarray(node.value)[()]
