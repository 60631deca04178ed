"""Arithmetic, comparisons, rounding."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from allbps.onnx.table.use import Entry, Operands, kept, plain, promoted
from allbps.onnx.writer import Value, Writer

PROMOTED = Operands.PROMOTED


def power(o: Writer, x: Value, exponent: float) -> Any:
    if exponent == 1:
        return x
    if exponent == -1:
        return o.Div(1, x)
    return o.Mul(x, x) if exponent == 2 else o.Pow(x, exponent)


def mod(o: Writer, a: Value, b: Value) -> Any:
    """The remainder with the sign of b; ONNX has it for whole numbers only."""
    if a.dtype.kind != "f":
        return o.Mod(a, b)
    rest = o.Mod(a, b, fmod=1)
    other_side = o.Less(o.Mul(o.Sign(rest), o.Sign(b)), 0)
    return o.Where(other_side, o.Add(rest, b), rest)


def floor_divide(o: Writer, a: Value, b: Value) -> Any:
    """(a − a mod b) / b, a whole number up to rounding: ⌊a / b⌋ of floats may be one too many."""
    quotient = o.Div(o.Sub(a, mod(o, a, b)), b)
    return o.Round(quotient) if a.dtype.kind == "f" else quotient


def trunc(o: Writer, x: Value) -> Any:
    return o.Mul(o.Sign(x), o.Floor(o.Abs(x)))


def isfinite(o: Writer, x: Value) -> Any:
    if x.dtype.kind != "f":
        x = o.cast(x, np.float32)
    return o.Not(o.Or(o.IsNaN(x), o.IsInf(x)))


def isnan(o: Writer, x: Value) -> Any:
    return o.IsNaN(x if x.dtype.kind == "f" else o.cast(x, np.float32))


def signbit(o: Writer, x: Value) -> Any:
    """−0 is negative too: 1/−0 = −∞."""
    minus_zero = o.And(o.Equal(x, 0), o.Less(o.Div(1, x), 0))
    return o.Or(o.Less(x, 0), minus_zero)


def copysign(o: Writer, a: Value, b: Value) -> Any:
    size = o.Abs(a)
    return o.Where(signbit(o, b), o.Neg(size), size)


def fraction(o: Writer, x: Value) -> Any:
    return o.Where(o.IsInf(x), 0, o.Sub(x, trunc(o, x)))


def where(o: Writer, condition: Value, a: Value, b: Value) -> Any:
    dtype = o.node.dtype
    return o.Where(o.cast(condition, bool), o.cast(a, dtype), o.cast(b, dtype))


def share(o: Writer, a: Value, b: Value) -> Any:
    return o.Div(a, o.Where(o.Equal(b, 0), o.value(1, b.dtype), b))


def ldexp(o: Writer, x: Value, exponent: Value) -> Any:
    x = o.cast(x, o.node.dtype)
    return o.Mul(x, o.Pow(o.value(2, x.dtype), o.cast(exponent, x.dtype)))


def logical(operator: str) -> Entry:
    def build(o: Writer, *values: Value) -> Any:
        return o.write(operator, *(o.cast(x, bool) for x in values))

    return kept(build)


def not_equal(o: Writer, a: Value, b: Value) -> Any:
    return o.Not(o.Equal(a, b))


def alias(o: Writer, x: Value) -> Value:
    return x


def chained(o: Writer, *xs: Value) -> Any:
    return reduce(o.Add, xs)


TABLE = {
    "add": plain("Add"),
    "sub": plain("Sub"),
    "neg": plain("Neg"),
    "accumulate": Entry(chained),
    "mul": plain("Mul"),
    "div": plain("Div"),
    "power": Entry(power),
    "pow": plain("Pow"),
    "floor_divide": Entry(floor_divide),
    "mod": Entry(mod),
    "fmod": plain("Mod", fmod=1),
    "less": plain("Less", PROMOTED),
    "less_equal": plain("LessOrEqual", PROMOTED),
    "greater": plain("Greater", PROMOTED),
    "greater_equal": plain("GreaterOrEqual", PROMOTED),
    "equal": plain("Equal", PROMOTED),
    "not_equal": promoted(not_equal),
    "logical_and": logical("And"),
    "logical_or": logical("Or"),
    "logical_xor": logical("Xor"),
    "logical_not": logical("Not"),
    "isfinite": kept(isfinite),
    "isnan": kept(isnan),
    "where": kept(where),
    "identity": Entry(alias),
    "detach": Entry(alias),
    "share": Entry(share),
    "abs": plain("Abs"),
    "sign": plain("Sign"),
    "floor": plain("Floor"),
    "ceil": plain("Ceil"),
    "rint": plain("Round"),
    "trunc": Entry(trunc),
    "astype": Entry(lambda o, x, dtype: x),  # operands come in the dtype of the result
    "maximum": plain("Max"),
    "minimum": plain("Min"),
    "copysign": Entry(copysign),
    "signbit": kept(signbit),
    "fraction": Entry(fraction),
    "ldexp": kept(ldexp),
}
