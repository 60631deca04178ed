"""Operations that move numbers without changing them."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from allbps.errors import ArgumentError, ShapeError
from allbps.ir import (
    NUMPY,
    Aval,
    Bad,
    Formula,
    Node,
    Notation,
    Op,
    Rule,
    Sample,
    Stopped,
    lift,
)
from allbps.mathematics import Math, parse, write
from allbps.mathematics.transpose import transpose_of
from allbps.ops.shapes import normal_axis, same

Shape = tuple[int, ...]


# -- identity --------------------------------------------------------------------------------------
def d_identity(g: Node, y: Node, x: Node) -> Node:
    return g


identity = Op(
    name="identity",
    complex=True,
    doc="x itself: another name for the same value.",
    operands="x",
    shape=same,
    numpy="{x}",
    torch="{x}",
    rules=(Rule(d_identity, "∂{y}/∂{x} = 1"),),
    notation=Notation("{x}"),
    samples=(Sample(((2, 3),)),),
)


detach = Op(
    name="detach",
    complex=True,
    doc="x as a constant: nothing flows back through it.",
    operands="x",
    shape=same,
    numpy="{x}",
    torch="{x}.detach()",
    jax="jax.lax.stop_gradient({x})",
    rules=(Stopped("the gradient is stopped here on purpose"),),
    notation=Notation("stop({x})"),
    samples=(Sample(((2, 3),)),),
)


# -- reshape ---------------------------------------------------------------------------------------
def d_reshape(g: Node, y: Node, x: Node, shape: Shape) -> Node:
    return reshape(g, shape=x.shape)


def reshape_shape(x: Node, shape: Shape) -> Aval:
    if int(np.prod(shape)) != x.size:
        raise ShapeError(
            "{x} does not fit into the new shape",
            expected=f"{x.size} elements, as in {x.shape}",
            got=f"{shape}, which has {int(np.prod(shape))}",
        )
    return shape, x.dtype


def reshape_notation(x: Formula, shape: Shape) -> Math:
    # axes of length 1 come and go without a word
    same_numbers = [n for n in x.shape if n != 1] == [n for n in shape if n != 1]
    return x.math if same_numbers else write("reshape({x})", x=x)


def reshape_written(x: Node, new: Node, shape: Shape) -> Node:
    return reshape(new, shape=x.shape)


reshape = Op(
    name="reshape",
    complex=True,
    doc="The same numbers in row-major order under another shape.",
    operands="x",
    shape=reshape_shape,
    numpy="np.reshape({x}, {shape})",
    torch="torch.reshape({x}, {shape})",
    written=reshape_written,
    rules=(Rule(d_reshape, '{y} "holds the numbers of" {x} "in the same order"'),),
    notation=Notation(reshape_notation),
    samples=(Sample(((2, 3),), {"shape": (3, 2)}), Sample(((2, 3),), {"shape": (6,)})),
    bad=(
        Bad(
            ((2, 3),),
            "x does not fit into the new shape\n"
            "  expected: 6 elements, as in (2, 3)\n"
            "  got:      (4,), which has 4",
            {"shape": (4,)},
        ),
    ),
)


def reshape_to(x: Any, shape: Any, order: str = "C") -> Node:
    """``numpy.reshape``: one length may be −1; a traced array counts as stored row by row."""
    node = lift(x)
    if order not in ("C", "F", "A", "K"):
        raise ArgumentError("unknown order", expected="'C' or 'F'", got=repr(order))
    lengths = tuple(operator.index(n) for n in (shape if np.ndim(shape) else (shape,)))
    if lengths.count(-1) == 1:
        known = -int(np.prod(lengths))
        missing = node.size // known if known else 0
        lengths = tuple(missing if n == -1 else n for n in lengths)
    if order == "F":
        turned = reshape(_reversed(node), shape=lengths[::-1])
        return _reversed(turned)
    return reshape(node, shape=lengths)


def _reversed(x: Node) -> Node:
    """All axes the other way round."""
    return x if x.ndim < 2 else transpose(x, axes=tuple(reversed(range(x.ndim))))


NUMPY[np.reshape] = reshape_to
NUMPY[np.ravel] = lambda x, order="C": reshape_to(x, -1, order)


# -- transpose -------------------------------------------------------------------------------------
def d_transpose(g: Node, y: Node, x: Node, axes: Shape) -> Node:
    return transpose(g, axes=tuple(int(k) for k in np.argsort(axes)))


def transpose_shape(x: Node, axes: Shape) -> Aval:
    if sorted(axes) != list(range(x.ndim)):
        raise ArgumentError(
            "the axes of a transpose must name every axis of {x} once",
            expected=f"an order of {tuple(range(x.ndim))}",
            got=str(axes),
        )
    return tuple(x.shape[k] for k in axes), x.dtype


def swaps_last_two(axes: Shape) -> bool:
    """Is this the matrix transpose?"""
    n = len(axes)
    return n >= 2 and axes == (*range(n - 2), n - 1, n - 2)


def transpose_notation(x: Formula, axes: Shape) -> Math:
    if swaps_last_two(axes):
        return transpose_of(x.math) if len(axes) == 2 else write("{x}ᵀ", x=x)
    if axes == (1, 0, *range(2, len(axes))):  # examples and channels, channels in and out
        return write("swap({x})", x=x)
    return write(f"transpose({{x}}, {', '.join(map(str, axes))})", x=x)


def transpose_meaning(x: Formula, axes: Shape) -> Math | None:
    """What ``swap`` is, where the notation has it."""
    if swaps_last_two(axes) or axes != (1, 0, *range(2, len(axes))):
        return None
    return parse('"where swap exchanges the first two axes"')


def transpose_because(x: Formula, y: Formula, axes: Shape) -> Math:
    if swaps_last_two(axes):
        return write('{y} "is the transpose of" {x}', x=x, y=y)
    return write('{y} "is" {x} "with its axes permuted"', x=x, y=y)


def transpose_code(operands: Any, attrs: Any) -> str:
    x, axes = operands["x"], attrs["axes"]
    if axes == (1, 0):
        return f"{x}.T"
    return f"np.swapaxes({x}, -1, -2)" if swaps_last_two(axes) else f"np.transpose({x}, {axes})"


def transpose_torch(operands: Any, attrs: Any) -> str:
    x, axes = operands["x"], attrs["axes"]
    if axes == (1, 0):
        return f"{x}.T"
    return f"{x}.mT" if swaps_last_two(axes) else f"torch.permute({x}, {axes})"


def transpose_written(x: Node, new: Node, axes: Shape) -> Node:
    return transpose(new, axes=tuple(int(k) for k in np.argsort(axes)))


transpose = Op(
    name="transpose",
    complex=True,
    doc="The axes in another order.",
    operands="x",
    shape=transpose_shape,
    numpy=transpose_code,
    torch=transpose_torch,
    written=transpose_written,
    rules=(Rule(d_transpose, transpose_because),),
    notation=Notation(transpose_notation, meaning=transpose_meaning),
    samples=(Sample(((2, 3),), {"axes": (1, 0)}), Sample(((2, 3, 4),), {"axes": (2, 0, 1)})),
    bad=(
        Bad(
            ((2, 3),),
            "the axes of a transpose must name every axis of x once\n"
            "  expected: an order of (0, 1)\n"
            "  got:      (0, 0)",
            {"axes": (0, 0)},
        ),
    ),
)


def transpose_by(x: Any, axes: Any = None) -> Node:
    """``numpy.transpose``: all axes reversed where none are given."""
    node = lift(x)
    order = range(node.ndim)[::-1] if axes is None else (normal_axis(k, node.ndim) for k in axes)
    return transpose(node, axes=tuple(order))


def swapaxes(x: Any, axis1: int, axis2: int) -> Node:
    """``numpy.swapaxes``."""
    node = lift(x)
    order = list(range(node.ndim))
    first, second = normal_axis(axis1, node.ndim), normal_axis(axis2, node.ndim)
    order[first], order[second] = second, first
    return transpose(node, axes=tuple(order))


def matrix_transpose(x: Node) -> Node:
    """The last two axes exchanged; of a transpose, what was transposed."""
    if x.op is transpose and swaps_last_two(x.attrs["axes"]):
        return x.inputs[0]
    return swapaxes(x, -1, -2)


NUMPY[np.transpose] = transpose_by
NUMPY[np.swapaxes] = swapaxes
NUMPY[np.matrix_transpose] = lambda x: swapaxes(x, -1, -2)


# -- broadcast -------------------------------------------------------------------------------------
def d_broadcast_to(g: Node, y: Node, x: Node, shape: Shape) -> Node:
    return g  # backprop sums it over the axes that were broadcast


def broadcast_to_shape(x: Node, shape: Shape) -> Aval:
    if len(shape) < x.ndim or any(
        n not in (1, m) for n, m in zip(x.shape[::-1], shape[::-1], strict=False)
    ):
        raise ShapeError(
            "{x} cannot be broadcast to the new shape",
            expected=f"a shape that ends like {x.shape}, 1 standing for any length",
            got=str(shape),
        )
    return shape, x.dtype


def broadcast_notation(x: Formula, shape: Shape) -> Math:
    """A number times 𝟏, an array of ones; broadcast(x) for an array that is repeated."""
    return write("{x} 𝟏" if x.shape == () else "broadcast({x})", x=x)


broadcast_to = Op(
    name="broadcast_to",
    complex=True,
    doc="x repeated along new axes and along those of length 1.",
    operands="x",
    shape=broadcast_to_shape,
    numpy="np.broadcast_to({x}, {shape})",
    torch="torch.broadcast_to({x}, {shape})",
    rules=(Rule(d_broadcast_to, '"each number of" {x} "stands in several places of" {y}'),),
    notation=Notation(broadcast_notation),
    implements=(),
    samples=(Sample(((3,),), {"shape": (2, 3)}), Sample(((2, 1),), {"shape": (2, 3)})),
    bad=(
        Bad(
            ((2,),),
            "x cannot be broadcast to the new shape\n"
            "  expected: a shape that ends like (2,), 1 standing for any length\n"
            "  got:      (2, 3)",
            {"shape": (2, 3)},
        ),
    ),
)
NUMPY[np.broadcast_to] = lambda x, shape: broadcast_to(
    x, shape=tuple(np.atleast_1d(shape).tolist())
)


# -- flip, pad, dilate -----------------------------------------------------------------------------
def d_flip(g: Node, y: Node, x: Node, axis: Shape) -> Node:
    return flip(g, axis=axis)


def flip_shape(x: Node, axis: Shape) -> Aval:
    for k in axis:
        normal_axis(k, x.ndim)
    return x.shape, x.dtype


def flip_written(x: Node, new: Node, axis: Shape) -> Node:
    return flip(new, axis=axis)


flip = Op(
    name="flip",
    complex=True,
    doc="The order along axes reversed; flip(K) of the lecture reverses both.",
    operands="x",
    shape=flip_shape,
    numpy="np.flip({x}, axis={axis})",
    torch="torch.flip({x}, {axis})",
    written=flip_written,
    rules=(Rule(d_flip, '{y} "is" {x} "in reverse order"'),),
    notation=Notation("flip({x})"),
    samples=(Sample(((2, 3),), {"axis": (0, 1)}), Sample(((2, 3, 4),), {"axis": (1,)})),
)


def flip_by(x: Any, axis: Any = None) -> Node:
    """``numpy.flip``: all axes where none are given."""
    node = lift(x)
    axes = range(node.ndim) if axis is None else np.atleast_1d(axis).tolist()
    return flip(node, axis=tuple(normal_axis(k, node.ndim) for k in axes))


NUMPY[np.flip] = flip_by
NUMPY[np.fliplr] = lambda x: flip_by(x, 1)
NUMPY[np.flipud] = lambda x: flip_by(x, 0)
Width = tuple[tuple[int, int], ...]


def d_pad(g: Node, y: Node, x: Node, width: Width) -> Node:
    return pad(g, width=tuple((-before, -after) for before, after in width))


def zero_pad(x: Any, width: Any) -> Any:
    """Zeros added before and after each axis; a negative width cuts off instead."""
    cut = tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, width, strict=True))
    return np.pad(x[cut], [(max(a, 0), max(b, 0)) for a, b in width])


def pad_shape(x: Node, width: Width) -> Aval:
    if len(width) != x.ndim:
        raise ArgumentError(
            "pad needs one (before, after) for each axis of {x}",
            expected=f"{x.ndim} pairs",
            got=str(width),
        )
    return tuple(n + a + b for n, (a, b) in zip(x.shape, width, strict=True)), x.dtype


def pad_torch(operands: Any, attrs: Any) -> str:
    width = [n for pair in reversed(attrs["width"]) for n in pair]
    return f"torch.nn.functional.pad({operands['x']}, {width})"


pad = Op(
    name="pad",
    complex=True,
    doc="Zeros around x: (before, after) for each axis; negative widths cut off.",
    operands="x",
    shape=pad_shape,
    numpy=lambda operands, attrs: (
        f"np.pad({operands['x']}, {attrs['width']})"
        if min(min(pair) for pair in attrs["width"]) >= 0
        else f"zero_pad({operands['x']}, {attrs['width']})"
    ),
    helpers=(zero_pad,),
    torch=pad_torch,
    rules=(Rule(d_pad, '{y} "is" {x} "with zeros around it, and zeros depend on nothing"'),),
    notation=Notation("pad({x})"),
    samples=(
        Sample(((2, 3),), {"width": ((1, 2), (0, 1))}),
        Sample(((4, 3),), {"width": ((-1, -2), (1, -1))}),
    ),
    bad=(
        Bad(
            ((2, 3),),
            "pad needs one (before, after) for each axis of x\n"
            "  expected: 2 pairs\n"
            "  got:      ((1, 1),)",
            {"width": ((1, 1),)},
        ),
    ),
)


def d_dilate(g: Node, y: Node, x: Node, steps: Shape) -> Node:
    return subsample(g, steps=steps)


def dilate(x: Any, steps: Any) -> Any:
    """Step − 1 zeros between neighbours along each axis."""
    shape = [(n - 1) * step + 1 for n, step in zip(x.shape, steps, strict=True)]
    out = np.zeros(shape, x.dtype)
    out[tuple(slice(None, None, step) for step in steps)] = x
    return out


def dilate_shape(x: Node, steps: Shape) -> Aval:
    return tuple((n - 1) * k + 1 for n, k in zip(x.shape, steps, strict=True)), x.dtype


def dilate_torch(operands: Any, attrs: Any) -> str:
    # the outer product with (1, 0, …, 0) puts zeros behind each number; the last ones are cut off
    x: str = operands["x"]
    text, steps = x, attrs["steps"]
    for axis, step in enumerate(steps):
        if step > 1:
            unit = [1] + [0] * (step - 1)
            text = (
                f"torch.stack([{text} * k for k in {unit}], dim={axis + 1})"
                f".flatten({axis}, {axis + 1})"
                f".narrow({axis}, 0, ({x}.shape[{axis}] - 1) * {step} + 1)"
            )
    return text


dilate_op = Op(
    name="dilate",
    complex=True,
    doc="step − 1 zeros between neighbours along each axis.",
    operands="x",
    shape=dilate_shape,
    numpy="dilate({x}, {steps})",
    jax=lambda operands, attrs: (
        f"jax.lax.pad({operands['x']}, jnp.zeros((), {operands['x']}.dtype),"
        f" {[(0, 0, step - 1) for step in attrs['steps']]})"
    ),
    helpers=(dilate,),
    torch=dilate_torch,
    rules=(Rule(d_dilate, '{y} "is" {x} "with zeros between its numbers"'),),
    notation=Notation("dilate({x})"),
    samples=(Sample(((2, 3),), {"steps": (2, 3)}), Sample(((2, 3),), {"steps": (1, 2)})),
)


def d_subsample(g: Node, y: Node, x: Node, steps: Shape) -> Node:
    spread = dilate_op(g, steps=steps)
    width = tuple((0, n - m) for n, m in zip(x.shape, spread.shape, strict=True))
    return pad(spread, width=width)


def subsample_shape(x: Node, steps: Shape) -> Aval:
    return tuple(-(-n // k) for n, k in zip(x.shape, steps, strict=True)), x.dtype


def subsample_code(operands: Any, attrs: Any) -> str:
    slices = ", ".join(f"::{step}" if step > 1 else ":" for step in attrs["steps"])
    return f"{operands['x']}[{slices}]"


subsample = Op(
    name="subsample",
    complex=True,
    doc="Every step-th element along each axis, from the first.",
    operands="x",
    shape=subsample_shape,
    numpy=subsample_code,
    torch=subsample_code,
    rules=(Rule(d_subsample, '{y} "keeps every step-th number of" {x}'),),
    notation=Notation("subsample({x})"),
    samples=(Sample(((4, 5),), {"steps": (2, 3)}),),
)
