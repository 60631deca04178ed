"""Reductions: what turns many numbers into fewer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from allbps.errors import ShapeError
from allbps.ir import Aval, Bad, Formula, Node, Notation, Op, Rule, Sample, Zero
from allbps.ir.op import Text
from allbps.mathematics import Math, write
from allbps.mathematics.tree import Big, Script
from allbps.mathematics.visit import parts_of
from allbps.ops.function import exp, log
from allbps.ops.shape import reshape
from allbps.ops.shapes import normal_axes, reduced_shape, summed

Axis = int | tuple[int, ...] | None
REDUCED = (
    Sample(((2, 3),), {"axis": None, "keepdims": False}),
    Sample(((2, 3),), {"axis": 0, "keepdims": False}),
    Sample(((2, 3, 4),), {"axis": (0, 2), "keepdims": True}),
    Sample(((2, 3, 4),), {"axis": -1, "keepdims": False}),
    Sample(((2, 3, 4),), {"axis": 0, "keepdims": False}),  # not its own inverse as an order
    Sample(((),), {"axis": None, "keepdims": False}),
)
NO_SUCH_AXIS = (
    Bad(
        ((2, 3),),
        "axis 2 does not exist\n"
        "  expected: an axis from -2 to 1\n"
        "  got:      axis=2 for x with 2 axes",
        {"axis": 2, "keepdims": False},
    ),
)


def call(function: str, axis_word: str = "axis", keep_word: str = "keepdims") -> Text:
    """Text of a reduction; arguments at their default are left out, as a person would."""

    def text(operands: Mapping[str, Any], attrs: Mapping[str, Any]) -> str:
        axis, keep = attrs["axis"], attrs["keepdims"]
        arguments = [operands["x"]]
        arguments += [f"{axis_word}={axis}"] if axis is not None else []
        arguments += [f"{keep_word}=True"] if keep else []
        return f"{function}({', '.join(arguments)})"

    return text


def torch_call(function: str) -> Text:
    """Text of a PyTorch reduction, which takes keepdim only together with dim."""
    plain = call(function, "dim", "keepdim")

    def text(operands: Mapping[str, Any], attrs: Mapping[str, Any]) -> str:
        everything = attrs["axis"] is None and attrs["keepdims"]
        return plain(operands, {**attrs, "axis": ()} if everything else attrs)  # type: ignore[operator]

    return text


def expanded(g: Node, x: Node, axis: Axis, keepdims: bool) -> Node:
    """``g`` with the reduced axes of ``x`` back as length 1, so that it broadcasts."""
    if keepdims or axis is None:
        return g
    return reshape(g, shape=reduced_shape(x.shape, normal_axes(axis, x.ndim), True))


def reduced(x: Node, axis: Axis, keepdims: bool) -> Aval:
    """Shape rule of a reduction that keeps the dtype."""
    return reduced_shape(x.shape, normal_axes(axis, x.ndim), keepdims), x.dtype


def nonempty(x: Node, axis: Axis, keepdims: bool) -> Aval:
    """Shape rule of a reduction that has no value for no numbers."""
    if any(x.shape[k] == 0 for k in normal_axes(axis, x.ndim)):
        raise ShapeError(
            "an empty array has no such value",
            expected="at least one element",
            got="{x} is " + str(x.shape),
        )
    return reduced(x, axis, keepdims)


# -- sum -------------------------------------------------------------------------------------------
def d_sum(g: Node, y: Node, x: Node, axis: Axis, keepdims: bool) -> Node:
    return expanded(g, x, axis, keepdims)  # backprop broadcasts it to the shape of x


def sum_shape(x: Node, axis: Axis, keepdims: bool) -> Aval:
    shape, dtype = reduced(x, axis, keepdims)
    return shape, summed(dtype)


def sum_notation(x: Formula, axis: Axis, keepdims: bool) -> Math:
    return over_axes("Σ", x, axis)


LETTERS = "ₖₘₙₚₛₜᵣᵤᵥₐₑₕₒₓ"
"""Indices that are summed over."""


def over_axes(sign: str, x: Formula, axis: Axis) -> Math:
    """``Σ x``, or ``Σₖ xₖ,:`` where some axes stay."""
    axes = normal_axes(axis, len(x.shape))
    if axes == tuple(range(len(x.shape))):
        return Big(sign, x.math)
    used = "".join("".join(big.marks) for big in parts_of(x.math, Big))
    free = [letter for letter in LETTERS if letter not in used]
    letters = dict(zip(axes, free, strict=False))
    places = ",".join(letters.get(k, ":") for k in range(len(x.shape)))
    return Big(sign, Script(x.math, (places,)), ("".join(letters.values()),))


sum_ = Op(
    name="sum",
    complex=True,
    doc="Sum over axes; all of them where axis is None.",
    operands="x",
    shape=sum_shape,
    numpy=call("np.sum"),
    torch=torch_call("torch.sum"),
    rules=(Rule(d_sum, '∂{y}/∂{x} = 𝟏, "ones, since every summand counts once"'),),
    notation=Notation(sum_notation),
    samples=REDUCED,
    bad=NO_SUCH_AXIS,
)


# -- mean ------------------------------------------------------------------------------------------
def count(x: Node, axis: Axis) -> int:
    """How many numbers are reduced to one."""
    return int(np.prod([x.shape[k] for k in normal_axes(axis, x.ndim)], dtype=np.int64))


def d_mean(g: Node, y: Node, x: Node, axis: Axis, keepdims: bool) -> Node:
    return expanded(g, x, axis, keepdims) / float(count(x, axis))


def mean_shape(x: Node, axis: Axis, keepdims: bool) -> Aval:
    shape, dtype = nonempty(x, axis, keepdims)
    return shape, dtype if dtype.kind in "fc" else np.dtype(np.float64)


def mean_because(x: Formula, y: Formula, axis: Axis, keepdims: bool) -> Math:
    n = int(np.prod([x.shape[k] for k in normal_axes(axis, len(x.shape))], dtype=np.int64))
    if n == 1:
        return write("∂{y}/∂{x} = 1", x=x, y=y)
    return write(
        f'∂{{y}}/∂{{x}} = 𝟏/{n}", ones divided by" {n}", since" {{y}} "is a mean of" {n}', x=x, y=y
    )


mean = Op(
    name="mean",
    complex=True,
    doc="Arithmetic mean over axes.",
    operands="x",
    shape=mean_shape,
    numpy=call("np.mean"),
    torch=torch_call("torch.mean"),
    rules=(Rule(d_mean, mean_because),),
    notation=Notation("mean({x})"),
    expand=lambda x, axis, keepdims: sum_(x, axis=axis, keepdims=keepdims) * (1.0 / count(x, axis)),
    samples=REDUCED,
    bad=NO_SUCH_AXIS,
)


# -- maximum and minimum ---------------------------------------------------------------------------
def first_winner(x: Any, axis: Any, largest: bool) -> Any:
    """1 at the first largest (or smallest) element of each group in row-major order, else 0."""
    every = range(x.ndim)
    chosen = every if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = [k % x.ndim for k in chosen]
    rest = [k for k in every if k not in axes]
    order = rest + axes
    size = 1
    for k in axes:  # not np.prod, which JAX traces
        size *= x.shape[k]
    rows = np.transpose(x, order).reshape([x.shape[k] for k in rest] + [size])
    index = np.argmax(rows, axis=-1) if largest else np.argmin(rows, axis=-1)
    mask = np.arange(rows.shape[-1]) == index[..., None]
    mask = mask.reshape([x.shape[k] for k in order])
    return np.transpose(mask, [order.index(k) for k in every]).astype(x.dtype)


def winner_shape(x: Node, axis: Axis, largest: bool) -> Aval:
    normal_axes(axis, x.ndim)
    return x.shape, x.dtype


def winner_torch(operands: Any, attrs: Any) -> str:
    x, axis = operands["x"], attrs["axis"]
    find = "argmax" if attrs["largest"] else "argmin"  # both give the first in a tie
    if isinstance(axis, tuple):
        last = tuple(range(-len(axis), 0))
        rows = f"{x}.movedim({axis}, {last})"
        mask = _torch_mask(f"{rows}.flatten({last[0]})", -1, find)
        return f"{mask}.reshape({rows}.shape).movedim({last}, {axis})"
    if axis is None:
        return f"{_torch_mask(f'{x}.reshape(-1)', 0, find)}.reshape({x}.shape)"
    return _torch_mask(x, axis, find)


def _torch_mask(x: str, axis: int, find: str) -> str:
    where = f"{x}.{find}({axis}, keepdim=True)"
    return f"torch.zeros_like({x}).scatter({axis}, {where}, 1.0)"


winner = Op(
    name="winner",
    doc="1 at the first maximum (or minimum) along axes, else 0: one winner, also in a tie.",
    operands="x",
    shape=winner_shape,
    numpy="first_winner({x}, axis={axis}, largest={largest})",
    torch=winner_torch,
    helpers=(first_winner,),
    rules=(Zero("a winner stays the winner under small changes"),),
    notation=Notation('[{x} "wins"]'),
    samples=(
        Sample(((2, 3),), {"axis": 0, "largest": True}),
        Sample(((2, 3, 4),), {"axis": (0, 2), "largest": False}),
        Sample(((2, 3),), {"axis": None, "largest": True}),
    ),
)


def d_max(g: Node, y: Node, x: Node, axis: Axis, keepdims: bool) -> Node:
    return winner(x, axis=axis, largest=True) * expanded(g, x, axis, keepdims)


def d_min(g: Node, y: Node, x: Node, axis: Axis, keepdims: bool) -> Node:
    return winner(x, axis=axis, largest=False) * expanded(g, x, axis, keepdims)


def torch_extreme(name: str) -> Callable[[Any, Any], str]:
    """PyTorch's amax shares the δ in a tie; its max along one axis has a single winner."""

    def text(operands: Any, attrs: Any) -> str:
        x, axis, keep = operands["x"], attrs["axis"], attrs["keepdims"]
        if axis is None:
            return f"torch.{name}({x}.reshape(-1), dim=0).values" + (
                f".reshape([1] * {x}.ndim)" if keep else ""
            )
        if isinstance(axis, tuple):
            return f"torch.a{name}({x}, dim={axis}, keepdim={keep})"
        return f"torch.{name}({x}, dim={axis}, keepdim={keep}).values"

    return text


def extreme(name: str, rule: Callable[..., Node], word: str, expand: Any = None) -> Op:
    """Declare max or min."""
    return Op(
        name=name,
        doc=f"{word.capitalize()} over axes; in a tie the first in row-major order gets the δ.",
        operands="x",
        shape=nonempty,
        numpy=call(f"np.{name}"),
        torch=torch_extreme(name),
        rules=(Rule(rule, f'∂{{y}}/∂{{x}} = 1 if "at the first {word}", else 0'),),
        notation=Notation(f"{name}({{x}})"),
        samples=REDUCED,
        expand=expand,
        bad=(
            *NO_SUCH_AXIS,
            Bad(
                ((0, 3),),
                "an empty array has no such value\n"
                "  expected: at least one element\n"
                "  got:      x is (0, 3)",
                {"axis": 0, "keepdims": False},
            ),
        ),
    )


max_ = extreme("max", d_max, "maximum")
min_ = extreme(
    "min", d_min, "minimum", lambda x, axis, keepdims: -max_(-x, axis=axis, keepdims=keepdims)
)


# -- log of a sum of exponentials ------------------------------------------------------------------
def logsumexp(x: Any, axis: Any, keepdims: bool) -> Any:
    """Log Σ exp(x) over axes; a finite maximum is taken off first, so nothing overflows."""
    largest = np.max(x, axis=axis, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0)
    with np.errstate(divide="ignore"):  # the logarithm of no weight at all is −∞
        total = np.log(np.sum(np.exp(x - largest), axis=axis, keepdims=True)) + largest
    return total if keepdims else np.squeeze(total, axis=axis)


def d_logsumexp(g: Node, y: Node, x: Node, axis: Axis, keepdims: bool) -> Node:
    return expanded(g, x, axis, keepdims) * exp(x - expanded(y, x, axis, keepdims))


def torch_logsumexp(operands: Mapping[str, Any], attrs: Mapping[str, Any]) -> str:
    """PyTorch needs the axes; all of them are one flattened axis."""
    x, axis, keep = operands["x"], attrs["axis"], attrs["keepdims"]
    if axis is None:
        text = f"torch.logsumexp({x}.flatten(), dim=0)"
        return f"{text}.reshape([1] * {x}.ndim)" if keep else text
    return f"torch.logsumexp({x}, dim={axis}, keepdim={keep})"


logsumexp_op = Op(
    name="logsumexp",
    doc="log Σ exp(x) over axes, without overflow.",
    operands="x",
    shape=mean_shape,
    numpy="logsumexp({x}, axis={axis}, keepdims={keepdims})",
    jax="jax.scipy.special.logsumexp({x}, axis={axis}, keepdims={keepdims})",
    torch=torch_logsumexp,
    helpers=(logsumexp,),
    rules=(Rule(d_logsumexp, "∂{y}/∂{x} = exp({x} − {y}) = softmax({x})"),),
    notation=Notation("log Σ exp({x})"),
    expand=lambda x, axis, keepdims: log(sum_(exp(x), axis=axis, keepdims=keepdims)),
    samples=REDUCED,
    bad=NO_SUCH_AXIS,
)
