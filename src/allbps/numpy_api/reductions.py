"""Reductions with NumPy's arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from allbps.ir import Node, Op, lift, numpy_function
from allbps.numpy_api.arguments import plain_axis, refuse
from allbps.ops.function import astype
from allbps.ops.reduce import max_, mean, min_, sum_


def _reduction(op: Op) -> Callable[..., Node]:
    """NumPy's arguments for a reduction op."""

    def reduce(
        x: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = None,
        where: Any = None,
    ) -> Node:
        refuse(op.name, out=out, initial=initial, where=where)
        node = lift(x)
        if dtype is not None:
            node = astype(node, dtype=np.dtype(dtype))
        keep = bool(keepdims) if keepdims is not np._NoValue else False
        return op(node, axis=plain_axis(axis), keepdims=keep)

    return reduce


numpy_function(np.sum)(_reduction(sum_))
numpy_function(np.mean)(_reduction(mean))


def _extreme(op: Op) -> Callable[..., Node]:
    def reduce(
        x: Any,
        axis: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = None,
        where: Any = None,
    ) -> Node:
        refuse(op.name, out=out, initial=initial, where=where)
        keep = bool(keepdims) if keepdims is not np._NoValue else False
        return op(lift(x), axis=plain_axis(axis), keepdims=keep)

    return reduce


numpy_function(np.max, np.amax)(_extreme(max_))
numpy_function(np.min, np.amin)(_extreme(min_))
