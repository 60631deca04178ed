"""Ufuncs of scipy.special, which NumPy hands on as it does its own; SciPy need not be there."""

from __future__ import annotations

from typing import Any

from allbps.ir import Node, lift, numpy_function
from allbps.ops.activation import sigmoid_op, softplus
from allbps.ops.arithmetic import mul, pow_
from allbps.ops.comparison import logical_and, where
from allbps.ops.function import erf, log

numpy_function("scipy.special.erf")(erf)
numpy_function("scipy.special.expit")(sigmoid_op)
numpy_function("scipy.special.log_expit")(lambda x: -softplus(-lift(x)))
numpy_function("scipy.special.softplus")(softplus)
numpy_function("scipy.special.logit")(lambda p: log(p) - log(1.0 - lift(p)))
numpy_function("scipy.special.exp2")(lambda x: pow_(2.0, x))
numpy_function("scipy.special.exp10")(lambda x: pow_(10.0, x))


@numpy_function("scipy.special.xlogy")
def xlogy(x: Any, y: Any) -> Node:
    """``x log y``, and 0 where both are 0."""
    x, y = lift(x), lift(y)
    return mul(x, log(where(logical_and(x == 0, y == 0), 1.0, y)))


@numpy_function("scipy.special.xlog1py")
def xlog1py(x: Any, y: Any) -> Node:
    """``x log(1 + y)``, and 0 where x is 0 and y is −1."""
    return xlogy(x, 1.0 + lift(y))


@numpy_function("scipy.special.entr")
def entr(x: Any) -> Node:
    """``−x log x`` of numbers that are not negative."""
    return -xlogy(x, x)


@numpy_function("scipy.special.rel_entr")
def rel_entr(x: Any, y: Any) -> Node:
    """``x log(x / y)``."""
    return xlogy(x, x) - xlogy(x, y)


@numpy_function("scipy.special.kl_div")
def kl_div(x: Any, y: Any) -> Node:
    """``x log(x / y) − x + y``."""
    return rel_entr(x, y) - lift(x) + lift(y)
