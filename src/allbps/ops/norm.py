"""Normalisation: layer norm and batch norm, whose mean and variance depend on the input too."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.errors import ShapeError
from allbps.ir import Aval, Bad, Formula, Node, Notation, Op, Rule, Sample
from allbps.mathematics import Math, write
from allbps.mathematics.tree import Number
from allbps.ops.function import sqrt
from allbps.ops.reduce import mean
from allbps.ops.shapes import normal_axes

Axes = tuple[int, ...]


def standardise(x: Any, axes: Any, eps: Any) -> Any:
    """(x − mean) / √(variance + eps) over axes; the variance is the biased one."""
    centred = x - np.mean(x, axis=axes, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axis=axes, keepdims=True) + eps)


def d_standardise(g: Node, y: Node, x: Node, axes: Axes, eps: float) -> Node:
    centred = x - mean(x, axis=axes, keepdims=True)
    deviation = sqrt(mean(centred**2, axis=axes, keepdims=True) + eps)
    along_mean = mean(g, axis=axes, keepdims=True)
    along_spread = mean(g * y, axis=axes, keepdims=True)
    return (g - along_mean - y * along_spread) / deviation


def standardise_shape(x: Node, axes: Axes, eps: float) -> Aval:
    if any(x.shape[k] == 0 for k in normal_axes(axes, x.ndim)):
        raise ShapeError(
            "there is nothing to normalise over",
            expected="at least one element",
            got=f"{{x}} is {x.shape}",
        )
    return x.shape, x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)


def standardise_meaning(x: Formula, axes: Axes, eps: float) -> Math:
    """What norm(x) is, and over what its mean is taken."""
    said = {(-1,): '"over each row"', (0, 2, 3): '"over each channel"', (0,): '"over each column"'}
    over = said.get(tuple(axes), f'"over the axes {", ".join(map(str, axes))}"')
    return write(
        "norm({x}) = ({x} − mean({x})) / √(mean(({x} − mean({x}))²) + {eps}), " + over,
        x=x, eps=_power_of_ten(eps),
    )  # fmt: skip


def _power_of_ten(eps: float) -> Math:
    mantissa, exponent = f"{eps:e}".split("e")
    raised = str(int(exponent)).translate(str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"))
    return Number(f"{float(mantissa):g}·10{raised}")


def standardise_because(x: Formula, y: Formula, axes: Axes, eps: float) -> Math:
    return write(
        '{y} = ({x} − μ) / s, "where" μ = mean({x}) "and" s = √(mean(({x} − μ)²) + {eps})'
        ' "depend on" {x} "too"',
        x=x, y=y, eps=_power_of_ten(eps),
    )  # fmt: skip


def torch_standardise(operands: Any, attrs: Any) -> str:
    x, axes, eps = operands["x"], attrs["axes"], attrs["eps"]
    return (
        f"({x} - {x}.mean({axes}, keepdim=True))"
        f" / torch.sqrt({x}.var({axes}, correction=0, keepdim=True) + {eps})"
    )


def composed(x: Node, axes: Axes, eps: float) -> Node:
    centred = x - mean(x, axis=axes, keepdims=True)
    return centred / sqrt(mean(centred**2, axis=axes, keepdims=True) + eps)


standardise_op = Op(
    name="standardise",
    doc="(x − mean) / √(variance + eps) over axes: the heart of layer norm and batch norm "
    "(Ioffe & Szegedy, arXiv:1502.03167; Ba et al., arXiv:1607.06450).",
    operands="x",
    shape=standardise_shape,
    numpy="standardise({x}, {axes}, {eps})",
    torch=torch_standardise,
    helpers=(standardise,),
    rules=(Rule(d_standardise, standardise_because),),
    notation=Notation("norm({x})", meaning=standardise_meaning),
    expand=composed,
    samples=(
        Sample(((3, 4),), {"axes": (-1,), "eps": 1e-5}),
        Sample(((4, 3, 2, 2),), {"axes": (0, 2, 3), "eps": 1e-3}),
    ),
    bad=(
        Bad(
            ((3,),),
            "axis 2 does not exist\n"
            "  expected: an axis from -1 to 0\n"
            "  got:      axis=2 for x with 1 axes",
            {"axes": (0, 2), "eps": 1e-5},
        ),
        Bad(
            ((2, 0),),
            "there is nothing to normalise over\n"
            "  expected: at least one element\n"
            "  got:      x is (2, 0)",
            {"axes": (-1,), "eps": 1e-5},
        ),
    ),
)
