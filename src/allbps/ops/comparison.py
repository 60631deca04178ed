"""Truth values, and choosing by them."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.ir import Aval, Node, Notation, Op, Rule, Sample, Zero, promote
from allbps.mathematics import Formula, Math
from allbps.mathematics.tree import Cases, Fence
from allbps.ops.arithmetic import NOT_BROADCAST, TWO, torch_of_tensors
from allbps.ops.shapes import broadcast_shape, elementwise_bool

STEP = Zero("a truth value is constant between jumps")


def comparison(name: str, symbol: str, sign: str, implements: Any) -> Op:
    """Declare a comparison: two operands in, truth values out."""
    return Op(
        name=name,
        doc=f"Is a {sign} b, element by element?",
        operands="a b",
        shape=elementwise_bool,
        numpy=f"{{a}} {symbol} {{b}}",
        torch=f"{{a}} {symbol} {{b}}",
        rules=(STEP, STEP),
        notation=Notation(f"[{{a}} {sign} {{b}}]"),
        implements=(implements,),
        operator=symbol,
        complex=symbol in ("==", "!="),  # the others have no meaning
        samples=TWO,
        bad=NOT_BROADCAST,
    )


less = comparison("less", "<", "<", np.less)
less_equal = comparison("less_equal", "<=", "≤", np.less_equal)
greater = comparison("greater", ">", ">", np.greater)
greater_equal = comparison("greater_equal", ">=", "≥", np.greater_equal)
equal = comparison("equal", "==", "=", np.equal)
not_equal = comparison("not_equal", "!=", "≠", np.not_equal)


def logical(name: str, operands: str, symbol: str, implements: Any) -> Op:
    """Declare an operation on truth values."""
    places = ", ".join(f"{{{operand}}}" for operand in operands.split())
    many = " " in operands
    return Op(
        name=name,
        doc=f"{name.replace('_', ' ')}, element by element.",
        operands=operands,
        shape=elementwise_bool,
        numpy=f"np.{name}({places})",
        torch=torch_of_tensors(name) if many else f"torch.{name}({places})",
        rules=(STEP,) * len(operands.split()),
        notation=Notation(symbol),
        implements=(implements,),
        samples=(Sample(((2, 3),) * len(operands.split())),),
    )


logical_and = logical("logical_and", "a b", "{a} ∧ {b}", np.logical_and)
logical_or = logical("logical_or", "a b", "{a} ∨ {b}", np.logical_or)
logical_xor = logical("logical_xor", "a b", "{a} ⊻ {b}", np.logical_xor)
logical_not = logical("logical_not", "x", "¬{x}", np.logical_not)
isfinite = Op(
    name="isfinite",
    complex=True,
    doc="Is x neither NaN nor infinite, element by element?",
    operands="x",
    shape=elementwise_bool,
    numpy="np.isfinite({x})",
    torch="torch.isfinite({x})",
    rules=(STEP,),
    notation=Notation('[{x} "is finite"]'),
    implements=(np.isfinite,),
    samples=(Sample(((2, 3),)),),
)
isnan = Op(
    name="isnan",
    complex=True,
    doc="Is x NaN, element by element?",
    operands="x",
    shape=elementwise_bool,
    numpy="np.isnan({x})",
    torch="torch.isnan({x})",
    rules=(STEP,),
    notation=Notation('[{x} "is NaN"]'),
    implements=(np.isnan,),
    samples=(Sample(((2, 3),)),),
)


def d_where_a(g: Node, y: Node, condition: Node, a: Node, b: Node) -> Node:
    return where(condition, g, 0.0)


def d_where_b(g: Node, y: Node, condition: Node, a: Node, b: Node) -> Node:
    return where(condition, 0.0, g)


def where_shape(condition: Node, a: Node, b: Node) -> Aval:
    return broadcast_shape(condition, a, b), promote(a, b)


def where_torch(operands: Any, attrs: Any) -> str:
    condition = operands["condition"]
    if condition.strip("()") in ("True", "False"):
        condition = f"torch.tensor({condition})"
    return f"torch.where({condition}, {operands['a']}, {operands['b']})"


def draw_mask(rng: np.random.Generator) -> Any:
    return rng.random((2, 3)) < 0.5


def where_notation(condition: Formula, a: Formula, b: Formula) -> Math:
    when = condition.math
    return Cases(((a.math, when.inner if isinstance(when, Fence) else when),), b.math)


where = Op(
    name="where",
    complex=True,
    doc="a where the condition holds, else b.",
    operands="condition a b",
    shape=where_shape,
    numpy="np.where({condition}, {a}, {b})",
    torch=where_torch,
    rules=(
        STEP,
        Rule(d_where_a, "∂{y}/∂{a} = 1 if {condition}, else 0"),
        Rule(d_where_b, "∂{y}/∂{b} = 0 if {condition}, else 1"),
    ),
    notation=Notation(where_notation),
    expand=lambda condition, a, b: condition * a + logical_not(condition) * b,
    samples=(
        Sample((draw_mask, (2, 3), (2, 3))),
        Sample((draw_mask, (3,), ())),
    ),
)
