"""Walking over trees of mathematics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from operator import is_
from typing import Any, TypeVar

from allbps.mathematics.tree import Math, Matrix


def rebuilt(tree: Math, change: Callable[[Math], Math]) -> Math:
    """The tree with each part replaced by what ``change`` makes of it, leaves first."""
    names = _inner(type(tree))  # type: ignore[arg-type]  # classes are hashable
    if not names:
        return change(tree)
    old = [getattr(tree, name) for name in names]
    new = [_rebuilt_value(value, change) for value in old]
    if all(map(is_, old, new)):
        return change(tree)
    return change(type(tree)(*new))


def _rebuilt_value(value: Any, change: Callable[[Math], Math]) -> Any:
    if isinstance(value, Math):
        return rebuilt(value, change)
    if isinstance(value, tuple) and value:
        made = tuple([_rebuilt_value(part, change) for part in value])
        return value if all(map(is_, made, value)) else made
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
def _inner(kind: type[Math]) -> tuple[str, ...]:
    """The fields of a kind of formula, in order; none where no part of it is a formula."""
    found = fields(kind)
    has_parts = any("Math" in str(field.type) for field in found)
    return tuple(field.name for field in found) if has_parts else ()
