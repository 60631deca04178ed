"""The vocabulary of nets, with the names, arguments and semantics of ``torch.nn.functional``.

Every function takes traced arrays, NumPy arrays and Python numbers. Outside a trace the result is
an ordinary NumPy array, so a net written with these functions is also a plain NumPy function.
Arguments whose position differs from PyTorch's are taken by keyword only.
"""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from operator import index
from typing import Any, ParamSpec

import numpy as np

from allbps.errors import ArgumentError, ShapeError
from allbps.ir import INPUT, Node, lift, promote, user_site
from allbps.ops import activation, attention, conv, loss, norm, pool
from allbps.ops.arithmetic import power
from allbps.ops.comparison import where
from allbps.ops.function import abs_, astype, exp, log, maximum
from allbps.ops.function import tanh as tanh_op
from allbps.ops.index import getitem_by
from allbps.ops.reduce import logsumexp_op, max_, mean, sum_
from allbps.ops.shape import pad as pad_op
from allbps.ops.shape import reshape, transpose

P = ParamSpec("P")
Pair = tuple[int, int]
Size = int | Sequence[int]


# -- what all functions share ----------------------------------------------------------------------
def works_on_arrays(function: Callable[P, Node]) -> Callable[P, Any]:
    """Give a plain array back where no argument was traced."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Any:
        result = function(*args, **kwargs)
        traced = any(isinstance(x, Node) for x in (*args, *kwargs.values()))
        return result if traced else result.value

    return wrapped


def _misused(what: str, expected: str = "", got: str = "", todo: str = "") -> ArgumentError:
    """The error for an argument that makes no sense, with the user's line."""
    return ArgumentError(what, where=str(user_site() or ""), expected=expected, got=got, todo=todo)


def _misfit(what: str, expected: str, got: str) -> ShapeError:
    """The error for a shape that does not fit, with the user's line."""
    return ShapeError(what, where=str(user_site() or ""), expected=expected, got=got)


def _pair(value: Any, name: str) -> Pair:
    """2 -> (2, 2).

    Raises:
        ArgumentError: neither an integer nor two of them.

    """
    try:
        first, second = value if isinstance(value, (tuple, list)) else (value, value)
        return index(first), index(second)
    except (TypeError, ValueError):
        raise _misused(
            f"{name} must be an integer, or one for the rows and one for the columns",
            got=f"{name}={value!r}",
        ) from None


def _array(x: Any) -> Node:
    """A Python number as an array too: class numbers are indexed."""
    return x if isinstance(x, Node) else lift(np.asarray(x))


def _reduced(x: Node, reduction: str) -> Node:
    """The mean or sum over all elements, or none.

    Raises:
        ArgumentError: another word.

    """
    if reduction not in ("mean", "sum", "none"):
        raise _misused("unknown reduction", expected="'mean', 'sum' or 'none'", got=repr(reduction))
    if reduction == "none" or x.shape == ():
        return x
    return (mean if reduction == "mean" else sum_)(x, axis=None, keepdims=False)


# -- activations -----------------------------------------------------------------------------------
@works_on_arrays
def relu(input: Any) -> Node:
    """max(x, 0), element by element; its slope at 0 is taken as 0.

    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return activation.relu(input)


@works_on_arrays
def leaky_relu(input: Any, negative_slope: float = 0.01) -> Node:
    """The number itself where it is positive, else negative_slope times it."""
    return activation.leaky_relu(input, negative_slope=float(negative_slope))


@works_on_arrays
def elu(input: Any, alpha: float = 1.0) -> Node:
    """The number itself where it is positive, else alpha (eˣ − 1)."""
    return activation.elu(input, alpha=float(alpha))


@works_on_arrays
def sigmoid(input: Any) -> Node:
    """1 / (1 + e⁻ˣ), without overflow.

    >>> float(sigmoid(0.0))
    0.5
    """
    return activation.sigmoid_op(input)


@works_on_arrays
def tanh(input: Any) -> Node:
    """Hyperbolic tangent."""
    return tanh_op(input)


@works_on_arrays
def softplus(input: Any, beta: float = 1.0) -> Node:
    """log(1 + exp(beta x)) / beta, without overflow, so that it needs no threshold."""
    return activation.softplus(input) if beta == 1 else activation.softplus(beta * input) / beta


@works_on_arrays
def silu(input: Any) -> Node:
    """Sigmoid linear unit x σ(x), also called swish."""
    return activation.silu(input)


@works_on_arrays
def gelu(input: Any, approximate: str = "none") -> Node:
    """Gaussian error linear unit x Φ(x); ``approximate="tanh"`` for the usual formula with tanh."""
    if approximate not in ("none", "tanh"):
        raise _misused("unknown approximation", expected="'none' or 'tanh'", got=repr(approximate))
    return (activation.gelu_tanh if approximate == "tanh" else activation.gelu)(input)


@works_on_arrays
def softmax(input: Any, dim: int = -1) -> Node:
    """exp(xᵢ) / Σ exp(xₖ) along ``dim``.

    >>> softmax(np.log(np.array([1.0, 3.0])))
    array([0.25, 0.75])
    """
    return activation.softmax_op(input, axis=index(dim))


@works_on_arrays
def log_softmax(input: Any, dim: int = -1) -> Node:
    """Logarithm of the softmax, x − log Σ exp(xₖ) along ``dim``."""
    return activation.log_softmax_op(input, axis=index(dim))


@works_on_arrays
def logsumexp(input: Any, dim: Size, keepdim: bool = False) -> Node:
    """Logarithm of a sum of exponentials over ``dim``, without overflow."""
    axis = index(dim) if isinstance(dim, (int, np.integer)) else tuple(map(index, dim))
    return logsumexp_op(input, axis=axis, keepdims=bool(keepdim))


# -- linear layers ---------------------------------------------------------------------------------
@works_on_arrays
def linear(input: Any, weight: Any, bias: Any = None) -> Node:
    """A linear layer, x weightᵀ + bias: (…, in) with weight (out, in) -> (…, out)."""
    product = lift(input) @ lift(weight).mT
    return product if bias is None else product + bias


@works_on_arrays
def embedding(input: Any, weight: Any) -> Node:
    """Rows of ``weight`` (rows, width): (…) integers -> (…, width).

    A row that is taken twice gets δ twice.

    Raises:
        ArgumentError: a row number is negative, or not an integer.

    """
    numbers = lift(input)
    if numbers.dtype.kind == "i" and np.any(numbers.known("embedding") < 0):
        raise _misused("embedding takes row numbers from 0", got=str(np.min(numbers.value)))
    return getitem_by(lift(weight), numbers)


@works_on_arrays
def one_hot(tensor: Any, num_classes: int = -1) -> Node:
    """1 at each label, else 0, as integers: (…) -> (…, classes).

    >>> one_hot(np.array([1, 0]), 3)
    array([[0, 1, 0],
           [1, 0, 0]])
    """
    labels = _array(tensor)
    if num_classes == -1:
        num_classes = int(np.max(labels.known("one_hot"), initial=-1)) + 1
    return loss.one_hot_op(labels, classes=index(num_classes), dtype=np.dtype(np.int64))


# -- convolution -----------------------------------------------------------------------------------
@works_on_arrays
def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Node:
    """Cross-correlation, the lecture's ``*``.

    Args:
        input: (N, C, H, W), (C, H, W), or a matrix (H, W).
        weight: (O, C / groups, h, w); a matrix (h, w) for a matrix.
        bias: (O,), or a number for a matrix.
        stride: step between windows, one number or (rows, columns).
        padding: zeros on each side; ``"same"`` (stride 1) or ``"valid"``.
        dilation: step between the elements of a window.
        groups: channels are split into so many groups, each with kernels of its own.

    Raises:
        ShapeError: channels do not fit, or the kernel is larger than the image.
        ArgumentError: a stride, padding, dilation or number of groups that makes no sense.

    >>> conv2d(np.arange(9.0).reshape(3, 3), np.ones((2, 2)))
    array([[ 8., 12.],
           [20., 24.]])

    """
    image, kernel = lift(input), lift(weight)
    batched = kernel.ndim != 2
    single = batched and image.ndim == 3
    if single:
        image = reshape(image, shape=(1, *image.shape))
    attributes: dict[str, Any] = {
        "stride": _pair(stride, "stride"),
        "dilation": _pair(dilation, "dilation"),
        "groups": index(groups),
        "batched": batched,
    }
    if isinstance(padding, str):
        image, attributes["padding"] = _padded(image, kernel, padding, attributes)
    else:
        attributes["padding"] = _pair(padding, "padding")
    out = conv.conv2d_op(image, kernel, **attributes)
    if bias is not None:
        shift = lift(bias)
        out = out + (reshape(shift, shape=(*shift.shape, 1, 1)) if batched else shift)
    return reshape(out, shape=out.shape[1:]) if single else out


def _padded(
    image: Node, kernel: Node, padding: str, attributes: dict[str, Any]
) -> tuple[Node, Pair]:
    """An image and a padding for ``"valid"`` or ``"same"``.

    An odd number of zeros has one more after the image than before it, as in PyTorch.
    """
    if padding == "valid":
        return image, (0, 0)
    if padding != "same" or attributes["stride"] != (1, 1):
        raise _misused(
            "padding is a number, two, 'valid', or with stride 1 'same'",
            got=f"padding={padding!r}, stride={attributes['stride']}",
        )
    steps = zip(kernel.shape[-2:], attributes["dilation"], strict=True)
    zeros = [(k - 1) * d for k, d in steps]
    if any(n % 2 for n in zeros):
        more = ((0, 0),) * (image.ndim - 2) + tuple((0, n % 2) for n in zeros)
        image = pad_op(image, width=more)
    return image, (zeros[0] // 2, zeros[1] // 2)


@works_on_arrays
def conv1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: int = 1,
    padding: int | str = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Node:
    """Cross-correlation along one axis: (N, C, L) or (C, L) with (O, C / groups, l)."""
    signal, kernel = _one_row(lift(input)), _one_row(lift(weight))
    around = padding if isinstance(padding, str) else (0, padding)
    out = lift(conv2d(signal, kernel, bias, (1, stride), around, (1, dilation), groups))
    return reshape(out, shape=(*out.shape[:-2], out.shape[-1]))


def _one_row(x: Node) -> Node:
    """(…, L) -> (…, 1, L)."""
    return reshape(x, shape=(*x.shape[:-1], 1, *x.shape[-1:]))


# -- pooling ---------------------------------------------------------------------------------------
@works_on_arrays
def max_pool2d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
) -> Node:
    """The largest number of each window; in a tie the first in row-major order gets the δ.

    Args:
        input: (N, C, H, W), (C, H, W) or a matrix.
        kernel_size: the window, one number or (rows, columns).
        stride: step between windows; the window's size where it is left out.
        padding: rows and columns around the image that never win.
        dilation: step between the elements of a window.

    Raises:
        ShapeError: the window is larger than the image.
        ArgumentError: a window, stride, padding or dilation that makes no sense.

    >>> max_pool2d(np.arange(16.0).reshape(4, 4), 2)
    array([[ 5.,  7.],
           [13., 15.]])

    """
    image = lift(input)
    return pool.max_pool2d_op(image, **_window(image, kernel_size, stride, padding, dilation))


def _window(
    image: Node, kernel_size: Size, stride: Size | None, padding: Size, dilation: Size = 1
) -> dict[str, Any]:
    kernel = _pair(kernel_size, "kernel_size")
    return pool.window(
        kernel,
        kernel if stride is None else _pair(stride, "stride"),
        _pair(padding, "padding"),
        _pair(dilation, "dilation"),
        batched=image.ndim != 2,
    )


@works_on_arrays
def max_pool1d(
    input: Any, kernel_size: int, stride: int | None = None, padding: int = 0, dilation: int = 1
) -> Node:
    """The largest number of each window along the last axis: (N, C, L) or (C, L)."""
    step = kernel_size if stride is None else stride
    row = _one_row(lift(input))
    pooled = lift(max_pool2d(row, (1, kernel_size), (1, step), (0, padding), (1, dilation)))
    return reshape(pooled, shape=(*pooled.shape[:-2], pooled.shape[-1]))


@works_on_arrays
def avg_pool2d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    *,
    count_include_pad: bool = True,
) -> Node:
    """The mean of each window; without ``count_include_pad`` padding does not count."""
    image = lift(input)
    window = _window(image, kernel_size, stride, padding)
    pooled = pool.avg_pool2d_op(image, **window)
    if count_include_pad or window["padding"] == (0, 0):
        return pooled
    height, width = image.shape[-2:]
    kernel, step, around = window["kernel"], window["stride"], window["padding"]
    share = pool.inside_share((height, width), kernel, step, around)
    return pooled / lift(share.astype(pooled.dtype))


@works_on_arrays
def adaptive_avg_pool2d(input: Any, output_size: Size) -> Node:
    """Means over an image cut into ``output_size`` parts; 1 is the global mean.

    As in PyTorch part i of n goes from ⌊i L / n⌋ to ⌈(i + 1) L / n⌉, so parts may overlap.

    Raises:
        ArgumentError: an output size below 1.

    """
    image = lift(input)
    rows, columns = _pair(output_size, "output_size")
    if min(rows, columns) < 1:
        raise _misused("output_size starts at 1", got=f"output_size={output_size!r}")
    if (rows, columns) == (1, 1):
        return mean(image, axis=(-2, -1), keepdims=True)
    above = _means_of_parts(image.shape[-2], rows, image.dtype)
    left = _means_of_parts(image.shape[-1], columns, image.dtype)
    return lift(above) @ image @ lift(left.T)  # (rows, H) · (…, H, W) · (W, columns)


def _means_of_parts(length: int, parts: int, dtype: np.dtype[Any]) -> Any:
    """A matrix (parts, length) that takes the mean of each part."""
    kind = dtype if dtype.kind == "f" else np.dtype(np.float64)
    part, place = np.arange(parts)[:, None], np.arange(length)
    inside = (place >= part * length // parts) & (place < -(-(part + 1) * length // parts))
    return (inside / np.sum(inside, axis=1, keepdims=True)).astype(kind)


# -- shapes ----------------------------------------------------------------------------------------
@works_on_arrays
def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Node:
    """A number around the last axes: (before last, after last, before last but one, …).

    Raises:
        ArgumentError: pairs that the axes do not allow, or another mode than "constant".

    """
    node = lift(input)
    pairs = [(index(pad[k]), index(pad[k + 1])) for k in range(0, len(pad) - 1, 2)][::-1]
    if len(pad) % 2 or len(pairs) > node.ndim:
        raise _misused(
            "pad needs a pair for each of the last axes",
            expected=f"at most {node.ndim} pairs",
            got=str(tuple(pad)),
        )
    if mode != "constant":
        raise _misused("unknown mode of padding", expected="'constant'", got=repr(mode))
    width = ((0, 0),) * (node.ndim - len(pairs)) + tuple(pairs)
    padded = pad_op(node, width=width)
    if not value:
        return padded
    inside = lift(pad_op(np.ones(node.shape, node.dtype), width=width)).value
    return padded + lift(node.dtype.type(value) * (1 - inside))


@works_on_arrays
def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Node:
    """The axes from ``start_dim`` to ``end_dim`` as one."""
    node = lift(input)
    first, last = start_dim % max(node.ndim, 1), end_dim % max(node.ndim, 1)
    middle = int(np.prod(node.shape[first : last + 1], dtype=np.int64))
    return reshape(node, shape=(*node.shape[:first], middle, *node.shape[last + 1 :]))


# -- dropout ---------------------------------------------------------------------------------------
@works_on_arrays
def dropout(
    input: Any, p: float = 0.5, training: bool = True, *, rng: np.random.Generator | None = None
) -> Node:
    """Elements set to 0 with probability p, the others divided by 1 − p (arXiv:1207.0580).

    Args:
        input: any array.
        p: in [0, 1].
        training: without it ``input`` is returned as it is.
        rng: where the mask comes from; required, so that nothing random is hidden.

    Raises:
        ArgumentError: p is no probability, or there is no generator.

    """
    node = lift(input)
    if not 0 <= p <= 1:
        raise _misused("p must be a probability", expected="0 ≤ p ≤ 1", got=f"p={p!r}")
    if not training or p == 0:
        return node
    if rng is None:
        raise _misused(
            "dropout needs a random generator", todo="pass rng=np.random.default_rng(seed)"
        )
    kept = rng.random(node.shape) >= p
    factor = 0.0 if p == 1 else 1 / (1 - p)
    return node * lift((kept * factor).astype(node.dtype))


# -- normalisation ---------------------------------------------------------------------------------
@works_on_arrays
def layer_norm(
    input: Any, normalized_shape: Size, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Node:
    """Zero mean and unit variance over the last axes, then · weight + bias (arXiv:1607.06450).

    Args:
        input: (…, *normalized_shape).
        normalized_shape: the lengths of the axes to normalise over; one number for the last.
        weight: of that shape.
        bias: of that shape.
        eps: added to the variance.

    Raises:
        ShapeError: ``input`` does not end in ``normalized_shape``.

    """
    node = lift(input)
    axes = _last_axes(node, normalized_shape, "layer_norm")
    out = norm.standardise_op(node, axes=axes, eps=float(eps))
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


@works_on_arrays
def rms_norm(
    input: Any, normalized_shape: Size, weight: Any = None, eps: float | None = None
) -> Node:
    """The input over its root mean square along the last axes, then · weight (arXiv:1910.07467).

    ``eps`` is added to the mean square; left out, it is the dtype's, as in PyTorch.
    """
    node = lift(input)
    axes = _last_axes(node, normalized_shape, "rms_norm")
    small = float(np.finfo(node.dtype).eps if eps is None else eps)
    out = node / power(mean(node**2, axis=axes, keepdims=True) + small, exponent=0.5)
    return out if weight is None else out * weight


def _last_axes(node: Node, normalized_shape: Size, function: str) -> tuple[int, ...]:
    """The last axes, −1 at the end, if their lengths are ``normalized_shape``."""
    shape = tuple(map(index, np.atleast_1d(normalized_shape)))
    if not shape or node.shape[node.ndim - len(shape) :] != shape or node.ndim < len(shape):
        raise _misfit(
            f"{function}: the input does not end in normalized_shape",
            expected=f"(…, {', '.join(map(str, shape))})",
            got=str(node.shape),
        )
    return tuple(range(-len(shape), 0))


@works_on_arrays
def group_norm(
    input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Node:
    """Zero mean and unit variance over groups of channels: (N, C, …) (arXiv:1803.08494).

    Raises:
        ShapeError: the channels do not divide into groups.

    """
    node = lift(input)
    if node.ndim < 2 or num_groups < 1 or node.shape[1] % num_groups:
        raise _misfit(
            "group_norm: the channels do not divide into groups",
            expected=f"(N, C, …) with C a multiple of {num_groups}",
            got=str(node.shape),
        )
    members = int(np.prod(node.shape[1:], dtype=np.int64)) // num_groups
    grouped = reshape(node, shape=(node.shape[0], num_groups, members))
    out = reshape(norm.standardise_op(grouped, axes=(-1,), eps=float(eps)), shape=node.shape)
    return _per_channel(out, weight, bias)


def _per_channel(out: Node, weight: Any, bias: Any) -> Node:
    if weight is not None:
        out = out * _channels(weight, out.ndim)
    return out if bias is None else out + _channels(bias, out.ndim)


def _channels(x: Any, ndim: int) -> Node:
    """(C,) -> (C, 1, …), to go with (N, C, …)."""
    node = lift(x)
    return reshape(node, shape=(*node.shape, *(1,) * (ndim - 2)))


@works_on_arrays
def batch_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    *,
    eps: float = 1e-5,
) -> Node:
    """Zero mean and unit variance per channel: (N, C, …) (arXiv:1502.03167).

    In training by the mean and (biased) variance of the batch, which depend on the input; in
    evaluation by the running ones. They are not changed here, since a function changes none of its
    arguments; so there is no momentum.

    Raises:
        ArgumentError: in evaluation, the running statistics are missing.
        ShapeError: no channels, or in training only one number per channel.

    """
    node = lift(input)
    if node.ndim < 2:
        raise _misfit("batch_norm needs channels", expected="(N, C, …)", got=str(node.shape))
    if training:
        axes = (0, *range(2, node.ndim))
        if node.size == node.shape[1]:
            raise _misfit(
                "batch_norm: one number per channel has no variance",
                expected="several examples or pixels",
                got=str(node.shape),
            )
        return _per_channel(norm.standardise_op(node, axes=axes, eps=float(eps)), weight, bias)
    if running_mean is None or running_var is None:
        raise _misused(
            "batch_norm needs running_mean and running_var in evaluation",
            todo="pass them, or training=True",
        )
    deviation = power(_channels(running_var, node.ndim) + float(eps), exponent=0.5)
    return _per_channel((node - _channels(running_mean, node.ndim)) / deviation, weight, bias)


@works_on_arrays
def normalize(input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Node:
    """The input over its p-norm along ``dim``, which counts as eps at least."""
    node = lift(input)
    return node / _length(node, p, dim, eps, keepdims=True)


def _length(x: Node, p: float, dim: int, eps: float, keepdims: bool) -> Node:
    """max(‖x‖ₚ, eps); the bound stands inside the root, which has no slope at 0."""
    if p == np.inf:
        return maximum(max_(abs_(x), axis=dim, keepdims=keepdims), eps)
    powers = x**2 if p == 2 else abs_(x) if p == 1 else power(abs_(x), exponent=p)
    total = maximum(sum_(powers, axis=dim, keepdims=keepdims), eps**p)
    return total if p == 1 else power(total, exponent=1 / p)


@works_on_arrays
def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Node:
    """⟨x₁, x₂⟩ / (‖x₁‖ ‖x₂‖) along ``dim``; a norm counts as eps at least."""
    a, b = lift(x1), lift(x2)
    inner = sum_(a * b, axis=dim, keepdims=False)
    return inner / (_length(a, 2, dim, eps, False) * _length(b, 2, dim, eps, False))


# -- attention -------------------------------------------------------------------------------------
@works_on_arrays
def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    *,
    is_causal: bool = False,
    scale: float | None = None,
) -> Node:
    """softmax(q kᵀ / √d) v over any leading axes (arXiv:1706.03762).

    Args:
        query: (…, T, d).
        key: (…, S, d).
        value: (…, S, e).
        attn_mask: true where a query may look, or numbers added to the scores; broadcast to
            (…, T, S). A query that may look nowhere gets zeros.
        is_causal: a query sees no later key.
        scale: instead of 1/√d.

    Raises:
        ShapeError: queries, keys and values do not fit.
        ArgumentError: a mask is given, and is_causal as well.

    """
    q, k, v = lift(query), lift(key), lift(value)
    factor = float(scale) if scale is not None else float(1 / np.sqrt(max(q.shape[-1:], default=1)))
    if attn_mask is None:
        return attention.attention_weights_op(q, k, scale=factor, causal=bool(is_causal)) @ v
    if is_causal:
        raise _misused("attn_mask and is_causal exclude each other", todo="build one mask of both")
    return _masked_weights(factor * (q @ k.mT), lift(attn_mask)) @ v


def _masked_weights(scores: Node, mask: Node) -> Node:
    if mask.dtype.kind != "b":
        return activation.softmax_op(scores + mask, axis=-1)
    # not −∞: a row of nothing else has no softmax, and is set to 0 below
    lowest = float(np.finfo(scores.dtype).min / 2)
    weights = activation.softmax_op(where(mask, scores, lowest), axis=-1)
    if np.all(np.any(mask.known("a mask"), axis=-1)):
        return weights
    return where(mask, weights, 0.0)


# -- losses on numbers -----------------------------------------------------------------------------
@works_on_arrays
def euclidean_loss(prediction: Any, target: Any) -> Node:
    """½ ‖prediction − target‖², a sum (lecture).

    Raises:
        ShapeError: the two have different shapes.

    >>> float(euclidean_loss(np.array([3.0, 1.0]), np.array([1.0, 1.0])))
    2.0

    """
    return loss.euclidean_loss(prediction, target)


def _error(input: Any, target: Any) -> Node:
    """The difference; different shapes are broadcast with a warning, as in PyTorch."""
    a, b = lift(input), lift(target)
    if a.shape != b.shape and a.shape and b.shape:
        warnings.warn(
            f"a loss between shapes {a.shape} and {b.shape} broadcasts them, which is seldom meant",
            stacklevel=4,
        )
    return a - b


@works_on_arrays
def mse_loss(input: Any, target: Any, *, reduction: str = "mean") -> Node:
    """(input − target)², the mean over all elements as in PyTorch."""
    return _reduced(_error(input, target) ** 2, reduction)


@works_on_arrays
def l1_loss(input: Any, target: Any, *, reduction: str = "mean") -> Node:
    """|input − target|."""
    return _reduced(abs_(_error(input, target)), reduction)


@works_on_arrays
def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Node:
    """½ e² where |e| < delta, else delta (|e| − ½ delta)."""
    return _reduced(_huber(_error(input, target), delta), reduction)


def _huber(error: Node, delta: float) -> Node:
    if delta <= 0:
        raise _misused("the bend of a Huber loss must be positive", got=str(delta))
    size = abs_(error)
    return where(size < delta, 0.5 * error**2, delta * (size - 0.5 * delta))


@works_on_arrays
def smooth_l1_loss(input: Any, target: Any, *, reduction: str = "mean", beta: float = 1.0) -> Node:
    """½ e² / beta where |e| < beta, else |e| − ½ beta; the L1 loss for beta = 0."""
    error = _error(input, target)
    return _reduced(abs_(error) if beta == 0 else _huber(error, beta) / beta, reduction)


# -- losses on probabilities -----------------------------------------------------------------------
@works_on_arrays
def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Node:
    """−log softmax(input) at the target, from logits, through log-sum-exp.

    Args:
        input: logits (C,), (N, C) or (N, C, …): the classes are axis 1, as in PyTorch.
        target: class numbers (), (N,) or (N, …); or probabilities of the shape of ``input``.
        weight: a factor for each class.
        ignore_index: examples of this class number count as nothing.
        reduction: "mean" over the examples (weighted by class), "sum" or "none".
        label_smoothing: share of the target spread over all classes.

    Raises:
        ShapeError: input and target do not fit.
        ArgumentError: a class number that does not exist.

    >>> float(cross_entropy(np.zeros((1, 4)), np.array([2]))) == float(np.log(4))
    True

    """
    logits, goal = _classes_last(lift(input)), _array(target)
    smooth = float(label_smoothing)
    if goal.is_float or (goal.shape and goal.shape == lift(input).shape):
        share = _smoothed(_as_float(_classes_last(goal), logits), smooth, weight)
        return _reduced(_soft_cross_entropy(logits, share), reduction)
    labels, counted = _labels(goal, ignore_index)
    if weight is None and not smooth and counted is None:
        return _reduced(loss.cross_entropy_op(logits, labels), reduction)
    hot = loss.one_hot_op(labels, classes=logits.shape[-1], dtype=logits.dtype)
    if counted is not None:
        hot = hot * reshape(counted, shape=(*counted.shape, 1))
    share = _smoothed(hot, smooth, weight)
    each = _soft_cross_entropy(logits, share)
    if counted is not None:
        each = each * counted
    return _mean_by_class(each, hot, weight) if reduction == "mean" else _reduced(each, reduction)


def _classes_last(x: Node) -> Node:
    """(N, C, …) -> (N, …, C)."""
    return x if x.ndim < 3 else transpose(x, axes=(0, *range(2, x.ndim), 1))


def _as_float(target: Node, logits: Node) -> Node:
    """``target`` in a dtype that does not change that of the logits."""
    if target.is_float or promote(logits, target) == logits.dtype:
        return target
    return astype(target, dtype=logits.dtype)


def _smoothed(target: Node, smoothing: float, weight: Any) -> Node:
    """A share of the target spread over all classes, then each class by its factor."""
    if smoothing:
        target = target * (1 - smoothing) + smoothing / target.shape[-1]
    return target if weight is None else target * weight


def _soft_cross_entropy(logits: Node, target: Node) -> Node:
    """The general rule is softmax · Σ target − target; where Σ target = 1 for good, it is yᵖ − y.

    For good: it is no variable, or an argument of the function that is being explained, whose
    derivative is not itself differentiated.
    """
    explained = target.op is INPUT and bool(target.name) and logits.traces | target.traces == 1
    settled = not target.is_float or not target.traces or explained
    ones = (
        settled
        and target.value is not None
        and bool(np.allclose(np.sum(target.value, axis=-1), 1, rtol=0, atol=1e-12))
    )
    return loss.soft_cross_entropy_op(logits, target, normalised=ones)


def _labels(labels: Node, ignore_index: int) -> tuple[Node, Node | None]:
    """Class numbers, and which of them count; None if all do."""
    if not np.any(labels.known("a loss") == ignore_index):
        return labels, None
    counted = labels != ignore_index
    return where(counted, labels, 0), counted


def _mean_by_class(each: Node, hot: Node, weight: Any) -> Node:
    """The mean of the examples, each by the factor of its class; what is not counted is all 0."""
    total = sum_(hot if weight is None else hot * weight, axis=None, keepdims=False)
    return sum_(each, axis=None, keepdims=False) / total


@works_on_arrays
def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Node:
    """−input at the target: log-probabilities (C,), (N, C) or (N, C, …), class numbers.

    The arguments are those of ``cross_entropy``.
    """
    log_p = _classes_last(lift(input))
    labels, counted = _labels(_array(target), ignore_index)
    hot = loss.one_hot_op(labels, classes=log_p.shape[-1], dtype=np.dtype(bool))
    if hot.shape != log_p.shape:
        raise _misfit(
            "nll_loss: input and target do not fit",
            expected=f"one class number for each row: {log_p.shape[:-1]}",
            got=f"a target of shape {labels.shape}",
        )
    if counted is not None:
        hot = hot * reshape(counted, shape=(*counted.shape, 1))
    weighted = log_p if weight is None else log_p * weight
    each = -sum_(where(hot, weighted, 0.0), axis=-1, keepdims=False)  # 0 · (−∞) would be NaN
    if reduction != "mean":
        return _reduced(each, reduction)
    return _mean_by_class(each, astype(hot, dtype=log_p.dtype), weight)


@works_on_arrays
def binary_cross_entropy_with_logits(input: Any, target: Any, *, reduction: str = "mean") -> Node:
    """−t log σ(x) − (1 − t) log(1 − σ(x)), without overflow."""
    return _reduced(loss.binary_cross_entropy_with_logits(input, target), reduction)


@works_on_arrays
def binary_cross_entropy(input: Any, target: Any, *, reduction: str = "mean") -> Node:
    """−t log p − (1 − t) log(1 − p) for probabilities p; a logarithm is at least −100."""
    return _reduced(loss.binary_cross_entropy_op(input, target), reduction)


@works_on_arrays
def kl_div(input: Any, target: Any, *, reduction: str = "mean", log_target: bool = False) -> Node:
    """Divergence target (log target − input) from log-probabilities; 0 where target is 0.

    ``reduction="batchmean"`` divides the sum by the number of rows.
    """
    log_q, t = lift(input), lift(target)
    if log_target:
        each = exp(t) * (t - log_q)
    else:
        each = where(t > 0, t * (log(where(t > 0, t, 1.0)) - log_q), 0.0)
    if reduction == "batchmean":
        return sum_(each, axis=None, keepdims=False) / float(log_q.shape[0])
    return _reduced(each, reduction)
