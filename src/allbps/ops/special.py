"""The gamma function and its relatives, error functions and the normal distribution.

Derivatives: NIST Digital Library of Mathematical Functions, chapters 5, 6, 7, 8 and 25.
"""

from __future__ import annotations

from math import factorial, pi, sqrt
from typing import Any

import numpy as np

from allbps.ir import Aval, Node, Notation, NotImplementedRule, Op, Rule, Sample, Zero
from allbps.mathematics import Formula, Math, write
from allbps.ops.arithmetic import in_tensors, power
from allbps.ops.entropy import xlog1py, xlogy
from allbps.ops.function import astype, exp, log, unary
from allbps.ops.shapes import elementwise_float, of_scipy_ufunc

ROOT_PI, ROOT_TWO_PI = sqrt(pi), sqrt(2 * pi)
NO_TORCH = "PyTorch has no such function with a derivative"
NO_JAX = "JAX has no such function"


def of_scipy(name: str, doc: str, rule: Rule | Zero, **more: Any) -> Op:
    """Declare a function of one number that ``scipy.special`` has."""
    more.setdefault("torch", f"torch.special.{name}({{x}})")
    return unary(
        name,
        doc,
        rule,
        numpy=f"special.{name}({{x}})",
        shape=of_scipy_ufunc(name),
        implements=(f"scipy.special.{name}",),
        **more,
    )


# -- gamma -----------------------------------------------------------------------------------------
def d_gammaln(g: Node, y: Node, x: Node) -> Node:
    return g * digamma(x)


gammaln = of_scipy(
    "gammaln",
    "log |Γ(x)|.",
    Rule(d_gammaln, "∂{y}/∂{x} = ψ({x})"),
    notation=Notation("log |Γ({x})|"),
    low=0.3,
    high=4.0,
)


def d_digamma(g: Node, y: Node, x: Node) -> Node:
    return g * polygamma_op(x, n=1)


digamma = unary(
    "digamma",
    "ψ(x) = Γ′(x) / Γ(x).",
    Rule(d_digamma, "∂{y}/∂{x} = ψ′({x})"),
    numpy="special.psi({x})",
    shape=of_scipy_ufunc("psi"),
    torch="torch.special.digamma({x})",
    jax="jax.scipy.special.digamma({x})",
    notation=Notation("ψ({x})"),
    implements=("scipy.special.psi", "scipy.special.digamma"),
    low=0.3,
    high=4.0,
)


def d_polygamma(g: Node, y: Node, x: Node, n: int) -> Node:
    return g * polygamma_op(x, n=n + 1)


def polygamma_code(operands: Any, attrs: Any) -> str:
    """ψ⁽ⁿ⁾(x) = (−1)ⁿ⁺¹ n! ζ(n + 1, x)."""
    n, x = attrs["n"], operands["x"]
    sign = "" if n % 2 else "-"
    return f"{sign}{float(factorial(n))} * special.zeta({float(n + 1)}, {x})"


def polygamma_shape(x: Node, n: int) -> Aval:
    return elementwise_float(x)


def polygamma_notation(x: Formula, n: int) -> Math:
    """``ψ′(x)``, ``ψ⁽⁴⁾(x)``."""
    raised = "′" * n if n < 4 else f"⁽{str(n).translate(RAISED)}⁾"
    return write(f"ψ{raised}({{x}})", x=x)


RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def polygamma_because(x: Formula, y: Formula, n: int) -> Math:
    return write("∂{y}/∂{x} = {slope}", x=x, y=y, slope=polygamma_notation(x, n + 1))


polygamma_op = Op(
    name="polygamma",
    doc="ψ⁽ⁿ⁾(x), the n-th derivative of ψ, n ≥ 1.",
    operands="x",
    shape=polygamma_shape,
    numpy=polygamma_code,
    torch=lambda operands, attrs: polygamma_code(operands, attrs).replace(
        "special.zeta(", "torch.special.zeta("
    ),  # its own polygamma has eight digits
    jax="jax.scipy.special.polygamma({n}, {x})",
    rules=(Rule(d_polygamma, polygamma_because),),
    notation=Notation(polygamma_notation),
    samples=(
        Sample(((2, 3),), {"n": 1}, low=0.3, high=4.0),
        Sample(((),), {"n": 2}, low=0.3, high=4.0),
    ),
)


def d_gamma(g: Node, y: Node, x: Node) -> Node:
    return g * y * digamma(x)


gamma = of_scipy(
    "gamma",
    "Γ(x).",
    Rule(d_gamma, "∂{y}/∂{x} = Γ({x}) ψ({x})"),
    torch="torch.exp(torch.special.gammaln({x}))",
    why_no_torch="PyTorch has only log |Γ|, without the sign",
    notation=Notation("Γ({x})"),
    low=0.3,
    high=4.0,
    expand=lambda x: exp(gammaln(x)),
)


# -- incomplete gamma ------------------------------------------------------------------------------
def _density(x: Node, a: Node) -> Node:
    """xᵃ⁻¹ e⁻ˣ / Γ(a)."""
    a = _in_dtype(a, x)
    return exp(xlogy(a - 1.0, x) - x - gammaln(a))


def _in_dtype(order: Node, x: Node) -> Node:
    """A whole order as a number of the kind that x is."""
    return order if order.is_float else astype(order, dtype=x.dtype)


def d_gammainc(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * _density(b, a)


def d_gammaincc(g: Node, y: Node, a: Node, b: Node) -> Node:
    return -(g * _density(b, a))


NO_CLOSED_FORM = NotImplementedRule("its derivative in the first operand has no closed form")
WHOLE_ORDERS = (
    Sample((np.array([[1], [3]], np.int16), (2, 3)), low=0.3, high=4.0),
    Sample((np.array(2, np.int16), ()), low=0.3, high=4.0),
)


def incomplete(name: str, doc: str, rule: Rule) -> Op:
    """Declare a function of an order a and a number b."""
    return Op(
        name=name,
        doc=doc,
        operands="a b",
        shape=of_scipy_ufunc(name),
        numpy=f"special.{name}({{a}}, {{b}})",
        torch=f"torch.special.{name}(torch.as_tensor({{a}}, dtype={{b}}.dtype), {{b}})",
        jax=f"jax.scipy.special.{name}(jnp.asarray({{a}}, jnp.result_type({{b}})), {{b}})",
        rules=(NO_CLOSED_FORM, rule),
        notation=Notation(f"{name}({{a}}, {{b}})"),
        implements=(f"scipy.special.{name}",),
        samples=WHOLE_ORDERS,
    )


gammainc = incomplete(
    "gammainc",
    "The integral of tᵃ⁻¹ e⁻ᵗ / Γ(a) from 0 to b.",
    Rule(d_gammainc, "∂{y}/∂{b} = {b}^({a} − 1) exp(−{b}) / Γ({a})"),
)
gammaincc = incomplete(
    "gammaincc",
    "The integral of tᵃ⁻¹ e⁻ᵗ / Γ(a) from b on.",
    Rule(d_gammaincc, "∂{y}/∂{b} = −{b}^({a} − 1) exp(−{b}) / Γ({a})"),
)


# -- beta ------------------------------------------------------------------------------------------
def d_betaln_a(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * (digamma(a) - digamma(a + b))


def d_betaln_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * (digamma(b) - digamma(a + b))


betaln = Op(
    name="betaln",
    doc="log |B(a, b)|, B(a, b) = Γ(a) Γ(b) / Γ(a + b).",
    operands="a b",
    shape=of_scipy_ufunc("betaln"),
    numpy="special.betaln({a}, {b})",
    torch=in_tensors(
        "torch.special.gammaln({a}) + torch.special.gammaln({b}) - torch.special.gammaln({a} + {b})"
    ),
    rules=(
        Rule(d_betaln_a, "∂{y}/∂{a} = ψ({a}) − ψ({a} + {b})"),
        Rule(d_betaln_b, "∂{y}/∂{b} = ψ({b}) − ψ({a} + {b})"),
    ),
    notation=Notation("log B({a}, {b})"),
    implements=("scipy.special.betaln",),
    expand=lambda a, b: gammaln(a) + gammaln(b) - gammaln(a + b),
    samples=(Sample(((2, 3), (3,)), low=0.3, high=3.0), Sample(((), ()), low=0.3, high=3.0)),
)


def d_beta_a(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * y * (digamma(a) - digamma(a + b))


def d_beta_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * y * (digamma(b) - digamma(a + b))


beta = Op(
    name="beta",
    doc="B(a, b) = Γ(a) Γ(b) / Γ(a + b).",
    operands="a b",
    shape=of_scipy_ufunc("beta"),
    numpy="special.beta({a}, {b})",
    torch="torch.exp(torch.special.gammaln({a}) + torch.special.gammaln({b})"
    " - torch.special.gammaln({a} + {b}))",
    why_no_torch="PyTorch has only log |Γ|, without the sign",
    rules=(
        Rule(d_beta_a, "∂{y}/∂{a} = {y} (ψ({a}) − ψ({a} + {b}))"),
        Rule(d_beta_b, "∂{y}/∂{b} = {y} (ψ({b}) − ψ({a} + {b}))"),
    ),
    notation=Notation("B({a}, {b})"),
    implements=("scipy.special.beta",),
    expand=lambda a, b: exp(betaln(a, b)),
    samples=(Sample(((2, 3), (3,)), low=0.3, high=3.0),),
)


def d_betainc(g: Node, y: Node, a: Node, b: Node, x: Node) -> Node:
    a, b = _in_dtype(a, x), _in_dtype(b, x)
    return g * exp(xlogy(a - 1.0, x) + xlog1py(b - 1.0, -x) - betaln(a, b))


betainc = Op(
    name="betainc",
    doc="The integral of tᵃ⁻¹ (1 − t)ᵇ⁻¹ / B(a, b) from 0 to x.",
    operands="a b x",
    shape=of_scipy_ufunc("betainc"),
    numpy="special.betainc({a}, {b}, {x})",
    torch=None,
    why_no_torch=NO_TORCH,
    jax="jax.scipy.special.betainc(jnp.asarray({a}, jnp.result_type({x})),"
    " jnp.asarray({b}, jnp.result_type({x})), {x})",
    rules=(
        NO_CLOSED_FORM,
        NO_CLOSED_FORM,
        Rule(d_betainc, "∂{y}/∂{x} = {x}^({a} − 1) (1 − {x})^({b} − 1) / B({a}, {b})"),
    ),
    notation=Notation("I({x}; {a}, {b})"),
    implements=("scipy.special.betainc",),
    samples=(
        Sample((np.array([[1], [3]], np.int16), np.array(2, np.int16), (2, 3)), low=0.1, high=0.9),
    ),
)


# -- zeta ------------------------------------------------------------------------------------------
def d_zeta(g: Node, y: Node, a: Node, b: Node) -> Node:
    a = _in_dtype(a, b)
    return -(g * a * zeta(a + 1.0, b))


zeta = Op(
    name="zeta",
    doc="Hurwitz's ζ(a, b) = Σ 1 / (k + b)ᵃ over k = 0, 1, ….",
    operands="a b",
    shape=elementwise_float,
    numpy="special.zeta({a}, {b})",
    torch="torch.special.zeta(torch.as_tensor({a}, dtype={b}.dtype), {b})",
    rules=(
        NotImplementedRule("its derivative in the first operand has no closed form"),
        Rule(d_zeta, "∂{y}/∂{b} = −{a} ζ({a} + 1, {b})"),
    ),
    notation=Notation("ζ({a}, {b})"),
    samples=(Sample((np.array([[2], [4]], np.int16), (2, 3)), low=0.5, high=4.0),),
)


# -- error functions -------------------------------------------------------------------------------
def d_erfc(g: Node, y: Node, x: Node) -> Node:
    return -(g * (2.0 / ROOT_PI * exp(-(x**2))))


erfc = of_scipy(
    "erfc",
    "1 − erf(x), exact where that is near 0.",
    Rule(d_erfc, "∂{y}/∂{x} = −2 exp(−{x}²) / √π"),
)


def d_erfcx(g: Node, y: Node, x: Node) -> Node:
    return g * (2.0 * x * y - 2.0 / ROOT_PI)


erfcx = of_scipy(
    "erfcx",
    "exp(x²) erfc(x), without overflow.",
    Rule(d_erfcx, "∂{y}/∂{x} = 2 {x} {y} − 2 / √π"),
    notation=Notation("exp({x}²) erfc({x})"),
    why_no_jax=NO_JAX,
    expand=lambda x: exp(x**2) * erfc(x),
)


def d_erfinv(g: Node, y: Node, x: Node) -> Node:
    return g * (ROOT_PI / 2 * exp(y**2))


erfinv = of_scipy(
    "erfinv",
    "The inverse of erf.",
    Rule(d_erfinv, "∂{y}/∂{x} = √π exp({y}²) / 2"),
    low=-0.9,
    high=0.9,
)


def d_erfcinv(g: Node, y: Node, x: Node) -> Node:
    return -(g * (ROOT_PI / 2 * exp(y**2)))


erfcinv = of_scipy(
    "erfcinv",
    "The inverse of erfc.",
    Rule(d_erfcinv, "∂{y}/∂{x} = −√π exp({y}²) / 2"),
    torch="torch.special.erfinv(1 - {x})",
    jax="jax.scipy.special.erfinv(1 - {x})",
    low=0.1,
    high=1.9,
    expand=lambda x: erfinv(1.0 - x),
)


def d_dawsn(g: Node, y: Node, x: Node) -> Node:
    return g * (1.0 - 2.0 * x * y)


dawsn = of_scipy(
    "dawsn",
    "Dawson's integral, exp(−x²) ∫₀ˣ exp(t²) dt.",
    Rule(d_dawsn, "∂{y}/∂{x} = 1 − 2 {x} {y}"),
    torch=None,
    why_no_torch=NO_TORCH,
    why_no_jax=NO_JAX,
)


# -- normal distribution ---------------------------------------------------------------------------
def d_ndtr(g: Node, y: Node, x: Node) -> Node:
    return g * (exp(-0.5 * x**2) / ROOT_TWO_PI)


ndtr = of_scipy(
    "ndtr",
    "Φ(x), the normal distribution function.",
    Rule(d_ndtr, "∂{y}/∂{x} = φ({x}) = exp(−{x}² / 2) / √(2π)"),
    notation=Notation("Φ({x})"),
)


def d_log_ndtr(g: Node, y: Node, x: Node) -> Node:
    return g * exp(-0.5 * x**2 - y - float(np.log(ROOT_TWO_PI)))


log_ndtr = of_scipy(
    "log_ndtr",
    "log Φ(x), also where Φ(x) is 0 as a number.",
    Rule(d_log_ndtr, "∂{y}/∂{x} = φ({x}) / Φ({x})"),
    notation=Notation("log Φ({x})"),
    expand=lambda x: log(ndtr(x)),
)


def d_ndtri(g: Node, y: Node, x: Node) -> Node:
    return g * (ROOT_TWO_PI * exp(0.5 * y**2))


ndtri = of_scipy(
    "ndtri",
    "The inverse of Φ.",
    Rule(d_ndtri, "∂{y}/∂{x} = 1 / φ({y})"),
    notation=Notation("Φ⁻¹({x})"),
    low=0.1,
    high=0.9,
)


# -- exponential integral --------------------------------------------------------------------------
def d_expi(g: Node, y: Node, x: Node) -> Node:
    return g * (exp(x) / x)


expi = of_scipy(
    "expi",
    "The integral of eᵗ / t from −∞ to x, its principal value.",
    Rule(d_expi, "∂{y}/∂{x} = exp({x}) / {x}"),
    torch=None,
    why_no_torch=NO_TORCH,
    notation=Notation("Ei({x})"),
    low=0.3,
)


def d_exp1(g: Node, y: Node, x: Node) -> Node:
    return -(g * (exp(-x) / x))


exp1 = of_scipy(
    "exp1",
    "The integral of e⁻ᵗ / t from x on.",
    Rule(d_exp1, "∂{y}/∂{x} = −exp(−{x}) / {x}"),
    torch=None,
    why_no_torch=NO_TORCH,
    notation=Notation("E₁({x})"),
    low=0.3,
    expand=lambda x: -expi(-x),
)


def d_spence(g: Node, y: Node, x: Node) -> Node:
    return g * (log(x) * power(1.0 - x, exponent=-1))


spence = of_scipy(
    "spence",
    "The dilogarithm of 1 − x: the integral of log(t) / (1 − t) from 1 to x.",
    Rule(d_spence, "∂{y}/∂{x} = log({x}) / (1 − {x})"),
    torch=None,
    why_no_torch=NO_TORCH,
    notation=Notation("Li₂(1 − {x})"),
    low=0.3,
    high=0.9,
)
