"""Which traces are open, here and in other threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from operator import attrgetter
from threading import Lock

from allbps.ir.node import Node


class _Trace:
    """An open trace and the inputs that were made for it."""

    __slots__ = ("inputs",)

    def __init__(self) -> None:
        self.inputs: set[Node] = set()


_here: ContextVar[tuple[_Trace, ...]] = ContextVar("allbps_traces", default=())
_open: set[_Trace] = set()
_lock = Lock()


@contextmanager
def within() -> Iterator[int]:
    """A trace, one deeper than the one around it; gives its bit for ``Node.traces``."""
    around, trace = _here.get(), _Trace()
    token = _here.set((*around, trace))
    with _lock:
        _open.add(trace)
    try:
        yield 1 << len(around)
    finally:
        _here.reset(token)
        with _lock:
            _open.discard(trace)


def belongs_here(node: Node) -> None:
    """Say that ``node`` is an input of the innermost trace."""
    if _here.get():
        _here.get()[-1].inputs.add(node)


def followed_elsewhere(nodes: list[Node]) -> set[Node]:
    """Those of ``nodes`` that depend on an input of a trace that another thread has open.

    A thread starts with no trace around it, so the depth of its traces does not tell; its work
    may yet be part of a function that another thread is differentiating.
    """
    with _lock:
        others = _open.difference(_here.get())
    followed = {x for trace in others for x in trace.inputs}
    if not followed:
        return followed
    seen, stack = set(nodes), list(nodes)
    while stack:
        fresh = [x for x in stack.pop().inputs if x.traces and x not in seen]
        seen.update(fresh)
        stack += fresh
    for node in sorted(seen, key=attrgetter("born")):
        if any(x in followed for x in node.inputs):
            followed.add(node)
    return followed
