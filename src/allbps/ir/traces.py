"""Which traces are open, here and in other threads, and what each of them has met."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from operator import attrgetter
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from allbps.errors import ValuesNeededError
from allbps.ir.draws import Draws, drawing, draws_here
from allbps.ir.site import Site, user_site

if TYPE_CHECKING:
    from allbps.ir.node import Node
    from allbps.ir.snapshots import Snapshot


class Observation(NamedTuple):
    """A value that somebody looked at while tracing: what was traced holds where it is the same.

    Attributes:
        node: whose value.
        value: what it was.
        purpose: what it was needed for.
        site: the user's line.

    """

    node: Node
    value: Any
    purpose: str
    site: Site | None


class _Trace:
    """An open trace: its inputs, the values that were looked at, the plain arrays that were met.

    ``apart`` says whether an array was taken apart into an array of objects, ``texts`` where texts
    were made of traced numbers.
    """

    __slots__ = ("apart", "inputs", "observed", "snapshots", "texts")

    def __init__(self) -> None:
        self.apart = False
        self.inputs: set[Node] = set()
        self.observed: list[Observation] = []
        self.snapshots: dict[int, Snapshot] = {}
        self.texts: list[Site | None] = []


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
        with drawing(draws_here() or Draws()):
            yield 1 << len(around)
    finally:
        _here.reset(token)
        with _lock:
            _open.discard(trace)


def depth_here() -> int:
    """How many traces are open around the caller."""
    return len(_here.get())


def belongs_here(node: Node) -> None:
    """Say that ``node`` is an input of the innermost trace."""
    if _here.get():
        _here.get()[-1].inputs.add(node)


_blind: ContextVar[bool] = ContextVar("allbps_blind", default=False)


@contextmanager
def without_values() -> Iterator[None]:
    """Arguments stand for any of their shape: to look at a floating-point number is an error.

    What whole numbers and truth values decide is taken from those given, and remembered.
    """
    token = _blind.set(True)
    try:
        yield
    finally:
        _blind.reset(token)


def _of_floats(node: Node) -> bool:
    """Does it depend on a floating-point argument?"""
    seen, stack = {node}, [node]
    while stack:
        here = stack.pop()
        if here.traces and not here.inputs and here.is_float:
            return True
        fresh = [x for x in here.inputs if x.traces and x not in seen]
        seen.update(fresh)
        stack += fresh
    return False


def observe(node: Node, purpose: str) -> Any:
    """The value of ``node``, which the graph from here on takes for granted.

    Every trace whose arguments decide about it remembers that. This is the only way to a number
    of a traced array on which anything may depend.

    Raises:
        ValuesNeededError: inside ``without_values``, where a floating-point argument decides.

    """
    if node.traces and _blind.get() and _of_floats(node):
        raise ValuesNeededError(
            "the function looks at a number, and there are only shapes here",
            where=str(user_site() or ""),
            got=purpose,
            todo="np.where(condition, a, b) in place of if",
        )
    value = node.value
    if node.traces:
        seen = Observation(node, value, purpose, user_site())
        for depth, trace in enumerate(_here.get()):
            if node.traces >> depth & 1:
                trace.observed.append(seen)
    return value


def observed_here() -> list[Observation]:
    """What was looked at in the innermost trace, in order."""
    return _here.get()[-1].observed


def written_out(node: Node) -> Any:
    """The value of a node for a text. What is printed decides nothing: it is noted, no more."""
    for depth, trace in enumerate(_here.get()):
        if node.traces >> depth & 1:
            trace.texts.append(user_site())
    return node.value


def texts_here() -> list[Site | None]:
    """Where texts were made of numbers in the innermost trace."""
    return _here.get()[-1].texts


def taken_apart() -> None:
    """Say that NumPy was given the elements of a traced array one by one."""
    if _here.get():
        _here.get()[-1].apart = True


def taken_apart_here() -> bool:
    """Was NumPy given elements of a traced array in the innermost trace?"""
    return bool(_here.get()) and _here.get()[-1].apart


def carries_gradient(node: Node) -> bool:
    """Would a δ of the node reach an argument of a trace?"""
    seen, stack = {node}, [node]
    while stack:
        here = stack.pop()
        if here.traces and not here.inputs:
            return True
        for k, operand in enumerate(here.inputs):
            if (
                operand.traces
                and operand.is_inexact
                and operand not in seen
                and here.op.hands_back(k)
            ):
                seen.add(operand)
                stack.append(operand)
    return False


def snapshots_here() -> dict[int, Snapshot]:
    """What plain arrays held when the innermost trace met them, by the id of the array."""
    return _here.get()[-1].snapshots if _here.get() else {}


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
