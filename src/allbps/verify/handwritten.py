"""Backward functions that somebody wrote: run with a random δ, their gradients to be marked."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from allbps.errors import ArgumentError
from allbps.ir import Node
from allbps.trace import Traced
from allbps.tree import leaves

UPSTREAM = re.compile(r"(g|v|ct|dy|dout|up|upstream|grad|delta|cotangent)\w*$|d[A-Za-z_]\w*$")
"""How the parameter for δ of the result is called."""


@dataclass(frozen=True)
class Handwritten:
    """A backward function, alone or with the forward function that makes its cache.

    ``backward(δ, cache)`` after ``result, cache = forward(x, …)``; or ``backward(x, …)``, with a
    parameter for δ of the result, first or last, where it has one. It returns a dict by names, or
    one gradient for each argument of floating-point numbers, in order.
    """

    backward: Callable[..., Any]
    forward: Callable[..., Any] | None = None

    def gradients(
        self, traced: Traced, xs: tuple[Any, ...], kwargs: Mapping[str, Any], delta: Any
    ) -> dict[str, Any]:
        """What the backward function returns for one δ of the result, by name.

        Raises:
            ArgumentError: it fails, or what it returns does not fit the arguments.

        """
        try:
            if self.forward is not None:
                cache = self._cache(traced, xs, kwargs)
                returned = self._with_cache(delta, cache)
            else:
                returned = self._alone(xs, kwargs, delta, len(xs) + len(kwargs))
        except ArgumentError:
            raise
        except Exception as error:
            raise ArgumentError(
                f"the backward function raised {type(error).__name__}: {error}",
                expected="backward(δ, cache), or backward with the arguments of the function",
            ) from error
        return _named(traced, returned)

    def _cache(self, traced: Traced, xs: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        assert self.forward is not None
        made = self.forward(*xs, **kwargs)
        if not isinstance(made, tuple) or len(made) < 2:
            raise ArgumentError(
                "the forward function of a pair returns no cache",
                expected="return result, cache",
                got=type(made).__name__,
            )
        return made[1] if len(made) == 2 else made[1:]

    def _with_cache(self, delta: Any, cache: Any) -> Any:
        names = _parameters(self.backward)
        if names and not UPSTREAM.match(names[0]) and len(names) > 1 and UPSTREAM.match(names[1]):
            return self.backward(cache, delta)
        return self.backward(delta, cache)

    def _alone(self, xs: tuple[Any, ...], kwargs: Mapping[str, Any], delta: Any, count: int) -> Any:
        names = _parameters(self.backward)
        if len(names) <= count:
            return self.backward(*xs, **kwargs)
        if UPSTREAM.match(names[0]):
            return self.backward(delta, *xs, **kwargs)
        return self.backward(*xs, **{**kwargs, names[count]: delta})

    def takes_delta(self, count: int) -> bool:
        """Is δ of the result an argument, so that the result need not be a loss?"""
        return self.forward is not None or len(_parameters(self.backward)) > count


def _parameters(function: Callable[..., Any]) -> list[str]:
    """Names of the parameters without a default."""
    return [
        name
        for name, p in inspect.signature(function).parameters.items()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]


@runtime_checkable
class GivesGradients(Protocol):
    """A backward pass of another kind that can be run with a given δ."""

    def gradients(
        self, traced: Traced, xs: tuple[Any, ...], kwargs: Mapping[str, Any], delta: Any
    ) -> dict[str, Any]:
        """Its gradients for one δ of the result, by name."""

    def takes_delta(self, count: int) -> bool:
        """Is δ of the result an argument?"""


def handwritten(gradients: Any) -> GivesGradients | None:
    """A backward function or a pair (forward, backward); None for gradients that are numbers."""
    if isinstance(gradients, GivesGradients):
        return gradients
    if callable(gradients):
        return Handwritten(gradients)
    if isinstance(gradients, tuple) and len(gradients) == 2 and all(map(callable, gradients)):
        return Handwritten(gradients[1], gradients[0])
    return None


def _named(traced: Traced, returned: Any) -> dict[str, Any]:
    """What a backward function returned, by the names of the arguments."""
    if isinstance(returned, Mapping):
        return dict(returned)
    parts = returned if isinstance(returned, (tuple, list)) else (returned,)
    names = [
        name
        for name, tree in traced.parameters.items()
        if any(isinstance(x, Node) and x.is_float for x in leaves(tree))
    ]
    if len(parts) == len(traced.parameters):
        names = list(traced.parameters)
    if len(parts) > len(names):
        if len(names) == 1 and np.ndim(returned):
            return {names[0]: returned}
        raise ArgumentError(
            "the backward function returns more gradients than there are arguments",
            expected=f"a dict, or gradients for {', '.join(names)}",
            got=f"{len(parts)} of them",
        )
    pairs = zip(names, parts, strict=False)
    return {name: part for name, part in pairs if part is not None}
