"""Containers of arrays: tuples, lists, named tuples and dicts, flattened and rebuilt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from allbps.errors import ArgumentError


def flatten(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, leaf) in order; dict entries by sorted key.

    >>> list(flatten({"W": 1.0, "b": [2.0, 3.0]}, "p"))
    [('p.W', 1.0), ('p.b.0', 2.0), ('p.b.1', 3.0)]
    """
    if isinstance(tree, dict):
        for key in _sorted_keys(tree):
            yield from flatten(tree[key], f"{path}.{key}")
    elif isinstance(tree, (tuple, list)):
        for k, part in enumerate(tree):
            yield from flatten(part, f"{path}.{k}")
    elif tree is not None:
        yield path, tree


def leaves(tree: Any) -> list[Any]:
    """The leaves in order; None is an empty container."""
    return [leaf for _, leaf in flatten(tree)]


def rebuild(tree: Any, new: Iterator[Any]) -> Any:
    """A container like ``tree`` with the leaves taken from ``new`` in order."""
    if isinstance(tree, dict):
        filled = {key: rebuild(tree[key], new) for key in _sorted_keys(tree)}
        return {key: filled[key] for key in tree}
    if isinstance(tree, (tuple, list)):
        parts = [rebuild(part, new) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return None if tree is None else next(new)


def tree_map(function: Callable[[Any], Any], tree: Any) -> Any:
    """A container like ``tree`` with ``function`` applied to each leaf.

    >>> tree_map(lambda x: 2 * x, {"W": 1, "b": (2, 3)})
    {'W': 2, 'b': (4, 6)}
    """
    return rebuild(tree, iter([function(leaf) for leaf in leaves(tree)]))


def same_structure(first: Any, second: Any) -> bool:
    """Do two containers have the same keys and lengths all the way down?"""
    return bool(tree_map(lambda _: 0, first) == tree_map(lambda _: 0, second))


def _sorted_keys(tree: dict[Any, Any]) -> list[Any]:
    try:
        return sorted(tree)
    except TypeError:
        raise ArgumentError(
            "the keys of a dict of arrays cannot be sorted",
            expected="keys of one kind, such as strings",
            got=str(list(tree)),
        ) from None
