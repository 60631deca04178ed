"""Tracing: run a function once on concrete arguments, keep what it computed as a Graph."""

from __future__ import annotations

import inspect
import linecache
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property, partial
from keyword import iskeyword
from typing import Any, Protocol, runtime_checkable

import numpy as np

import allbps.numpy_api  # noqa: F401  (fills the table that NumPy calls are looked up in)
from allbps.errors import (
    ArgumentError,
    DtypeError,
    NameUnknownError,
    NonFiniteError,
    ShapeError,
    unknown_name,
)
from allbps.ir import (
    CONST,
    INPUT,
    Graph,
    Node,
    Observation,
    Site,
    TracedArray,
    ancestors,
    call_user,
    hidden_in,
    lift,
    named_arguments,
    new_input,
    observed_here,
    placed_at,
    refuse_foreign,
    require_function,
    texts_here,
    user_site,
    within,
)
from allbps.ir.draws import Draws, draws_here
from allbps.ir.site import file_name
from allbps.ir.traces import observe
from allbps.ir.twin import or_its_twin
from allbps.names import Watcher, as_python_reads, choose_names, delta_names, identifier
from allbps.ops.sides import gathering
from allbps.tree import flatten, leaves, rebuild, tree_map


@dataclass(frozen=True, eq=False)
class Guard:
    """What a traced function takes for granted: a value that was looked at while it ran.

    Attributes:
        node: a node of the graph, or one that only guards need.
        value: what it was: a truth value, a number, an array.
        purpose: what it was needed for.
        site: the user's line that looked.

    """

    node: Node
    value: Any
    purpose: str
    site: Site | None

    def __str__(self) -> str:
        shown = repr(np.asarray(self.value).tolist())
        line = str(self.site) if self.site else self.purpose
        return f"{line}  → {shown if len(shown) <= SHOWN else shown[: SHOWN - 1] + '…'}"

    @cached_property
    def key(self) -> Any:
        """Equal for guards of two traces that found the same at the same place."""
        array = np.asarray(self.value)
        return self.site, self.purpose, array.shape, array.dtype.str, array.tobytes()


SHOWN = 40
"""Characters of an observed value in a line."""


@dataclass(frozen=True, eq=False)
class Traced:
    """A function as a graph without numbers, and the arguments it was traced on.

    Attributes:
        graph: every node named; ``graph.inputs`` are the array arguments in order.
        values: argument node -> its array.
        function: the function's name, as one may write it in Python.
        title: its name for people, such as ``lambda (net.py:3)``.
        doc: its docstring, if any.
        outputs: the container it returned, with nodes as leaves.
        parameters: parameter name -> the container of nodes passed for it, for array parameters.
        guards: the values it looked at, in order: the graph is the function's where all are the
            same.
        texts: the lines that made a text of its numbers, by f"{x}" for example.
        hidden: arrays that objects of the user's keep, ``W of cell``: constants, without a δ.
        draws: where its random numbers come from; ``draws.again(step)`` draws the same.
        stars: ``*`` or ``**`` by the names of parameters that take any number of arguments.
        lines: value that a function handed to a variable -> the line of that variable.

    """

    graph: Graph
    values: Mapping[Node, Any]
    function: str
    title: str
    doc: str
    outputs: Any
    parameters: Mapping[str, Any]
    guards: tuple[Guard, ...] = ()
    texts: tuple[Site, ...] = ()
    hidden: tuple[str, ...] = ()
    draws: Draws = field(default_factory=Draws)
    stars: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[Node, Site] = field(default_factory=dict)

    def find(self, name: str) -> Node | None:
        """The node of that name, or None.

        A variable that is called as emitted source calls something else, ``sum``, stands in the
        graph as ``sum_``.
        """
        known, name = self._by_name, as_python_reads(str(name))
        return known[name] if name in known else known.get(f"{name}_")

    @cached_property
    def deltas(self) -> Mapping[str, str]:
        """Name of a value -> the name of its δ: ``dW`` for ``W``."""
        return delta_names(self._by_name)

    def unknown(self, name: str, known: list[str], kind: str) -> NameUnknownError:
        """The error for a name that is not among ``known``; it may be hidden in an object."""
        error = unknown_name(name, known, kind)
        if self.hidden:
            error.todo = (
                f"{' and '.join(self.hidden)} are constants here: give"
                f" {self.function} an argument for what is to have a δ"
            )
        return error

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        nodes = (*self.graph.inputs, *self.graph.nodes)
        return {node.name: node for node in nodes if node.name}


@runtime_checkable
class ArrangesArguments(Protocol):
    """A callable that says itself what its arguments are, and what the arrays in them are called.

    It may so supply some of them, its own weights for example.
    """

    def arranged(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Parameter name -> argument, in order."""

    def called(self, path: str) -> str:
        """The name of the array at a path, such as ``params.conv1.weight``."""


def trace(f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Traced:
    """Run ``f`` once and record it.

    Array arguments, and containers of them, become inputs of the graph; strings, None and
    functions are passed on as they are. The recorded graph is the one these arguments took
    through the function's ``if``s and loops.

    Raises:
        ArgumentError: the arguments do not match the signature, or none of them is an array.

    >>> import numpy as np
    >>> traced = trace(lambda x: np.sin(x) * 2.0, np.zeros(3))
    >>> [node.op.name for node in traced.graph.nodes]
    ['input', 'sin', 'constant', 'mul']

    """
    return trace_bound(f, bound(f, args, kwargs))


TIES = "a tie at a kink of a derivative"
"""For what ties are looked at."""


def trace_bound(
    f: Callable[..., Any], arguments: Mapping[str, Any], ties: int | None = None
) -> Traced:
    """As ``trace``, of arguments by the names of ``f``'s parameters.

    Args:
        f: the function.
        arguments: by the names of its parameters.
        ties: how often the graph will be differentiated, where it is to run on other numbers. A
            derivative of a derivative, where there is one then, may be none at a tie; so whether
            one is met is among the values that were looked at.

    """
    return or_its_twin(f, lambda called: _recorded(f, called, arguments, ties))


def _recorded(
    f: Callable[..., Any], run: Callable[..., Any], arguments: Mapping[str, Any], ties: int | None
) -> Traced:
    """What ``run`` computes, under the name of ``f``."""
    watcher = Watcher()
    with within() as bit:
        given: dict[Node, str] = {}
        called = f.called if isinstance(f, ArrangesArguments) else identifier
        opened = {name: _open(name, tree, bit, given, called) for name, tree in arguments.items()}
        named = named_arguments(opened, dict(arguments))
        with watcher.watching(), gathering() if ties is not None else nullcontext() as steps:
            returned = call_bound(run, named)
        if steps is not None and (steps.is_nested or ties) and (tied := steps.tied()) is not None:
            with placed_at(tied.site):
                observe(tied, TIES)
        observed, texts = observed_here(), texts_here()
        draws = draws_here() or Draws()
    results = leaves(returned)
    if not results or any(isinstance(x, str) for x in results):
        raise ArgumentError(
            f"{_title(f)} returned nothing to explain",
            where=_where(f),
            expected="a number or an array",
            got=repr(returned),
            todo="is a return missing?" if returned is None else "",
        )
    outputs = [lift(leaf) for leaf in results]
    graph = Graph(tuple(given), tuple(outputs))
    # an argument p_0 keeps its name beside the first part of p
    by_rank = sorted(given.items(), key=lambda pair: opened.get(pair[1]) is not pair[0])
    names = choose_names(graph, dict(by_rank), watcher, _name(f))
    copy = _without_values(graph, [seen.node for seen in observed], names)
    inputs = tuple(copy[node] for node in graph.inputs)
    return Traced(
        graph=Graph(inputs, tuple(copy[node] for node in outputs)),
        values={copy[node]: node.value for node in graph.inputs},
        function=_name(f),
        title=_title(f),
        doc=inspect.getdoc(f) or "",
        outputs=rebuild(returned, iter(copy[node] for node in outputs)),
        parameters={name: copied(tree, copy) for name, tree in opened.items()},
        guards=tuple(_guards(observed, copy)),
        texts=tuple(site for site in dict.fromkeys(texts) if site is not None),
        draws=draws,
        hidden=hidden_in(f),
        stars=_stars(f),
        lines={copy[node]: site for node, site in watcher.lines.items() if node in copy},
    )


def _stars(f: Callable[..., Any]) -> dict[str, str]:
    try:
        kinds = inspect.signature(f).parameters
    except ValueError:  # a built-in without a signature
        return {}
    words = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return {name: words[p.kind] for name, p in kinds.items() if p.kind in words}


def _guards(observed: Iterable[Observation], copy: Mapping[Node, Node]) -> Iterator[Guard]:
    """Each value that was looked at, once, at the line that looked first."""
    seen: set[Any] = set()
    for node, value, purpose, site in observed:
        if node not in seen:
            seen.add(node)
            yield Guard(copy[node], value, purpose, site)


def _name(f: Callable[..., Any]) -> str:
    title = _title(f)
    return title if title.isidentifier() and not iskeyword(title) else "net"


_ASSIGNED = re.compile(r"\s*(\w+)\s*(?::[^=]*)?=\s*lambda\b")


def _title(f: Callable[..., Any]) -> str:
    """The name of a function; of a lambda, the variable on its line or its file and line."""
    if isinstance(f, partial):
        return _title(f.func)
    name: str = getattr(f, "__name__", type(f).__name__)
    code = getattr(f, "__code__", None)
    if name != "<lambda>" or code is None:
        return name
    line = linecache.getline(code.co_filename, code.co_firstlineno).partition("#")[0]
    assigned = _ASSIGNED.match(line)
    if assigned and line.count("lambda") == 1:
        return assigned[1]
    return f"lambda ({file_name(code.co_filename)}:{code.co_firstlineno})"


def _where(f: Callable[..., Any]) -> str:
    """The line on which a function is defined, if it has one."""
    code = getattr(f, "__code__", None)
    return str(Site(code.co_filename, code.co_firstlineno, code.co_name)) if code else ""


def bound(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    asked: Callable[..., Any] | None = None,
) -> dict[str, Any]:
    """Parameter name -> argument; ``*args`` become ``name_0``, ``name_1``, ….

    Args:
        f: the user's function.
        args: what it is called with.
        kwargs: by keyword.
        asked: the function of allbps that was called with them, and has options of its own.

    Raises:
        ArgumentError: they do not match the signature, or ``f`` is not a function.

    """
    require_function(f)
    if isinstance(f, ArrangesArguments):
        return dict(f.arranged(args, kwargs))
    try:
        given = inspect.signature(f).bind(*args, **kwargs)
    except TypeError as error:
        raise ArgumentError(
            f"the arguments do not match {_title(f)}",
            where=str(user_site() or ""),
            expected=f"{_name(f)}{inspect.signature(f)}",
            got=str(error),
            todo=_by_place(f, asked),
        ) from None
    except ValueError:  # a built-in without a signature
        return {**{f"x{k}": value for k, value in enumerate(args)}, **kwargs}
    return dict(given.arguments)


def _by_place(f: Callable[..., Any], asked: Callable[..., Any] | None) -> str:
    """What to do where an argument of ``f`` is called like an option of ours."""
    own = inspect.signature(asked).parameters if asked is not None else {}
    both = [name for name in inspect.signature(f).parameters if name in own]
    if asked is None or not both:
        return ""
    return f"{both[0]}= is an option of allbps.{asked.__name__}: pass that argument by its place"


def call_bound(f: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """``f`` of arguments by the names of its parameters, as ``bound`` gives them."""
    try:
        signature = inspect.signature(f)
    except ValueError:
        return call_user(f, *arguments.values())
    given = inspect.BoundArguments(signature, OrderedDict(arguments))
    return call_user(f, *given.args, **given.kwargs)


def is_array_like(leaf: Any) -> bool:
    """Does this become an input of the graph, rather than a fixed option of the function?"""
    return isinstance(leaf, (np.ndarray, np.generic, float, complex, Node, TracedArray)) or (
        isinstance(leaf, int) and not isinstance(leaf, bool)
    )


def _open(
    name: str, tree: Any, bit: int, given: dict[Node, str], called: Callable[[str], str]
) -> Any:
    """Inputs for the arrays in an argument; anything else stays as it is."""
    fresh: list[Any] = []
    for path, leaf in flatten(tree, name):
        if isinstance(leaf, int) or not is_array_like(leaf):
            refuse_foreign(leaf, path)
            fresh.append(leaf)  # an option such as axis=1 or causal=True
            continue
        traced = isinstance(leaf, (Node, TracedArray))
        array = leaf.value if traced else np.asanyarray(leaf)[()]
        if np.iscomplexobj(array):
            raise _is_complex(called(path), array)
        node = new_input(array, bit, called(path))
        given[node] = called(path)
        fresh.append(node)
    return rebuild(tree, iter(fresh))


def _is_complex(name: str, array: Any) -> DtypeError:
    return DtypeError(
        f"{name} is not made of real numbers",
        where=str(user_site() or ""),
        expected="bool, integer or floating-point numbers; complex ones may come up inside",
        got=f"{type(array).__name__} with dtype {array.dtype}",
        todo="pass real and imaginary part, and join them by allbps.functional.complex",
    )


def copied(tree: Any, copy: Mapping[Node, Node]) -> Any:
    """The container with the copies of its nodes; leaves that are not arrays stay."""
    return tree_map(lambda x: copy[x] if isinstance(x, Node) else x, tree)


def _without_values(graph: Graph, more: list[Node], names: Mapping[Node, str]) -> dict[Node, Node]:
    """A copy of every node with its name and without its number; constants keep theirs.

    Args:
        graph: what to copy.
        more: nodes to copy that the graph need not have.
        names: what to call them.

    """
    copy: dict[Node, Node] = {}
    inputs = set(graph.inputs)
    for node in ancestors([*graph.inputs, *graph.outputs, *more]):
        inner = node.op is INPUT and node not in inputs  # a plain argument of a grad inside
        op = CONST if inner else node.op
        copy[node] = Node(
            op,
            tuple(copy[x] for x in node.inputs),
            node.shape,
            node.dtype,
            attrs={"name": names[node]} if op is INPUT else node.attrs,
            value=node.value if op is CONST else None,
            name=names.get(node, ""),
            site=node.site,
        )
    return copy


def check_inputs(traced: Traced) -> None:
    """Refuse arguments on which a derivation makes no sense.

    Raises:
        ShapeError: an argument is empty.
        NonFiniteError: an argument holds NaN or infinity.

    """
    for node, value in traced.values.items():
        if node.size == 0:
            raise ShapeError(
                f"{node.name} is empty", expected="at least one number", got=f"shape {node.shape}"
            )
        bad = np.argwhere(~np.isfinite(np.atleast_1d(value)))
        if len(bad):
            place = ", ".join(map(str, bad[0])) if node.shape else ""
            first = np.atleast_1d(value)[tuple(bad[0])]
            raise NonFiniteError(
                f"{node.name} holds numbers that are not finite",
                expected="finite numbers",
                got=f"{node.name}[{place}] = {first}" if place else f"{node.name} = {first}",
                todo="look for a division by zero or an overflow before this call",
            )
