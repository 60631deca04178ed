"""scipy.special: its ufuncs, which NumPy hands on as it does its own, and its other functions.

SciPy's plain functions ask nobody what a traced array is; ``allbps.scipy.special`` offers them.
"""

from __future__ import annotations

from math import pi
from operator import index
from typing import Any

import numpy as np

from allbps.errors import ArgumentError
from allbps.ir import Node, label, lift, numpy_function, user_site
from allbps.numpy_api.arguments import floating, plain_axis
from allbps.numpy_api.elementwise import exp2
from allbps.ops.activation import log_softmax_op, sigmoid_op, softmax_op, softplus
from allbps.ops.arithmetic import pow_
from allbps.ops.bessel import iv, ive, jv, kv, kve, yv
from allbps.ops.comparison import where
from allbps.ops.function import abs_, cbrt, erf, exp, expm1, log, log1p, sign
from allbps.ops.reduce import logsumexp_op, max_, sum_
from allbps.ops.shape import reshape
from allbps.ops.special import digamma, gammaln, polygamma_op, zeta

numpy_function("scipy.special.erf")(erf)
numpy_function("scipy.special.expit")(sigmoid_op)
numpy_function("scipy.special.log_expit")(lambda x: -softplus(-lift(x)))
numpy_function("scipy.special.softplus")(softplus)
numpy_function("scipy.special.exp2")(exp2)
numpy_function("scipy.special.exp10")(lambda x: pow_(10.0, x))
numpy_function("scipy.special.expm1")(expm1)
numpy_function("scipy.special.log1p")(log1p)
numpy_function("scipy.special.cbrt")(cbrt)


# -- gamma -----------------------------------------------------------------------------------------
def whole_order(value: Any, function: str) -> int:
    """An order that is a plain whole number, not negative.

    Raises:
        ArgumentError: it is not.

    """
    plain = value.value if isinstance(value, Node) and not value.traces else value
    if isinstance(plain, Node) or np.ndim(plain) or not 0 <= plain < np.inf or plain % 1:
        raise ArgumentError(
            f"scipy.special.{function} of a traced array takes one whole number for its order",
            where=str(user_site() or ""),
            expected="0, 1, 2, …",
            got=label(value),
        )
    return int(plain)


@numpy_function("scipy.special.polygamma")
def polygamma(n: Any, x: Any) -> Node:
    """``scipy.special.polygamma``: the n-th derivative of ψ; ψ itself for n = 0."""
    order = whole_order(n, "polygamma")
    return polygamma_op(x, n=order) if order else digamma(x)


@numpy_function("scipy.special.multigammaln")
def multigammaln(a: Any, d: Any) -> Node:
    """``scipy.special.multigammaln``: log of the multivariate gamma function of dimension d."""
    node, order = floating(a), whole_order(d, "multigammaln")
    total: Any = order * (order - 1) * 0.25 * float(np.log(pi))
    for k in range(order):
        total = total + gammaln(node - 0.5 * k)
    return lift(total)


@numpy_function("scipy.special.zeta")
def zeta_by(x: Any, q: Any = None, out: Any = None) -> Node:
    """``scipy.special.zeta``: Hurwitz's, and Riemann's for q = 1."""
    return zeta(x, 1.0 if q is None else q)


# -- Bessel functions ------------------------------------------------------------------------------
for _name, _op in (("jv", jv), ("yv", yv), ("iv", iv), ("kv", kv), ("ive", ive), ("kve", kve)):

    def _of_order(v: Any, z: Any, _op: Any = _op, _name: str = _name) -> Node:
        made: Node = _op(z, order=whole_order(v, _name))
        return made

    numpy_function(f"scipy.special.{_name}")(_of_order)
    for _order in (0, 1):
        _short = f"{_name[0]}{_order}{_name[2:]}"
        numpy_function(f"scipy.special.{_short}")(
            lambda x, _op=_op, _order=_order: _op(x, order=_order)
        )
numpy_function("scipy.special.jn")(lambda v, z: jv(z, order=whole_order(v, "jn")))
numpy_function("scipy.special.yn")(lambda v, z: yv(z, order=whole_order(v, "yn")))
numpy_function("scipy.special.kn")(lambda v, z: kv(z, order=whole_order(v, "kn")))
numpy_function(np.i0)(lambda x: iv(floating(x), order=0))


# -- losses ----------------------------------------------------------------------------------------
@numpy_function("scipy.special.huber")
def huber(delta: Any, r: Any) -> Node:
    """``scipy.special.huber``: ½ r² where |r| ≤ delta, else delta (|r| − ½ delta)."""
    bound, error = floating(delta), floating(r)
    size = abs_(error)
    inside = where(size <= bound, 0.5 * error**2, bound * (size - 0.5 * bound))
    return where(bound < 0, float("inf"), inside)


# -- sums of exponentials --------------------------------------------------------------------------
def _axes(x: Node, axis: Any) -> Any:
    plain = plain_axis(axis)
    return tuple(range(x.ndim)) if plain is None else plain


@numpy_function("scipy.special.logsumexp")
def logsumexp(
    a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False
) -> Any:
    """``scipy.special.logsumexp``: log |Σ b exp(a)|, and the sign of the sum if wanted."""
    node, plain = floating(a), plain_axis(axis)
    if b is None and not return_sign:
        return logsumexp_op(node, axis=plain, keepdims=bool(keepdims))
    weights = lift(1.0 if b is None else b)
    shift = max_(where(weights == 0, -np.inf, node), axis=plain, keepdims=True)
    shift = where(abs_(shift) < np.inf, shift, 0.0)
    total = sum_(weights * exp(node - shift), axis=plain, keepdims=True)
    made, positive = log(abs_(total)) + shift, sign(total)
    if not keepdims:
        rest = sum_(node * weights, axis=plain, keepdims=False).shape
        made, positive = reshape(made, shape=rest), reshape(positive, shape=rest)
    return (made, positive) if return_sign else where(positive < 0, float("nan"), made)


@numpy_function("scipy.special.softmax")
def softmax(x: Any, axis: Any = None) -> Node:
    """``scipy.special.softmax``: over one axis, several, or all numbers."""
    node = floating(x)
    axes = _axes(node, axis)
    if isinstance(axes, int) or len(axes) == 1:
        return softmax_op(node, axis=index(axes if isinstance(axes, int) else axes[0]))
    return exp(log_softmax(node, axes))


@numpy_function("scipy.special.log_softmax")
def log_softmax(x: Any, axis: Any = None) -> Node:
    """``scipy.special.log_softmax``: over one axis, several, or all numbers."""
    node = floating(x)
    axes = _axes(node, axis)
    if isinstance(axes, int) or len(axes) == 1:
        return log_softmax_op(node, axis=index(axes if isinstance(axes, int) else axes[0]))
    return node - logsumexp_op(node, axis=axes, keepdims=True)
