"""Functions of two numbers with SciPy's own values: Box and Cox's, Huber's smooth loss, binomials.

Derivatives: NIST Digital Library of Mathematical Functions, 5.2 for the binomial coefficients; the
others by the rules of calculus, in a form that keeps its digits where terms cancel.
"""

from __future__ import annotations

from typing import Any

from allbps.ir import Node, Notation, Op, Rule, Sample
from allbps.ops.arithmetic import in_tensors
from allbps.ops.comparison import where
from allbps.ops.function import abs_, exp, expm1, log, sqrt
from allbps.ops.shapes import of_scipy_ufunc
from allbps.ops.special import NO_JAX, digamma, gammaln

TWO_POSITIVE = (
    Sample(((2, 3), (3,)), low=0.3, high=2.0),
    Sample(((), (2,)), low=0.3, high=2.0),
)


def of_pair(name: str, doc: str, rules: tuple[Rule, Rule], torch: str, **more: Any) -> Op:
    """Declare a function of a and b that ``scipy.special`` has."""
    more.setdefault("samples", TWO_POSITIVE)
    return Op(
        name=name,
        doc=doc,
        operands="a b",
        shape=of_scipy_ufunc(name),
        numpy=f"special.{name}({{a}}, {{b}})",
        torch=in_tensors(torch),
        why_no_jax=NO_JAX,
        rules=rules,
        implements=(f"scipy.special.{name}",),
        **more,
    )


# -- a loss between square and absolute value ------------------------------------------------------
def _root(a: Node, b: Node) -> Node:
    return sqrt(1.0 + (b / a) ** 2)


def d_pseudo_huber_a(g: Node, y: Node, a: Node, b: Node) -> Node:
    root = _root(a, b)
    less_one = (b / a) ** 2 / (root + 1.0)  # root − 1, without cancellation
    return g * (a * less_one**2 / root)


def d_pseudo_huber_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * (b / _root(a, b))


pseudo_huber = of_pair(
    "pseudo_huber",
    "a² (√(1 + (b / a)²) − 1), and ∞ for a < 0.",
    (
        Rule(d_pseudo_huber_a, "∂{y}/∂{a} = {a} (w − 1)² / w, w = √(1 + ({b} / {a})²)"),
        Rule(d_pseudo_huber_b, "∂{y}/∂{b} = {b} / √(1 + ({b} / {a})²)"),
    ),
    "{a} ** 2 * (torch.sqrt(1 + ({b} / {a}) ** 2) - 1)",
    notation=Notation("{a}² ⊙ (√(1 + ({b} / {a})²) − 1)"),
    expand=lambda a, b: a**2 * (sqrt(1.0 + (b / a) ** 2) - 1.0),
)


# -- the transformation by Box and Cox -------------------------------------------------------------
SERIES = (1 / 2, 1 / 3, 1 / 8, 1 / 30, 1 / 144, 1 / 840)
"""((u − 1) eᵘ + 1) / u² as a power series in u."""


def d_boxcox_a(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * exp((b - 1.0) * log(a))


def d_boxcox_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    logarithm = log(a)
    u = b * logarithm
    near = abs_(u) < 1e-2
    small, large = where(near, u, 0.0), where(near, 1.0, u)
    series: Any = SERIES[-1]
    for coefficient in SERIES[-2::-1]:
        series = coefficient + small * series
    grown = expm1(large)
    quotient = (large + large * grown - grown) / large**2
    return g * (logarithm**2 * where(near, series, quotient))


boxcox = of_pair(
    "boxcox",
    "(aᵇ − 1) / b, and log a for b = 0.",
    (
        Rule(d_boxcox_a, "∂{y}/∂{a} = {a}^({b} − 1)"),
        Rule(d_boxcox_b, "∂{y}/∂{b} = log({a})² ((u − 1) exp(u) + 1) / u², u = {b} ⊙ log({a})"),
    ),
    "torch.where({b} == 0, torch.log({a}), torch.expm1({b} * torch.log({a}))"
    " / torch.where({b} == 0, 1, {b}))",
    notation=Notation("({a}^{b} − 1) / {b}"),
    expand=lambda a, b: (exp(b * log(a)) - 1.0) / b,
)


# -- binomial coefficients -------------------------------------------------------------------------
def d_binom_a(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * (y * (digamma(a + 1.0) - digamma(a - b + 1.0)))


def d_binom_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * (y * (digamma(a - b + 1.0) - digamma(b + 1.0)))


binom = of_pair(
    "binom",
    "The binomial coefficient Γ(a + 1) / (Γ(b + 1) Γ(a − b + 1)).",
    (
        Rule(d_binom_a, "∂{y}/∂{a} = {y} ⊙ (ψ({a} + 1) − ψ({a} − {b} + 1))"),
        Rule(d_binom_b, "∂{y}/∂{b} = {y} ⊙ (ψ({a} − {b} + 1) − ψ({b} + 1))"),
    ),
    "torch.exp(torch.lgamma({a} + 1) - torch.lgamma({b} + 1) - torch.lgamma({a} - {b} + 1))",
    notation=Notation("binom({a}, {b})"),
    expand=lambda a, b: exp(gammaln(a + 1.0) - gammaln(b + 1.0) - gammaln(a - b + 1.0)),
    samples=(
        Sample(((2, 3), (3,)), low=1.1, high=1.9),
        Sample(((), (2,)), low=1.1, high=1.9),
    ),
)
