"""Lengths of vectors.

A length has no slope at 0; 0 is taken. What is made of it may be smooth there, as its square is:
see ``allbps.ops.factors``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from allbps.ir import Aval, Formula, Node, Notation, Op, Rule, Sample
from allbps.mathematics import Math, write
from allbps.mathematics.tree import Script
from allbps.ops.arithmetic import power
from allbps.ops.comparison import where
from allbps.ops.factors import share, without
from allbps.ops.function import abs_, sign, sqrt
from allbps.ops.reduce import NO_SUCH_AXIS, Axis, expanded, sum_
from allbps.ops.shapes import normal_axes, reduced_shape


# -- norms -----------------------------------------------------------------------------------------
def norm_shape(x: Node, order: float, axis: Axis, keepdims: bool) -> Aval:
    shape = reduced_shape(x.shape, normal_axes(axis, x.ndim), keepdims)
    return shape, x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)


def norm_code(operands: Any, attrs: Any) -> str:
    """NumPy's own function; over several axes ``vector_norm``, which does not read a matrix."""
    x, order, axis, keepdims = operands["x"], attrs["order"], attrs["axis"], attrs["keepdims"]
    options = ", keepdims=True" if keepdims else ""
    if axis is None and order == 2:
        return f"np.linalg.norm({x}{options})"
    if isinstance(axis, int):
        return f"np.linalg.norm({x}{'' if order == 2 else f', {order!r}'}, axis={axis}{options})"
    axes = "" if axis is None else f", axis={axis}"
    return f"np.linalg.vector_norm({x}{axes}, ord={order!r}{options})"


def norm_torch(operands: Any, attrs: Any) -> str:
    x, order, axis, keepdims = operands["x"], attrs["order"], attrs["axis"], attrs["keepdims"]
    return f"torch.linalg.vector_norm({x}, {order!r}, dim={axis}, keepdim={keepdims})"


def d_norm(g: Node, y: Node, x: Node, order: float, axis: Axis, keepdims: bool) -> Node:
    size = x if order == 2 else abs_(x)
    rest = without(g, y, order - 1) if order > 1 else None
    if rest is not None:  # what comes in holds the length itself: yᵖ⁻¹ cancels
        slope = expanded(rest, x, axis, keepdims) * _raised(size, order - 1)
    else:
        direction = share(size, expanded(y, x, axis, keepdims))
        if order < 1:  # 0 to a negative power
            direction = where(x == 0, 1.0, direction)
        slope = expanded(g, x, axis, keepdims) * _raised(direction, order - 1)
    return slope if order == 2 else slope * sign(x)


def _raised(x: Node, exponent: float) -> Node:
    return x if exponent == 1 else power(x, exponent=exponent)


def norm_because(x: Formula, y: Formula, order: float, axis: Axis, keepdims: bool) -> Math:
    if order == 2:
        return write('∂{y}/∂{x} = {x} / {y}, "taken as" 0 "where" {y} = 0', x=x, y=y)
    slope = "∂{y}/∂{x} = sign({x}) ⊙ (|{x}| / {y})^{p}"
    return write(f'{slope}, "taken as" 0 "where" {{y}} = 0', x=x, y=y, p=order - 1)


def norm_notation(x: Formula, order: float, axis: Axis, keepdims: bool) -> Math:
    if order == 2:
        return write("‖{x}‖", x=x)
    return Script(write("‖{x}‖", x=x), (f"{order:g}".translate(LOWER),))


LOWER = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def norm_expanded(x: Node, order: float, axis: Axis, keepdims: bool) -> Node:
    if order == 2:
        return sqrt(sum_(x**2, axis=axis, keepdims=keepdims))
    total = sum_(abs_(x) ** order, axis=axis, keepdims=keepdims)
    return power(total, exponent=1 / order)


def _order(order: float, axis: Axis, keepdims: bool = False) -> dict[str, Any]:
    return {"order": order, "axis": axis, "keepdims": keepdims}


norm_op = Op(
    name="norm",
    doc="(Σ |x|ᵖ)^(1/p) over axes, the Euclidean length for p = 2; its slope at 0 is taken as 0.",
    operands="x",
    shape=norm_shape,
    numpy=norm_code,
    torch=norm_torch,
    jax=lambda operands, attrs: norm_code(operands, attrs).replace("np.", "jnp.", 1),
    rules=(Rule(d_norm, norm_because),),
    notation=Notation(norm_notation),
    expand=norm_expanded,
    samples=(
        Sample(((2, 3),), _order(2, None)),
        Sample(((2, 3),), _order(2, 1)),
        Sample(((2, 3, 2),), _order(2, (0, 2), True)),
        Sample(((2, 3),), _order(3, 1)),
        Sample(((2, 3),), _order(1.5, None, True)),
        Sample(((2, 3),), _order(-2, 1)),
    ),
    bad=tuple(replace(bad, attrs={**bad.attrs, "order": 2}) for bad in NO_SUCH_AXIS),
)
