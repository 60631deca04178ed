"""Sums, products, powers: the operations with a Python operator."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from allbps.errors import DtypeError, ShapeError
from allbps.ir import (
    NUMPY,
    OPERATORS,
    Aval,
    Bad,
    Formula,
    Node,
    Notation,
    Op,
    Rule,
    Sample,
    Zero,
    lift,
    promote,
)
from allbps.mathematics import Math, write
from allbps.mathematics.tree import Kind, Product, Script, Sign, Sum
from allbps.ops.shapes import broadcast_shape, elementwise, of_ufunc, same

TWO = (
    Sample(((2, 3), (2, 3))),
    Sample(((2, 3), (3,))),
    Sample(((2, 1), (1, 3))),
    Sample(((), (2,))),
)
NOT_BROADCAST = (
    Bad(
        ((2, 3), (4,)),
        "a and b have shapes that do not broadcast\n"
        "  expected: equal lengths, or 1, on every axis counted from the last\n"
        "  got:      a is (2, 3) and b is (4,)",
    ),
)


def torch_of_tensors(name: str) -> Callable[[Any, Any], str]:
    """The text of a function of two tensors that takes no plain number for either."""
    return in_tensors(f"torch.{name}({{a}}, {{b}})")


def in_tensors(template: str) -> Callable[[Any, Any], str]:
    """The text in which both ``{a}`` and ``{b}`` are tensors, plain numbers too."""

    def text(operands: Any, attrs: Any) -> str:
        a, b = operands["a"], operands["b"]
        left = f"{b}.new_tensor({a})" if is_numeral(a) else a
        right = f"{a}.new_tensor({b})" if is_numeral(b) else b
        return template.format(a=left, b=right)

    return text


def is_numeral(text: str) -> bool:
    """Is a piece of source a plain number: ``2.5``, ``(-1)``, ``float('inf')``, ``True``?"""
    number = r"-?[\d.]+(e[+-]?\d+)?|float\('-?\w+'\)|True|False"
    return re.fullmatch(rf"\(?({number})\)?", text) is not None


# -- sums ------------------------------------------------------------------------------------------
def d_add(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g


add = Op(
    name="add",
    complex=True,
    doc="a + b, broadcast.",
    operands="a b",
    shape=elementwise,
    numpy="{a} + {b}",
    torch="{a} + {b}",
    rules=(Rule(d_add, "∂{y}/∂{a} = 1"), Rule(d_add, "∂{y}/∂{b} = 1")),
    notation=Notation("{a} + {b}"),
    implements=(np.add,),
    operator="+",
    samples=TWO,
    bad=NOT_BROADCAST,
)


def d_sub_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    return -g


sub = Op(
    name="sub",
    complex=True,
    doc="a − b, broadcast.",
    operands="a b",
    shape=elementwise,
    numpy="{a} - {b}",
    torch="{a} - {b}",
    rules=(Rule(d_add, "∂{y}/∂{a} = 1"), Rule(d_sub_b, "∂{y}/∂{b} = −1")),
    notation=Notation("{a} − {b}"),
    implements=(np.subtract,),
    operator="-",
    samples=TWO,
    bad=NOT_BROADCAST,
    expand=lambda a, b: a + (-b),
)


def d_neg(g: Node, y: Node, x: Node) -> Node:
    return -g


neg = Op(
    name="neg",
    complex=True,
    doc="−x.",
    operands="x",
    shape=same,
    numpy="-{x}",
    torch="-{x}",
    rules=(Rule(d_neg, "∂{y}/∂{x} = −1"),),
    notation=Notation("−{x}"),
    implements=(np.negative,),
    operator="neg",
    samples=(Sample(((2, 3),)),),
)


def d_accumulate(g: Node, y: Node, *xs: Node, index: int) -> Node:
    return g


def accumulate_shape(*xs: Node) -> Aval:
    first = xs[0]
    for node in xs[1:]:
        if node.shape != first.shape:
            raise ShapeError(
                "contributions to one gradient must have the same shape",
                expected=str(first.shape),
                got=str(node.shape),
            )
    return first.shape, promote(*xs)


def _sum_text(operands: Any, attrs: Any) -> str:
    terms = operands["xs"]
    # beyond a few terms the chain would be deeper than a parser likes
    return " + ".join(terms) if len(terms) <= 8 else f"sum([{', '.join(terms)}])"


def _sum_notation(xs: list[Formula]) -> Math:
    terms = [x.math for x in xs]
    if len(terms) > 8:
        terms = [*terms[:2], Sign("…"), terms[-1]]
    return Sum(tuple(terms), ("+",) * (len(terms) - 1))


accumulate = Op(
    name="accumulate",
    complex=True,
    doc="The sum of the contributions of all uses of one value: δx = δx₁ + δx₂ + ….",
    operands="*xs",
    shape=accumulate_shape,
    numpy=_sum_text,
    torch=_sum_text,
    rules=(Rule(d_accumulate, '"each term counts once"'),),
    notation=Notation(_sum_notation),
    samples=(Sample(((2, 3), (2, 3), (2, 3))), Sample(((2,),) * 10)),
    bad=(
        Bad(
            ((2,), (3,)),
            "contributions to one gradient must have the same shape\n"
            "  expected: (2,)\n  got:      (3,)",
        ),
    ),
)


# -- products --------------------------------------------------------------------------------------
def d_mul_a(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * b


def d_mul_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g * a


def product_notation(a: Formula, b: Formula) -> Math:
    """Numbers stand side by side; arrays are multiplied element by element."""
    arrays = a.shape != () and b.shape != ()
    return Product(Kind.ELEMENTS if arrays else Kind.NUMBERS, a.math, b.math)


mul = Op(
    name="mul",
    complex=True,
    doc="a ⊙ b, element by element, broadcast.",
    operands="a b",
    shape=elementwise,
    numpy="{a} * {b}",
    torch="{a} * {b}",
    rules=(Rule(d_mul_a, "∂{y}/∂{a} = {b}"), Rule(d_mul_b, "∂{y}/∂{b} = {a}")),
    notation=Notation(product_notation),
    implements=(np.multiply,),
    operator="*",
    samples=TWO,
    bad=NOT_BROADCAST,
)


def d_div_a(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g / b


def d_div_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    return -(g * y / b)


def quotient_shape(a: Node, b: Node) -> Aval:
    dtype = promote(a, b)
    return broadcast_shape(a, b), dtype if dtype.kind in "fc" else np.dtype(np.float64)


div = Op(
    name="div",
    complex=True,
    doc="a / b, element by element, broadcast.",
    operands="a b",
    shape=quotient_shape,
    numpy="{a} / {b}",
    torch="{a} / {b}",
    rules=(Rule(d_div_a, "∂{y}/∂{a} = 1 / {b}"), Rule(d_div_b, "∂{y}/∂{b} = −{y} / {b}")),
    notation=Notation("{a} / {b}"),
    implements=(np.divide,),
    operator="/",
    samples=tuple(Sample(s.operands, low=0.5, high=2.0) for s in TWO),
    bad=NOT_BROADCAST,
    expand=lambda a, b: a * b**-1,
)


# -- powers ----------------------------------------------------------------------------------------
def d_power(g: Node, y: Node, x: Node, exponent: float) -> Node:
    if exponent == 0:
        return g * 0.0
    if exponent == 1:
        return g
    lowered = x if exponent == 2 else power(x, exponent=exponent - 1)
    return g * (exponent * lowered)


DIGITS = str.maketrans("0123456789-.", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻·")


def power_notation(x: Formula, exponent: float) -> Math:
    if exponent == 1:
        return x.math
    if exponent == -1:
        return write("1 / {x}", x=x)
    return Script(x.math, (f"{exponent:g}".translate(DIGITS),))


def power_code(operands: Any, attrs: Any) -> str:
    x, exponent = operands["x"], attrs["exponent"]
    return {1: f"{x}", -1: f"1 / {x}"}.get(exponent, f"{x} ** {exponent!r}")


def power_shape(x: Node, exponent: float) -> Aval:
    dtype = promote(x, lift(exponent))
    if exponent == -1 and dtype.kind not in "fc":
        dtype = np.dtype(np.float64)
    return x.shape, dtype


def power_because(x: Formula, y: Formula, exponent: float) -> Math:
    if exponent in (0, 1):
        return write("∂{y}/∂{x} = {exponent}", x=x, y=y, exponent=exponent)
    lowered = power_notation(x, exponent - 1)
    if exponent == -1:
        return write("∂{y}/∂{x} = −{lowered}", x=x, y=y, lowered=lowered)
    factor = write("{exponent}", exponent=exponent)
    return write("∂{y}/∂{x} = {p}", x=x, y=y, p=Product(Kind.NUMBERS, factor, lowered))


power = Op(
    name="power",
    complex=True,
    doc="x to a constant power.",
    operands="x",
    shape=power_shape,
    numpy=power_code,
    torch=power_code,
    rules=(Rule(d_power, power_because),),
    notation=Notation(power_notation),
    samples=(
        Sample(((2, 3),), {"exponent": 2}),
        Sample(((2, 3),), {"exponent": 3}),
        Sample(((2,),), {"exponent": 0}),
        Sample(((2,),), {"exponent": 1}),
        Sample(((3,),), {"exponent": -1}, low=0.5),
        Sample(((3,),), {"exponent": 0.5}, low=0.5),
        Sample(((3,),), {"exponent": -1.5}, low=0.5),
    ),
)


def d_pow_base(g: Node, y: Node, a: Node, b: Node) -> Node:
    # 0⁻¹ · 0 would be NaN where the exponent is 0
    lowered = NUMPY[np.where](b == 0, 1.0, b - 1)
    return mul(g, b * a**lowered)


def d_pow_exponent(g: Node, y: Node, a: Node, b: Node) -> Node:
    # 0ᵇ has slope 0 in b, while log 0 = −∞
    safe = NUMPY[np.where](a == 0, 1.0, a)
    return mul(g, y * NUMPY[np.log](safe))


pow_ = Op(
    name="pow",
    complex=True,
    doc="a to the power b, both arrays, broadcast.",
    operands="a b",
    shape=elementwise,
    numpy="{a} ** {b}",
    torch="{a} ** {b}",
    rules=(
        Rule(d_pow_base, "∂{y}/∂{a} = {b} ⊙ {a}^({b} − 1)"),
        Rule(d_pow_exponent, "∂{y}/∂{b} = {y} ⊙ log({a})"),
    ),
    notation=Notation("{a}^{b}"),
    samples=(Sample(((2, 3), (3,)), low=0.5), Sample(((), (3,)), low=0.5)),
    bad=NOT_BROADCAST,
)


def raise_to(base: Any, exponent: Any) -> Node:
    """``base ** exponent``: a Python number as exponent is part of the operation."""
    if type(exponent) in (int, float) and np.isfinite(exponent):
        return power(base, exponent=exponent)
    return pow_(base, exponent)


OPERATORS["**"] = raise_to
NUMPY[np.power] = raise_to
NUMPY[np.square] = lambda x: power(x, exponent=2)


def _of_floats(function: str, x: Any, instead: str) -> Node:
    """``x``, if NumPy's function means the same of it as of real numbers.

    Raises:
        DtypeError: it does not.

    """
    node = lift(x)
    if not node.is_float:
        raise DtypeError(f"{function} of {node.dtype} is {instead}", todo="x.astype(float)")
    return node


NUMPY[np.reciprocal] = lambda x: power(
    _of_floats("np.reciprocal", x, "an integer division"), exponent=-1
)
NUMPY[np.positive] = lambda x: (
    lift(x)
    if lift(x).dtype.kind != "b"
    else _of_floats("np.positive", x, "nothing that NumPy knows")
)


# -- with remainder --------------------------------------------------------------------------------
floor_divide = Op(
    name="floor_divide",
    doc="⌊a / b⌋, broadcast.",
    operands="a b",
    shape=of_ufunc(np.floor_divide),
    numpy="{a} // {b}",
    torch="torch.floor({a} / {b}).to(torch.result_type({a}, {b}))",
    rules=(Zero("⌊·⌋ is constant between jumps"), Zero("⌊·⌋ is constant between jumps")),
    notation=Notation("⌊{a} / {b}⌋"),
    implements=(np.floor_divide,),
    operator="//",
    samples=(Sample(((2, 3), (3,)), low=0.5, high=4.0),),
)


def d_mod_a(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g


def d_mod_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    return -(g * floor_divide(a, b))


mod = Op(
    name="mod",
    doc="a − b⌊a / b⌋, broadcast.",
    operands="a b",
    shape=of_ufunc(np.remainder),
    numpy="{a} % {b}",
    torch="torch.remainder({a}, {b})",
    rules=(Rule(d_mod_a, "∂{y}/∂{a} = 1"), Rule(d_mod_b, "∂{y}/∂{b} = −⌊{a} / {b}⌋")),
    notation=Notation("{a} mod {b}"),
    implements=(np.remainder,),
    operator="%",
    samples=(Sample(((2, 3), (3,)), low=0.5, high=4.0),),
    expand=lambda a, b: a - b * floor_divide(a, b),
)


def d_fmod_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    whole: Node = NUMPY[np.rint]((a - y) / b)  # a / b itself may round to the next integer
    return -(g * whole)


fmod = Op(
    name="fmod",
    doc="a − b trunc(a / b), exact, with the sign of a; broadcast.",
    operands="a b",
    shape=of_ufunc(np.fmod),
    numpy="np.fmod({a}, {b})",
    torch=torch_of_tensors("fmod"),
    rules=(Rule(d_mod_a, "∂{y}/∂{a} = 1"), Rule(d_fmod_b, "∂{y}/∂{b} = −trunc({a} / {b})")),
    notation=Notation("fmod({a}, {b})"),
    implements=(np.fmod,),
    samples=(Sample(((2, 3), (3,)), low=0.5, high=4.0),),
)
