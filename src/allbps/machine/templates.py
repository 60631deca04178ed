"""Containers that are taken apart and made again in every call: a function written for each shape.

:mod:`allbps.tree` walks any container; a function that is called every few microseconds has no time
to walk, and its containers always look the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import NoneType
from typing import Any

from allbps.ir import Node


class Unusual(Exception):  # noqa: N818  # not a fault: the long way takes it
    """An argument is not what it was when the function was compiled."""


def opened(trees: tuple[Any, ...]) -> tuple[Callable[..., tuple[Any, ...]] | None, list[Node]]:
    """A function from the arguments of a call to a tuple of their leaves, and what these are.

    None for the function where each argument is a leaf. The function raises ``Unusual`` or
    ``KeyError`` for a container with other keys, another length, or of another type.

    Raises:
        Unusual: a leaf is not a node.

    >>> flat, nodes = opened(())
    >>> flat is None, nodes
    (True, [])

    """
    text = _Opening()
    names = [f"a{k}" for k in range(len(trees))]
    leaves = [leaf for name, tree in zip(names, trees, strict=True) for leaf in text.of(tree, name)]
    nodes = [node for node, _ in leaves]
    if all(isinstance(tree, Node) for tree in trees):
        return None, nodes
    parts = "".join(f"{place}, " for _, place in leaves)
    body = [f"def opened({', '.join(names)}):", *text.checks, f"    return ({parts})"]
    exec("\n".join(body), text.known)
    return text.known["opened"], nodes


class _Opening:
    """The lines of a function that takes containers apart."""

    def __init__(self) -> None:
        self.checks: list[str] = []
        self.known: dict[str, Any] = {"Unusual": Unusual}

    def of(self, tree: Any, place: str) -> Iterator[tuple[Node, str]]:
        """The leaves of a container that stands at ``place``, in the order of ``allbps.tree``."""
        if isinstance(tree, Node):
            yield tree, place
        elif isinstance(tree, dict):
            self._check(tree, place)
            for key in sorted(tree):
                yield from self.of(tree[key], f"{place}[{_named(key, self.known)}]")
        elif isinstance(tree, (tuple, list)):
            self._check(tree, place)
            for k, part in enumerate(tree):
                yield from self.of(part, f"{place}[{k}]")
        elif tree is not None:
            raise Unusual
        else:
            self.checks.append(f"    if {place} is not None: raise Unusual")

    def _check(self, tree: Any, place: str) -> None:
        kind = _named(type(tree), self.known)
        self.checks.append(
            f"    if type({place}) is not {kind} or len({place}) != {len(tree)}: raise Unusual"
        )


@dataclass(frozen=True)
class At:
    """Where a leaf stands in the list that a container is made from."""

    index: int


def maker(tree: Any) -> Callable[[list[Any]], Any]:
    """A function that makes a container like ``tree`` from a list, which its ``At`` point into.

    >>> maker({"W": At(1), "b": (At(0), None)})([10, 20])
    {'W': 20, 'b': (10, None)}
    """
    known: dict[str, Any] = {}
    exec(f"def make(x): return {_made(tree, known)}", known)
    make: Callable[[list[Any]], Any] = known["make"]
    return make


def _made(tree: Any, known: dict[str, Any]) -> str:
    if isinstance(tree, At):
        return f"x[{tree.index}]"
    if isinstance(tree, dict):
        pairs = (f"{_named(key, known)}: {_made(part, known)}" for key, part in tree.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(tree, (tuple, list)):
        parts = "".join(f"{_made(part, known)}, " for part in tree)
        if hasattr(tree, "_fields"):
            return f"{_named(type(tree), known)}({parts})"
        return f"({parts})" if type(tree) is tuple else f"[{parts}]"
    return _named(tree, known)


def _named(thing: Any, known: dict[str, Any]) -> str:
    """How a text says a key, a type or a value that stays."""
    if isinstance(thing, (str, int, NoneType)):
        return repr(thing)
    name = f"k{len(known)}"
    known[name] = thing
    return name
