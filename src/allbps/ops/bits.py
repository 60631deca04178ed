"""Operations on the parts of floating-point numbers: the sign bit, the exponent, the fraction."""

from __future__ import annotations

import numpy as np

from allbps.ir import Aval, Node, Notation, Op, Rule, Sample, Zero
from allbps.ops.arithmetic import TWO, mul, torch_of_tensors
from allbps.ops.function import sign
from allbps.ops.shapes import broadcast_shape, elementwise_bool, elementwise_float


# -- the sign --------------------------------------------------------------------------------------
def d_copysign_a(g: Node, y: Node, a: Node, b: Node) -> Node:
    return mul(g, copysign(1.0, b) * sign(a))


copysign = Op(
    name="copysign",
    doc="The size of a with the sign of b, which −0 has too.",
    operands="a b",
    shape=elementwise_float,
    numpy="np.copysign({a}, {b})",
    torch=torch_of_tensors("copysign"),
    rules=(
        Rule(d_copysign_a, "∂{y}/∂{a} = sign({a}) sign({b})"),
        Zero("a sign is constant between jumps"),
    ),
    notation=Notation("copysign({a}, {b})"),
    implements=(np.copysign,),
    samples=TWO,
)
signbit = Op(
    name="signbit",
    doc="Is x negative, or −0?",
    operands="x",
    shape=elementwise_bool,
    numpy="np.copysign(1.0, {x}) < 0",
    torch="torch.signbit({x})",
    rules=(Zero("a sign is constant between jumps"),),
    notation=Notation("[{x} < 0]"),
    implements=(np.signbit,),
    samples=(Sample(((2, 3),)),),
)


# -- the exponent ----------------------------------------------------------------------------------
def ldexp_shape(x: Node, exponent: Node) -> Aval:
    _, dtype = elementwise_float(x)
    return broadcast_shape(x, exponent), dtype


def d_ldexp(g: Node, y: Node, x: Node, exponent: Node) -> Node:
    return ldexp(g, exponent)


ldexp = Op(
    name="ldexp",
    doc="x 2ᵉ, exact also where 2ᵉ itself overflows.",
    operands="x exponent",
    shape=ldexp_shape,
    numpy="np.ldexp({x}, {exponent})",
    torch="{x} * 2.0 ** {exponent}",
    rules=(Rule(d_ldexp, "∂{y}/∂{x} = 2^{exponent}"), Zero("an exponent is an integer")),
    notation=Notation("{x} 2^{exponent}"),
    implements=(np.ldexp,),
    samples=(Sample(((2, 3), np.array([1, -2, 3]))),),
)


# -- the fraction ----------------------------------------------------------------------------------
def d_fraction(g: Node, y: Node, x: Node) -> Node:
    return g


fraction = Op(
    name="fraction",
    doc="x − trunc(x), with the sign of x; 0 where x is infinite.",
    operands="x",
    shape=elementwise_float,
    numpy="np.modf({x})[0]",
    torch="torch.frac({x})",
    rules=(Rule(d_fraction, "∂{y}/∂{x} = 1"),),
    notation=Notation("frac({x})"),
    samples=(Sample(((2, 3),)),),
)


# -- the next number -------------------------------------------------------------------------------
def d_nextafter(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g


nextafter = Op(
    name="nextafter",
    doc="The floating-point number next to a on the way to b.",
    operands="a b",
    shape=elementwise_float,
    numpy="np.nextafter({a}, {b})",
    torch=torch_of_tensors("nextafter"),
    rules=(
        Rule(d_nextafter, "∂{y}/∂{a} = 1"),
        Zero("only the direction counts"),
    ),
    notation=Notation("next({a}, {b})"),
    implements=(np.nextafter,),
    samples=TWO,
)
