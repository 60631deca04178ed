"""Unpooling: numbers put back to where a pooling found them."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.ir import Aval, Node, Notation, Op, Rule, Sample, Zero
from allbps.ops.pool import gather_from_op

Pair = tuple[int, int]


def place_at(values: Any, index: Any, size: Any) -> Any:
    """An image of zeros with each value at its index: (…, rows, columns) -> (…, H, W)."""
    images, count = int(np.prod(values.shape[:-2])), values.shape[-2] * values.shape[-1]
    flat = np.zeros((images, size[0] * size[1]), values.dtype)
    np.put_along_axis(flat, index.reshape(images, count), values.reshape(images, count), axis=-1)
    return flat.reshape(*values.shape[:-2], *size)


def d_place_at(g: Node, y: Node, values: Node, index: Node, size: Pair) -> Node:
    return gather_from_op(g, index)


def place_shape(values: Node, index: Node, size: Pair) -> Aval:
    return (*values.shape[:-2], *size), values.dtype


place_at_op = Op(
    name="place_at",
    doc="An image of zeros with each value at its index: unpooling. Where an index is named twice"
    " the last value stays, and each gets the δ of the place, as in PyTorch.",
    operands="values index",
    shape=place_shape,
    numpy="place_at({values}, {index}, {size})",
    torch=lambda operands, attrs: (
        f"{operands['values']}.new_zeros(*{operands['values']}.shape[:-2],"
        f" {attrs['size'][0] * attrs['size'][1]}).scatter(-1, {operands['index']}.flatten(-2),"
        f" {operands['values']}.flatten(-2)).unflatten(-1, {attrs['size']})"
    ),
    jax=lambda operands, attrs: (
        f"jax.vmap(lambda v, i: jnp.zeros({attrs['size']}, v.dtype).ravel().at[i.ravel()]"
        f".set(v.ravel()))({operands['values']}.reshape(-1, *{operands['values']}.shape[-2:]),"
        f" {operands['index']}.reshape(-1, *{operands['index']}.shape[-2:]))"
        f".reshape(*{operands['values']}.shape[:-2], *{attrs['size']})"
    ),
    helpers=(place_at,),
    rules=(Rule(d_place_at, '"each value stands at one place of" {y}'), Zero("an index")),
    notation=Notation('{values} if "at" {index}, else 0'),
    samples=(Sample(((2, 2), np.array([[0, 5], [7, 11]])), {"size": (3, 4)}),),
)
