"""Reading the arguments that NumPy's functions share."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.errors import ArgumentError
from allbps.ir import Node, promote, user_site

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
