"""How the numbers of a result lie in memory: as NumPy lays them, whatever computed them here.

``reshape`` and ``ravel`` give a view of an array that lies row by row, and a copy of one that does
not. What is composed of several operations may lie otherwise than what NumPy's own function gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from allbps.ir.arraylike import ArrayLike
from allbps.ir.node import Node


def as_laid(
    made: Any, function: Callable[..., Any] | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """What an operation made, laid out as ``function`` lays it.

    Args:
        made: a node, a container of nodes, or anything else.
        function: NumPy's own; None where there is none.
        args: what it is called with, traced arrays among them.
        kwargs: by keyword.

    """
    nodes = [x for x in (made if isinstance(made, (tuple, list)) else [made]) if _can_lie(x)]
    if function is None or not nodes or all(map(_by_rows, [*nodes, *args, *kwargs.values()])):
        return made
    if any(callable(x) and not isinstance(x, type) for x in (*args, *kwargs.values())):
        return made  # the user's function is not called twice
    try:
        with np.errstate(all="ignore"):
            plain = function(*map(_value, args), **{key: _value(x) for key, x in kwargs.items()})
    except Exception:  # what NumPy itself does not take lies as it lies here
        return made
    if isinstance(made, Node):
        return _like(made, plain)
    parts = [_like(x, part) for x, part in zip(made, plain, strict=False)]
    return type(made)(*parts) if hasattr(made, "_fields") else type(made)(parts)


def _can_lie(x: Any) -> bool:
    return isinstance(x, Node) and len(x.shape) > 1 and x.has_value


def _by_rows(x: Any) -> bool:
    """Do the numbers lie row by row, or are there none?"""
    if isinstance(x, (tuple, list)):
        return all(map(_by_rows, x))
    if isinstance(x, str):
        return x not in ("F", "A")  # an order that is asked for
    if isinstance(x, ArrayLike):
        node: Any = x if isinstance(x, Node) else x.node
        if not node.is_worked_out:
            return True  # nobody may ask for its numbers here
        x = node
    value = _value(x)
    return not isinstance(value, np.ndarray) or value.flags.c_contiguous


def _value(x: Any) -> Any:
    if isinstance(x, ArrayLike):
        return x.value
    return type(x)(map(_value, x)) if type(x) in (tuple, list) else x


def _like(node: Any, plain: Any) -> Any:
    """The node with its numbers in the order of the axes of ``plain``."""
    if not _can_lie(node) or not isinstance(plain, np.ndarray) or plain.shape != node.shape:
        return node
    if _order(plain) == _order(node.value):
        return node
    return _again(node, plain)


def laid_over(node: Node, memory: Any) -> Node:
    """What was written over an array, its axes in the order in which they lie there."""
    if not _can_lie(node) or (_by_rows(node) and memory.flags.c_contiguous):
        return node
    return node if _nesting(node.value) == _nesting(memory) else _again(node, memory)


def _nesting(array: Any) -> list[int]:
    """The axes with more than one place, the outermost in memory first."""
    axes = [k for k in range(array.ndim) if array.shape[k] > 1]
    return sorted(axes, key=lambda k: -abs(array.strides[k]))


def _again(node: Node, plain: Any) -> Node:
    value = np.empty_like(plain, node.dtype)
    value[...] = node.value
    return Node(
        node.op, node.inputs, node.shape, node.dtype,
        attrs=node.attrs, value=value, site=node.site, traces=node.traces,
    )  # fmt: skip


def _order(array: Any) -> tuple[bool, bool]:
    return array.flags.c_contiguous, array.flags.f_contiguous


def memory_for(node: Node, number: Any) -> Any:
    """The value, or an array of its shape where that is not worked out or cannot be written into.

    The name is of an array of its own: a copy of a read-only view may be written into.
    """
    if node.shape and not node.is_worked_out:
        return np.empty(node.shape, node.dtype)
    value = node.value
    if not isinstance(value, np.ndarray):
        return number
    return value if value.flags.writeable else np.empty_like(value)
