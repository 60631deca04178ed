"""A step of a formula left out or done otherwise, whatever the formula is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from allbps.ir import CONST, Node
from allbps.names import is_numbered
from allbps.verify.edges import code_of, name_of, timeless
from allbps.verify.mistakes.declare import WHOLE, Delayed, Site, Slip, mistake
from allbps.verify.mistakes.recognised import in_words, subsets

Way = tuple[str, Callable[..., Any]]
"""What is said of a step, and the function of its operands that takes its place."""


def steps(site: Site, ways: Callable[[Node, Site], Iterator[Way]], *names: str) -> Iterator[Slip]:
    """Each step of those operations done otherwise: one alone, then all of a use together."""
    for k in site.formulas:
        direct = set(site.onward.plan(site.delta.node)) if k == WHOLE else set()
        found: dict[str, dict[Node, Callable[..., Any]]] = {}
        for node in site.expression(k):
            if node.op.name not in names:
                continue
            for text, function in ways(node, site):
                found.setdefault(timeless(text), {})[node] = function
                if node not in direct:
                    yield Slip(text, site.rewritten(k, {node: function}))
        for text, together in found.items():
            if len(together) > 1:
                yield Slip(text, site.rewritten(k, together))


def _first(*operands: Any) -> Any:
    return operands[0]


def _second(*operands: Any) -> Any:
    return operands[1]


# -- products --------------------------------------------------------------------------------------
@mistake("factor left out", "A factor of the formula is left out.", 3)
def factor_left_out(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        a, b = node.inputs
        if b.size > 1 or b.op is not CONST or b.value not in (1, -1):
            yield f"the factor {code_of(b)} is left out", _first
        if a.size > 1 or a.op is not CONST or a.value not in (1, -1):
            yield f"the factor {code_of(a)} is left out", _second

    return steps(site, ways, "mul")


@mistake("division left out", "A division is left out, or a product is taken instead.", 3)
def division_left_out(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        b = code_of(node.inputs[1])
        yield f"the division by {b} is left out", _first
        yield f"multiplied by {b} instead of divided", np.multiply
        yield f"divided by {b} once too often", lambda a, b: a / b / b

    return steps(site, ways, "div")


@mistake("factor twice", "A factor of the formula is applied twice.", 6)
def factor_twice(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        a, b = node.inputs
        yield f"the factor {code_of(b)} is applied twice", lambda a, b: a * b * b
        yield f"the factor {code_of(a)} is applied twice", lambda a, b: a * a * b

    return steps(site, ways, "mul")


@mistake("divided instead", "Divided by a factor instead of multiplied by it.", 6)
def divided_instead(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        yield f"divided by {code_of(node.inputs[1])} instead of multiplied", np.divide

    return steps(site, ways, "mul")


# -- matrix products -------------------------------------------------------------------------------
@mistake("transpose missing", "A factor of a matrix product is not transposed.", 1)
def transpose_missing(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        yield f"a transpose is missing: {code_of(node.inputs[0])} is not transposed", _first

    return steps(site, ways, "transpose")


@mistake("reshaped", "An array is reshaped where it should be transposed.", 2)
def reshaped(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        what = code_of(node.inputs[0])
        yield f"{what} is reshaped instead of transposed", lambda a: np.reshape(a, node.shape)

    yield from steps(site, ways, "transpose")
    right = np.asarray(site.right)
    if right.ndim >= 2:
        yield Slip("reshaped in another order: as if its transpose had been laid out in its shape",
                   np.reshape(np.transpose(right), right.shape))  # fmt: skip


@mistake("unflattened otherwise", "Numbers are put back into another order of axes.", 2)
def unflattened(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        (x,) = node.inputs
        if max(x.ndim, node.ndim) > 1:
            yield (
                "reshaped in another order of the axes",
                lambda a: np.reshape(a, node.shape, order="F"),
            )

    return steps(site, ways, "reshape")


@mistake("transposed", "The gradient is the transpose of the right one.", 1)
def transposed(site: Site) -> Iterator[Slip]:
    right = np.asarray(site.right)
    if right.ndim >= 2:
        yield Slip("transposed", np.swapaxes(right, -1, -2))
    if right.ndim > 2:
        yield Slip("transposed: all axes in reverse order", np.transpose(right))
        yield Slip("the first two axes are transposed", np.swapaxes(right, 0, 1))


@mistake("order of factors", "The factors of a matrix product are in the wrong order.", 1)
def order_of_factors(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        a, b = map(code_of, node.inputs)
        yield (
            f"the factors of a matrix product are in the wrong order: {b} @ {a}",
            (lambda a, b: b @ a),
        )

    return steps(site, ways, "matmul")


@mistake("transposed factor", "A factor of a matrix product is transposed that should not be.", 2)
def transposed_factor(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        if min(x.ndim for x in node.inputs) < 2:
            return
        a, b = map(code_of, node.inputs)
        yield (
            f"{b} is transposed once too often or too little",
            (lambda a, b: a @ np.swapaxes(b, -1, -2)),
        )
        yield (
            f"{a} is transposed once too often or too little",
            (lambda a, b: np.swapaxes(a, -1, -2) @ b),
        )

    return steps(site, ways, "matmul")


@mistake("matrix factor left out", "A factor of a matrix product is left out.", 3)
def matrix_factor_left_out(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        a, b = node.inputs
        if a.shape == node.shape:
            yield f"the factor {code_of(b)} of a matrix product is left out", _first
        if b.shape == node.shape:
            yield f"the factor {code_of(a)} of a matrix product is left out", _second

    return steps(site, ways, "matmul")


@mistake("element by element", "Multiplied element by element instead of as matrices.", 1)
def element_by_element(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        yield "multiplied element by element instead of as matrices", np.multiply

    return steps(site, ways, "matmul")


# -- sums ------------------------------------------------------------------------------------------
@mistake("not summed", "Not summed over the axes along which the value was used again.", 1)
def not_summed(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        axes = axes_of(node)
        over = "all axes" if node.attrs["axis"] is None else in_words(axes)
        yield f"not summed over {over}: the sum is left out", _first
        for axis in axes if len(axes) > 1 else ():
            text = f"summed over axis {axis} only, not over {over}"
            yield text, partial(np.sum, axis=axis, keepdims=node.attrs["keepdims"])

    return steps(site, ways, "sum")


def axes_of(node: Node) -> tuple[int, ...]:
    """The axes of a reduction, counted from 0."""
    axis, ndim = node.attrs["axis"], node.inputs[0].ndim
    if axis is None:
        return tuple(range(ndim))
    return tuple(k % ndim for k in (axis if isinstance(axis, tuple) else (axis,)))


@mistake("summed too little", "Summed over some of the axes only, so that the shape is another.", 1)
def summed_too_little(site: Site) -> Iterator[Slip]:
    theirs = site.stops.get(site.primal)
    if theirs is None or np.shape(theirs) == site.primal.shape:
        return
    for y in dict.fromkeys(y for term in site.terms for y in site.straight(term.consumer)):
        for axes in subsets(y.ndim):
            shape = tuple(n for k, n in enumerate(y.shape) if k not in axes)
            if shape == np.shape(theirs):
                yield Slip(f"δ of {name_of(y)} is summed over {in_words(axes)} only",
                           _summed(y, axes))  # fmt: skip


def _summed(y: Node, axes: tuple[int, ...]) -> Delayed:
    return lambda site: np.sum(site.upstream(y), axes)


@mistake("axis kept", "The numbers are right, their shape is not: an axis of length 1 is kept.", 0)
def axis_kept(site: Site) -> Iterator[Slip]:
    theirs, right = site.stops.get(site.primal), np.asarray(site.right)
    if theirs is None or np.shape(theirs) == right.shape or np.size(theirs) != right.size:
        return
    shape = np.shape(theirs)
    if [n for n in shape if n > 1] == [n for n in right.shape if n > 1]:
        how = "kept (keepdims)" if len(shape) > right.ndim else "lost"
        text = f"an axis of length 1 is {how}: the shape is {shape} instead of {right.shape}"
        yield Slip(f"the numbers are right, but {text}", lambda s: np.reshape(s.right, shape))


@mistake("averaged inside", "A mean is taken where the formula has a sum, or the other way.", 2)
def averaged_inside(site: Site) -> Iterator[Slip]:
    def keep(node: Node) -> dict[str, Any]:
        return {"axis": node.attrs["axis"], "keepdims": node.attrs["keepdims"]}

    def ways(node: Node, site: Site) -> Iterator[Way]:
        code = code_of(node.inputs[0])
        if node.op.name == "sum":
            yield f"averaged instead of summed: mean of {code}", lambda a: np.mean(a, **keep(node))
        else:
            yield f"summed instead of averaged: sum of {code}", lambda a: np.sum(a, **keep(node))
            yield (
                f"the mean of {code} is left out",
                lambda a: np.zeros_like(np.mean(a, **keep(node))),
            )

    return steps(site, ways, "sum", "mean")


@mistake("wrong axis", "Summed, averaged or normalised over the wrong axis.", 1)
def wrong_axis(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        (x,) = node.inputs
        axis, keep = node.attrs.get("axis"), node.attrs["keepdims"]
        function: Callable[..., Any] = np.sum if node.op.name == "sum" else np.mean
        axes = axes_of(node)
        if axis is None or len(axes) != 1:
            return
        for other in range(x.ndim):
            if other != axes[0]:
                yield (
                    f"over the wrong axis: {other} instead of {axes[0]}",
                    partial(function, axis=other, keepdims=keep),
                )

    return steps(site, ways, "sum", "mean")


# -- signs and differences -------------------------------------------------------------------------
@mistake("minus missing", "A minus sign inside the formula is missing.", 2)
def minus_missing(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        if node.op.name == "neg":
            yield f"a minus sign is missing before {code_of(node.inputs[0])}", _first
            return
        a, b = map(code_of, node.inputs)
        yield f"the sign of {b} is flipped: plus instead of minus", np.add
        yield f"the sign is flipped: {b} minus {a}", lambda a, b: b - a

    return steps(site, ways, "neg", "sub")


@mistake("summand left out", "A summand of the formula is left out.", 2)
def summand_left_out(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        a, b = node.inputs[:2]
        yield (
            f"{code_of(b)} is left out: a term of the formula is missing",
            (lambda a, b: np.broadcast_to(a, np.broadcast_shapes(np.shape(a), np.shape(b)))),
        )
        sign = -1 if node.op.name == "sub" else 1
        yield (
            f"{code_of(a)} is left out: a term of the formula is missing",
            (lambda a, b: sign * np.broadcast_to(b, np.broadcast_shapes(np.shape(a), np.shape(b)))),
        )
        if node.op.name == "add":
            yield f"{code_of(b)} is subtracted instead of added", np.subtract

    yield from steps(site, ways, "add", "sub")


@mistake("summand of a value left out", "A summand of a value is left out where it is used.", 4)
def left_out_of_a_value(site: Site) -> Iterator[Slip]:
    for k in site.formulas:
        for leaf in site.leaves(k):
            if leaf in site.deltas or leaf.op.name not in ("add", "sub"):
                continue
            for part, sign in _summands(leaf):
                yield Slip(
                    f"{code_of(part)} is left out of {name_of(leaf)}, where that is used",
                    site.replaced(k, {leaf: _without(leaf, part, sign)}),
                )


def _summands(node: Node, sign: int = 1) -> Iterator[tuple[Node, int]]:
    """(summand, its sign) of a sum as the person wrote it."""
    for x, own in zip(node.inputs, (sign, -sign if node.op.name == "sub" else sign), strict=True):
        if x.op.name in ("add", "sub") and is_numbered(x.name):
            yield from _summands(x, own)
        else:
            yield x, own


def _without(leaf: Node, part: Node, sign: int) -> Delayed:
    return lambda site: site.known[leaf] - sign * site.value(part)


@mistake("power", "A power is one too high or too low.", 3)
def power(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        n, x = node.attrs["exponent"], code_of(node.inputs[0])
        for m in (n - 1, n + 1, -n, n / 2):
            yield (
                f"({x}) ** {m:g} instead of ({x}) ** {n:g}: a wrong power",
                (lambda a, m=m: np.asarray(a, float) ** m),
            )

    return steps(site, ways, "power")


@mistake("function left out", "A function inside the formula is left out.", 4)
def function_left_out(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        code = code_of(node)
        yield f"{node.op.name} is left out of {code}", _first
        yield f"the derivative has the factor 1 instead of {code}", np.ones_like

    return steps(site, ways, "sqrt", "exp", "log", "sin", "cos", "tanh", "sigmoid", "sign", "cosh",
                 "sinh")  # fmt: skip
