"""Complex numbers in compiled code: two real arrays for each, of real and of imaginary parts.

Kernels know real numbers only. So each complex node of a graph is written as a pair of real ones,
by the formula of its operation, and each real node that is made of complex ones, as |z| is, by what
it is of the pairs. What the formulas make is planned, joined and compiled as the rest of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import Any

import numpy as np

from allbps.ir import CONST, Node, lift, placed_at
from allbps.machine.planning import fourier, pairs
from allbps.machine.planning.pairs import Pair
from allbps.machine.planning.plan import Stand, in_order, standing
from allbps.ops.complexes import real_of
from allbps.ops.index import in_dtype
from allbps.ops.shape import broadcast_to

Formula = Callable[..., "Pair | Node"]
"""(node, pairs of its operands) -> its own pair, or what it is where it is real."""

MOST_PRODUCTS = 64
"""Whole powers up to here are products."""


def as_pairs(wanted: Iterable[Node], substitutes: Mapping[Node, Stand]) -> dict[Node, Node]:
    """Real nodes that are made of complex ones, and the real formula that stands for each.

    Args:
        wanted: results.
        substitutes: what stands for other nodes.

    """
    found: dict[Node, Node] = {}
    known: dict[Stand, Pair] = {}
    for node in in_order(wanted, substitutes):
        if not isinstance(node, Node):
            continue
        operands = [standing(x, substitutes) for x in node.inputs]
        if not (node.is_complex or any(x in known for x in operands)):
            continue
        with placed_at(node.site):
            made = _made(
                node, [known.get(y, x) for x, y in zip(node.inputs, operands, strict=True)]
            )
        if isinstance(made, Pair):
            known[node] = made
        elif made is not None:
            found[node] = made
    return found


def _made(node: Node, operands: list[Pair | Node]) -> Pair | Node | None:
    """The pair of a complex node, the node that stands for a real one; None without a formula."""
    if node.op is CONST:
        re, im = (np.asarray(part(node.value)) for part in (np.real, np.imag))
        return Pair(lift(re) if re.any() else None, lift(im)) if im.any() else Pair(lift(re), None)
    formula = FORMULAS.get(node.op.name)
    if formula is None or any(isinstance(x, Node) and x.is_complex for x in operands):
        return None
    pairs_of = [x if isinstance(x, Pair) else Pair(x, None) for x in operands]
    if node.is_complex:
        pairs_of = [x.map(lambda part: _in_precision(part, node)) for x in pairs_of]
    made = formula(node, *pairs_of)
    if isinstance(made, Node):
        return _shaped(made, node)
    return made.map(lambda part: _shaped(part, node))


def _in_precision(part: Node, node: Node) -> Node:
    """Floating-point operands as precise as the result, Python's numbers too."""
    dtype = real_of(node.dtype)
    if part.op is CONST and type(part.value) is float:
        return lift(dtype.type(part.value))
    return in_dtype(part, dtype) if part.dtype.kind == "f" else part


def _shaped(part: Node, node: Node) -> Node:
    """In the shape of the node, where a part of 0 had no shape, and in its precision."""
    dtype = real_of(node.dtype) if node.dtype.kind in "fc" else node.dtype
    part = in_dtype(part, dtype)
    return part if part.shape == node.shape else broadcast_to(part, shape=node.shape)


# -- kinds of operations ---------------------------------------------------------------------------
def _linear(first: int, behind: int | None = None) -> Formula:
    """The operation on real and on imaginary parts of operands ``first`` to ``behind``."""

    def of(node: Node, *operands: Pair) -> Pair:
        moved = operands[first:behind]

        def part(k: int) -> Node | None:
            if all(x.both[k] is None for x in moved):
                return None
            end = len(operands) if behind is None else behind
            whole = [x.full()[k] if first <= place < end else x.re
                     for place, x in enumerate(operands)]  # fmt: skip
            return node.op(*whole, **node.attrs)

        return Pair(part(0), part(1))

    return of


def _multilinear(node: Node, *operands: Pair) -> Pair:
    return pairs.multilinear(lambda *parts: node.op(*parts, **node.attrs), *operands)


def _of_one(f: Callable[[Pair], Any]) -> Formula:
    return lambda node, z: f(z)


def _in_blocks(node: Node, *matrices: Pair) -> Pair:
    return pairs.in_blocks(lambda *blocks: node.op(*blocks, **node.attrs), *matrices)


def _power(node: Node, z: Pair) -> Pair:
    exponent = node.attrs["exponent"]
    if exponent == 0.5:
        return pairs.sqrt(z)
    if exponent == int(exponent) and abs(exponent) <= MOST_PRODUCTS:
        return pairs.whole_power(z, int(exponent))
    return pairs.power(z, Pair(lift(real_of(node.dtype).type(exponent)), None))


def _parts_equal(node: Node, x: Pair, y: Pair) -> Node:
    (a, b), (c, d) = x.full(), y.full()
    return (a == c) & (b == d)


def _parts_differ(node: Node, x: Pair, y: Pair) -> Node:
    (a, b), (c, d) = x.full(), y.full()
    return (a != c) | (b != d)


def _either(node: Node, z: Pair) -> Node:
    re, im = (node.op(part) for part in z.full())
    return re | im


def _each(node: Node, z: Pair) -> Node:
    re, im = (node.op(part) for part in z.full())
    return re & im


ONE_BY_ONE = (
    "reshape", "transpose", "broadcast_to", "flip", "cumsum", "sum", "mean", "pad", "subsample",
    "dilate", "identity", "detach", "neg", "getitem", "put_add",
)  # fmt: skip
"""Linear in the first operand; others are indices."""

FORMULAS: dict[str, Formula] = {
    **{name: _linear(0, 1) for name in ONE_BY_ONE},
    "put": _linear(0, 2),
    "where": _linear(1),
    "concatenate": _linear(0),
    "add": lambda node, x, y: x + y,
    "sub": lambda node, x, y: x - y,
    "accumulate": lambda node, *xs: reduce(Pair.__add__, xs),
    "mul": _multilinear,
    "matmul": _multilinear,
    "einsum": _multilinear,
    "div": lambda node, x, y: pairs.divide(x, y),
    "astype": lambda node, z: z,
    "complex": lambda node, a, b: Pair(a.re, b.re),
    "conj": _of_one(Pair.conj),
    "real": lambda node, z: z.full()[0],
    "imag": lambda node, z: z.full()[1],
    "size": _of_one(pairs.size),
    "angle": _of_one(pairs.angle),
    **{
        name: _of_one(getattr(pairs, name))
        for name in ("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh")
    },
    "power": _power,
    "pow": lambda node, z, n: pairs.power(z, n),
    "inv": _in_blocks,
    "solve": _in_blocks,
    "expm": _in_blocks,
    "fft": lambda node, z: fourier.fft(z, node.attrs["axis"]),
    "ifft": lambda node, z: fourier.ifft(z, node.attrs["axis"]),
    "rfft": lambda node, z: fourier.rfft(z, node.attrs["axis"]),
    "irfft": lambda node, z: fourier.irfft(z, node.attrs["n"], node.attrs["axis"]),
    "equal": _parts_equal,
    "not_equal": _parts_differ,
    "isnan": _either,
    "isfinite": _each,
}
"""Operation -> how it is computed from the parts of its operands."""
