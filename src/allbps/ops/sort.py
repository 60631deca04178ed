"""The order of numbers: indices that sort, and where the largest or smallest stands."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.ir import Aval, Bad, Node, Notation, Op, Sample, Zero
from allbps.ops.reduce import nonempty
from allbps.ops.shapes import normal_axis

ORDER = Zero("an order stays the same under small changes")


def argsort_shape(x: Node, axis: int) -> Aval:
    normal_axis(axis, x.ndim)
    return x.shape, np.dtype(np.intp)


argsort = Op(
    name="argsort",
    doc="Indices that sort along an axis; equal numbers stay in their order.",
    operands="x",
    shape=argsort_shape,
    numpy="np.argsort({x}, axis={axis}, kind='stable')",
    torch="torch.argsort({x}, dim={axis}, stable=True)",
    jax="jnp.argsort({x}, axis={axis}, stable=True)",
    rules=(ORDER,),
    notation=Notation("argsort({x})"),
    samples=(Sample(((5,),), {"axis": 0}), Sample(((2, 3),), {"axis": -1})),
    bad=(
        Bad(
            ((2,),),
            "axis 1 does not exist\n"
            "  expected: an axis from -1 to 0\n"
            "  got:      axis=1 for x with 1 axes",
            {"axis": 1},
        ),
    ),
)


def place_shape(x: Node, axis: int | None, keepdims: bool) -> Aval:
    shape, _ = nonempty(x, axis, keepdims)
    return shape, np.dtype(np.intp)


def place(name: str, word: str) -> Op:
    """Declare argmax or argmin."""
    return Op(
        name=name,
        doc=f"Where the {word} stands; in a tie the first in row-major order.",
        operands="x",
        shape=place_shape,
        numpy=f"np.{name}({{x}}, axis={{axis}}, keepdims={{keepdims}})",
        torch=_torch_place(name),
        rules=(ORDER,),
        notation=Notation(f"{name}({{x}})"),
        samples=(
            Sample(((2, 3),), {"axis": None, "keepdims": False}),
            Sample(((2, 3),), {"axis": 1, "keepdims": False}),
            Sample(((2, 3),), {"axis": 0, "keepdims": True}),
        ),
        bad=(
            Bad(
                ((0,),),
                "an empty array has no such value\n"
                "  expected: at least one element\n"
                "  got:      x is (0,)",
                {"axis": None, "keepdims": False},
            ),
        ),
    )


def _torch_place(name: str) -> Any:
    def text(operands: Any, attrs: Any) -> str:
        axis = f", dim={attrs['axis']}" if attrs["axis"] is not None else ""
        keep = ", keepdim=True" if attrs["keepdims"] else ""
        return f"torch.{name}({operands['x']}{axis}{keep})"

    return text


argmax = place("argmax", "largest")
argmin = place("argmin", "smallest")
