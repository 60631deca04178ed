"""Reductions, places of extremes, and running sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.onnx.table.use import Entry, axes_of, kept, promoted
from allbps.onnx.writer import Value, Writer


def reduced(operator: str) -> Entry:
    def build(o: Writer, x: Value, axis: Any, keepdims: bool) -> Any:
        return over(o, operator, x, axes_of(axis, o.node.inputs[0].ndim), keepdims)

    return Entry(build)


def over(o: Writer, operator: str, x: Value, axes: list[int], keepdims: bool) -> Any:
    """A reduction; over no axes it changes nothing, where ONNX would take none for all."""
    return o.write(operator, x, axes, keepdims=int(keepdims), noop_with_empty_axes=1)


def truth(operator: str) -> Entry:
    """``all`` is the least truth value, ``any`` the greatest; onnxruntime compares integers."""

    def build(o: Writer, x: Value, axis: Any, keepdims: bool) -> Any:
        numbers = o.cast(o.cast(x, bool), np.int32)
        axes = axes_of(axis, o.node.inputs[0].ndim)
        return o.cast(over(o, operator, numbers, axes, keepdims), bool)

    return kept(build)


def place(operator: str) -> Entry:
    def build(o: Writer, x: Value, axis: int | None, keepdims: bool) -> Any:
        if axis is None:
            found = o.write(operator, o.reshape(x, [-1]), axis=0, keepdims=0)
            return o.reshape(found, o.node.shape)
        return o.write(operator, x, axis=axis, keepdims=int(keepdims))

    return kept(build)


def winner(o: Writer, x: Value, axis: Any, largest: bool) -> Any:
    """1 at the first extreme of each group in row-major order: its axes are laid side by side."""
    shape = o.node.shape
    axes = axes_of(axis, len(shape))
    rest = [k for k in range(len(shape)) if k not in axes]
    order = rest + axes
    size = int(np.prod([shape[k] for k in axes]))
    rows = o.reshape(o.Transpose(x, perm=order) if order else x, [*(shape[k] for k in rest), size])
    first = o.write("ArgMax" if largest else "ArgMin", rows, axis=-1, keepdims=1)
    mask = o.reshape(o.Equal(first, np.arange(size)), [shape[k] for k in order])
    back = [order.index(k) for k in range(len(shape))]
    return o.cast(o.Transpose(mask, perm=back) if back else mask, x.dtype)


def cumsum(o: Writer, x: Value, axis: int) -> Any:
    return o.CumSum(x, np.int64(axis))


def cumprod(o: Writer, x: Value, axis: int) -> Any:
    """Products of 1, 2, 4, … neighbours, each from two of half as many."""
    shape = o.node.shape
    axis %= len(shape)
    reach = 1
    while reach < shape[axis]:
        ones = np.ones([reach if k == axis else n for k, n in enumerate(shape)], x.dtype)
        before = o.Slice(x, [0], [shape[axis] - reach], [axis])
        x = o.Mul(x, o.Concat(ones, before, axis=axis))
        reach *= 2
    return x


def argsort(o: Writer, x: Value, axis: int) -> Any:
    """Of equal numbers ONNX puts the one with the lower index first: a stable order."""
    length = o.node.shape[axis]
    return o.TopK(x, [length], axis=axis, largest=0, sorted=1, outputs=2)[1]


def searchsorted(o: Writer, a: Value, x: Value, side: str) -> Any:
    """How many numbers of a stand before x."""
    column = o.reshape(x, [*o.node.shape, 1])
    before = o.write("LessOrEqual" if side == "right" else "Less", a, column)
    return over(o, "ReduceSum", o.cast(before, np.int64), [o.node.ndim], keepdims=False)


def isin(o: Writer, x: Value, a: Value) -> Any:
    column = o.reshape(x, [*o.node.shape, 1])
    hits = o.cast(o.Equal(column, o.reshape(a, [-1])), np.int32)
    return o.cast(over(o, "ReduceMax", hits, [o.node.ndim], keepdims=False), bool)


TABLE = {
    "sum": reduced("ReduceSum"),
    "mean": reduced("ReduceMean"),
    "max": reduced("ReduceMax"),
    "min": reduced("ReduceMin"),
    "prod": reduced("ReduceProd"),
    "logsumexp": reduced("ReduceLogSumExp"),
    "all": truth("ReduceMin"),
    "any": truth("ReduceMax"),
    "argmax": place("ArgMax"),
    "argmin": place("ArgMin"),
    "winner": Entry(winner),
    "cumsum": Entry(cumsum),
    "cumprod": Entry(cumprod),
    "argsort": kept(argsort),
    "searchsorted": promoted(searchsorted),
    "isin": promoted(isin),
}
