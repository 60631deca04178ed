"""Images and batches in another shape."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from allbps.functional.common import misused, works_on_arrays
from allbps.ir import Node, lift
from allbps.ops.shape import pad as pad_op
from allbps.ops.shape import reshape


@works_on_arrays
def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Node:
    """A number around the last axes: (before last, after last, before last but one, …).

    Args:
        input: any array.
        pad: pairs of lengths, those of the last axis first.
        mode: "constant".
        value: what stands there.

    Raises:
        ArgumentError: pairs that the axes do not allow, or another mode than "constant".

    >>> pad(np.array([[1.0, 2.0]]), (1, 0, 0, 1))
    array([[0., 1., 2.],
           [0., 0., 0.]])

    """
    node = lift(input)
    pairs = [(index(pad[k]), index(pad[k + 1])) for k in range(0, len(pad) - 1, 2)][::-1]
    if len(pad) % 2 or len(pairs) > node.ndim:
        raise misused(
            "pad needs a pair for each of the last axes",
            expected=f"at most {node.ndim} pairs",
            got=str(tuple(pad)),
        )
    if mode != "constant":
        raise misused("unknown mode of padding", expected="'constant'", got=repr(mode))
    width = ((0, 0),) * (node.ndim - len(pairs)) + tuple(pairs)
    padded = pad_op(node, width=width)
    if not value:
        return padded
    inside = lift(pad_op(np.ones(node.shape, node.dtype), width=width)).value
    return padded + lift(node.dtype.type(value) * (1 - inside))


@works_on_arrays
def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Node:
    """The axes from ``start_dim`` to ``end_dim`` as one, in row-major order.

    >>> flatten(np.zeros((2, 3, 4)), 1).shape
    (2, 12)
    """
    node = lift(input)
    first, last = start_dim % max(node.ndim, 1), end_dim % max(node.ndim, 1)
    middle = int(np.prod(node.shape[first : last + 1], dtype=np.int64))
    return reshape(node, shape=(*node.shape[:first], middle, *node.shape[last + 1 :]))
