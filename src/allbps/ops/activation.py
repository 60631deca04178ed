"""Activations: ReLU, sigmoid, softmax and their relatives.

Where the NumPy text needs a function of its own, the function has the operation's name and the
declaration ends in ``_op``: ``softmax`` computes on arrays, ``softmax_op`` builds nodes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.ir import Aval, Formula, Node, Notation, Op, Rule, Sample
from allbps.mathematics import Math, write
from allbps.ops.arithmetic import power
from allbps.ops.comparison import where
from allbps.ops.function import erf, exp, log, maximum, tanh, unary
from allbps.ops.reduce import logsumexp_op, sum_
from allbps.ops.shapes import elementwise_float, normal_axis, same


# -- ReLU ------------------------------------------------------------------------------------------
def d_relu(g: Node, y: Node, x: Node) -> Node:
    return g * (x > 0)


relu = Op(
    name="relu",
    doc="max(x, 0); its slope at 0 is taken as 0.",
    operands="x",
    shape=same,
    numpy="np.maximum({x}, 0)",
    torch="torch.relu({x})",
    rules=(Rule(d_relu, "∂{y}/∂{x} = ReLU′({x}) = 1 if {x} > 0, else 0"),),
    notation=Notation("ReLU({x})"),
    expand=lambda x: where(x > 0, x, 0),
    samples=(Sample(((2, 3),)), Sample(((),))),
)


def d_leaky_relu(g: Node, y: Node, x: Node, negative_slope: float) -> Node:
    return where(x > 0, g, g * negative_slope)


leaky_relu = Op(
    name="leaky_relu",
    doc="x where x > 0, else negative_slope · x; its slope at 0 is negative_slope.",
    operands="x",
    shape=elementwise_float,
    numpy="np.where({x} > 0, {x}, {negative_slope} * {x})",
    torch="torch.nn.functional.leaky_relu({x}, {negative_slope})",
    jax="jax.nn.leaky_relu({x}, {negative_slope})",
    rules=(
        Rule(d_leaky_relu, "∂{y}/∂{x} = LeakyReLU′({x}) = 1 if {x} > 0, else {negative_slope}"),
    ),
    notation=Notation("LeakyReLU({x})"),
    expand=lambda x, negative_slope: maximum(x, 0) - negative_slope * maximum(-x, 0),
    samples=(Sample(((2, 3),), {"negative_slope": 0.1}),),
)


def d_elu(g: Node, y: Node, x: Node, alpha: float) -> Node:
    return where(x > 0, g, g * (y + alpha))


elu = Op(
    name="elu",
    doc="x where x > 0, else alpha (eˣ − 1) (Clevert et al., arXiv:1511.07289).",
    operands="x",
    shape=elementwise_float,
    numpy="np.where({x} > 0, {x}, {alpha} * np.expm1(np.minimum({x}, 0)))",
    torch="torch.nn.functional.elu({x}, {alpha})",
    rules=(Rule(d_elu, "∂{y}/∂{x} = ELU′({x}) = 1 if {x} > 0, else {y} + {alpha}"),),
    notation=Notation("ELU({x})"),
    expand=lambda x, alpha: where(x > 0, x, alpha * (exp(x) - 1.0)),
    samples=(Sample(((2, 3),), {"alpha": 0.7}),),
)


# -- sigmoid and relatives -------------------------------------------------------------------------
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), without overflow for large negative x."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def d_sigmoid(g: Node, y: Node, x: Node) -> Node:
    return g * (y * (1.0 - y))


sigmoid_op = unary(
    "sigmoid",
    "Logistic function 1 / (1 + e⁻ˣ).",
    Rule(d_sigmoid, "∂{y}/∂{x} = σ′({x}) = {y} ⊙ (1 − {y})"),
    numpy="sigmoid({x})",
    helpers=(sigmoid,),
    notation=Notation("σ({x})"),
    implements=(),
    expand=lambda x: power(exp(-x) + 1.0, exponent=-1),
)


def d_softplus(g: Node, y: Node, x: Node) -> Node:
    return g * sigmoid_op(x)


softplus = unary(
    "softplus",
    "log(1 + eˣ), without overflow.",
    Rule(d_softplus, "∂{y}/∂{x} = σ({x})"),
    numpy="np.logaddexp({x}, 0)",
    torch="torch.nn.functional.softplus({x}, threshold=100)",
    notation=Notation("softplus({x})"),
    implements=(),
    expand=lambda x: log(1.0 + exp(x)),
)


def d_silu(g: Node, y: Node, x: Node) -> Node:
    s = sigmoid_op(x)
    return g * (s * (1.0 + x * (1.0 - s)))


silu = unary(
    "silu",
    "x σ(x), also called swish.",
    Rule(d_silu, "∂{y}/∂{x} = σ({x}) ⊙ (1 + {x} ⊙ (1 − σ({x})))"),
    numpy="{x} * sigmoid({x})",
    torch="torch.nn.functional.silu({x})",
    helpers=(sigmoid,),
    notation=Notation("{x} ⊙ σ({x})"),
    implements=(),
    expand=lambda x: x * sigmoid_op(x),
)


# -- GELU ------------------------------------------------------------------------------------------
def d_gelu(g: Node, y: Node, x: Node) -> Node:
    cdf = 0.5 * (1.0 + erf(x / float(np.sqrt(2))))
    density = exp(-0.5 * x**2) / float(np.sqrt(2 * np.pi))
    return g * (cdf + x * density)


gelu = unary(
    "gelu",
    "x Φ(x) with the normal distribution function Φ (Hendrycks & Gimpel, arXiv:1606.08415).",
    Rule(
        d_gelu,
        "∂{y}/∂{x} = Φ({x}) + {x} ⊙ φ({x}),"
        ' "with the normal distribution" Φ "and its density" φ = Φ′',
    ),
    numpy="0.5 * {x} * (1 + special.erf({x} / 2**0.5))",
    torch="torch.nn.functional.gelu({x})",
    jax="jax.nn.gelu({x}, approximate=False)",
    notation=Notation("GELU({x})"),
    implements=(),
    expand=lambda x: 0.5 * x * (1.0 + erf(x * float(np.sqrt(0.5)))),
)
TANH_SCALE = float(np.sqrt(2 / np.pi))


def d_gelu_tanh(g: Node, y: Node, x: Node) -> Node:
    t = tanh(TANH_SCALE * (x + 0.044715 * x**3))
    slope = TANH_SCALE * (1.0 + 3 * 0.044715 * x**2)
    return g * (0.5 * (1.0 + t) + 0.5 * x * (1.0 - t**2) * slope)


gelu_tanh = unary(
    "gelu_tanh",
    "½ x (1 + tanh(√(2/π) (x + 0.044715 x³))), the usual approximation of GELU.",
    Rule(
        d_gelu_tanh,
        '∂{y}/∂{x} = ½ (1 + t) + ½ {x} ⊙ (1 − t²) ⊙ u′ "with" t = tanh(u)'
        ' "and" u = √(2 / π) ({x} + 0.044715 {x}³)',
    ),
    numpy="0.5 * {x} * (1 + np.tanh((2 / np.pi) ** 0.5 * ({x} + 0.044715 * {x} ** 3)))",
    torch="torch.nn.functional.gelu({x}, approximate='tanh')",
    notation=Notation("GELU({x})"),
    implements=(),
    expand=lambda x: 0.5 * x * (1.0 + tanh(TANH_SCALE * (x + 0.044715 * x**3))),
)


# -- softmax ---------------------------------------------------------------------------------------
def softmax(x: Any, axis: int) -> Any:
    """exp(x) / Σ exp(x) along an axis; the maximum is taken off first, so nothing overflows."""
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def d_softmax(g: Node, y: Node, x: Node, axis: int) -> Node:
    return y * (g - sum_(g * y, axis=axis, keepdims=True))


def along_axis(x: Node, axis: int) -> Aval:
    """A float result of the operand's shape; the axis must exist."""
    normal_axis(axis, len(x.shape))
    return elementwise_float(x)


def where_alone(x: Formula, axis: int) -> str:
    """In what part of an array a vector's formula holds: ``"in each row"``."""
    if len(x.shape) < 2:
        return ""
    place = axis % len(x.shape)
    if place == len(x.shape) - 1:
        return '"in each row" '
    return '"in each column" ' if place == len(x.shape) - 2 else f'"along axis" {place} '


def softmax_because(x: Formula, y: Formula, axis: int) -> Math:
    said = "∂{y}ₖ/∂{x}ᵢ = {y}ᵢ (1 − {y}ᵢ) if i = k, else −{y}ᵢ {y}ₖ"
    return write(where_alone(x, axis) + said, x=x, y=y)


softmax_op = Op(
    name="softmax",
    doc="exp(xᵢ) / Σₖ exp(xₖ) along one axis.",
    operands="x",
    shape=along_axis,
    numpy="softmax({x}, axis={axis})",
    torch="torch.softmax({x}, dim={axis})",
    helpers=(softmax,),
    rules=(Rule(d_softmax, softmax_because),),
    notation=Notation("softmax({x})"),
    expand=lambda x, axis: exp(x) / sum_(exp(x), axis=axis, keepdims=True),
    samples=(Sample(((2, 3),), {"axis": -1}), Sample(((2, 3, 4),), {"axis": 1})),
)


def d_log_softmax(g: Node, y: Node, x: Node, axis: int) -> Node:
    return g - exp(y) * sum_(g, axis=axis, keepdims=True)


def log_softmax(x: Any, axis: int) -> Any:
    """X − log Σ exp(x) along an axis, without overflow."""
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def log_softmax_because(x: Formula, y: Formula, axis: int) -> Math:
    said = "∂{y}ₖ/∂{x}ᵢ = [i = k] − softmax({x})ᵢ"
    return write(where_alone(x, axis) + said, x=x, y=y)


log_softmax_op = Op(
    name="log_softmax",
    doc="x − log Σₖ exp(xₖ) along one axis.",
    operands="x",
    shape=along_axis,
    numpy="log_softmax({x}, axis={axis})",
    torch="torch.log_softmax({x}, dim={axis})",
    helpers=(log_softmax,),
    rules=(Rule(d_log_softmax, log_softmax_because),),
    notation=Notation("log softmax({x})"),
    expand=lambda x, axis: x - logsumexp_op(x, axis=(axis,), keepdims=True),
    samples=(Sample(((2, 3),), {"axis": -1}), Sample(((2, 3, 4),), {"axis": 1})),
)
