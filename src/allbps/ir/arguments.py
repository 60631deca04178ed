"""What a user's function is called with while it is traced."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.ir.handle import TracedArray
from allbps.ir.node import Node
from allbps.tree import leaves, rebuild

WORK = 10_000
"""How long it is asked whether two views of one array meet; beyond that they count as meeting."""


def named_arguments(nodes: Any, given: Any) -> Any:
    """A name for each input of the function, which it may rebind.

    Args:
        nodes: a container of the arguments; leaves that are not nodes stay.
        given: the same container of what was passed for them.

    """
    pairs = zip(leaves(nodes), leaves(given), strict=True)
    named = [_argument(x, y) if isinstance(x, Node) else x for x, y in pairs]
    _mark_shared(named, leaves(given))
    return rebuild(nodes, iter(named))


def _argument(node: Node, given: Any) -> TracedArray:
    """A name for an input; where an array without axes was given it is one, and not a number."""
    return TracedArray(node, given if isinstance(given, np.ndarray) and not given.ndim else None)


def _mark_shared(named: list[Any], given: list[Any]) -> None:
    """Say of which names another argument has the memory too, as in f(x, x) and f(x, x[::-1])."""
    groups: dict[int, list[tuple[Any, Any]]] = {}
    for name, x in zip(named, given, strict=True):
        if isinstance(x, (TracedArray, np.ndarray)):
            groups.setdefault(id(_owner(x)), []).append((name, _memory(x)))
    for group in groups.values():
        for k, (name, memory) in enumerate(group):
            others = (other for j, (_, other) in enumerate(group) if j != k)
            if isinstance(name, TracedArray) and any(_meet(memory, other) for other in others):
                object.__setattr__(name, "is_shared", True)


def _memory(x: Any) -> Any:
    return x.memory if isinstance(x, TracedArray) else x


def _owner(x: Any) -> Any:
    memory = _memory(x)
    base = getattr(memory, "base", None)
    return memory if base is None else base


def _meet(a: Any, b: Any) -> bool:
    if not isinstance(a, np.ndarray) or not isinstance(b, np.ndarray):
        return False  # numbers
    try:
        return bool(np.shares_memory(a, b, max_work=WORK))  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True
