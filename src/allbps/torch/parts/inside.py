"""Gradients with respect to values that a function has worked out itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from allbps.backprop import fit
from allbps.ir import Node, handed, lift, within
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


def followed(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f``, in which ``gradients`` may stand also where it is called with plain arrays."""

    @wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with within() as bit:
            return close(f(*args, **kwargs), bit)

    return wrapped
