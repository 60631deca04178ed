"""x log y and its relatives, and the logit, with SciPy's values at the ends of their domains."""

from __future__ import annotations

from typing import Any

from allbps.ir import Node, Notation, Op, Rule, Sample
from allbps.ops.arithmetic import TWO
from allbps.ops.function import log, log1p, unary
from allbps.ops.shapes import elementwise_float

POSITIVE = tuple(Sample(s.operands, low=0.3, high=2.0) for s in TWO)


def of_two(name: str, doc: str, rules: tuple[Rule, Rule], **more: Any) -> Op:
    """Declare a function of two numbers that ``scipy.special`` has."""
    return Op(
        name=name,
        doc=doc,
        operands="a b",
        shape=elementwise_float,
        numpy=f"special.{name}({{a}}, {{b}})",
        jax=f"jax.scipy.special.{name}({{a}}, {{b}})",
        rules=rules,
        implements=(f"scipy.special.{name}",),
        samples=POSITIVE,
        **more,
    )


# -- x log y ---------------------------------------------------------------------------------------
def d_xlogy_a(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * log(b)


def d_xlogy_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * (a / b)


xlogy = of_two(
    "xlogy",
    "a log b, and 0 where a is 0 and b is a number.",
    (Rule(d_xlogy_a, "∂{y}/∂{a} = log({b})"), Rule(d_xlogy_b, "∂{y}/∂{b} = {a} / {b}")),
    torch="torch.special.xlogy({a}, {b})",
    notation=Notation("{a} ⊙ log({b})"),
    expand=lambda a, b: a * log(b),
)


def d_xlog1py_a(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * log1p(b)


def d_xlog1py_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * (a / (1.0 + b))


xlog1py = of_two(
    "xlog1py",
    "a log(1 + b), and 0 where a is 0 and b is a number.",
    (
        Rule(d_xlog1py_a, "∂{y}/∂{a} = log(1 + {b})"),
        Rule(d_xlog1py_b, "∂{y}/∂{b} = {a} / (1 + {b})"),
    ),
    torch="torch.special.xlog1py({a}, {b})",
    notation=Notation("{a} ⊙ log(1 + {b})"),
    expand=lambda a, b: a * log(1.0 + b),
)


# -- entropies -------------------------------------------------------------------------------------
def d_entr(g: Node, y: Node, x: Node) -> Node:
    return -(g * (log(x) + 1.0))


entr = unary(
    "entr",
    "−x log x, 0 at 0 and −∞ below.",
    Rule(d_entr, "∂{y}/∂{x} = −log({x}) − 1"),
    numpy="special.entr({x})",
    torch="torch.special.entr({x})",
    jax="jax.scipy.special.entr({x})",
    notation=Notation("−{x} ⊙ log({x})"),
    implements=("scipy.special.entr",),
    expand=lambda x: -(x * log(x)),
    low=0.3,
)


def d_rel_entr_a(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * (log(a / b) + 1.0)


def d_rel_entr_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    return -(g * (a / b))


rel_entr = of_two(
    "rel_entr",
    "a log(a / b), 0 where a is 0, and ∞ outside a, b > 0.",
    (
        Rule(d_rel_entr_a, "∂{y}/∂{a} = log({a} / {b}) + 1"),
        Rule(d_rel_entr_b, "∂{y}/∂{b} = −{a} / {b}"),
    ),
    torch="{a} * torch.log({a} / {b})",
    notation=Notation("{a} ⊙ log({a} / {b})"),
    expand=lambda a, b: a * log(a / b),
)


def d_kl_div_a(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * log(a / b)


def d_kl_div_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * (1.0 - a / b)


kl_div = of_two(
    "kl_div",
    "a log(a / b) − a + b, b where a is 0, and ∞ outside a, b > 0.",
    (
        Rule(d_kl_div_a, "∂{y}/∂{a} = log({a} / {b})"),
        Rule(d_kl_div_b, "∂{y}/∂{b} = 1 − {a} / {b}"),
    ),
    torch="{a} * torch.log({a} / {b}) - {a} + {b}",
    notation=Notation("{a} ⊙ log({a} / {b}) − {a} + {b}"),
    expand=lambda a, b: a * log(a / b) - a + b,
)


# -- log odds --------------------------------------------------------------------------------------
def d_logit(g: Node, y: Node, x: Node) -> Node:
    return g / (x * (1.0 - x))


logit = unary(
    "logit",
    "log(x / (1 − x)), the inverse of the logistic function.",
    Rule(d_logit, "∂{y}/∂{x} = 1 / ({x} ⊙ (1 − {x}))"),
    numpy="special.logit({x})",
    torch="torch.special.logit({x})",
    jax="jax.scipy.special.logit({x})",
    implements=("scipy.special.logit",),
    expand=lambda x: log(x) - log(1.0 - x),
    low=0.1,
    high=0.9,
)
