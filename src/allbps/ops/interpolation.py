"""Straight lines between points."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from allbps.errors import ShapeError
from allbps.ir import Aval, Bad, Node, Notation, Op, Rule, Sample
from allbps.ops.comparison import logical_and, where
from allbps.ops.function import maximum, minimum
from allbps.ops.index import getitem_by, put_add_op
from allbps.ops.questions import searchsorted


class _Line(NamedTuple):
    """The line that x stands on: its two ends, how far x is along it, and its slope."""

    left: Node
    right: Node
    share: Node
    slope: Node


def _line(x: Node, xp: Node, fp: Node) -> _Line:
    last = xp.shape[0] - 1
    left = minimum(maximum(searchsorted(xp, x, side="right") - 1, 0), max(last - 1, 0))
    right = minimum(left + 1, last)
    start, end = getitem_by(xp, left), getitem_by(xp, right)
    inside = logical_and(x >= start, x < end)  # a line of length 0 has nothing inside
    width = where(inside, end - start, 1.0)
    share = where(inside, (x - start) / width, where(x < start, 0.0, 1.0))
    slope = where(inside, (getitem_by(fp, right) - getitem_by(fp, left)) / width, 0.0)
    return _Line(left, right, share, slope)


def _into(like: Node, place: Node, values: Node) -> Node:
    return put_add_op(values, place, shape=like.shape, parts=("array",))


def d_interp_x(g: Node, y: Node, x: Node, xp: Node, fp: Node) -> Node:
    return g * _line(x, xp, fp).slope


def d_interp_xp(g: Node, y: Node, x: Node, xp: Node, fp: Node) -> Node:
    left, right, share, slope = _line(x, xp, fp)
    moved = -(g * slope)
    return _into(xp, left, moved * (1.0 - share)) + _into(xp, right, moved * share)


def d_interp_fp(g: Node, y: Node, x: Node, xp: Node, fp: Node) -> Node:
    left, right, share, _ = _line(x, xp, fp)
    return _into(fp, left, g * (1.0 - share)) + _into(fp, right, g * share)


def interp_shape(x: Node, xp: Node, fp: Node) -> Aval:
    if xp.ndim != 1 or xp.shape != fp.shape or not xp.size:
        raise ShapeError(
            "xp and fp of np.interp must have the same length, in one row",
            expected="{xp} and {fp} of one shape (n,), n ≥ 1",
            got=f"{{xp}} is {xp.shape} and {{fp}} is {fp.shape}",
        )
    return x.shape, np.dtype(np.float64)


def interp_torch(operands: Any, attrs: Any) -> str:
    x, xp, fp = operands["x"], operands["xp"], operands["fp"]
    line = "y[k] + (y[k + 1] - y[k]) * (x - p[k]) / (p[k + 1] - p[k])"
    place = f"(torch.searchsorted({xp}, {x}, right=True) - 1).clamp(0, len({xp}) - 2)"
    return f"(lambda x, p, y, k: {line})({x}.clamp({xp}[0], {xp}[-1]), {xp}, {fp}, {place})"


PLACES = np.array([-1.0, 0.0, 0.5, 2.0])
interp_op = Op(
    name="interp",
    doc="Straight lines between the points (xp, fp), constant outside; xp rises.",
    operands="x xp fp",
    shape=interp_shape,
    numpy="np.interp({x}, {xp}, {fp})",
    torch=interp_torch,
    rules=(
        Rule(d_interp_x, '∂{y}/∂{x} "is the slope of the line that" {x} "stands on," 0 "outside"'),
        Rule(d_interp_xp, '∂{y}/∂{xp} "is minus the slope, shared by the two ends of the line"'),
        Rule(d_interp_fp, '∂{y}/∂{fp} "is the weight of each of the two ends"'),
    ),
    notation=Notation("interp({x}, {xp}, {fp})"),
    samples=(
        Sample((np.array([[-0.7, 0.2], [1.3, 0.4]]), PLACES, (4,))),
        Sample((np.float64(0.7), PLACES, (4,))),
    ),
    bad=(
        Bad(
            ((2,), (3,), (2,)),
            "xp and fp of np.interp must have the same length, in one row\n"
            "  expected: xp and fp of one shape (n,), n ≥ 1\n"
            "  got:      xp is (3,) and fp is (2,)",
        ),
    ),
)
