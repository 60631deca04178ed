"""Quotients whose divisor may be 0: a factor that cancels, and a share of nothing.

The length of a vector has no slope at 0, its square has one. The rule of a length therefore looks
at the δ that comes in: where the length is one of its factors the two cancel, and nothing is
divided. Only what is left needs the direction x / ‖x‖, which at 0 is taken as 0 and whose own
derivative is NaN or infinite there.
"""

from __future__ import annotations

from allbps.ir import CONST, Node, Notation, Op, Rule, Sample, lift
from allbps.ops.arithmetic import (
    accumulate,
    add,
    d_div_a,
    d_div_b,
    div,
    mul,
    neg,
    power,
    quotient_shape,
    sub,
)
from allbps.ops.shape import broadcast_to

NEAR = 6
"""How many operations deep a factor is looked for."""


def without(product: Node, factor: Node, times: float = 1) -> Node | None:
    """``product / factor ** times`` where the factor can be seen in it; None where it cannot."""
    found: Node | None = product
    while times > 0 and found is not None:
        step = min(times, 1)
        found = _cancelled(found, factor, step, NEAR)
        times -= step
    if found is None or found.shape == product.shape:
        return found
    return broadcast_to(found, shape=product.shape)  # the factor had given it its shape


def _cancelled(node: Node, factor: Node, times: float, depth: int) -> Node | None:
    if _alike(node, factor, NEAR):
        return _raised(factor, 1 - times)
    if not depth or node.op not in LOOKED_INTO:
        return None
    parts = [_cancelled(x, factor, times, depth - 1) for x in node.inputs]
    if node.op is power:
        return _of_power(node, factor, times, parts[0])
    whole = [part for part in parts if part is not None]
    if node.op is mul and whole:  # one of the two is enough
        left, right = node.inputs
        return _times(whole[0], right if parts[0] is whole[0] else left)
    if node.op is div and parts[0] is not None:
        return div(parts[0], node.inputs[1])
    return node.op(*whole) if node.op is not div and len(whole) == len(parts) else None


def _of_power(node: Node, factor: Node, times: float, part: Node | None) -> Node | None:
    """Of (c y)ⁿ one c y is taken apart; of yⁿ any share of a y."""
    (base,), exponent = node.inputs, node.attrs["exponent"]
    if _alike(base, factor, NEAR):
        return _raised(factor, exponent - times) if exponent >= times else None
    return None if part is None or exponent < 1 else _times(part, _raised(base, exponent - 1))


def _alike(a: Node, b: Node, depth: int) -> bool:
    """Are two nodes the same, or the same operation on the same?"""
    if a is b:
        return True
    if not depth or a.op is not b.op or len(a.inputs) != len(b.inputs) or not a.inputs:
        return a.op is CONST is b.op and a.shape == b.shape == () and bool(a.value == b.value)
    return dict(a.attrs) == dict(b.attrs) and all(
        _alike(x, y, depth - 1) for x, y in zip(a.inputs, b.inputs, strict=True)
    )


def _raised(x: Node, exponent: float) -> Node:
    return lift(1.0) if exponent == 0 else x if exponent == 1 else power(x, exponent=exponent)


LOOKED_INTO = (mul, div, neg, add, sub, accumulate, power)


def _times(a: Node, b: Node) -> Node:
    """The product of two, without a factor 1."""
    for one, other in ((a, b), (b, a)):
        if one.op is CONST and one.shape == () and one.value == 1:
            return other
    return mul(a, b)


share = Op(
    name="share",
    doc="a / b for |a| ≤ b, and 0 where b is 0: one coordinate of a direction, which the zero"
    " vector does not have.",
    operands="a b",
    shape=quotient_shape,
    numpy="{a} / np.where({b} == 0, 1, {b})",
    torch="{a} / torch.where({b} == 0, 1.0, {b})",
    rules=(Rule(d_div_a, "∂{y}/∂{a} = 1 / {b}"), Rule(d_div_b, "∂{y}/∂{b} = −{y} / {b}")),
    notation=Notation("{a} / {b}"),
    samples=(Sample(((2, 3), (2, 3)), low=0.5), Sample(((3,), ()), low=0.5)),
)
