"""numpy.emath: real where the numbers allow it, complex where one lies outside of the domain.

Which of the two it is, is looked at, as by an ``if``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from allbps.ir import NUMPY, Node, lift, numpy_function
from allbps.ops.function import abs_, astype


def _below_zero(x: Node) -> Any:
    return x < 0


def _beyond_one(x: Node) -> Any:
    return abs_(x) > 1


def _wide(x: Any, outside: Callable[[Node], Any]) -> Node:
    """The same numbers, complex where NumPy makes them so."""
    node = lift(x)
    if node.is_complex or not bool(NUMPY[np.any](outside(node))):
        return node
    narrow = node.dtype in (np.float32, np.float16, np.int8, np.uint8, np.int16, np.uint16)
    return astype(node, dtype=np.dtype(np.complex64 if narrow else np.complex128))


def _widened(function: Any, outside: Callable[[Node], Any]) -> Callable[[Any], Any]:
    return lambda x: NUMPY[function](_wide(x, outside))


for _wider, _function, _outside in (
    (np.emath.sqrt, np.sqrt, _below_zero),
    (np.emath.log, np.log, _below_zero),
    (np.emath.log2, np.log2, _below_zero),
    (np.emath.log10, np.log10, _below_zero),
    (np.emath.arccos, np.arccos, _beyond_one),
    (np.emath.arcsin, np.arcsin, _beyond_one),
    (np.emath.arctanh, np.arctanh, _beyond_one),
):
    numpy_function(_wider)(_widened(_function, _outside))


@numpy_function(np.emath.logn)
def logn(n: Any, x: Any) -> Node:
    """``numpy.emath.logn``: the logarithm of x to base n."""
    made: Node = NUMPY[np.log](_wide(x, _below_zero))
    base: Node = NUMPY[np.log](_wide(n, _below_zero))
    return made / base


@numpy_function(np.emath.power)
def power(x: Any, p: Any) -> Node:
    """``numpy.emath.power``; a negative whole exponent is a float."""
    exponent = p
    if lift(p).dtype.kind in "iu" and np.any(lift(p).known("emath.power") < 0):
        exponent = lift(p) * 1.0 if np.ndim(p) else float(p)
    made: Node = NUMPY[np.power](_wide(x, _below_zero), exponent)
    return made
