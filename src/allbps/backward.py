"""The backward pass of a traced function, arranged for reading: named δ nodes in teaching order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from allbps.backprop import Delta, backprop, seed_of
from allbps.errors import ArgumentError, DtypeError, NotScalarError, ShapeError, unknown_name
from allbps.ir import CONST, INPUT, Graph, Node, constant
from allbps.names import as_python_reads
from allbps.trace import Traced


@dataclass(frozen=True, eq=False)
class Backward:
    """A traced function together with its backward pass, which is more graph.

    Attributes:
        traced: the forward pass.
        deltas: primal -> its Delta, in the order they are computed.
        seeds: output -> the node of its given δ.
        given: seed inputs -> the arrays given for them (none for a scalar loss).
        wrt: the arguments whose δ was asked for.

    """

    traced: Traced
    deltas: Mapping[Node, Delta]
    seeds: Mapping[Node, Node]
    given: Mapping[Node, Any]
    wrt: tuple[Node, ...]

    @cached_property
    def graph(self) -> Graph:
        """Forward and backward as one graph: outputs are the results, then the δ of ``wrt``."""
        forward = self.traced.graph
        found = tuple(self.deltas[x].node for x in self.wrt if x in self.deltas)
        return Graph((*forward.inputs, *self.given), (*forward.outputs, *found))

    @property
    def unreached(self) -> tuple[Node, ...]:
        """Arguments asked for that no output depends on: their δ is zero."""
        return tuple(x for x in self.wrt if x not in self.deltas)

    @cached_property
    def steps(self) -> tuple[Delta, ...]:
        """The deltas in the order a lecture shows them.

        First back along the graph, output to input; then the arguments, in the function's order.
        """
        arguments = set(self.traced.graph.inputs)
        back = [delta for primal, delta in self.deltas.items() if primal not in arguments]
        front = [self.deltas[x] for x in self.traced.graph.inputs if x in self.deltas]
        return (*back, *front)


def backward(
    traced: Traced, wrt: Iterable[str] | None = None, cotangents: Mapping[str, Any] | None = None
) -> Backward:
    """Build the backward pass of ``traced``.

    Args:
        traced: what to differentiate.
        wrt: names of arguments; every floating-point one where None. A container's name stands
            for all arrays in it.
        cotangents: output name -> its δ, for outputs that are not a scalar loss.

    Raises:
        NotScalarError: an output is not a scalar and no δ was given for it.
        NameUnknownError: an argument or output is not there.
        ShapeError: a given δ is not shaped like its output.
        ArgumentError: a result is a constant, or ``cotangents`` is not a mapping to numbers.

    """
    chosen = tuple(_chosen(traced, wrt))
    if not isinstance(cotangents, Mapping | None):
        raise ArgumentError(
            "cotangents must map names of outputs to δ",
            expected=f"cotangents={{'{traced.graph.outputs[0].name}': …}}",
            got=type(cotangents).__name__,
        )
    called = {as_python_reads(name): given for name, given in (cotangents or {}).items()}
    seeds, given = _seeds(traced, called)
    reached = backprop(seeds, chosen, called=traced.deltas)
    apart = {y: Delta(y, seed, ()) for y, seed in seeds.items() if y not in reached}
    deltas = {**apart, **reached}  # a result that depends on no argument has its own δ and no more
    return Backward(traced, deltas, seeds, given, chosen)


def _chosen(traced: Traced, wrt: Iterable[str] | None) -> list[Node]:
    arguments = traced.graph.inputs
    if wrt is None:
        return [x for x in arguments if x.is_float]
    chosen: list[Node] = []
    listed = [wrt] if isinstance(wrt, str) else wrt
    if not isinstance(listed, Iterable) or not all(isinstance(name, str) for name in listed):
        raise ArgumentError(
            "wrt is of the wrong kind", expected="names of arguments", got=repr(wrt)
        )
    for name in map(as_python_reads, listed):
        if isinstance(traced.parameters.get(name), int):
            raise _needs_floats(f"{name} holds int numbers", traced)
        found = [x for x in arguments if x.name == name or x.name.startswith(f"{name}_")]
        exact = [x for x in found if x.name == name] or found or _by_key(traced, name)
        if not exact:
            raise traced.unknown(name, [x.name for x in arguments], "argument")
        for x in exact:
            if not x.is_float:
                raise _needs_floats(f"{x.name} holds {x.dtype} numbers", traced)
        chosen.extend(exact)
    return chosen


def _by_key(traced: Traced, name: str) -> list[Node]:
    """The argument that stands under this key in a container, where only one does."""
    holders = [held for held, tree in traced.parameters.items() if not isinstance(tree, Node)]
    found = [x for x in traced.graph.inputs if x.name in {f"{held}_{name}" for held in holders}]
    return found if len(found) == 1 else []


def _as_given(cotangent: Any, y: Node) -> Any:
    """A cotangent of ``y`` that was handed in, as numbers."""
    try:
        value = np.asarray(cotangent, y.dtype)[()]
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"the cotangent of {y.name} is not made of numbers",
            expected=f"numbers of shape {y.shape}",
            got=str(error),
        ) from None
    if np.shape(value) != y.shape:
        raise ShapeError(
            f"the cotangent of {y.name} is not shaped like it",
            expected=str(y.shape),
            got=str(np.shape(value)),
        )
    return value


def _seeds(traced: Traced, cotangents: dict[str, Any]) -> tuple[dict[Node, Node], dict[Node, Any]]:
    seeds: dict[Node, Node] = {}
    given: dict[Node, Any] = {}
    outputs = [y for y in traced.graph.outputs if y.is_float]
    for y in outputs:
        if y.op is CONST:
            raise ArgumentError(
                f"{traced.function} returns a constant, which has no backward pass",
                expected="a result that is computed from the arguments",
                got=str(y.value),
            )
        if y.name in cotangents:
            name = traced.deltas[y.name]
            node = Node(INPUT, (), y.shape, y.dtype, attrs={"name": name}, name=name, site=y.site)
            seeds[y], given[node] = node, _as_given(cotangents.pop(y.name), y)
        elif y.size == 1 and len(outputs) == 1:
            one = seed_of(y)
            seeds[y] = constant(one.value, traced.deltas[y.name])
        elif y not in seeds and len(outputs) == 1:
            raise NotScalarError(
                f"{traced.function} does not return a scalar, so there is no loss to start from",
                where=str(y.site or ""),
                expected="one number, or a given δ for the output",
                got=f"{y.name} of shape {y.shape}",
                todo=f"return a loss, or pass cotangents={{'{y.name}': …}}",
            )
    if cotangents:
        raise unknown_name(next(iter(cotangents)), [y.name for y in outputs], "result")
    if not outputs:
        raise _needs_floats(f"{traced.function} does not return floating-point numbers", traced)
    if not seeds:
        raise NotScalarError(
            f"{traced.function} returns {len(outputs)} floating-point results,"
            " so there is no loss to start from",
            expected="one loss, or cotangents={name: δ} for the results that matter",
            got=", ".join(f"{y.name} of shape {y.shape}" for y in outputs),
        )
    return seeds, given


def _needs_floats(what: str, traced: Traced) -> DtypeError:
    """The error for integers where a derivative is asked for, naming all that hold them."""
    arrays = {x.name: str(x.dtype) for x in traced.graph.inputs if not x.is_float}
    plain = {name: "int" for name, x in traced.parameters.items() if isinstance(x, int)}
    cures = [*(f"{x}.astype(float)" for x in arrays), *(f"float({x})" for x in plain)]
    return DtypeError(
        f"{what}, and derivatives need floating-point ones",
        expected="float64 or float32 arguments",
        got=", ".join(f"{name} of {dtype}" for name, dtype in {**arrays, **plain}.items()),
        todo=f"pass {', '.join(cures)}" if cures else "",
    )
