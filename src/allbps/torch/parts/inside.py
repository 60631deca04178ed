"""Gradients with respect to values that a function has worked out itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from allbps.backprop import fit
from allbps.errors import NotDifferentiableError
from allbps.ir import Node, Zero, ancestors, handed, lift, within
from allbps.ir.traces import depth_here
from allbps.ops.shape import identity
from allbps.transforms import close, pull


def itself(x: Any) -> Any:
    """``x`` under a name of its own: a gradient with respect to it is none of other uses of x."""
    node = identity(lift(x))
    here = 1 << (depth_here() - 1)
    return handed(
        Node(
            identity, node.inputs, node.shape, node.dtype,
            value=node.value, site=node.site, traces=node.traces | here,
        )
    )  # fmt: skip


def gradients(outputs: Sequence[Any], inputs: Sequence[Any], cotangents: Sequence[Any]) -> Any:
    """The gradient of each input: δ of the outputs, pulled back to it.

    Args:
        outputs: arrays that follow from the inputs.
        inputs: what ``itself`` has made.
        cotangents: δ of each output, in its shape.

    """
    nodes = list(map(lift, outputs))
    given = [fit(lift(g), y) for g, y in zip(cotangents, nodes, strict=True)]
    return tuple(map(handed, pull(nodes, given, list(map(lift, inputs)))))


def transposed(outputs: Sequence[Any], inputs: Sequence[Any], cotangents: Sequence[Any]) -> Any:
    """``gradients`` of what is linear in its inputs.

    Raises:
        NotDifferentiableError: it is not.

    """
    found = gradients(outputs, inputs, cotangents)
    if not _is_linear(list(map(lift, outputs)), list(map(lift, found)), set(map(lift, inputs))):
        raise NotDifferentiableError(
            "a backward pass of its own is not linear in the gradient that it is given",
            expected="products of the gradient with what forward has kept, sums, choices",
            got="a gradient that is clipped, rounded, compared or detached",
            todo="pass max_norm= for clipped gradients",
        )
    return found


def _is_linear(outputs: Sequence[Node], slopes: Sequence[Node], inputs: set[Node]) -> bool:
    """No slope depends on the inputs, and no step on the way passes over what it depends on."""
    first = min(x.born for x in inputs)
    if inputs.intersection(ancestors(slopes, not_before=first)):
        return False
    following = set(inputs)
    for node in ancestors(outputs, not_before=first):
        uses = [k for k, x in enumerate(node.inputs) if x in following]
        if uses:
            following.add(node)
        if any(isinstance(node.op.rule(k), Zero) for k in uses):
            return False
    return True


def followed(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f``, in which ``gradients`` may stand also where it is called with plain arrays."""

    @wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with within() as bit:
            return close(f(*args, **kwargs), bit)

    return wrapped
