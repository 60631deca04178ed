"""What moves numbers without changing them."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.onnx.table.use import Entry
from allbps.onnx.writer import Value, Writer

FAR = int(np.iinfo(np.int64).min)
"""Where a slice that goes backwards ends: before the first element."""


def flip(o: Writer, x: Value, axis: tuple[int, ...]) -> Any:
    n = len(axis)
    return o.Slice(x, [-1] * n, [FAR] * n, list(axis), [-1] * n) if n else x


def pad(o: Writer, x: Value, width: Any) -> Any:
    """Zeros around x; ONNX cuts off where a width is negative, as we do."""
    return o.Pad(x, [before for before, _ in width] + [after for _, after in width])


def dilate(o: Writer, x: Value, steps: tuple[int, ...]) -> Any:
    """(n, m) -> (n, 1, m, 1), zeros behind each number, and the last ones cut off."""
    shape = o.node.inputs[0].shape
    apart = o.reshape(x, [k for n in shape for k in (n, 1)])
    width = [(0, k) for step in steps for k in (0, step - 1)]
    spread = o.reshape(pad(o, apart, width), [n * k for n, k in zip(shape, steps, strict=True)])
    return o.Slice(spread, [0] * len(shape), list(o.node.shape), list(range(len(shape))))


def subsample(o: Writer, x: Value, steps: tuple[int, ...]) -> Any:
    shape = o.node.inputs[0].shape
    return o.Slice(x, [0] * len(shape), list(shape), list(range(len(shape))), list(steps))


TABLE = {
    "reshape": Entry(lambda o, x, shape: o.reshape(x, shape)),
    "transpose": Entry(lambda o, x, axes: o.Transpose(x, perm=list(axes)) if axes else x),
    "broadcast_to": Entry(lambda o, x, shape: o.Expand(x, list(shape))),
    "flip": Entry(flip),
    "pad": Entry(pad),
    "dilate": Entry(dilate),
    "subsample": Entry(subsample),
    "concatenate": Entry(lambda o, *xs, axis: o.Concat(*xs, axis=axis)),
}
