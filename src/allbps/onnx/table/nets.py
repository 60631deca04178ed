"""What nets are made of: products, convolutions, pools, losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.onnx.table.functions import log1p, softplus
from allbps.onnx.table.index import last_put
from allbps.onnx.table.reductions import over
from allbps.onnx.table.use import Entry, kept, plain
from allbps.onnx.writer import Value, Writer
from allbps.ops.pool import pool_windows

Pair = tuple[int, int]


def attention_weights(o: Writer, q: Value, k: Value, scale: float, causal: bool) -> Any:
    n = o.node.inputs[1].ndim
    turned = o.Transpose(k, perm=[*range(n - 2), n - 1, n - 2])
    scores = o.Mul(o.MatMul(q, turned), scale)  # (…, T, d) · (…, d, S) -> (…, T, S)
    if causal:
        scores = o.Where(
            np.tri(o.node.shape[-2], o.node.shape[-1]) > 0, scores, o.value(-np.inf, q.dtype)
        )
    return o.Softmax(scores, axis=-1)


# -- windows ---------------------------------------------------------------------------------------
def places(shape: tuple[int, ...], kernel: Any, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    """Where in the flattened image each number of each window stands: (rows, columns, h, w).

    What is padding stands behind the last pixel.
    """
    height, width = shape[-2:]
    image = np.arange(height * width).reshape(height, width)
    return pool_windows(image, kernel, stride, padding, dilation, height * width)


def windows(o: Writer, x: Value, shape: tuple[int, ...], where: Any, fill: float) -> Any:
    """The windows of images: (…, H, W) -> (…, rows, columns, h, w)."""
    pixels = shape[-2] * shape[-1]
    flat = o.reshape(x, [*shape[:-2], pixels])
    if (where == pixels).any():
        edge = np.full((*shape[:-2], 1), fill, x.dtype)
        flat = o.Concat(flat, edge, axis=len(shape) - 2)
    return o.Gather(flat, where, axis=len(shape) - 2)


def conv2d(
    o: Writer, x: Value, w: Value, stride: Pair, padding: Pair, dilation: Pair, groups: int,
    batched: bool,
) -> Any:  # fmt: skip
    """Conv for single precision; onnxruntime has no kernel for others, so they become a product."""
    image, kernel = o.node.inputs[0].shape, o.node.inputs[1].shape
    if not batched:
        image, kernel = (1, 1, *image), (1, 1, *kernel)
        x, w = o.reshape(x, image), o.reshape(w, kernel)
    if x.dtype == np.float32:
        made = o.Conv(
            x, w, strides=list(stride), pads=[*padding, *padding], dilations=list(dilation),
            group=groups, kernel_shape=list(kernel[2:]),
        )  # fmt: skip
    else:
        where = places(image, kernel[2:], stride, padding, dilation)
        made = as_product(o, windows(o, x, image, where, 0.0), w, image, kernel, where, groups)
    return o.reshape(made, o.node.shape)


def as_product(
    o: Writer, seen: Value, w: Value, image: Any, kernel: Any, where: Any, groups: int
) -> Any:
    """Windows (N, C, rows, columns, h, w) times kernels (O, C/G, h, w), group by group."""
    n, channels = image[:2]
    out, each, h, k = kernel
    rows, columns = where.shape[:2]
    apart = o.reshape(seen, [n, groups, channels // groups, rows * columns, h * k])
    left = o.reshape(
        o.Transpose(apart, perm=[0, 1, 3, 2, 4]), [n, groups, rows * columns, each * h * k]
    )
    right = o.reshape(w, [groups, out // groups, each * h * k])
    # (N, G, rows·columns, C/G·h·w) · (G, C/G·h·w, O/G) -> (N, G, rows·columns, O/G)
    product = o.MatMul(left, o.Transpose(right, perm=[0, 2, 1]))
    return o.reshape(o.Transpose(product, perm=[0, 1, 3, 2]), [n, out, rows, columns])


def max_pool2d(o: Writer, x: Value, batched: bool, **window: Pair) -> Any:
    shape = o.node.inputs[0].shape
    if x.dtype.kind != "f":
        where = places(shape, **window)
        low = int(np.iinfo(x.dtype).min)
        return o.ReduceMax(windows(o, x, shape, where, low), [-2, -1], keepdims=0)
    images = o.reshape(x, [-1, 1, *shape[-2:]])
    made = o.MaxPool(
        images, kernel_shape=list(window["kernel"]), strides=list(window["stride"]),
        pads=[*window["padding"], *window["padding"]], dilations=list(window["dilation"]),
    )  # fmt: skip
    return o.reshape(made, o.node.shape)


def winner_index(o: Writer, x: Value, batched: bool, **window: Pair) -> Any:
    """The first maximum of each window, as its place in the flattened image."""
    shape = o.node.inputs[0].shape
    where = places(shape, **window)
    rows, columns, h, w = where.shape
    low = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    seen = o.reshape(windows(o, x, shape, where, low), [*shape[:-2], rows, columns, h * w])
    first = o.ArgMax(seen, axis=-1, keepdims=0)
    # where a window holds nothing but −∞ a pixel wins, not the padding
    least = where.min(axis=(-2, -1), keepdims=True)
    table = np.where(where < shape[-2] * shape[-1], where, least).reshape(-1)
    offset = np.arange(rows * columns).reshape(rows, columns) * (h * w)
    return o.Gather(table, o.Add(first, offset), axis=0)


def avg_pool2d(o: Writer, x: Value, batched: bool, **window: Pair) -> Any:
    shape = o.node.inputs[0].shape
    where = places(shape, **window)
    if x.dtype != np.float32:
        return o.ReduceMean(windows(o, x, shape, where, 0.0), [-2, -1], keepdims=0)
    images = o.reshape(x, [-1, 1, *shape[-2:]])
    made = o.AveragePool(
        images, kernel_shape=list(window["kernel"]), strides=list(window["stride"]),
        pads=[*window["padding"], *window["padding"]], count_include_pad=1,
    )  # fmt: skip
    return o.reshape(made, o.node.shape)


def _flat(shape: tuple[int, ...]) -> list[int]:
    return [*shape[:-2], shape[-2] * shape[-1]]


def scatter_to(o: Writer, values: Value, index: Value, size: Pair) -> Any:
    """Zeros with each value added at its index."""
    shape = o.node.inputs[0].shape
    zeros = o.zeros([*shape[:-2], size[0] * size[1]], values.dtype)
    where, new = o.reshape(index, _flat(shape)), o.reshape(values, _flat(shape))
    made = o.ScatterElements(zeros, where, new, axis=-1, reduction="add")
    return o.reshape(made, o.node.shape)


def place_at(o: Writer, values: Value, index: Value, size: Pair) -> Any:
    """Zeros with each value at its index."""
    shape = o.node.inputs[0].shape
    zeros = o.zeros([*shape[:-2], size[0] * size[1]], values.dtype)
    where, new = o.reshape(index, _flat(shape)), o.reshape(values, _flat(shape))
    made = last_put(o, zeros, where, new, axis=-1, count=shape[-2] * shape[-1])
    return o.reshape(made, o.node.shape)


def gather_from(o: Writer, x: Value, index: Value) -> Any:
    flat, where = o.node.inputs[0].shape, o.node.inputs[1].shape
    found = o.GatherElements(o.reshape(x, _flat(flat)), o.reshape(index, _flat(where)), axis=-1)
    return o.reshape(found, o.node.shape)


# -- losses and norms ------------------------------------------------------------------------------
def total(o: Writer, x: Value, ndim: int) -> Any:
    return over(o, "ReduceSum", x, list(range(ndim)), keepdims=False)


def euclidean_loss(o: Writer, prediction: Value, target: Value) -> Any:
    gap = o.Sub(prediction, target)
    ndim = max(x.ndim for x in o.node.inputs)
    return o.Mul(total(o, o.Mul(gap, gap), ndim), 0.5)


def soft_cross_entropy(o: Writer, logits: Value, target: Value, normalised: bool) -> Any:
    products = o.Mul(target, o.LogSoftmax(logits, axis=-1))
    return o.Neg(over(o, "ReduceSum", products, [o.node.ndim], keepdims=False))


def cross_entropy(o: Writer, logits: Value, labels: Value) -> Any:
    """−log softmax(logits) at each label: (…, C), (…) -> (…); NaN where a label is negative.

    ONNX counts negative places from the end, and onnxruntime stops at labels that are too large.
    """
    column = o.reshape(o.cast(labels, np.int64), [*o.node.shape, 1])
    picked = o.GatherElements(o.LogSoftmax(logits, axis=-1), column, axis=-1)
    return o.Neg(o.reshape(o.Where(o.Less(column, 0), np.nan, picked), o.node.shape))


def one_hot(o: Writer, labels: Value, classes: int, dtype: Any) -> Any:
    """Labels compared with 0, 1, 2, …: ONNX's OneHot counts negative ones from the end."""
    column = o.reshape(labels, [*o.node.shape[:-1], 1])
    return o.cast(o.Equal(column, np.arange(classes).astype(labels.dtype)), dtype)


def bce_logits(o: Writer, logits: Value, target: Value) -> Any:
    return o.Sub(softplus(o, logits), o.Mul(target, logits))


def bce(o: Writer, p: Value, target: Value) -> Any:
    """−t log p − (1 − t) log(1 − p), a logarithm being at least −100 as in PyTorch."""
    yes = o.Mul(target, o.Max(o.Log(p), -100))
    no = o.Mul(o.Sub(1, target), o.Max(log1p(o, o.Neg(p)), -100))
    return o.Neg(o.Add(yes, no))


def standardise(o: Writer, x: Value, axes: tuple[int, ...], eps: float) -> Any:
    over_axes = [k % o.node.ndim for k in axes]
    centred = o.Sub(x, over(o, "ReduceMean", x, over_axes, keepdims=True))
    variance = over(o, "ReduceMean", o.Mul(centred, centred), over_axes, keepdims=True)
    return o.Div(centred, o.Sqrt(o.Add(variance, eps)))


TABLE = {
    "matmul": plain("MatMul"),
    "einsum": Entry(lambda o, *xs, subscripts: o.Einsum(*xs, equation=subscripts)),
    "det": plain("Det"),
    "softmax": Entry(lambda o, x, axis: o.Softmax(x, axis=axis)),
    "log_softmax": Entry(lambda o, x, axis: o.LogSoftmax(x, axis=axis)),
    "attention_weights": Entry(attention_weights),
    "conv2d": Entry(conv2d),
    "max_pool2d": Entry(max_pool2d),
    "winner_index": kept(winner_index),
    "avg_pool2d": Entry(avg_pool2d),
    "scatter_to": kept(scatter_to),
    "place_at": kept(place_at),
    "gather_from": kept(gather_from),
    "euclidean_loss": Entry(euclidean_loss),
    "soft_cross_entropy": Entry(soft_cross_entropy),
    "cross_entropy": kept(cross_entropy),
    "one_hot": kept(one_hot),
    "binary_cross_entropy_with_logits": Entry(bce_logits),
    "binary_cross_entropy": Entry(bce),
    "standardise": Entry(standardise),
}
