"""Reading the arguments that NumPy's functions share."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.errors import ArgumentError, ShapeError
from allbps.ir import Node, lift, promote, user_site
from allbps.ops.function import astype

Axis = int | tuple[int, ...] | None


def plain_axis(axis: Any) -> Axis:
    """An axis argument as an int, a tuple of ints, or None."""
    if axis is None:
        return None
    if isinstance(axis, (tuple, list)):
        return tuple(int(k) for k in axis)
    return int(axis)


def given(value: Any) -> bool:
    """Was an argument passed, rather than None or NumPy's "no value"?"""
    return value is not None and value is not np._NoValue


def float_of(*nodes: Node) -> Any:
    """The kind of float that an operation on ``nodes`` gives, as a function of a number.

    A constant made by it has a dtype of its own; two Python numbers that meet would be float64.
    """
    dtype = promote(*nodes)
    return (dtype if dtype.kind == "f" else np.result_type(dtype, np.float16)).type


def floating(x: Any) -> Node:
    """``x`` as floats: what a function of real numbers makes of integers."""
    node = lift(x)
    return node if node.is_float else astype(node, dtype=np.result_type(node.dtype, np.float16))


def mask_of(where: Any, x: Node) -> Any:
    """Which elements of ``x`` count.

    Raises:
        ShapeError: the mask does not broadcast to the array; it may not broadcast the array.

    """
    try:
        fits = np.broadcast_shapes(np.shape(where), x.shape) == x.shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            "where= must broadcast to the array that is reduced",
            where=str(user_site() or ""),
            expected=f"a mask of shape {x.shape}, or with axes of length 1",
            got=f"shape {np.shape(where)}",
        )
    return where


def refuse(function: str, **arguments: Any) -> None:
    """Refuse arguments that have no meaning on traced arrays.

    Raises:
        ArgumentError: one of them differs from None and NumPy's "no value".

    """
    for name, value in arguments.items():
        if given(value):
            raise ArgumentError(
                f"np.{function} of a traced array does not take {name}=",
                where=str(user_site() or ""),
                got=f"{name}={value!r}",
                todo=f"leave {name} out",
            )
