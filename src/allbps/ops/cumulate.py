"""Running sums and products along an axis, and the product over axes."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from allbps.errors import ShapeError
from allbps.ir import (
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
from allbps.ops.comparison import where
from allbps.ops.function import exp, log
from allbps.ops.index import getitem
from allbps.ops.join import concatenate
from allbps.ops.reduce import (
    NO_SUCH_AXIS,
    REDUCED,
    Axis,
    call,
    expanded,
    over_axes,
    sum_shape,
)
from allbps.ops.shape import flip, pad, reshape, transpose
from allbps.ops.shapes import normal_axes, normal_axis, summed


# -- running sum -----------------------------------------------------------------------------------
def along(x: Node, axis: int) -> Aval:
    """The operand's shape, in the dtype in which NumPy adds up and multiplies."""
    normal_axis(axis, x.ndim)
    return x.shape, summed(x.dtype)


def d_cumsum(g: Node, y: Node, x: Node, axis: int) -> Node:
    return flip(cumsum(flip(g, axis=(axis,)), axis=axis), axis=(axis,))


RUNNING = (
    Sample(((5,),), {"axis": 0}),
    Sample(((2, 3),), {"axis": 0}),
    Sample(((2, 3, 2),), {"axis": 1}),
)
NOT_AN_AXIS = (
    Bad(
        ((2, 3),),
        "axis 2 does not exist\n"
        "  expected: an axis from -2 to 1\n"
        "  got:      axis=2 for x with 2 axes",
        {"axis": 2},
    ),
)
cumsum = Op(
    name="cumsum",
    complex=True,
    doc="Running sum along an axis: yₖ = x₁ + … + xₖ.",
    operands="x",
    shape=along,
    numpy="np.cumsum({x}, axis={axis})",
    torch="torch.cumsum({x}, dim={axis})",
    rules=(Rule(d_cumsum, '{x}ₖ "is part of" {y}ᵢ "for every" i ≥ k'),),
    notation=Notation("cumsum({x})"),
    samples=RUNNING,
    bad=NOT_AN_AXIS,
)


# -- first-order recurrence ------------------------------------------------------------------------
def recurrence(a: Any, b: Any, axis: int) -> Any:
    """``y[k] = a[k] · y[k − 1] + b[k]`` along an axis, from ``y[0] = b[0]``."""
    a, b = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    y = np.array(b)
    for k in range(1, len(y)):
        y[k] += a[k] * y[k - 1]
    return np.moveaxis(y, 0, axis)


def later(x: Node, axis: int) -> Node:
    """``x`` one place earlier along the axis, 0 at the end: the k-th is what followed it."""
    width = tuple((-1, 1) if k == axis else (0, 0) for k in range(x.ndim))
    return pad(x, width=width)


def earlier(x: Node, axis: int) -> Node:
    """``x`` one place later along the axis, 0 at the start."""
    width = tuple((1, -1) if k == axis else (0, 0) for k in range(x.ndim))
    return pad(x, width=width)


def d_recurrence_b(g: Node, y: Node, a: Node, b: Node, axis: int) -> Node:
    """δbₖ = gₖ + aₖ₊₁ δbₖ₊₁: the same recurrence, run backwards."""
    turned = flip(later(a, axis), axis=(axis,)), flip(g, axis=(axis,))
    return flip(recurrence_op(*turned, axis=axis), axis=(axis,))


def d_recurrence_a(g: Node, y: Node, a: Node, b: Node, axis: int) -> Node:
    return d_recurrence_b(g, y, a, b, axis) * earlier(y, axis)


def recurrence_shape(a: Node, b: Node, axis: int) -> Aval:
    if a.shape != b.shape:
        raise ShapeError(
            "the factors and the summands of a recurrence must have the same shape",
            expected=f"{{b}} of shape {a.shape}",
            got=f"{{b}} is {b.shape}",
        )
    normal_axis(axis, a.ndim)
    return a.shape, promote(a, b)


def unrolled(a: Node, b: Node, axis: int) -> Node:
    """The recurrence written out, for short arrays."""
    before = (slice(None),) * axis
    rows = [b[(*before, slice(0, 1))]]
    for k in range(1, b.shape[axis]):
        at = (*before, slice(k, k + 1))
        rows.append(a[at] * rows[-1] + b[at])
    return concatenate(*rows, axis=axis)


recurrence_op = Op(
    name="recurrence",
    doc="yₖ = aₖ yₖ₋₁ + bₖ along an axis, from y₁ = b₁.",
    operands="a b",
    shape=recurrence_shape,
    numpy="recurrence({a}, {b}, axis={axis})",
    torch="torch.stack([y for _, y in itertools.accumulate("
    "zip({a}.unbind({axis}), {b}.unbind({axis})), lambda p, q: (q[0], q[0] * p[1] + q[1]))],"
    " dim={axis})",
    jax="jax.lax.associative_scan(lambda p, q: (p[0] * q[0], q[0] * p[1] + q[1]), ({a}, {b}),"
    " axis={axis})[1]",
    helpers=(recurrence,),
    rules=(
        Rule(d_recurrence_a, '∂{y}ₖ/∂{a}ₖ = {y}ₖ₋₁, "and what follows" {y}ₖ "depends on it"'),
        Rule(d_recurrence_b, '∂{y}ₖ/∂{b}ₖ = 1 "and" ∂{y}ₖ₊₁/∂{y}ₖ = {a}ₖ₊₁'),
    ),
    notation=Notation("recurrence({a}, {b})"),
    expand=unrolled,
    samples=(
        Sample(((4,), (4,)), {"axis": 0}),
        Sample(((2, 3), (2, 3)), {"axis": 1}),
        Sample(((3, 2, 2), (3, 2, 2)), {"axis": 0}),
    ),
    bad=(
        Bad(
            ((3,), (2,)),
            "the factors and the summands of a recurrence must have the same shape\n"
            "  expected: b of shape (3,)\n"
            "  got:      b is (2,)",
            {"axis": 0},
        ),
    ),
)


# -- running product -------------------------------------------------------------------------------
def d_cumprod(g: Node, y: Node, x: Node, axis: int) -> Node:
    """Never divides by x, so zeros do no harm."""
    return products_before(x, axis) * d_recurrence_b(g, y, x, x, axis)


def products_before(x: Node, axis: int) -> Node:
    """x₁ … xₖ₋₁ at place k, and 1 at the first."""
    ones = np.ones((*x.shape[:axis], min(x.shape[axis], 1), *x.shape[axis + 1 :]), x.dtype)
    but_last = getitem(x, parts=(*[(None, None, None)] * axis, (None, -1, None)))
    return cumprod(concatenate(ones, but_last, axis=axis), axis=axis)


def with_zeros(rng: np.random.Generator) -> Any:
    """A matrix with one zero in its first column and two in its second."""
    x = rng.uniform(0.5, 2.0, (3, 3))
    x[1, 0] = x[0, 1] = x[2, 1] = 0.0
    return x


cumprod = Op(
    name="cumprod",
    doc="Running product along an axis: yₖ = x₁ … xₖ.",
    operands="x",
    shape=along,
    numpy="np.cumprod({x}, axis={axis})",
    torch="torch.cumprod({x}, dim={axis})",
    rules=(Rule(d_cumprod, '∂{y}ᵢ/∂{x}ₖ "is the product of the other factors, for" i ≥ k'),),
    notation=Notation("cumprod({x})"),
    samples=(*RUNNING, Sample((with_zeros,), {"axis": 0})),
    bad=NOT_AN_AXIS,
)


# -- product over axes -----------------------------------------------------------------------------
def d_prod(g: Node, y: Node, x: Node, axis: Axis, keepdims: bool) -> Node:
    return expanded(g, x, axis, keepdims) * products_of_others(x, normal_axes(axis, x.ndim))


def products_of_others(x: Node, axes: tuple[int, ...]) -> Node:
    """For each element the product of all others in its group; right also where some are 0."""
    rest = tuple(k for k in range(x.ndim) if k not in axes)
    order = (*rest, *axes)
    turned = transpose(x, axes=order)
    size = int(np.prod([x.shape[k] for k in axes], dtype=np.int64))
    rows = reshape(turned, shape=(*(x.shape[k] for k in rest), size))
    last = rows.ndim - 1
    after = flip(products_before(flip(rows, axis=(last,)), last), axis=(last,))
    others = reshape(products_before(rows, last) * after, shape=turned.shape)
    return transpose(others, axes=tuple(int(k) for k in np.argsort(order)))


def prod_torch(operands: Any, attrs: Any) -> str:
    """PyTorch multiplies along one axis at a time."""
    text, axis, keep = operands["x"], attrs["axis"], attrs["keepdims"]
    if axis is None:
        return f"torch.prod({text})" + (f".reshape([1] * {text}.ndim)" if keep else "")
    axes = sorted(axis, reverse=True) if isinstance(axis, tuple) else [axis]
    for k in axes:
        text = f"torch.prod({text}, dim={k}, keepdim={keep})"
    return str(text)


def prod_notation(x: Formula, axis: Axis, keepdims: bool) -> Math:
    return over_axes("Π", x, axis)


prod = Op(
    name="prod",
    doc="Product over axes; all of them where axis is None.",
    operands="x",
    shape=sum_shape,
    numpy=call("np.prod"),
    torch=prod_torch,
    rules=(Rule(d_prod, '∂{y}/∂{x} "is the product of the other factors"'),),
    notation=Notation(prod_notation),
    samples=(
        *REDUCED,
        Sample((with_zeros,), {"axis": 0, "keepdims": False}),
        Sample((with_zeros,), {"axis": None, "keepdims": True}),
    ),
    bad=NO_SUCH_AXIS,
)


def running(op: Op, x: Any, axis: int | None) -> Node:
    """``op`` along an axis, or along all numbers in row-major order."""
    node = lift(x)
    if axis is None or not node.ndim:
        node, axis = reshape(node, shape=(node.size,)), axis or 0
    return op(node, axis=normal_axis(index(axis), node.ndim))


# -- the largest so far ----------------------------------------------------------------------------
def running_winner(x: Any, axis: int, largest: bool) -> Any:
    """Where the largest (or smallest) number so far stands; of equal ones the latest."""
    best = (np.maximum if largest else np.minimum).accumulate(x, axis=axis)
    shape = [-1 if k == axis else 1 for k in range(x.ndim)]
    places = np.arange(x.shape[axis]).reshape(shape)
    return np.maximum.accumulate(np.where((x == best) | np.isnan(x), places, 0), axis=axis)


def running_winner_shape(x: Node, axis: int, largest: bool) -> Aval:
    normal_axis(axis, x.ndim)
    return x.shape, np.dtype(np.intp)


running_winner_op = Op(
    name="running_winner",
    doc="Where the largest (or smallest) number so far stands along an axis.",
    operands="x",
    shape=running_winner_shape,
    numpy="running_winner({x}, axis={axis}, largest={largest})",
    torch=lambda operands, attrs: (
        f"torch.cum{'max' if attrs['largest'] else 'min'}({operands['x']}, dim={attrs['axis']})"
        ".indices"
    ),
    jax="jax.lax.cummax(jnp.where({x} == (jax.lax.cummax if {largest} else jax.lax.cummin)({x},"
    " axis={axis}), jax.lax.broadcasted_iota(int, {x}.shape, {axis}), 0), axis={axis})",
    helpers=(running_winner,),
    rules=(Zero("a place stays the same under small changes"),),
    notation=Notation(
        lambda x, axis, largest: write(f"argcum{'max' if largest else 'min'}({{x}})", x=x)
    ),
    samples=(
        Sample(((5,),), {"axis": 0, "largest": True}),
        Sample(((2, 3),), {"axis": 1, "largest": False}),
    ),
)


# -- running log of a sum of exponentials ----------------------------------------------------------
def logcumsumexp(x: Any, axis: int) -> Any:
    """Log of the running sum of exp(x), without overflow."""
    return np.logaddexp.accumulate(x, axis=axis, dtype=np.result_type(x, np.float32))


def logcumsumexp_shape(x: Node, axis: int) -> Aval:
    normal_axis(axis, x.ndim)
    return x.shape, x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)


def d_logcumsumexp(g: Node, y: Node, x: Node, axis: int) -> Node:
    """δxₖ = exp(xₖ − yₖ) sₖ with sₖ = gₖ + exp(yₖ − yₖ₊₁) sₖ₊₁; no exponent is above 0."""
    rest = [(None, None, None)] * axis
    before = getitem(y, parts=(*rest, (None, -1, None)))
    after = getitem(y, parts=(*rest, (1, None, None)))
    width = tuple((0, 1) if k == axis else (0, 0) for k in range(y.ndim))
    shares = pad(_share(before, after), width=width)
    turned = flip(shares, axis=(axis,)), flip(g, axis=(axis,))
    return _share(x, y) * flip(recurrence_op(*turned, axis=axis), axis=(axis,))


def _share(a: Node, b: Node) -> Node:
    """exp(a − b), 1 where both are the same infinity."""
    return exp(where(a == b, 0.0, a - b))


logcumsumexp_op = Op(
    name="logcumsumexp",
    doc="log of the running sum of exp(x) along an axis: yₖ = log(exp(x₁) + … + exp(xₖ)).",
    operands="x",
    shape=logcumsumexp_shape,
    numpy="logcumsumexp({x}, axis={axis})",
    torch="torch.logcumsumexp({x}, dim={axis})",
    jax="jax.lax.cumlogsumexp({x}, axis={axis})",
    helpers=(logcumsumexp,),
    rules=(Rule(d_logcumsumexp, '∂{y}ᵢ/∂{x}ₖ = exp({x}ₖ − {y}ᵢ) "for" i ≥ k'),),
    notation=Notation("log cumsum(exp({x}))"),
    expand=lambda x, axis: log(cumsum(exp(x), axis=axis)),
    samples=RUNNING,
    bad=NOT_AN_AXIS,
)
