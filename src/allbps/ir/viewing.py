"""How a view reads its numbers out of an array, and how it puts others back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from allbps.ir.arraylike import OPERATORS, ArrayLike
from allbps.ir.node import Node

if TYPE_CHECKING:
    from allbps.ir.op import Op

Read = Callable[[Node], Node]
"""The array -> the part of it."""
Write = Callable[[Node, Node], Node]
"""(the array, what is to stand in the part) -> the new array."""


def indexing(index: Any) -> Read:
    """The same part of another node."""
    return lambda node: OPERATORS["[]"](node, index)


def putting(index: Any) -> Write:
    """The same part of another node written over."""
    return lambda parent, new: OPERATORS["[]="](parent, index, new)


def reading(steps: list[tuple[Op, Any]]) -> Read:
    """The same operations on another node."""

    def read(node: Node) -> Node:
        for op, attrs in steps:
            node = op(node, **attrs)
        return node

    return read


def writing(steps: list[tuple[Op, Any]]) -> Write:
    """What the operations made, written over, and all of them gone back."""

    def write(parent: Node, new: Node) -> Node:
        before = [parent]
        for op, attrs in steps[:-1]:
            before.append(op(before[-1], **attrs))
        for (op, attrs), old in zip(reversed(steps), reversed(before), strict=True):
            assert op.written is not None
            new = op.written(old, new, **attrs)
        return new

    return write


def is_basic(index: Any) -> bool:
    """Is an index made of whole numbers, slices, None and … alone, so that NumPy gives a view?"""
    kinds = (int, slice, type(None), type(Ellipsis), np.integer)
    parts = index if isinstance(index, tuple) else (index,)
    return all(
        isinstance(part, kinds) and not isinstance(part, (bool, ArrayLike)) for part in parts
    )
