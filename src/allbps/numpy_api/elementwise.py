"""Functions of one number or two, composed from simpler ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from allbps.errors import DtypeError
from allbps.ir import Node, Op, lift, numpy_function, user_site
from allbps.numpy_api.arguments import float_of, floating, refuse
from allbps.ops.arithmetic import floor_divide, mod, pow_, raise_to
from allbps.ops.bits import fraction, ldexp, signbit
from allbps.ops.comparison import (
    isfinite,
    isnan,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    where,
)
from allbps.ops.complexes import angle_op, conj, imag, real
from allbps.ops.function import (
    abs_,
    astype,
    maximum,
    minimum,
    rint,
    sin,
    trunc,
)
from allbps.ops.questions import exponent
from allbps.ops.shape import identity


# -- units and scales ------------------------------------------------------------------------------
def _times(factor: float) -> Callable[[Any], Node]:
    return lambda x: floating(x) * factor


numpy_function(np.deg2rad, np.radians)(_times(float(np.pi / 180)))
numpy_function(np.rad2deg, np.degrees)(_times(float(180 / np.pi)))


@numpy_function(np.exp2)
def exp2(x: Any) -> Node:
    """2ˣ."""
    return pow_(2.0, floating(x))


@numpy_function(np.float_power)
def float_power(a: Any, b: Any) -> Node:
    """``numpy.float_power``: at least double precision."""
    base, exponent = lift(a), lift(b)
    wide = np.result_type(base.dtype, exponent.dtype, np.float64)
    base, exponent = (x if x.dtype == wide else astype(x, dtype=wide) for x in (base, exponent))
    return raise_to(base, b if type(b) in (int, float) else exponent)


@numpy_function(np.sinc)
def sinc(x: Any) -> Node:
    """sin(πx) / (πx); near 0 its series, where the quotient and its derivatives would cancel."""
    node = lift(x)
    small = abs_(node) < 0.1
    angle = float(np.pi) * where(small, 1.0, node)
    square = (float(np.pi) * where(small, node, 0.0)) ** 2
    series: Any = 1.0
    for k in (13, 11, 9, 7, 5, 3):  # 1 − t/(2·3) (1 − t/(4·5) (1 − …))
        series = 1.0 - square * (series / float(k * (k - 1)))
    return where(small, series, sin(angle) / angle)


numpy_function(np.fabs)(lambda x: abs_(floating(x)))


# -- steps -----------------------------------------------------------------------------------------
@numpy_function(np.round, np.around)
def round_to(x: Any, decimals: int = 0, out: Any = None) -> Node:
    """``numpy.round``; integers stay integers."""
    refuse("round", out=out)
    node = lift(x)
    if node.dtype.kind in "iu" and decimals >= 0:
        return node
    if decimals == 0:
        return rint(node)
    if node.dtype.kind == "b":
        raise DtypeError("truth values have no decimals", where=str(user_site() or ""))
    scale = 10.0 ** abs(decimals)
    if decimals > 0:
        return rint(node * scale) / scale
    made = rint(node / scale) * scale
    return made if node.is_float else astype(made, dtype=node.dtype)


@numpy_function(np.fix)
def fix(x: Any, out: Any = None) -> Node:
    """``numpy.fix``: towards 0."""
    refuse("fix", out=out)
    return trunc(x)


@numpy_function(np.heaviside)
def heaviside(x: Any, at_zero: Any) -> Node:
    """0 below 0, 1 above, ``at_zero`` at 0."""
    node, middle = lift(x), lift(at_zero)
    number = float_of(node, middle)
    beside = where(node < 0, number(0), where(node > 0, number(1), node))  # or NaN
    return where(node == 0, middle, beside)


# -- with remainder --------------------------------------------------------------------------------
numpy_function(np.divmod)(lambda a, b: (floor_divide(a, b), mod(a, b)))


@numpy_function(np.modf)
def modf(x: Any) -> tuple[Node, Node]:
    """Fraction and integer part."""
    node = floating(x)
    return fraction(node), trunc(node)


@numpy_function(np.frexp)
def frexp(x: Any) -> tuple[Node, Node]:
    """Mantissa and exponent."""
    node = floating(x)
    power = exponent(node)
    return ldexp(node, -power), power


# -- bounds and gaps -------------------------------------------------------------------------------
@numpy_function(np.clip)
def clip(
    x: Any,
    a_min: Any = None,
    a_max: Any = None,
    out: Any = None,
    *,
    min: Any = None,  # noqa: A002
    max: Any = None,  # noqa: A002
) -> Node:
    """``numpy.clip``; on a bound the δ goes to ``x``."""
    refuse("clip", out=out)
    low = min if a_min is None or a_min is np._NoValue else a_min
    high = max if a_max is None or a_max is np._NoValue else a_max
    node = lift(x)
    if low is not None and low is not np._NoValue:
        node = maximum(node, low)
    if high is not None and high is not np._NoValue:
        node = minimum(node, high)
    return node


@numpy_function(np.fmax)
def fmax(a: Any, b: Any) -> Node:
    """The larger; a number rather than NaN."""
    return where(logical_or(lift(a) >= b, isnan(b)), a, b)


@numpy_function(np.fmin)
def fmin(a: Any, b: Any) -> Node:
    """The smaller; a number rather than NaN."""
    return where(logical_or(lift(a) <= b, isnan(b)), a, b)


@numpy_function(np.nan_to_num)
def nan_to_num(
    x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> Node:
    """``numpy.nan_to_num``."""
    node = lift(x)
    if not node.is_float:
        return node
    limits = np.finfo(node.dtype)
    number = node.dtype.type
    above = number(limits.max if posinf is None else posinf)
    below = number(limits.min if neginf is None else neginf)
    other = where(isnan(node), number(nan), where(node > 0, above, below))
    return where(isfinite(node), node, other)


@numpy_function(np.isinf)
def isinf(x: Any) -> Node:
    """Is x infinite?"""
    return logical_not(logical_or(isfinite(x), isnan(x)))


numpy_function(np.isposinf)(lambda x: logical_and(isinf(x), lift(x) > 0))
numpy_function(np.isneginf)(lambda x: logical_and(isinf(x), lift(x) < 0))


# -- real numbers as complex ones ------------------------------------------------------------------
@numpy_function(np.real)
def real_part(x: Any) -> Node:
    """The number itself where it is real."""
    node = lift(x)
    return real(node) if node.is_complex else node


@numpy_function(np.conj)
def conjugate(x: Any) -> Node:
    """The number itself where it is real."""
    node = lift(x)
    return conj(node) if node.is_complex else node


@numpy_function(np.imag)
def imaginary_part(x: Any) -> Any:
    """0 where the number is real."""
    node = lift(x)
    return imag(node) if node.is_complex else np.zeros(node.shape, node.dtype)[()]


numpy_function(np.real_if_close)(lambda a, tol=100: lift(a))


@numpy_function(np.angle)
def angle(x: Any, deg: bool = False) -> Node:
    """0 for positive numbers, half a turn for negative ones, and what is between for complex."""
    if lift(x).is_complex:
        made = angle_op(x)
        return made * float(180 / np.pi) if deg else made
    node = floating(x)
    number = node.dtype.type
    half = where(signbit(node), number(180 if deg else np.pi), number(0))
    return where(isnan(node), node, half)


# -- truth values ----------------------------------------------------------------------------------
def _on_masks(op: Op) -> Callable[..., Node]:
    def bitwise(*operands: Any) -> Node:
        nodes = [lift(x) for x in operands]
        if any(node.dtype.kind != "b" for node in nodes):
            raise DtypeError(
                f"the bitwise {op.name} of a traced array takes truth values",
                where=str(user_site() or ""),
                expected="masks such as x > 0",
                got=" and ".join(str(node.dtype) for node in nodes),
            )
        return op(*nodes)

    return bitwise


numpy_function(np.bitwise_and)(_on_masks(logical_and))
numpy_function(np.bitwise_or)(_on_masks(logical_or))
numpy_function(np.bitwise_xor)(_on_masks(logical_xor))
numpy_function(np.invert)(_on_masks(logical_not))


# -- copies ----------------------------------------------------------------------------------------
numpy_function(np.copy)(lambda x, order="K", subok=False: identity(x))
numpy_function(np.ascontiguousarray, np.asfortranarray)(lambda x, dtype=None: lift(x))
