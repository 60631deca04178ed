"""Arrays put together along an axis."""

from __future__ import annotations

from typing import Any

from allbps.errors import ArgumentError, ShapeError
from allbps.ir import Aval, Bad, Formula, Node, Notation, Op, Rule, Sample, lift, promote
from allbps.mathematics import Math, write
from allbps.mathematics.tree import Fence, Row, Sign
from allbps.ops.index import getitem
from allbps.ops.shapes import in_groups, normal_axis


def d_concatenate(g: Node, y: Node, *xs: Node, index: int, axis: int) -> Node:
    start = sum(x.shape[axis] for x in xs[:index])
    piece = (start, start + xs[index].shape[axis], None)
    return getitem(g, parts=(*[(None, None, None)] * axis, piece))


def concatenate_shape(*xs: Node, axis: int) -> Aval:
    if not xs:
        raise ArgumentError("concatenate needs at least one array", got="none")
    first = xs[0].shape
    if not first:
        raise ShapeError(
            "{0} is a scalar and cannot be concatenated",
            expected="arrays with at least one axis",
            todo="use np.stack",
        )
    normal_axis(axis, len(first))
    for k, x in enumerate(xs):
        if x.shape[:axis] + x.shape[axis + 1 :] != first[:axis] + first[axis + 1 :]:
            raise ShapeError(
                f"{{0}} and {{{k}}} cannot be joined along axis {axis}",
                expected=f"equal lengths on every axis but {axis}",
                got=f"{{0}} is {first} and {{{k}}} is {x.shape}",
            )
    total = sum(x.shape[axis] for x in xs)
    return (*first[:axis], total, *first[axis + 1 :]), promote(*xs)


def join_notation(xs: list[Formula], axis: int) -> Math:
    """``[a; b]`` one below the other, ``[a, b]`` side by side."""
    mark = Sign("; " if axis == 0 else ", ")
    parts = [part for x in xs for part in (mark, x.math)]
    return Fence(Row(tuple(parts[1:])), "[")


def join_code(function: str, axis_word: str) -> Any:
    def text(operands: Any, attrs: Any) -> str:
        axis = attrs["axis"]
        suffix = f", {axis_word}={axis}" if axis else ""
        return f"{function}([{', '.join(operands['xs'])}]{suffix})"

    return text


def join_because(xs: list[Formula], y: Formula, axis: int, index: int) -> Math:
    start = sum(x.shape[axis] for x in xs[:index])
    end = start + xs[index].shape[axis]
    where = f"{start + 1}" if end == start + 1 else f"{start + 1} to {end}"
    return write(f'{{x}} "stands in" {{y}} "at {where} along axis {axis + 1}"', x=xs[index], y=y)


concatenate = Op(
    name="concatenate",
    complex=True,
    doc="Arrays joined along one of their axes.",
    operands="*xs",
    shape=concatenate_shape,
    numpy=join_code("np.concatenate", "axis"),
    torch=join_code("torch.cat", "dim"),
    rules=(Rule(d_concatenate, join_because),),
    notation=Notation(join_notation),
    samples=(
        Sample(((2, 3), (1, 3), (3, 3)), {"axis": 0}),
        Sample(((2, 3), (2, 1)), {"axis": 1}),
        Sample(((2, 0, 2), (2, 1, 2)), {"axis": 1}),
    ),
    bad=(
        Bad(
            ((2, 3), (2, 4)),
            "xs and xs cannot be joined along axis 0\n"
            "  expected: equal lengths on every axis but 0\n"
            "  got:      xs is (2, 3) and xs is (2, 4)",
            {"axis": 0},
        ),
        Bad(
            ((), (2,)),
            "xs is a scalar and cannot be concatenated\n"
            "  expected: arrays with at least one axis\n"
            "  fix:      use np.stack",
            {"axis": 0},
        ),
    ),
)


def joined(xs: list[Any], axis: int = 0) -> Node:
    """``numpy.concatenate`` for nodes and arrays, negative axes too."""
    nodes = [lift(x) for x in xs]
    ndim = nodes[0].ndim if nodes else 0
    return in_groups(concatenate, nodes, axis=normal_axis(axis, ndim) if ndim else 0)
