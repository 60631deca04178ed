"""Random numbers that a function drew by itself while it was traced: they stay as they were."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from allbps.ir.captured import captured
from allbps.ir.draws import Draws
from allbps.random import seed_of

DEEPEST = 3
"""How far from a function its generators are looked for."""
MOST = 1000
"""Objects that are looked at."""


class Outside:
    """The generators that a function can reach, and how they stood before it ran.

    Found are those it closes over, reads as global names, has as attributes or in containers of
    these, is given, and the hidden ones of ``numpy.random`` and ``random``. A generator that it
    makes itself is not.

    Args:
        f: the function.
        given: its arguments.

    """

    def __init__(self, f: Callable[..., Any], *given: Any) -> None:
        hidden = {"np.random": np.random.mtrand._rand, "random": random._inst}
        named = [*hidden.items(), *reachable(f), *reachable(list(given))]
        self._generators = [(name, x) for name, x in named if isinstance(x, GENERATORS)]
        self._before = [deepcopy(x) for _, x in self._generators]

    def drawn(self, draws: Draws) -> list[str]:
        """The names of those from which it drew numbers, beside the seed that we asked for."""
        found = []
        for (name, generator), before in zip(self._generators, self._before, strict=True):
            as_asked = deepcopy(before)
            if draws.asked(generator):
                seed_of(as_asked)
            if _state(generator) != _state(as_asked):
                found.append(name)
        return list(dict.fromkeys(found))

    def is_mixed(self, draws: Draws) -> bool:
        """Did it draw from a generator that was also asked for a seed? The order is not known."""
        drawn = self.drawn(draws)
        return any(name in drawn and draws.source(x) is not None for name, x in self._generators)

    @contextmanager
    def rewound(self) -> Iterator[None]:
        """The generators as they stood before the function ran, and afterwards as they are now."""
        now = [deepcopy(x) for _, x in self._generators]
        self._stand(self._before)
        try:
            yield
        finally:
            self._stand(now)

    def _stand(self, like: list[Any]) -> None:
        for (_, generator), other in zip(self._generators, like, strict=True):
            if isinstance(generator, np.random.Generator):
                generator.bit_generator.state = other.bit_generator.state
            elif isinstance(generator, np.random.RandomState):
                generator.set_state(other.get_state())
            else:
                generator.setstate(other.getstate())


GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)


def _state(generator: Any) -> bytes:
    """How it stands."""
    if isinstance(generator, np.random.Generator):
        return pickle.dumps(generator.bit_generator.state)
    return pickle.dumps(
        generator.get_state()
        if isinstance(generator, np.random.RandomState)
        else generator.getstate()
    )


def reachable(f: Any) -> Iterator[tuple[str, Any]]:
    """Objects that a function refers to, with a word for each."""
    seen: set[int] = set()
    pending = [("", f, 0)]
    while pending and len(seen) < MOST:
        name, thing, depth = pending.pop(0)
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        yield name, thing
        if depth < DEEPEST:
            pending += [(inner or name, part, depth + 1) for inner, part in parts_of(thing)]


def parts_of(thing: Any) -> list[tuple[str, Any]]:
    """What a function, a container or an object refers to, with a word for each."""
    if isinstance(thing, FunctionType):
        return _parts_of_function(thing)
    if isinstance(thing, MethodType):
        return [("", thing.__func__), ("", thing.__self__)]
    if isinstance(thing, partial):
        return [("", thing.func), *(("", x) for x in thing.args), *thing.keywords.items()]
    if isinstance(thing, (list, tuple)):
        return [("", x) for x in thing[:MOST]]
    if isinstance(thing, Mapping):
        return [(str(key), x) for key, x in list(thing.items())[:MOST]]
    plain = isinstance(thing, (ModuleType, type, *GENERATORS, np.ndarray))
    return [] if plain else list(getattr(thing, "__dict__", {}).items())


def _parts_of_function(f: FunctionType) -> list[tuple[str, Any]]:
    inside = list(captured(f).items())
    names = _global_names(f.__code__)
    outside = [(name, f.__globals__[name]) for name in names if name in f.__globals__]
    return inside + outside + [("", x) for x in (f.__defaults__ or ())]


def _global_names(code: CodeType) -> Iterator[str]:
    """Names that code, and functions written inside it, may read from its module."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _global_names(constant)
