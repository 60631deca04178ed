"""What ONNX's operators mean, where one expression of NumPy or ``functional/`` does not say it.

Parameters have ONNX's names, so that an operator's attributes are their keywords.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import helper

import allbps.functional as F
from allbps.errors import ShapeError


def ints(x: Any) -> list[int]:
    """Whole numbers that lengths, axes or places are made of."""
    return [int(n) for n in np.ravel(x)]


# -- numbers ---------------------------------------------------------------------------------------
def div(a: Any, b: Any) -> Any:
    """Whole numbers are divided towards zero."""
    if a.dtype.kind == "f":
        return a / b
    return (np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype)


def mod(a: Any, b: Any, fmod: int = 0) -> Any:
    """The remainder with the sign of b, or with that of a."""
    return np.fmod(a, b) if fmod else np.mod(a, b)


def power(a: Any, b: Any) -> Any:
    """In the dtype of a."""
    return (a**b).astype(a.dtype)


def clip(x: Any, low: Any = None, high: Any = None) -> Any:
    """Between bounds that may be left out; the upper one wins."""
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def cast(x: Any, to: int) -> Any:
    """In another dtype."""
    return x.astype(helper.tensor_dtype_to_np_dtype(to))


def mean_of(*xs: Any) -> Any:
    """The mean of several arrays."""
    return sum(xs[1:], xs[0]) / len(xs)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """Clevert et al., arXiv:1511.07289."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def selu(x: Any, alpha: float = 1.67326319217681884765625, gamma: float = 1.050700987) -> Any:
    """Klambauer et al., arXiv:1706.02515."""
    return gamma * elu(x, alpha)


def hard_sigmoid(x: Any, alpha: float = 0.2, beta: float = 0.5) -> Any:
    """A line between 0 and 1."""
    return np.minimum(np.maximum(alpha * x + beta, 0), 1)


def gelu(x: Any, approximate: str = "none") -> Any:
    """Hendrycks & Gimpel, arXiv:1606.08415."""
    return F.gelu(x, approximate=approximate)


def leaky_relu(x: Any, alpha: float = 0.01) -> Any:
    """A slope of alpha below 0."""
    return np.where(x > 0, x, alpha * x)


# -- reductions ------------------------------------------------------------------------------------
def reducing(function: Callable[..., Any]) -> Callable[..., Any]:
    """A reduction as ONNX calls it: axes as an operand or an attribute."""

    def reduce(x: Any, axes: Any = None, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Any:
        chosen = None if axes is None or not np.size(axes) else tuple(ints(axes))
        if chosen is None and noop_with_empty_axes:
            chosen = ()
        return function(x, chosen, bool(keepdims))

    return reduce


def _some(x: Any) -> Any:
    if not x.size:
        raise ShapeError("an empty array has no largest or smallest number", got=f"shape {x.shape}")
    return x


reduce_sum = reducing(lambda x, a, k: np.sum(x, axis=a, keepdims=k).astype(x.dtype))
reduce_mean = reducing(lambda x, a, k: np.mean(x, axis=a, keepdims=k).astype(x.dtype))
reduce_prod = reducing(lambda x, a, k: np.prod(x, axis=a, keepdims=k).astype(x.dtype))
reduce_max = reducing(lambda x, a, k: np.max(_some(x), axis=a, keepdims=k))
reduce_min = reducing(lambda x, a, k: np.min(_some(x), axis=a, keepdims=k))
reduce_l1 = reducing(lambda x, a, k: np.sum(np.abs(x), axis=a, keepdims=k))
reduce_l2 = reducing(lambda x, a, k: np.sqrt(np.sum(x * x, axis=a, keepdims=k)))
reduce_sum_square = reducing(lambda x, a, k: np.sum(x * x, axis=a, keepdims=k))
reduce_log_sum = reducing(lambda x, a, k: np.log(np.sum(x, axis=a, keepdims=k)))


def reduce_log_sum_exp(
    x: Any, axes: Any = None, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> Any:
    """Log Σ exp, without overflow."""
    chosen = tuple(range(x.ndim)) if axes is None or not np.size(axes) else tuple(ints(axes))
    if noop_with_empty_axes and (axes is None or not np.size(axes)):
        return x
    return F.logsumexp(x, chosen, keepdim=bool(keepdims))


def arg_max(x: Any, axis: int = 0, keepdims: int = 1) -> Any:
    """The first place of the largest number."""
    return np.argmax(x, axis=axis, keepdims=bool(keepdims))


def arg_min(x: Any, axis: int = 0, keepdims: int = 1) -> Any:
    """The first place of the smallest number."""
    return np.argmin(x, axis=axis, keepdims=bool(keepdims))


def cum_sum(x: Any, axis: Any) -> Any:
    """Running sums."""
    return np.cumsum(x, axis=ints(axis)[0]).astype(x.dtype)


def range_(start: Any, limit: Any, delta: Any) -> Any:
    """Equally spaced numbers, in the dtype of the first."""
    return np.arange(start, limit, delta).astype(start.dtype)


def top_k(x: Any, k: Any, axis: int = -1, largest: int = 1, sorted: int = 1) -> Any:  # noqa: A002
    """The k largest numbers and where they stand; of equal ones the first."""
    if largest:  # read from behind, so that of equal ones the first comes last
        behind = np.argsort(np.flip(x, axis), axis=axis, kind="stable")
        places = x.shape[axis] - 1 - np.flip(behind, axis)
    else:
        places = np.argsort(x, axis=axis, kind="stable")
    places = np.take(places, range(ints(k)[0]), axis=axis)
    return np.take_along_axis(x, places, axis=axis), places


# -- shapes ----------------------------------------------------------------------------------------
def reshape(x: Any, shape: Any, allowzero: int = 0) -> Any:
    """A length 0 means the old length, unless allowzero says that it is 0."""
    given = ints(shape)
    return np.reshape(x, [x.shape[k] if n == 0 and not allowzero else n
                          for k, n in enumerate(given)])  # fmt: skip


def flatten(x: Any, axis: int = 1) -> Any:
    """A matrix: the axes before ``axis`` and the others."""
    axis = axis + x.ndim if axis < 0 else axis
    return np.reshape(x, (int(np.prod(x.shape[:axis])), int(np.prod(x.shape[axis:]))))


def transpose(x: Any, perm: Sequence[int] | None = None) -> Any:
    """All axes reversed where no order is given."""
    return np.transpose(x, perm)


def expand(x: Any, shape: Any) -> Any:
    """Repeated to what x and ``shape`` broadcast to."""
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(ints(shape))))


def squeeze(x: Any, axes: Any = None) -> Any:
    """Without axes of length 1."""
    return np.squeeze(x, None if axes is None else tuple(ints(axes)))


def unsqueeze(x: Any, axes: Any) -> Any:
    """With axes of length 1 more."""
    return np.expand_dims(x, tuple(ints(axes)))


def concat(*xs: Any, axis: int) -> Any:
    """Side by side along an axis."""
    return np.concatenate(xs, axis=axis)


def split(x: Any, sizes: Any = None, axis: int = 0, *, outputs: int, num_outputs: int = 0) -> Any:
    """In pieces; of equal ones the last may be shorter."""
    if sizes is None:
        each = -(-x.shape[axis] // (num_outputs or outputs))
        ends = [each * k for k in range(1, num_outputs or outputs)]
    else:
        ends = np.cumsum(ints(sizes))[:-1].tolist()
    return tuple(np.split(x, ends, axis=axis))


def slice_(x: Any, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Any:
    """As Python slices; an end far out is the end."""
    first, last = ints(starts), ints(ends)
    along = range(len(first)) if axes is None else ints(axes)
    step = [1] * len(first) if steps is None else ints(steps)
    cuts: list[Any] = [slice(None)] * x.ndim
    for k, a, b, s in zip(along, first, last, step, strict=True):
        end = None if s < 0 and b < -x.shape[k] else b
        cuts[k] = slice(a, end, s)
    return x[tuple(cuts)]


def pad(x: Any, pads: Any, value: Any = None, axes: Any = None, mode: str = "constant") -> Any:
    """Before and after each axis; a negative number cuts off."""
    given = ints(pads)
    half = len(given) // 2
    width = [(0, 0)] * x.ndim
    for k, axis in enumerate(range(half) if axes is None else ints(axes)):
        width[axis] = (given[k], given[half + k])
    if min(given, default=0) < 0:
        pairs = zip(x.shape, width, strict=True)
        x = x[tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in pairs)]
    width = [(max(a, 0), max(b, 0)) for a, b in width]
    if mode == "constant":
        fill = 0 if value is None else value
        return np.pad(x, width, constant_values=fill)
    return np.pad(x, width, mode=mode)  # type: ignore[call-overload]


def tile(x: Any, repeats: Any) -> Any:
    """Repeated along each axis."""
    return np.tile(x, ints(repeats))


def shape_of(x: Any, start: int = 0, end: int | None = None) -> Any:
    """Lengths of the axes."""
    return np.array(x.shape[start:end], np.int64)


def constant_of_shape(shape: Any, value: Any = None) -> Any:
    """One number everywhere; 0 in single precision where none is given."""
    number = np.zeros(1, np.float32) if value is None else value
    return np.full(ints(shape), number[0], number.dtype)


def trilu(x: Any, k: Any = 0, upper: int = 1) -> Any:
    """The upper or the lower triangle."""
    return np.triu(x, ints(k)[0]) if upper else np.tril(x, ints(k)[0])


# -- places ----------------------------------------------------------------------------------------
def gather(x: Any, indices: Any, axis: int = 0) -> Any:
    """Elements along an axis."""
    return np.take(x, indices, axis=axis)


def gather_elements(x: Any, indices: Any, axis: int = 0) -> Any:
    """For each place of ``indices`` one element along an axis."""
    sizes = [slice(None) if k == axis % x.ndim else slice(n) for k, n in enumerate(indices.shape)]
    counted = np.where(indices < 0, indices + x.shape[axis], indices)
    return np.take_along_axis(x[tuple(sizes)], counted, axis=axis)


def scatter_elements(
    x: Any, indices: Any, updates: Any, axis: int = 0, reduction: str = "none"
) -> Any:
    """Updates put at, or added at, places along an axis."""
    axis %= x.ndim
    counted = np.where(indices < 0, indices + x.shape[axis], indices)
    if reduction == "none":
        return F.scatter(x, axis, counted, updates)
    word = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}[reduction]
    return F.scatter_reduce(x, axis, counted, updates, word)


def scatter_nd(x: Any, indices: Any, updates: Any, reduction: str = "none") -> Any:
    """Updates put at, or added at, places of the first axes."""
    places = tuple(indices[..., k] for k in range(indices.shape[-1]))
    out = np.zeros_like(x) + x
    if reduction == "add":
        np.add.at(out, places, updates)
        return out
    out[places] = updates
    return out


def one_hot(indices: Any, depth: Any, values: Any, axis: int = -1) -> Any:
    """The second value at each index, which may count from the end, else the first."""
    n = ints(depth)[0]
    axis = axis + indices.ndim + 1 if axis < 0 else axis
    counted = np.expand_dims(np.where(indices < 0, indices + n, indices), axis)
    numbers = np.arange(n).reshape([n if k == axis else 1 for k in range(indices.ndim + 1)])
    return np.where(counted == numbers, values[1], values[0])


# -- layers ----------------------------------------------------------------------------------------
def gemm(
    a: Any, b: Any, c: Any = None, alpha: float = 1.0, beta: float = 1.0, transA: int = 0,
    transB: int = 0,
) -> Any:  # fmt: skip
    """α a b + β c."""
    product = (a.T if transA else a) @ (b.T if transB else b)
    product = product if alpha == 1 else alpha * product
    return product if c is None else product + (c if beta == 1 else beta * c)


def _padded(
    x: Any, pads: Sequence[int] | None, n: int, fill: float, kernel: Sequence[int] = ()
) -> tuple[Any, Any]:
    """(x, padding) where both sides are alike and narrow; else x with its border, no padding."""
    before, after = (list(pads[:n]), list(pads[n:])) if pads else ([0] * n, [0] * n)
    if before == after and all(2 * p <= k for p, k in zip(before, kernel, strict=False)):
        return x, tuple(before)
    width = [(0, 0), (0, 0), *zip(before, after, strict=True)]
    return np.pad(x, width, constant_values=fill), (0,) * n


def _lowest(dtype: Any) -> float:
    return -np.inf if dtype.kind == "f" else int(np.iinfo(dtype).min)


def conv(
    x: Any, w: Any, b: Any = None, strides: Any = None, pads: Any = None, dilations: Any = None,
    group: int = 1, kernel_shape: Any = None,
) -> Any:  # fmt: skip
    """Cross-correlation along one to three axes."""
    n = x.ndim - 2
    function = (F.conv1d, F.conv2d, F.conv3d)[n - 1]
    x, padding = _padded(x, pads, n, 0.0)
    return function(x, w, b, strides or (1,) * n, padding, dilations or (1,) * n, group)


def max_pool(
    x: Any, kernel_shape: Any, strides: Any = None, pads: Any = None, dilations: Any = None
) -> Any:
    """The largest number of each window; padding never wins."""
    n = x.ndim - 2
    function = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[n - 1]
    x, padding = _padded(x, pads, n, _lowest(x.dtype), kernel_shape)
    return function(x, kernel_shape, strides or (1,) * n, padding, dilations or (1,) * n)


def average_pool(
    x: Any, kernel_shape: Any, strides: Any = None, pads: Any = None, count_include_pad: int = 0
) -> Any:
    """The mean of each window, of its own numbers unless padding counts as zeros."""
    n = x.ndim - 2
    function = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[n - 1]

    def means(x: Any) -> Any:
        wide, padding = _padded(x, pads, n, 0.0, kernel_shape)
        return function(wide, kernel_shape, strides or (1,) * n, padding)

    if count_include_pad or not pads or not any(pads):
        return means(x)
    return means(x) / means(np.ones(x.shape, x.dtype))


def global_average_pool(x: Any) -> Any:
    """The mean of each channel."""
    return np.mean(x, axis=tuple(range(2, x.ndim)), keepdims=True)


def global_max_pool(x: Any) -> Any:
    """The largest number of each channel."""
    return np.max(x, axis=tuple(range(2, x.ndim)), keepdims=True)


def _per_channel(v: Any, x: Any) -> Any:
    return np.reshape(v, (-1,) + (1,) * (x.ndim - 2))


def batch_normalization(
    x: Any, scale: Any, bias: Any, mean: Any, var: Any, epsilon: float = 1e-5, momentum: float = 0.9
) -> Any:
    """By given means and variances (Ioffe & Szegedy, arXiv:1502.03167)."""
    mean, factor = _per_channel(mean, x), _per_channel(scale / np.sqrt(var + epsilon), x)
    return (x - mean) * factor + _per_channel(bias, x)


def instance_normalization(x: Any, scale: Any, bias: Any, epsilon: float = 1e-5) -> Any:
    """By the mean and variance of each channel of each example."""
    return F.instance_norm(x, weight=scale, bias=bias, eps=epsilon)


def layer_normalization(
    x: Any, scale: Any, bias: Any = None, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> Any:
    """By the mean and variance of the last axes (Ba et al., arXiv:1607.06450)."""
    out = F.layer_norm(x, x.shape[axis:], eps=epsilon) * scale
    return out if bias is None else out + bias
