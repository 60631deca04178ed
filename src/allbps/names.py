"""Which of the user's variables each traced array was bound to."""

from __future__ import annotations

import keyword
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from types import FrameType
from typing import Any

from allbps.ir import CONST, INPUT, OPS, Graph, Node, TracedArray
from allbps.ir.site import Calls, Part, Site, following, is_user_file

NUMBERS, ARRAYS = ("L", "loss", "value"), ("y", "z", "out")
"""What a result without a name is called, a single number and any other."""


class Watcher:
    """Collects, line by line, which names user code binds to nodes.

    Attributes:
        bound: name -> the nodes bound to it, in order; a node counts under its first name only.
        passed: parameter of a function -> the nodes that it was called with before any variable
            held them: names that stand where the value has no other.
        lines: node -> the line that bound it, where a function computed it that this line called.

    """

    def __init__(self) -> None:
        self.bound: dict[str, list[Node]] = {}
        self.passed: dict[str, list[Node]] = {}
        self._parameters: dict[Node, str] = {}
        self.lines: dict[Node, Site] = {}
        self._ran: dict[int, int] = {}  # id of a frame -> the line that ran in it last
        self._seen: set[Node] = set()
        self._calls = Calls()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch every user function called inside; a debugger's own hook comes back after."""
        before = sys.gettrace()
        sys.settrace(self._on_call)
        try:
            with following(self._calls):
                yield
        finally:
            sys.settrace(before)

    def _on_call(self, frame: FrameType, event: str, arg: Any) -> Any:
        code = frame.f_code
        if not is_user_file(code.co_filename):
            return None
        self._calls.enter(frame)
        if code.co_name.startswith("<"):
            return None
        self._ran[id(frame)] = frame.f_lineno
        for name, node in self._new(frame):  # so far the parameters alone
            if node not in self._parameters:
                self._parameters[node] = name
                self.passed.setdefault(name, []).append(node)
        return self._on_line

    def _on_line(self, frame: FrameType, event: str, arg: Any) -> Any:
        for name, node in self._new(frame):
            if self._parameters.get(node) != name:
                self._seen.add(node)
                self.bound.setdefault(name, []).append(node)
                self._note_line(frame, node)
        if event == "line":
            self._calls.ran(frame, self._ran[id(frame)])
        self._ran[id(frame)] = frame.f_lineno
        return self._on_line

    def _note_line(self, frame: FrameType, node: Node) -> None:
        code, site = frame.f_code, node.site
        if site and (site.file, site.function) != (code.co_filename, code.co_name):
            within = _outer(site.within, calls=self._calls.depth(frame))
            self.lines[node] = Site(code.co_filename, self._ran[id(frame)], code.co_name, within)

    def _new(self, frame: FrameType) -> Iterator[tuple[str, Node]]:
        """The local names of nodes that no variable held before."""
        for name, value in frame.f_locals.items():
            node = value.seen_node if isinstance(value, TracedArray) else None
            if node is not None and node not in self._seen:
                yield name, node


def _outer(within: tuple[Part, ...], calls: int) -> tuple[Part, ...]:
    """The first so many calls, and the turns of loops in and between them."""
    inner = [k for k, part in enumerate(within) if not part.is_turn][calls:]
    return within[: inner[0]] if inner else within


def choose_names(
    graph: Graph, given: Mapping[Node, str], watcher: Watcher, function: str
) -> dict[Node, str]:
    """One name for every node that gets a line of its own.

    The arguments keep theirs; a variable bound once keeps its name; one bound several times is
    numbered (``h_1``, ``h_2``). What is only passed on has the name of the parameter, unless a
    variable elsewhere has that name. What the user never named becomes ``t1``, ``t2``, …, and an
    unnamed result ``L`` (a single number) or ``y``, or the next of such names that is free.
    """
    chooser = _Chooser()
    wanted = set(graph.nodes)
    for node, name in given.items():
        chooser.give(node, name)
    passed = {name: nodes for name, nodes in watcher.passed.items() if name not in watcher.bound}
    for name, nodes in [*watcher.bound.items(), *passed.items()]:
        mine = [n for n in nodes if n in wanted and n not in chooser.names and n.op is not CONST]
        rebound = len(mine) > 1 or name in chooser.taken
        for k, node in enumerate(mine, 1 if name not in chooser.taken else 2):
            chooser.give(node, f"{name}_{k}" if rebound else name)
    for node in graph.outputs:
        if node not in chooser.names and node.op not in (CONST, INPUT):
            chooser.give(node, chooser.free(NUMBERS if node.size == 1 else ARRAYS))
    for node in graph.nodes:
        if node not in chooser.names and node.op is not CONST:
            chooser.number(node) if node.op.names else chooser.give(node, node.op.name)
    return chooser.names


class _Chooser:
    def __init__(self) -> None:
        self.names: dict[Node, str] = {}
        self.taken = reserved()
        self._count = 0

    def give(self, node: Node, name: str) -> None:
        name = identifier(name)
        self.names[node] = name = _aside(name, self.taken)
        self.taken.add(name)

    def free(self, names: tuple[str, ...]) -> str:
        """The first that is not taken; the first at all where each is."""
        return next((name for name in names if name not in self.taken), names[0])

    def number(self, node: Node) -> None:
        self._count += 1
        while f"t{self._count}" in self.taken:
            self._count += 1
        self.give(node, f"t{self._count}")


def _aside(name: str, taken: Set[str]) -> str:
    """``name``, or with an underscore behind it, or more, where it is taken."""
    while name in taken:
        name += "_"
    return name


def delta_names(names: Iterable[str]) -> dict[str, str]:
    """What the δ of each of the variables is called: ``dX`` for X.

    The names of variables are the user's, so a δ gives way: beside a variable dX it is ``dX_``.

    >>> delta_names(["X", "p", "dp"])
    {'X': 'dX', 'p': 'dp_', 'dp': 'ddp'}
    """
    own = list(dict.fromkeys(names))
    taken = reserved() | set(own)
    found: dict[str, str] = {}
    for name in own:
        found[name] = _aside(f"d{name}", taken)
        taken.add(found[name])
    return found


def reserved() -> set[str]:
    """Names that emitted source uses for other things."""
    helpers = {helper.__name__ for op in OPS.values() for helper in op.helpers}
    return {*keyword.kwlist, *helpers, "np", "special", "torch", "jax", "jnp", "sum", "float"}


def identifier(name: str) -> str:
    """``params.W1`` as a Python name: ``params_W1``; what is one already stays as it is.

    >>> identifier("params.W1"), identifier("_x"), identifier("x_")
    ('params_W1', '_x', 'x_')
    """
    if name.isidentifier():
        return name
    cleaned = re.sub(r"\W+", "_", name).strip("_") or "x"
    return f"_{cleaned}" if cleaned[0].isdigit() else cleaned


def as_python_reads(name: str) -> str:
    """The identifier that Python makes of what stands in a file: a micro sign is a Greek μ.

    Source: the language reference, 2.3, identifiers are converted to NFKC.

    >>> as_python_reads("\N{MICRO SIGN}") == "\N{GREEK SMALL LETTER MU}"
    True
    """
    return unicodedata.normalize("NFKC", name)


def is_numbered(name: str) -> bool:
    """Does the name come from counting: a value that the user never named?"""
    return re.fullmatch(r"t\d+_*", name) is not None
