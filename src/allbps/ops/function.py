"""Elementary functions, element by element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from allbps.errors import DtypeError
from allbps.ir import NUMPY, Node, Notation, Op, Rule, Sample, Zero
from allbps.ir.op import AnyRule, Aval
from allbps.ops.arithmetic import TWO, pow_, power, torch_of_tensors
from allbps.ops.factors import share, without
from allbps.ops.shapes import elementwise, elementwise_float, same


def unary(
    name: str,
    doc: str,
    rule: AnyRule,
    *,
    numpy: str = "",
    torch: str | None = "",
    notation: Notation | None = None,
    implements: tuple[Any, ...] | None = None,
    shape: Callable[..., Aval] = elementwise_float,
    low: float = -2.0,
    high: float = 2.0,
    **more: Any,
) -> Op:
    """Declare a function of one operand; texts default to ``np.name`` and ``torch.name``."""
    return Op(
        name=name,
        doc=doc,
        operands="x",
        shape=shape,
        numpy=numpy or f"np.{name}({{x}})",
        torch=f"torch.{name}({{x}})" if torch == "" else torch,
        rules=(rule,),
        notation=notation or Notation(f"{name}({{x}})"),
        implements=(getattr(np, name),) if implements is None else implements,
        samples=(Sample(((2, 3),), low=low, high=high), Sample(((),), low=low, high=high)),
        **more,
    )


# -- exponential and logarithm ---------------------------------------------------------------------
def d_exp(g: Node, y: Node, x: Node) -> Node:
    return g * y


exp = unary("exp", "eˣ.", Rule(d_exp, "∂{y}/∂{x} = exp({x}) = {y}"), complex=True)


def d_expm1(g: Node, y: Node, x: Node) -> Node:
    return g * (y + 1.0)


expm1 = unary(
    "expm1",
    "eˣ − 1, exact near 0.",
    Rule(d_expm1, "∂{y}/∂{x} = exp({x}) = {y} + 1"),
    expand=lambda x: exp(x) - 1.0,
    notation=Notation("exp({x}) − 1"),
)


def d_log(g: Node, y: Node, x: Node) -> Node:
    return g / x


log = unary("log", "Natural logarithm.", Rule(d_log, "∂{y}/∂{x} = 1 / {x}"), low=0.3, complex=True)


def d_log1p(g: Node, y: Node, x: Node) -> Node:
    return g / (x + 1.0)


log1p = unary(
    "log1p",
    "log(1 + x), exact near 0.",
    Rule(d_log1p, "∂{y}/∂{x} = 1 / (1 + {x})"),
    low=-0.5,
    expand=lambda x: log(x + 1.0),
    notation=Notation("log(1 + {x})"),
)


def d_log2(g: Node, y: Node, x: Node) -> Node:
    return g / (x * float(np.log(2)))


log2 = unary("log2", "Logarithm to base 2.", Rule(d_log2, "∂{y}/∂{x} = 1 / ({x} log 2)"), low=0.3)


def d_log10(g: Node, y: Node, x: Node) -> Node:
    return g / (x * float(np.log(10)))


log10 = unary(
    "log10", "Logarithm to base 10.", Rule(d_log10, "∂{y}/∂{x} = 1 / ({x} log 10)"), low=0.3
)


def d_sqrt(g: Node, y: Node, x: Node) -> Node:
    rest = without(g, y)  # √x · √x is x, also at 0
    return g * 0.5 / y if rest is None else rest * 0.5


sqrt = unary(
    "sqrt",
    "Square root.",
    Rule(d_sqrt, "∂{y}/∂{x} = 1 / (2 √{x})"),
    low=0.3,
    notation=Notation("√{x}"),
    expand=lambda x: x**0.5,
    complex=True,
)


def d_logaddexp_a(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * exp(a - y)


def d_logaddexp_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * exp(b - y)


logaddexp = Op(
    name="logaddexp",
    doc="log(eᵃ + eᵇ) without overflow.",
    operands="a b",
    shape=elementwise_float,
    numpy="np.logaddexp({a}, {b})",
    torch=torch_of_tensors("logaddexp"),
    rules=(
        Rule(d_logaddexp_a, "∂{y}/∂{a} = exp({a} − {y})"),
        Rule(d_logaddexp_b, "∂{y}/∂{b} = exp({b} − {y})"),
    ),
    notation=Notation("log(exp({a}) + exp({b}))"),
    implements=(np.logaddexp,),
    expand=lambda a, b: log(exp(a) + exp(b)),
    samples=TWO,
)


LOG_2 = float(np.log(2))


def d_logaddexp2_a(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * pow_(2.0, a - y)


def d_logaddexp2_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * pow_(2.0, b - y)


logaddexp2 = Op(
    name="logaddexp2",
    doc="log₂(2ᵃ + 2ᵇ) without overflow.",
    operands="a b",
    shape=elementwise_float,
    numpy="np.logaddexp2({a}, {b})",
    torch=torch_of_tensors("logaddexp2"),
    rules=(
        Rule(d_logaddexp2_a, "∂{y}/∂{a} = 2^({a} − {y})"),
        Rule(d_logaddexp2_b, "∂{y}/∂{b} = 2^({b} − {y})"),
    ),
    notation=Notation("log₂(2^{a} + 2^{b})"),
    implements=(np.logaddexp2,),
    expand=lambda a, b: logaddexp(a * LOG_2, b * LOG_2) / LOG_2,
    samples=TWO,
)


def d_cbrt(g: Node, y: Node, x: Node) -> Node:
    rest = without(g, y, 2)
    return g / (3.0 * y**2) if rest is None else rest / 3.0


def _root_of_size(x: Node) -> Node:
    return sign(x) * power(abs_(x), exponent=1 / 3)


cbrt = unary(
    "cbrt",
    "The real cube root, also of negative numbers.",
    Rule(d_cbrt, "∂{y}/∂{x} = 1 / (3 {y}²)"),
    torch="torch.sign({x}) * torch.abs({x}) ** (1 / 3)",
    notation=Notation("∛{x}"),
    low=0.3,
    expand=_root_of_size,
)


# -- trigonometric ---------------------------------------------------------------------------------
def d_sin(g: Node, y: Node, x: Node) -> Node:
    return g * cos(x)


sin = unary("sin", "Sine of x in radians.", Rule(d_sin, "∂{y}/∂{x} = cos({x})"), complex=True)


def d_cos(g: Node, y: Node, x: Node) -> Node:
    return -(g * sin(x))


cos = unary("cos", "Cosine of x in radians.", Rule(d_cos, "∂{y}/∂{x} = −sin({x})"), complex=True)


def d_tan(g: Node, y: Node, x: Node) -> Node:
    return g * (1.0 + y**2)


tan = unary(
    "tan",
    "Tangent of x in radians.",
    Rule(d_tan, "∂{y}/∂{x} = 1 + {y}²"),
    low=-1.2,
    high=1.2,
    expand=lambda x: sin(x) / cos(x),
    complex=True,
)


def d_arcsin(g: Node, y: Node, x: Node) -> Node:
    return g / sqrt(1.0 - x**2)


arcsin = unary(
    "arcsin", "Inverse sine.", Rule(d_arcsin, "∂{y}/∂{x} = 1 / √(1 − {x}²)"), low=-0.9, high=0.9
)


def d_arccos(g: Node, y: Node, x: Node) -> Node:
    return -(g / sqrt(1.0 - x**2))


arccos = unary(
    "arccos",
    "Inverse cosine.",
    Rule(d_arccos, "∂{y}/∂{x} = −1 / √(1 − {x}²)"),
    low=-0.9,
    high=0.9,
)


def d_arctan(g: Node, y: Node, x: Node) -> Node:
    return g / (1.0 + x**2)


arctan = unary("arctan", "Inverse tangent.", Rule(d_arctan, "∂{y}/∂{x} = 1 / (1 + {x}²)"))


def d_arctan2_a(g: Node, y: Node, a: Node, b: Node) -> Node:
    radius = hypot(a, b)  # its square would underflow where a and b are tiny
    return g * (b / radius) / radius


def d_arctan2_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    radius = hypot(a, b)
    return -(g * (a / radius) / radius)


arctan2 = Op(
    name="arctan2",
    doc="Angle of the point (b, a) in radians, in (−π, π].",
    operands="a b",
    shape=elementwise_float,
    numpy="np.arctan2({a}, {b})",
    torch=torch_of_tensors("atan2"),
    rules=(
        Rule(d_arctan2_a, "∂{y}/∂{a} = {b} / ({a}² + {b}²)"),
        Rule(d_arctan2_b, "∂{y}/∂{b} = −{a} / ({a}² + {b}²)"),
    ),
    notation=Notation("arctan2({a}, {b})"),
    implements=(np.arctan2,),
    samples=TWO,
)


def d_hypot_a(g: Node, y: Node, a: Node, b: Node) -> Node:
    rest = without(g, y)
    return g * share(a, y) if rest is None else rest * a


def d_hypot_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    rest = without(g, y)
    return g * share(b, y) if rest is None else rest * b


hypot = Op(
    name="hypot",
    doc="√(a² + b²), without overflow; its slope at the origin is taken as 0.",
    operands="a b",
    shape=elementwise_float,
    numpy="np.hypot({a}, {b})",
    torch=torch_of_tensors("hypot"),
    rules=(
        Rule(d_hypot_a, "∂{y}/∂{a} = {a} / {y}"),
        Rule(d_hypot_b, "∂{y}/∂{b} = {b} / {y}"),
    ),
    notation=Notation("√({a}² + {b}²)"),
    implements=(np.hypot,),
    expand=lambda a, b: sqrt(a**2 + b**2),
    samples=TWO,
)


# -- hyperbolic ------------------------------------------------------------------------------------
def d_sinh(g: Node, y: Node, x: Node) -> Node:
    return g * cosh(x)


sinh = unary("sinh", "Hyperbolic sine.", Rule(d_sinh, "∂{y}/∂{x} = cosh({x})"), complex=True)


def d_cosh(g: Node, y: Node, x: Node) -> Node:
    return g * sinh(x)


cosh = unary("cosh", "Hyperbolic cosine.", Rule(d_cosh, "∂{y}/∂{x} = sinh({x})"), complex=True)


def d_tanh(g: Node, y: Node, x: Node) -> Node:
    return g * (1.0 - y**2)


tanh = unary(
    "tanh",
    "Hyperbolic tangent.",
    Rule(d_tanh, "∂{y}/∂{x} = tanh′({x}) = 1 − {y}²"),
    expand=lambda x: sinh(x) / cosh(x),
    complex=True,
)


def d_arcsinh(g: Node, y: Node, x: Node) -> Node:
    return g / sqrt(x**2 + 1.0)


arcsinh = unary("arcsinh", "Inverse of sinh.", Rule(d_arcsinh, "∂{y}/∂{x} = 1 / √({x}² + 1)"))


def d_arccosh(g: Node, y: Node, x: Node) -> Node:
    return g / sqrt(x**2 - 1.0)


arccosh = unary(
    "arccosh",
    "Inverse of cosh.",
    Rule(d_arccosh, "∂{y}/∂{x} = 1 / √({x}² − 1)"),
    low=1.2,
    high=3.0,
    harmless=1.5,
)


def d_arctanh(g: Node, y: Node, x: Node) -> Node:
    return g / (1.0 - x**2)


arctanh = unary(
    "arctanh",
    "Inverse of tanh.",
    Rule(d_arctanh, "∂{y}/∂{x} = 1 / (1 − {x}²)"),
    low=-0.9,
    high=0.9,
)


# -- error function --------------------------------------------------------------------------------
def d_erf(g: Node, y: Node, x: Node) -> Node:
    return g * (2.0 / float(np.sqrt(np.pi)) * exp(-(x**2)))


erf = unary(
    "erf",
    "Error function, 2/√π ∫₀ˣ exp(−t²) dt.",
    Rule(d_erf, "∂{y}/∂{x} = 2 exp(−{x}²) / √π"),
    numpy="special.erf({x})",
    jax="jax.scipy.special.erf({x})",
    implements=(),
)


# -- absolute value, sign, rounding ----------------------------------------------------------------
def d_abs(g: Node, y: Node, x: Node) -> Node:
    rest = without(g, y)  # |x|² is x², also at 0
    return g * sign(x) if rest is None else rest * x


abs_ = Op(
    name="abs",
    doc="Absolute value; its slope at 0 is taken as 0.",
    operands="x",
    shape=same,
    numpy="np.abs({x})",
    torch="torch.abs({x})",
    rules=(Rule(d_abs, '∂{y}/∂{x} = sign({x}), "taken as" 0 "at" 0'),),
    notation=Notation("|{x}|"),
    implements=(np.abs,),
    operator="abs",
    samples=(Sample(((2, 3),)),),
)


def constant_between_jumps(
    name: str, doc: str, symbol: str, torch: str, implements: tuple[Any, ...]
) -> Op:
    """Declare a step function: its derivative is zero wherever it exists."""
    return Op(
        name=name,
        doc=doc,
        operands="x",
        shape=same,
        numpy=f"np.{name}({{x}})",
        torch=torch,
        rules=(Zero(f"{name} is constant between jumps"),),
        notation=Notation(symbol),
        implements=implements,
        samples=(Sample(((2, 3),)),),
    )


sign = constant_between_jumps("sign", "−1, 0 or 1.", "sign({x})", "torch.sign({x})", (np.sign,))
floor = constant_between_jumps(
    "floor", "Largest integer not above x.", "⌊{x}⌋", "torch.floor({x})", (np.floor,)
)
ceil = constant_between_jumps(
    "ceil", "Smallest integer not below x.", "⌈{x}⌉", "torch.ceil({x})", (np.ceil,)
)
rint = constant_between_jumps(
    "rint",
    "Nearest integer, halves to even.",
    "round({x})",
    "torch.round({x})",
    (np.rint,),
)
trunc = constant_between_jumps(
    "trunc", "Integer part.", "trunc({x})", "torch.trunc({x})", (np.trunc,)
)


# -- dtype -----------------------------------------------------------------------------------------
def d_astype(g: Node, y: Node, x: Node, dtype: Any) -> Node:
    return g  # backprop casts a contribution to the dtype of its operand


def astype_shape(x: Node, dtype: Any) -> Aval:
    if x.is_complex and np.dtype(dtype).kind != "c":
        raise DtypeError(
            f"{{x}} is complex, and {np.dtype(dtype)} would lose its imaginary part",
            expected="a complex dtype",
            got=str(np.dtype(dtype)),
            todo="np.real({x}) or np.abs({x})",
        )
    return x.shape, np.dtype(dtype)


astype = Op(
    name="astype",
    complex=True,
    doc="The same numbers in another dtype.",
    operands="x",
    shape=astype_shape,
    numpy="np.asarray({x}, dtype={dtype})",
    torch=lambda operands, attrs: f"{operands['x']}.to(torch.{attrs['dtype'].name})",
    rules=(Rule(d_astype, "∂{y}/∂{x} = 1"),),
    notation=Notation("{x}"),
    samples=(Sample(((2, 3),), {"dtype": np.dtype(np.float32)}),),
)
NUMPY[np.astype] = lambda x, dtype, copy=True: astype(x, dtype=np.dtype(dtype))


# -- the larger and the smaller --------------------------------------------------------------------
def d_maximum_a(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * (a >= b)


def d_maximum_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * (a < b)


maximum = Op(
    name="maximum",
    doc="The larger of a and b; at a tie a wins, as everywhere the first winner does.",
    operands="a b",
    shape=elementwise,
    numpy="np.maximum({a}, {b})",
    # torch.maximum halves the gradient at ties
    torch="torch.where({a} >= {b}, {a}, {b})",
    rules=(
        Rule(d_maximum_a, "∂{y}/∂{a} = 1 if {a} ≥ {b}, else 0"),
        Rule(d_maximum_b, "∂{y}/∂{b} = 1 if {a} < {b}, else 0"),
    ),
    notation=Notation("max({a}, {b})"),
    implements=(np.maximum,),
    samples=TWO,
)


def d_minimum_a(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * (a <= b)


def d_minimum_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * (a > b)


minimum = Op(
    name="minimum",
    doc="The smaller of a and b; at a tie a wins.",
    operands="a b",
    shape=elementwise,
    numpy="np.minimum({a}, {b})",
    torch="torch.where({a} <= {b}, {a}, {b})",
    rules=(
        Rule(d_minimum_a, "∂{y}/∂{a} = 1 if {a} ≤ {b}, else 0"),
        Rule(d_minimum_b, "∂{y}/∂{b} = 1 if {a} > {b}, else 0"),
    ),
    notation=Notation("min({a}, {b})"),
    implements=(np.minimum,),
    expand=lambda a, b: -maximum(-a, -b),
    samples=TWO,
)
