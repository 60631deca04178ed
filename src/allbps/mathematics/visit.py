"""Walking over trees of mathematics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache
from typing import Any, TypeVar

from allbps.mathematics.tree import Math, Matrix


def rebuilt(tree: Math, change: Callable[[Math], Math]) -> Math:
    """The tree with each part replaced by what ``change`` makes of it, leaves first."""
    new = {}
    for name in _names(type(tree)):  # type: ignore[arg-type]  # classes are hashable
        old = getattr(tree, name)
        made = _rebuilt_value(old, change)
        if made is not old:
            new[name] = made
    return change(replace(tree, **new) if new else tree)


def _rebuilt_value(value: Any, change: Callable[[Math], Math]) -> Any:
    if isinstance(value, Math):
        return rebuilt(value, change)
    if isinstance(value, tuple) and value:
        made = tuple(_rebuilt_value(part, change) for part in value)
        return made if any(a is not b for a, b in zip(made, value, strict=True)) else value
    return value


Part = TypeVar("Part", bound=Math)


def parts_of(tree: Math, kind: type[Part]) -> list[Part]:
    """The parts of a formula that are of one kind."""
    found: list[Part] = []

    def see(part: Math) -> Math:
        if isinstance(part, kind):
            found.append(part)
        return part

    rebuilt(tree, see)
    return found


def matrices(tree: Math) -> list[Matrix]:
    """The arrays of a formula, from left to right."""
    return parts_of(tree, Matrix)


def has(tree: Math, *kinds: type[Math]) -> bool:
    """Does a formula contain a part of one of these kinds?"""
    found = False

    def see(part: Math) -> Math:
        nonlocal found
        found = found or isinstance(part, kinds)
        return part

    rebuilt(tree, see)
    return found


@cache
def _names(kind: type[Math]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))
