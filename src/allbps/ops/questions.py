"""Questions about an array whose answers jump: how many, is one, where does it belong.

Their answers are truth values and whole numbers, part of the graph like any other number.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.ir import Aval, Node, Notation, Op, Sample, Zero
from allbps.mathematics import write
from allbps.ops.comparison import STEP, draw_mask
from allbps.ops.function import constant_between_jumps
from allbps.ops.reduce import Axis, call, reduced, torch_call
from allbps.ops.shapes import normal_axis

ANSWER = Zero("an answer stays the same between jumps")
INTEGER = np.dtype(np.intp)


# -- of many truth values, one ---------------------------------------------------------------------
def quantified_shape(x: Node, axis: Axis, keepdims: bool) -> Aval:
    return reduced(x, axis, keepdims)[0], np.dtype(bool)


def quantifier(name: str, sign: str, doc: str) -> Op:
    """Declare a reduction of truth values."""
    return Op(
        name=name,
        doc=doc,
        operands="x",
        shape=quantified_shape,
        numpy=call(f"np.{name}"),
        torch=torch_call(f"torch.{name}"),
        rules=(STEP,),
        notation=Notation(f"{sign} {{x}}"),
        samples=(
            Sample((draw_mask,), {"axis": None, "keepdims": False}),
            Sample((draw_mask,), {"axis": 0, "keepdims": False}),
            Sample(((2, 3),), {"axis": -1, "keepdims": True}),
        ),
    )


all_ = quantifier("all", "∀", "Do all hold?")
any_ = quantifier("any", "∃", "Does one hold?")


def all_of(x: Node) -> Node:
    """Do all of an array hold? A node of shape ()."""
    return all_(x, axis=None, keepdims=False) if x.shape else x


def any_of(x: Node) -> Node:
    """Does one of an array hold? A node of shape ()."""
    return any_(x, axis=None, keepdims=False) if x.shape else x


# -- among others ----------------------------------------------------------------------------------
def places_shape(sorted_: Node, x: Node, side: str) -> Aval:
    return x.shape, INTEGER


searchsorted = Op(
    name="searchsorted",
    doc="How many of the sorted numbers a stand before x (side left: a < x, right: a ≤ x).",
    operands="a x",
    shape=places_shape,
    numpy="np.searchsorted({a}, {x}, side={side})",
    torch=lambda operands, attrs: (
        f"torch.searchsorted({operands['a']}, {operands['x']}, side={attrs['side']!r})"
    ),
    rules=(ANSWER, ANSWER),
    notation=Notation(
        lambda a, x, side: write(f"#[{{a}} {'<' if side == 'left' else '≤'} {{x}}]", a=a, x=x)
    ),
    samples=(
        Sample((np.array([0.0, 1.0, 2.0]), (4,)), {"side": "right"}),
        Sample((np.array([0.0, 1.0, 2.0]), np.array([[1.0, -1.0]])), {"side": "left"}),
    ),
)


def membership_shape(x: Node, a: Node) -> Aval:
    return x.shape, np.dtype(bool)


isin = Op(
    name="isin",
    doc="Is x one of the numbers a, element by element?",
    operands="x a",
    shape=membership_shape,
    numpy="np.isin({x}, {a})",
    torch="torch.isin({x}, {a})",
    rules=(STEP, STEP),
    notation=Notation("[{x} ∈ {a}]"),
    samples=(Sample((np.array([[1.0, 2.0]]), np.array([2.0, 3.0]))),),
)


# -- the order of numbers --------------------------------------------------------------------------
def ranks(x: Any, axis: Any, equal_nan: Any) -> Any:
    """The place of each number, or of each slice of an axis, among the different ones."""
    _, found = np.unique(x, return_inverse=True, axis=axis, equal_nan=equal_nan)
    return found.reshape(np.shape(x) if axis is None else np.shape(x)[axis])


def ranks_shape(x: Node, axis: int | None, equal_nan: bool) -> Aval:
    return x.shape if axis is None else (x.shape[normal_axis(axis, x.ndim)],), INTEGER


ranks_op = Op(
    name="ranks",
    doc="The place of each number, or of each slice of an axis, among the different ones.",
    operands="x",
    shape=ranks_shape,
    numpy="ranks({x}, {axis}, {equal_nan})",
    torch=lambda operands, attrs: (
        f"torch.unique({operands['x']}, return_inverse=True"
        + (f", dim={attrs['axis']})[1]" if attrs["axis"] is not None else ")[1]")
    ),
    helpers=(ranks,),
    rules=(ANSWER,),
    notation=Notation("rank({x})"),
    samples=(
        Sample((np.array([3.0, 1.0, 3.0]),), {"axis": None, "equal_nan": True}),
        Sample((np.array([[3.0, 1.0], [3.0, 0.0]]),), {"axis": 0, "equal_nan": True}),
    ),
)


def partition_shape(x: Node, kth: Any, axis: int) -> Aval:
    normal_axis(axis, x.ndim)
    return x.shape, INTEGER


argpartition = Op(
    name="argpartition",
    doc="Indices that put the k-th smallest in its place, and smaller numbers before it.",
    operands="x",
    shape=partition_shape,
    numpy="np.argpartition({x}, {kth}, axis={axis})",
    torch="torch.argsort({x}, dim={axis}, stable=True)",
    why_no_torch="the order within the two parts is free, so another library may choose another",
    rules=(ANSWER,),
    notation=Notation("argpartition({x})"),
    samples=(Sample(((3,),), {"kth": 1, "axis": 0}), Sample(((2, 3),), {"kth": 1, "axis": -1})),
)


# -- single numbers --------------------------------------------------------------------------------
def exponent_shape(x: Node) -> Aval:
    return x.shape, np.dtype(np.int32)


exponent = Op(
    name="exponent",
    doc="e where |x| = m 2ᵉ with ½ ≤ m < 1; 0 for 0.",
    operands="x",
    shape=exponent_shape,
    numpy="np.frexp({x})[1]",
    torch="torch.frexp({x}).exponent",
    rules=(ANSWER,),
    notation=Notation("exponent({x})"),
    samples=(Sample(((2, 3),)),),
)
spacing = constant_between_jumps(
    "spacing",
    "The distance from x to the next floating-point number.",
    "spacing({x})",
    "torch.nextafter({x}.abs(), {x}.new_tensor(float('inf'))).sub({x}.abs()).copysign({x})",
    (np.spacing,),
)


def rank_shape(x: Node, **options: Any) -> Aval:
    return x.shape[:-2], INTEGER


def rank_torch(operands: Any, attrs: Any) -> str:
    options = f"hermitian={attrs['hermitian']}"
    if attrs["tol"] is not None:
        options += f", atol={attrs['tol']}, rtol=0.0"
    elif attrs["rtol"] is not None:
        options += f", rtol={attrs['rtol']}"
    return f"torch.linalg.matrix_rank({operands['x']}, {options})"


matrix_rank = Op(
    name="matrix_rank",
    doc="How many singular values are above a tolerance.",
    operands="x",
    shape=rank_shape,
    numpy="np.linalg.matrix_rank({x}, tol={tol}, hermitian={hermitian}, rtol={rtol})",
    torch=rank_torch,
    rules=(ANSWER,),
    notation=Notation("rank({x})"),
    samples=(Sample((np.diag([1.0, 2.0, 0.0]),), {"tol": None, "hermitian": False, "rtol": None}),),
)
