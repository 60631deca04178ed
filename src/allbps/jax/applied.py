"""``function``: an allbps function as a ``jax.custom_vjp`` with the emitted backward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, update_wrapper
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allbps.outgoing import Array, Found, Outgoing, described
from allbps.readings.custom_vjp import custom_vjp, names_of
from allbps.readings.dialect import JAX
from allbps.readings.source import Program
from allbps.readings.split import Split, differentiable, guards_of, split
from allbps.trace import Traced
from allbps.tree import leaves, rebuild, tree_map


def function(f: Callable[..., Any], /) -> Function:
    """``f``, written for NumPy's arrays, as a function of JAX's with its own backward pass.

    Backward it runs the statements that ``to_source("jax")`` shows, in a ``jax.custom_vjp``:
    ``jax.jit``, ``jax.vmap``, ``jax.grad`` to any order take it. Each arrangement of shapes, dtypes
    and options is traced once. Where ``f`` looks at numbers every path is traced once; under
    ``jit`` that is refused for floating-point numbers, and results are NaN where whole numbers lead
    elsewhere (a label that is to be ignored).

    Args:
        f: any function of arrays, or containers of them, to arrays. Arguments that are no arrays
            are options. Arrays that it captures are constants.

    Raises:
        ArgumentError: ``f`` draws random numbers.
        NoRuleError: an operation has no derivative, or cannot be written in JAX.
        ValuesNeededError: ``f`` looks at numbers where there are only shapes.

    >>> import jax, allbps as bp, numpy as np
    >>> f = bp.jax.function(lambda x: np.sum(x**3))
    >>> print(jax.jit(jax.grad(f))(np.float32([1.0, 2.0])))
    [ 3. 12.]

    """
    return Function(f)


class Function:
    """What ``function`` returns: called as the function itself, with JAX's arrays."""

    def __init__(self, f: Callable[..., Any]) -> None:
        update_wrapper(self, f)
        self._outgoing: Outgoing[_Applied] = Outgoing(f, _built)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What ``f`` returns, as arrays in its containers."""
        found, flat = self._found(args, kwargs), leaves((args, kwargs))
        path = found.path
        applied = path.applied if found.looked else path.gated
        results = applied(*[jnp.asarray(flat[place]) for place in found.places])
        return rebuild(path.returns, iter([results[k] for k in path.order]))

    def source(self, *args: Any, **kwargs: Any) -> str:
        """The ``custom_vjp`` and the function that applies it, as a file that stands alone."""
        return self._found(args, kwargs).path.text

    def _found(self, args: Any, kwargs: Any) -> Found[_Applied]:
        given = leaves((args, kwargs))
        empty = any(isinstance(x, jax.core.Tracer) for x in given)
        args, kwargs = described((args, kwargs), _array)
        return self._outgoing.find(args, kwargs, None if empty else lambda: given, np.asarray)

    def __repr__(self) -> str:
        return f"<{getattr(self._outgoing.f, '__name__', 'function')} for JAX>"


@dataclass(frozen=True, eq=False)
class _Applied:
    """One path of a function, as JAX runs it.

    Attributes:
        cut: its source in two.
        guards: gives the values that the trace took for granted.
        returns: the container that it returns.
        order: which of the results are its leaves.

    """

    cut: Split
    guards: Program | None
    returns: Any
    order: tuple[int, ...]

    @property
    def traced(self) -> Traced:
        """It as a graph."""
        return self.cut.traced

    @property
    def text(self) -> str:
        """The file that stands alone."""
        return custom_vjp(self.cut, self.guards)

    @cached_property
    def applied(self) -> Any:
        """The function, for arguments that are known to take this path."""
        return self._run(None)

    @cached_property
    def gated(self) -> Any:
        """The function whose results are NaN where they do not."""
        return self._run(self.guards) if self.guards else self.applied

    def _run(self, guards: Program | None) -> Any:
        scope = {**self.cut.program.constants, **(guards.constants if guards else {})}
        text = custom_vjp(self.cut, guards, packed=False)
        exec(compile(text, f"<{self.cut.program.function} by allbps>", "exec"), scope)
        return scope[names_of(self.cut)[0]]

    def holds(self, arrays: Sequence[Any]) -> bool:
        """Would the function look at the same values?"""
        if self.guards is None:
            return True
        given = {x.name: a for x, a in zip(self.traced.graph.inputs, arrays, strict=True)}
        scope = self.guards.run({name: jnp.asarray(a) for name, a in given.items()})
        return all(
            np.array_equal(np.asarray(scope[text]), guard.value, equal_nan=True)
            for text, guard in zip(self.guards.results, self.traced.guards, strict=True)
        )


def _built(traced: Traced) -> _Applied:
    cut = split(differentiable(traced), JAX)
    place = {name: k for k, name in enumerate(cut.results)}
    order = tuple(place[name] for name in cut.program.results)
    return _Applied(cut, guards_of(traced, JAX), tree_map(lambda _: 0, traced.outputs), order)


def _array(leaf: Any, place: int) -> Any:
    """What is known of an argument that is an array; an option as it is."""
    if not isinstance(leaf, (np.ndarray, jax.Array)):
        return leaf
    dtype = jax.dtypes.canonicalize_dtype(leaf.dtype)
    return Array(place, tuple(leaf.shape), np.dtype("float16" if dtype == jnp.bfloat16 else dtype))
