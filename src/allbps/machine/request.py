"""What is asked of a traced function: gradients of which arguments, what moves, what is carried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from allbps.backprop import Delta, backprop, seed_of
from allbps.errors import ArgumentError, DtypeError, NotScalarError
from allbps.ir import Node, constant
from allbps.machine.options import Options
from allbps.trace import Traced
from allbps.tree import leaves, same_structure


@dataclass(frozen=True, eq=False)
class Request:
    """What is asked of a traced function.

    Attributes:
        real: the dtype that kernels compute in: the loss's, or that of the first real result, else
            argument.
        chosen: the arguments to differentiate.
        params: their arrays.
        trains: does a step move the parameters?
        carry: the argument that every step replaces.
        carried: its arrays.
        result: what a call returns, a container of nodes.
        deltas: the δ of every node that has one.
        grads: those of ``params``.

    """

    real: np.dtype[Any]
    chosen: tuple[str, ...]
    params: tuple[Node, ...]
    trains: bool
    carry: str | None
    carried: tuple[Node, ...]
    result: Any
    deltas: Mapping[Node, Delta]
    grads: tuple[Node, ...]

    @property
    def changing(self) -> frozenset[Node]:
        """The arrays that a training step keeps and changes."""
        return frozenset((*self.params, *self.carried) if self.trains else ())


def request(traced: Traced, options: Options) -> Request:
    """What the options ask of a function.

    Raises:
        NameUnknownError, ArgumentError: an option names no argument; ``carry`` does not come back.
        NotScalarError: there is no loss to differentiate.
        DtypeError: a parameter is not real, or of another dtype than the loss.

    """
    chosen, carry = options.chosen(traced), options.carried(traced)
    params = tuple(x for name in chosen for x in _arrays(traced, name))
    carried = () if carry is None else _arrays(traced, carry)
    result = traced.outputs if carry is None else without_carry(traced, carry)
    deltas = _deltas(traced, params) if chosen else {}
    grads = [deltas[x].node if x in deltas else constant(np.zeros(x.shape, x.dtype))
             for x in params]  # fmt: skip
    real = _real(traced)
    for x in params if options.optimizer is not None else ():
        if x.dtype != real:
            raise _of_two_dtypes(traced, x, real)
    trains = options.optimizer is not None
    return Request(real, chosen, params, trains, carry, carried, result, deltas, tuple(grads))


def _arrays(traced: Traced, name: str) -> tuple[Node, ...]:
    return tuple(x for x in leaves(traced.parameters[name]) if isinstance(x, Node))


def _real(traced: Traced) -> np.dtype[Any]:
    for node in (*traced.graph.outputs, *traced.graph.inputs):
        if node.dtype in (np.float32, np.float64):
            return node.dtype
    return np.dtype(np.float64)


def without_carry(traced: Traced, carry: str) -> Any:
    """What the function returns beside the new value of the carried argument."""
    outputs, function = traced.outputs, traced.function
    if not isinstance(outputs, tuple) or len(outputs) != 2:
        raise ArgumentError(
            f"{function} must return (result, new {carry}) because carry={carry!r}",
            expected=f"a pair: the result, and the new {carry}",
            got=f"{len(outputs)} parts" if isinstance(outputs, tuple) else "no pair",
        )
    result, new = outputs
    before = traced.parameters[carry]
    pairs = zip(leaves(before), leaves(new), strict=False)
    if same_structure(before, new) and all(_alike(a, b) for a, b in pairs):
        return result
    raise ArgumentError(
        f"the {carry} that {function} returns differs in structure, shape or dtype from the one"
        " it takes",
        expected=_described(before),
        got=_described(new),
    )


def _alike(a: Any, b: Any) -> bool:
    nodes = isinstance(a, Node) and isinstance(b, Node)
    return nodes and a.shape == b.shape and a.dtype == b.dtype


def _described(tree: Any) -> str:
    one = [f"{x.dtype} {x.shape}" if isinstance(x, Node) else repr(x) for x in leaves(tree)]
    return f"{len(one)} arrays: " + ", ".join(one[:6]) + (" …" if len(one) > 6 else "")


def _deltas(traced: Traced, params: tuple[Node, ...]) -> dict[Node, Delta]:
    loss = traced.graph.outputs[0]
    if loss.shape != () or not loss.is_float:
        raise NotScalarError(
            f"{traced.function} must return a scalar loss first",
            where=str(loss.site or ""),
            expected="one number, or a tuple whose first part is one",
            got=f"{loss.name} of shape {loss.shape}",
            todo="return the mean or sum",
        )
    for x in params:
        if not x.is_float:
            raise DtypeError(
                f"{x.name} holds {x.dtype} numbers, and derivatives need floating-point ones",
                expected="float32 or float64",
                got=str(x.dtype),
            )
    return backprop({loss: seed_of(loss)}, params)


def _of_two_dtypes(traced: Traced, x: Node, real: np.dtype[Any]) -> DtypeError:
    """Names the first operation that mixes a parameter's dtype with the loss's."""
    mixed = [
        (node, other)
        for node in traced.graph.nodes
        for other in node.inputs
        if node.dtype == other.dtype == real and x.dtype in {y.dtype for y in node.inputs}
    ]
    where, todo = "", f"give {x.name} as {real}"
    if mixed:
        node, other = mixed[0]
        operand = f"{other.name}, an array" if other.name else "a NumPy number"
        where = f"{node.name or node.op.name}: an operand, {operand} of {real}, sets the dtype"
        where += f" ({node.site})" if node.site else ""
        todo = f"make that operand {x.dtype} (a Python float would be), or {todo}"
    return DtypeError(
        f"{x.name} is {x.dtype} but the loss is {real}",
        where=where,
        expected=str(real),
        got=str(x.dtype),
        todo=todo,
    )
