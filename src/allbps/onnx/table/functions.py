"""Functions of one or two numbers, composed where ONNX has none, without loss near 0 or far out."""

from __future__ import annotations

import math
from typing import Any

from allbps.onnx.table.use import Entry, plain
from allbps.onnx.writer import Value, Writer


def expm1(o: Writer, x: Value) -> Any:
    """eˣ − 1 = 2t / (1 − t) with t = tanh(x/2) near 0, where the difference would lose digits."""
    t = o.Tanh(o.Mul(x, 0.5))
    near = o.Div(o.Mul(t, 2), o.Sub(1, t))
    return o.Where(o.Less(o.Abs(x), 0.5), near, o.Sub(o.Exp(x), 1))


def log1p(o: Writer, x: Value) -> Any:
    """log(u) x / (u − 1) with u = 1 + x as it is rounded (Kahan)."""
    u = o.Add(x, 1)
    step = o.Sub(u, 1)
    plain_log = o.Log(u)
    exact = o.Or(o.Equal(step, x), o.IsInf(u))
    rescaled = o.Where(o.Equal(step, 0), x, o.Mul(plain_log, o.Div(x, step)))
    return o.Where(exact, plain_log, rescaled)


def softplus(o: Writer, x: Value) -> Any:
    return o.Add(o.Max(x, 0), log1p(o, o.Exp(o.Neg(o.Abs(x)))))


def logaddexp(o: Writer, a: Value, b: Value) -> Any:
    """The larger one + log(1 + e^−|a − b|); equal infinities have no difference."""
    apart = o.Where(o.Equal(a, b), 0.0, o.Abs(o.Sub(a, b)))
    return o.Add(o.Max(a, b), log1p(o, o.Exp(o.Neg(apart))))


def logaddexp2(o: Writer, a: Value, b: Value) -> Any:
    apart = o.Where(o.Equal(a, b), 0.0, o.Abs(o.Sub(a, b)))
    rest = log1p(o, o.Exp(o.Mul(apart, -math.log(2))))
    return o.Add(o.Max(a, b), o.Div(rest, math.log(2)))


def hypot(o: Writer, a: Value, b: Value) -> Any:
    """The larger one times √(1 + (smaller / larger)²), which does not overflow."""
    a, b = o.Abs(a), o.Abs(b)
    large = o.Max(a, b)
    ratio = o.Div(o.Min(a, b), large)
    length = o.Mul(large, o.Sqrt(o.Add(o.Mul(ratio, ratio), 1)))
    return o.Where(o.Or(o.Equal(large, 0), o.IsInf(large)), large, length)


def cbrt(o: Writer, x: Value) -> Any:
    return o.Mul(o.Sign(x), o.Pow(o.Abs(x), 1 / 3))


def arctan2(o: Writer, a: Value, b: Value) -> Any:
    """The angle of (b, a): arctan in the right half plane, half a turn more in the left."""
    half_turn = o.Where(o.Less(a, 0), o.value(-math.pi, a.dtype), math.pi)
    angle = o.Atan(o.Div(a, b))
    left = o.Add(angle, half_turn)
    upright = o.Mul(o.Sign(a), math.pi / 2)
    return o.Where(o.Equal(b, 0), upright, o.Where(o.Less(b, 0), left, angle))


def elu(o: Writer, x: Value, alpha: float) -> Any:
    below = o.Mul(expm1(o, o.Min(x, 0)), alpha)
    return o.Where(o.Greater(x, 0), x, below)


def leaky_relu(o: Writer, x: Value, negative_slope: float) -> Any:
    return o.Where(o.Greater(x, 0), x, o.Mul(x, negative_slope))


def gelu(o: Writer, x: Value) -> Any:
    below = o.Add(o.Erf(o.Mul(x, 0.5**0.5)), 1)
    return o.Mul(o.Mul(x, 0.5), below)


def gelu_tanh(o: Writer, x: Value) -> Any:
    cube = o.Mul(o.Mul(x, x), o.Mul(x, 0.044715))
    inner = o.Mul(o.Add(x, cube), (2 / math.pi) ** 0.5)
    return o.Mul(o.Mul(x, 0.5), o.Add(o.Tanh(inner), 1))


def silu(o: Writer, x: Value) -> Any:
    return o.Mul(x, o.Sigmoid(x))


def xlogy(o: Writer, a: Value, b: Value) -> Any:
    return o.Where(o.And(o.Equal(a, 0), o.Not(o.IsNaN(b))), 0.0, o.Mul(a, o.Log(b)))


def xlog1py(o: Writer, a: Value, b: Value) -> Any:
    return o.Where(o.And(o.Equal(a, 0), o.Not(o.IsNaN(b))), 0.0, o.Mul(a, log1p(o, b)))


TABLE = {
    "exp": plain("Exp"),
    "expm1": Entry(expm1),
    "log": plain("Log"),
    "log1p": Entry(log1p),
    "log2": Entry(lambda o, x: o.Div(o.Log(x), math.log(2))),
    "log10": Entry(lambda o, x: o.Div(o.Log(x), math.log(10))),
    "sqrt": plain("Sqrt"),
    "logaddexp": Entry(logaddexp),
    "logaddexp2": Entry(logaddexp2),
    "cbrt": Entry(cbrt),
    "sin": plain("Sin"),
    "cos": plain("Cos"),
    "tan": Entry(lambda o, x: o.Div(o.Sin(x), o.Cos(x))),
    "arcsin": plain("Asin"),
    "arccos": plain("Acos"),
    "arctan": plain("Atan"),
    "arctan2": Entry(arctan2),
    "hypot": Entry(hypot),
    "sinh": plain("Sinh"),
    "cosh": plain("Cosh"),
    "tanh": plain("Tanh"),
    "arcsinh": plain("Asinh"),
    "arccosh": plain("Acosh"),
    "arctanh": plain("Atanh"),
    "erf": plain("Erf"),
    "relu": plain("Relu"),
    "leaky_relu": Entry(leaky_relu),
    "elu": Entry(elu),
    "sigmoid": plain("Sigmoid"),
    "softplus": Entry(softplus),
    "silu": Entry(silu),
    "gelu": Entry(gelu),
    "gelu_tanh": Entry(gelu_tanh),
    "xlogy": Entry(xlogy),
    "xlog1py": Entry(xlog1py),
}
