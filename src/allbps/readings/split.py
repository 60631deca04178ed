"""Emitted source cut in two: what runs forward, what runs backward, and what one hands the other.

Frameworks take a function with a backward pass of its own in this form.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np

from allbps.backward import Backward, backward
from allbps.ir import Graph, Node
from allbps.ops.shape import identity
from allbps.readings.dialect import Dialect
from allbps.readings.source import Line, Program, emit
from allbps.trace import Traced

SHARE_MEMORY = frozenset(
    {
        "identity", "detach", "reshape", "transpose", "broadcast_to", "getitem", "subsample",
        "astype", "real", "imag", "conj",
    }
)  # fmt: skip
"""Operations whose result may lie in their operand's memory: done again rather than kept."""


@dataclass(frozen=True)
class Split:
    """A function and its backward pass, apart.

    Attributes:
        program: the emitted source of both.
        traced: what it is of.
        arguments: names of the arrays that it takes.
        results: names of the arrays that it returns, each once.
        cotangents: result -> the name of its δ; results without a δ are missing.
        gradients: argument -> the name of its δ, where it has one.
        shared: results that may lie in the memory of another array.
        kept: names made forward that the backward statements use, arguments left out.
        again: forward statements without cost that are repeated backward.
        backward: the backward statements, each with the arguments that it serves alone.

    """

    program: Program
    traced: Traced
    arguments: tuple[str, ...]
    results: tuple[str, ...]
    cotangents: Mapping[str, str]
    gradients: Mapping[str, str]
    shared: frozenset[str]
    kept: tuple[str, ...]
    again: tuple[Line, ...]
    backward: tuple[tuple[Line, str], ...]

    def unused(self, name: str) -> str:
        """``name``, with underscores behind it where a variable is called so."""
        taken = {line.name for line in (*self.program.forward, *self.program.backward)}
        taken |= {*self.arguments, *self.cotangents.values(), *self.program.constants}
        while name in taken:
            name += "_"
        return name


def differentiable(traced: Traced, wrt: Sequence[str] | None = None) -> Backward:
    """The backward pass of ``traced`` from a δ of each of its floating-point results."""
    results = dict.fromkeys(y for y in traced.graph.outputs if y.is_float)
    zeros = {y.name: np.broadcast_to(y.dtype.type(0), y.shape) for y in results}
    return backward(traced, wrt, zeros)


def split(subject: Backward, dialect: Dialect) -> Split:
    """Cut the emitted source of ``subject``, which has a δ given for each result, in two.

    Raises:
        NoRuleError: an operation has no text in this dialect.

    """
    traced, program = subject.traced, emit(subject, dialect)
    outputs = dict(zip(program.results, traced.graph.outputs, strict=True))
    arguments = tuple(x.name for x in traced.graph.inputs)
    made = {line.name: line for line in program.forward}
    kept, again = _handed_on(program.backward, made)
    gradients = {x.name: subject.deltas[x].node.name for x in subject.wrt if x in subject.deltas}
    wanted = _used(gradients.values()) - {line.name for line in program.backward}
    for name in wanted & set(made):  # a δ that is a value of the forward pass
        kept.setdefault(name)
    return Split(
        program=program,
        traced=traced,
        arguments=arguments,
        results=tuple(outputs),
        cotangents={n: subject.seeds[y].name for n, y in outputs.items() if y in subject.seeds},
        gradients=gradients,
        shared=frozenset(n for n, y in outputs.items() if may_share(y)),
        kept=tuple(kept),
        again=tuple(again),
        backward=tuple(_served(program.backward, gradients)),
    )


def may_share(node: Node) -> bool:
    """May PyTorch's result of the operation lie in its operand's memory?"""
    name = node.op.name
    alone = name == "einsum" and len(node.inputs) == 1
    itself = name == "power" and node.attrs["exponent"] == 1
    return not node.inputs or name in SHARE_MEMORY or alone or itself


def _used(codes: Iterable[str]) -> set[str]:
    """Names that expressions or statements read."""
    return {
        part.id
        for code in codes
        for part in ast.walk(ast.parse(code))
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)
    }


def _handed_on(
    lines: Sequence[Line], made: Mapping[str, Line]
) -> tuple[dict[str, None], list[Line]]:
    """Which forward names the backward statements need, and which statements make them again."""
    kept: dict[str, None] = {}
    again: dict[str, Line] = {}
    waiting = sorted(_used(line.code for line in lines) & set(made))
    while waiting:
        name = waiting.pop()
        if name in kept or name in again:
            continue
        if not may_share(made[name].node):
            kept[name] = None
            continue
        again[name] = made[name]
        waiting += _used([made[name].code]) & set(made)
    order = {name: k for k, name in enumerate(made)}
    return (
        dict.fromkeys(sorted(kept, key=order.__getitem__)),
        sorted(again.values(), key=lambda line: order[line.name]),
    )


def _served(lines: Sequence[Line], gradients: Mapping[str, str]) -> Iterator[tuple[Line, str]]:
    """Each statement, with the one argument for whose δ alone it is there, or nothing."""
    serves: dict[str, set[str]] = {}
    for argument, delta in gradients.items():
        serves.setdefault(delta, set()).add(argument)
    for line in reversed(lines):
        for name in _used([line.code]):
            serves.setdefault(name, set()).update(serves.get(line.name, ()))
    for line in lines:
        served = serves.get(line.name, set())
        yield line, next(iter(served)) if len(served) == 1 else ""


def guards_of(traced: Traced, dialect: Dialect) -> Program | None:
    """A program that gives the values which the trace took for granted; None where there are none.

    Raises:
        NoRuleError: one of them cannot be computed in this dialect.

    """
    if not traced.guards:
        return None
    names = (name for k in count(1) if traced.find(name := f"seen_{k}") is None)
    seen = (
        Node(identity, (x,), x.shape, x.dtype, name=name)
        for x, name in zip((guard.node for guard in traced.guards), names, strict=False)
    )
    return emit(replace(traced, graph=Graph(traced.graph.inputs, tuple(seen))), dialect)


def container(tree: Any, names: Mapping[Node, str]) -> str:
    """The text of a container with names in the places of arrays, None and numbers as they are."""
    if isinstance(tree, Node):
        return names[tree]
    if isinstance(tree, dict):
        return f"{{{', '.join(f'{key!r}: {container(x, names)}' for key, x in tree.items())}}}"
    if isinstance(tree, list):
        return f"[{', '.join(container(x, names) for x in tree)}]"
    if isinstance(tree, tuple):
        inside = ", ".join(container(x, names) for x in tree)
        return f"({inside},)" if len(tree) == 1 else f"({inside})"
    return repr(tree)
