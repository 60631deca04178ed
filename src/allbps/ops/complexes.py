"""Complex numbers: their parts, their conjugates, their size and angle.

δz = ∂L/∂x − i ∂L/∂y for z = x + i y, so that dL = Re(δz dz): JAX's convention. A holomorphic
function then has the rule of the real one, δz = f′(z) δy, and so have linear maps. PyTorch's
gradient is the conjugate, ∂L/∂x + i ∂L/∂y.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.ir import (
    COMPLEX,
    NUMPY,
    OPERATORS,
    Aval,
    Node,
    Notation,
    Op,
    Rule,
    Sample,
    lift,
    promote,
)
from allbps.ops.arithmetic import mul
from allbps.ops.comparison import where
from allbps.ops.factors import without
from allbps.ops.function import abs_
from allbps.ops.shapes import broadcast_shape

I_TIMES_MINUS = -1j


def complex_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The complex dtype of that precision, at least double for integers.

    >>> complex_of(np.dtype("float32")).name, complex_of(np.dtype("int64")).name
    ('complex64', 'complex128')
    """
    return np.result_type(dtype if dtype.kind in "fc" else np.float64, np.complex64)


def real_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of its real part."""
    return np.empty(0, dtype).real.dtype


def real_shape(x: Node) -> Aval:
    return x.shape, real_of(x.dtype)


def draw(rng: np.random.Generator) -> Any:
    """Six complex numbers."""
    return rng.uniform(-2, 2, (2, 3)) + 1j * rng.uniform(-2, 2, (2, 3))


COMPLEX_NUMBERS = (Sample((draw,)),)


# -- parts -----------------------------------------------------------------------------------------
def d_real(g: Node, y: Node, x: Node) -> Node:
    return g


def real_written(x: Node, new: Node) -> Node:
    return from_parts(new, imag(x))


real = Op(
    name="real",
    doc="The real part of z = x + i y.",
    operands="x",
    shape=real_shape,
    numpy="np.real({x})",
    torch="torch.real({x})",
    written=real_written,
    rules=(Rule(d_real, '{y} = Re({x}), "so" δ{x} = δ{y}'),),
    notation=Notation("Re({x})"),
    complex=True,
    samples=COMPLEX_NUMBERS,
)


def d_imag(g: Node, y: Node, x: Node) -> Node:
    return mul(g, I_TIMES_MINUS)


def imag_written(x: Node, new: Node) -> Node:
    return from_parts(real(x), new)


imag = Op(
    name="imag",
    doc="The imaginary part of z = x + i y.",
    operands="x",
    shape=real_shape,
    numpy="np.imag({x})",
    torch="torch.imag({x})",
    written=imag_written,
    rules=(Rule(d_imag, '{y} = Re(−i {x}), "so" δ{x} = −i δ{y}'),),
    notation=Notation("Im({x})"),
    complex=True,
    samples=COMPLEX_NUMBERS,
)


def d_conj(g: Node, y: Node, x: Node) -> Node:
    return conj(g) if g.is_complex else g


def conj_shape(x: Node) -> Aval:
    return x.shape, x.dtype


conj = Op(
    name="conj",
    doc="The conjugate x − i y of z = x + i y.",
    operands="x",
    shape=conj_shape,
    numpy="np.conj({x})",
    torch="torch.conj({x})",
    rules=(Rule(d_conj, "δ{x} = conj(δ{y})"),),
    notation=Notation("conj({x})"),
    complex=True,
    samples=COMPLEX_NUMBERS,
)


# -- from two real numbers -------------------------------------------------------------------------
def joined_shape(a: Node, b: Node) -> Aval:
    return broadcast_shape(a, b), complex_of(promote(a, b))


def d_joined_a(g: Node, y: Node, a: Node, b: Node) -> Node:
    return real(g)


def d_joined_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    return -imag(g)


from_parts = Op(
    name="complex",
    doc="a + i b.",
    operands="a b",
    shape=joined_shape,
    numpy="{a} + 1j * {b}",
    torch="torch.complex({a}, {b})",
    rules=(
        Rule(d_joined_a, "δ{a} = Re(δ{y})"),
        Rule(d_joined_b, "δ{b} = −Im(δ{y})"),
    ),
    notation=Notation("{a} + i {b}"),
    samples=(Sample(((2, 3), (2, 3))),),
)


# -- size and angle --------------------------------------------------------------------------------
def d_size(g: Node, y: Node, x: Node) -> Node:
    rest = without(g, y)  # |z|² is z conj(z), also at 0
    if rest is not None:
        return conj(x) * rest
    zero = y == 0
    return where(zero, 0.0, conj(x) * (g / where(zero, 1.0, y)))


size = Op(
    name="size",
    doc="|z| of complex numbers; its slope at 0 is taken as 0.",
    operands="x",
    shape=real_shape,
    numpy="np.abs({x})",
    torch="torch.abs({x})",
    rules=(Rule(d_size, 'δ{x} = δ{y} conj({x}) / {y}, 0 "at" 0'),),
    notation=Notation("|{x}|"),
    complex=True,
    samples=COMPLEX_NUMBERS,
)


def d_angle(g: Node, y: Node, x: Node) -> Node:
    squared = size(x) ** 2
    zero = squared == 0
    return where(zero, 0.0, mul(conj(x), I_TIMES_MINUS) * (g / where(zero, 1.0, squared)))


angle_op = Op(
    name="angle",
    doc="The angle of z in radians, in (−π, π]; its slope at 0 is taken as 0.",
    operands="x",
    shape=real_shape,
    numpy="np.angle({x})",
    torch="torch.angle({x})",
    rules=(Rule(d_angle, 'δ{x} = −i δ{y} conj({x}) / |{x}|², 0 "at" 0'),),
    notation=Notation("arg({x})"),
    complex=True,
    samples=COMPLEX_NUMBERS,
)


def absolute(x: Any) -> Node:
    """|x| of real or complex numbers."""
    node = lift(x)
    return size(node) if node.is_complex else abs_(node)


COMPLEX.add(absolute)
NUMPY[np.abs] = absolute
OPERATORS["abs"] = absolute
