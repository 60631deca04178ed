"""Bessel functions of whole order.

The derivative of one is made of its neighbours: NIST Digital Library of Mathematical Functions,
10.6.1 and 10.29.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allbps.ir import Aval, Node, Notation, Op, Rule, Sample
from allbps.mathematics import Formula, Math, write
from allbps.ops.function import sign
from allbps.ops.shapes import elementwise_float

SUBSCRIPTS = str.maketrans("0123456789-", "₀₁₂₃₄₅₆₇₈₉₋")
NEIGHBOURS_NEEDED = "it has no Bessel functions of the orders that a derivative needs"
Derivative = Callable[[Node, Node, int], Node]


def ordered(x: Node, order: int) -> Aval:
    return elementwise_float(x)


def family(name: str, letter: str, doc: str, slope: Derivative, because: str, *, low: float) -> Op:
    """Declare the functions of one kind, one for each order ≥ 0.

    Args:
        name: SciPy's function of (order, x); for the orders 0 and 1 it has faster ones.
        letter: what mathematics calls it.
        doc: what it is.
        slope: from (x, y, order) to dy/dx.
        because: that derivative, over the functions of the orders below and above.
        low: where samples start.

    """

    def rule(g: Node, y: Node, x: Node, order: int) -> Node:
        return g * slope(x, y, order)

    rule.__name__ = f"d_{name}"
    stem, end = (name[0], "e") if name.endswith("e") else (name[0], "")

    def code(operands: Any, attrs: Any) -> str:
        order = attrs["order"]
        if order < 2:
            return f"special.{stem}{order}{end}({operands['x']})"
        return f"special.{name}({float(order)}, {operands['x']})"

    def of_order(x: Formula, order: int) -> Math:
        return write(f"{letter}{str(order).translate(SUBSCRIPTS)}({{x}})", x=x)

    def slope_written(x: Formula, y: Formula, order: int) -> Math:
        beside = {"below": of_order(x, order - 1), "above": of_order(x, order + 1)}
        return write(f"∂{{y}}/∂{{x}} = {because}", x=x, y=y, **beside)

    return Op(
        name=name,
        doc=doc,
        operands="x",
        shape=ordered,
        numpy=code,
        torch=None,
        why_no_torch=NEIGHBOURS_NEEDED,
        why_no_jax=NEIGHBOURS_NEEDED,
        rules=(Rule(rule, slope_written),),
        notation=Notation(of_order),
        samples=tuple(
            Sample(((2, 3),), {"order": order}, low=low, high=3.0) for order in (0, 1, 2)
        ),
    )


def _oscillating(op: Callable[..., Node]) -> Derivative:
    """y′ = (yₙ₋₁ − yₙ₊₁) / 2, −y₁ for n = 0."""

    def slope(x: Node, y: Node, n: int) -> Node:
        if n == 0:
            return -op(x, order=1)
        return 0.5 * (op(x, order=n - 1) - op(x, order=n + 1))

    return slope


def _growing(op: Callable[..., Node]) -> Derivative:
    """y′ = (yₙ₋₁ + yₙ₊₁) / 2, y₁ for n = 0."""

    def slope(x: Node, y: Node, n: int) -> Node:
        return op(x, order=1) if n == 0 else 0.5 * (op(x, order=n - 1) + op(x, order=n + 1))

    return slope


def _j(x: Node, order: int) -> Node:
    return jv(x, order=order)


def _y(x: Node, order: int) -> Node:
    return yv(x, order=order)


def _i(x: Node, order: int) -> Node:
    return iv(x, order=order)


def _k(x: Node, order: int) -> Node:
    return kv(x, order=order)


def _ie(x: Node, order: int) -> Node:
    return ive(x, order=order)


def _ke(x: Node, order: int) -> Node:
    return kve(x, order=order)


NEIGHBOURS = "½ ({below} − {above})"
SUMS = "½ ({below} + {above})"
jv = family("jv", "J", "Bessel function of the first kind.", _oscillating(_j), NEIGHBOURS,
            low=-3.0)  # fmt: skip
yv = family("yv", "Y", "Bessel function of the second kind.", _oscillating(_y), NEIGHBOURS,
            low=0.3)  # fmt: skip
iv = family("iv", "I", "Modified Bessel function of the first kind.", _growing(_i), SUMS,
            low=-3.0)  # fmt: skip
kv = family("kv", "K", "Modified Bessel function of the second kind.",
            lambda x, y, n: -_growing(_k)(x, y, n), "−½ ({below} + {above})",
            low=0.3)  # fmt: skip
ive = family("ive", "exp(−|x|) I", "Modified Bessel function of the first kind times exp(−|x|).",
             lambda x, y, n: _growing(_ie)(x, y, n) - sign(x) * y, SUMS + " − sign({x}) ⊙ {y}",
             low=-3.0)  # fmt: skip
kve = family("kve", "exp(x) K", "Modified Bessel function of the second kind times eˣ.",
             lambda x, y, n: y - _growing(_ke)(x, y, n), "{y} − " + SUMS,
             low=0.3)  # fmt: skip
