"""A function handed to another framework: traced once for every arrangement of its arguments.

What is known of an argument is its shape and dtype; where a function looks at numbers, every path
that it takes is traced by itself.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from allbps.errors import ArgumentError, ValuesNeededError
from allbps.ir import require_function, values_on_demand, without_values
from allbps.ir.draws import Draws, drawing
from allbps.names import identifier
from allbps.outside import Outside
from allbps.trace import Traced, bound, call_bound, trace
from allbps.tree import flatten, leaves, tree_map

MOST = 256
"""So many arrangements are remembered."""


@dataclass(frozen=True)
class Array:
    """An array among the arguments.

    Attributes:
        place: which of all leaves of the arguments it is.
        shape: lengths of its axes.
        dtype: what NumPy calls it.

    """

    place: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class Path(Protocol):
    """What was made of a traced function."""

    @property
    def traced(self) -> Traced: ...

    def holds(self, arrays: Sequence[Any]) -> bool:
        """Would the function take this path for these arrays?"""


P = TypeVar("P", bound=Path)


@dataclass(frozen=True)
class Found(Generic[P]):
    """What was made for a call.

    Attributes:
        path: it.
        places: which leaves of the arguments are its arrays, in order.
        looked: were the numbers looked at, if it depends on any?

    """

    path: P
    places: tuple[int, ...]
    looked: bool


class Outgoing(Generic[P]):
    """A function for another framework.

    Args:
        f: it, of arrays in containers, and options.
        build: makes what the framework runs from the traced function.

    """

    def __init__(self, f: Callable[..., Any], build: Callable[[Traced], P]) -> None:
        require_function(f)
        self.f, self.build = f, build
        self._known: OrderedDict[Any, _Known[P]] = OrderedDict()

    def find(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any],
        arrays: Callable[[], Sequence[Any]] | None, numbers: Callable[[Any], Any],
    ) -> Found[P]:  # fmt: skip
        """What was made for such arguments.

        Args:
            args: the arguments, with an ``Array`` for each array.
            kwargs: the arguments by name.
            arrays: gives the arrays themselves, by places; None where nothing can be computed.
            numbers: an array as one of NumPy's; may raise ValuesNeededError.

        Raises:
            ValuesNeededError: the function looks at numbers, and there are none.
            ArgumentError: it draws random numbers; an option cannot be remembered.

        """
        key = frozen((args, dict(kwargs)))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._blind(args, kwargs)
            if len(self._known) > MOST:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        path = self._path(known, args, kwargs, arrays, numbers)
        return Found(path, known.places, arrays is not None)

    def _path(
        self, known: _Known[P], args: Any, kwargs: Any,
        arrays: Callable[[], Sequence[Any]] | None, numbers: Callable[[Any], Any],
    ) -> P:  # fmt: skip
        if known.needs is None and (arrays is None or not known.paths[0].traced.guards):
            return known.paths[0]
        if arrays is None:
            raise known.needs or AssertionError
        given = arrays()
        for path in known.paths:
            if path.holds([given[place] for place in known.places]):
                return path
        path = self.build(traced_on(self.f, args, kwargs, lambda x: numbers(given[x.place])))
        known.paths.append(path)
        del known.paths[:-MOST]
        return path

    def _blind(self, args: Any, kwargs: Any) -> _Known[P]:
        places = tuple(x.place for x in _in_order(self.f, args, kwargs))
        try:
            with without_values():
                return _Known(places, [self.build(traced_on(self.f, args, kwargs, _stand_in))])
        except ValuesNeededError as error:
            return _Known(places, [], error)


@dataclass
class _Known(Generic[P]):
    places: tuple[int, ...]
    paths: list[P]
    needs: ValuesNeededError | None = None


def _stand_in(x: Array) -> Any:
    return np.full(x.shape, 0.5 if x.dtype.kind == "f" else 0, x.dtype)


def traced_on(
    f: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any],
    value: Callable[[Array], Any],
) -> Traced:  # fmt: skip
    """Trace ``f`` with ``value(x)`` for each ``Array``; floats are options, as strings are."""
    draws, outside = Draws(), Outside(f)
    with values_on_demand(), drawing(draws), np.errstate(all="ignore"):
        traced = trace(_WithOptions(f, value), *args, **kwargs)
    drawn = outside.drawn(draws) or ["a generator"] * bool(draws.seeds)
    if drawn:
        raise ArgumentError(
            f"{traced.function} draws from {' and '.join(drawn)}, and every call would have the"
            " same numbers",
            expected="a function of its arguments alone",
            todo="draw outside, and pass what was drawn as an argument",
        )
    return traced


class _WithOptions:
    """``f`` as a function of its arrays alone: what else is among its arguments stays fixed."""

    def __init__(self, f: Callable[..., Any], value: Callable[[Array], Any]) -> None:
        self._f, self._value = f, value
        self._arguments: dict[str, Any] = {}
        for name in ("__name__", "__code__", "__doc__"):
            if hasattr(f, name):
                setattr(self, name, getattr(f, name))
        self.__signature__ = inspect.signature(f)

    def arranged(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        self._arguments = bound(self._f, args, kwargs)
        return {
            name: tree_map(lambda x: self._value(x) if isinstance(x, Array) else _or_none(x), tree)
            for name, tree in self._arguments.items()
        }

    def called(self, path: str) -> str:
        return identifier(path)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = self.__signature__.bind(*args, **kwargs).arguments
        return call_bound(
            self._f, {name: _filled(self._arguments[name], x) for name, x in given.items()}
        )


def _or_none(option: Any) -> Any:
    """An option that tracing would make an array of is kept from it."""
    return None if isinstance(option, (float, complex, np.generic)) else option


def _filled(original: Any, given: Any) -> Any:
    """``given`` with the options of ``original`` where it has None."""
    if given is None:
        return original
    if isinstance(original, dict):
        return {key: _filled(original[key], x) for key, x in given.items()}
    if isinstance(original, (tuple, list)):
        parts = [_filled(x, y) for x, y in zip(original, given, strict=True)]
        return type(original)(*parts) if hasattr(original, "_fields") else type(original)(parts)
    return given


def _in_order(f: Callable[..., Any], args: Any, kwargs: Any) -> list[Array]:
    """The arrays in the order in which a trace has them."""
    trees = bound(f, args, kwargs).values()
    return [x for tree in trees for x in leaves(tree) if isinstance(x, Array)]


def frozen(tree: Any) -> Any:
    """A container as something that tells arrangements apart.

    >>> frozen([1, 2.0]) == frozen([1, 2]), frozen({"a": 0.0}) == frozen({"a": -0.0})
    (False, False)
    """
    if isinstance(tree, dict):
        return dict, tuple((key, frozen(x)) for key, x in tree.items())
    if isinstance(tree, (tuple, list)):
        return type(tree), tuple(map(frozen, tree))
    try:
        hash(tree)
    except TypeError:
        raise ArgumentError(
            "an option is neither an array nor something that can be remembered",
            expected="numbers, strings, functions, or containers of arrays",
            got=type(tree).__name__,
        ) from None
    return type(tree), repr(tree) if isinstance(tree, (float, complex)) else tree


def described(tree: Any, array: Callable[[Any, int], Any]) -> Any:
    """A container of arguments with ``array(leaf, place)`` for each leaf."""
    places = iter(range(len(list(flatten(tree)))))
    return tree_map(lambda leaf: array(leaf, next(places)), tree)
