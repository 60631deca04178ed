"""The vocabulary of nets, with the names, arguments and semantics of ``torch.nn.functional``.

Every function takes traced arrays, NumPy arrays and Python numbers. Outside a trace the result is
an ordinary NumPy array, so a net written with these functions is also a plain NumPy function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec

import numpy as np

from allbps.errors import ArgumentError
from allbps.ir import Node, lift
from allbps.ops import activation, attention, conv, index, loss, norm, pool
from allbps.ops.arithmetic import power
from allbps.ops.comparison import where
from allbps.ops.function import abs_, exp, log, maximum
from allbps.ops.function import tanh as tanh_op
from allbps.ops.reduce import logsumexp_op, mean, sum_
from allbps.ops.shape import reshape, transpose

P = ParamSpec("P")
Size = int | tuple[int, int]


def works_on_arrays(function: Callable[P, Node]) -> Callable[P, Any]:
    """Give a plain array back where no argument was traced."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Any:
        result = function(*args, **kwargs)
        traced = any(isinstance(x, Node) for x in (*args, *kwargs.values()))
        return result if traced else result.value

    return wrapped


def pair(value: Any) -> tuple[int, int]:
    """2 -> (2, 2)."""
    if isinstance(value, (int, np.integer)):
        return int(value), int(value)
    first, second = value
    return int(first), int(second)


def reduced(x: Node, reduction: str) -> Node:
    """The mean or sum over all elements, or none.

    Raises:
        ArgumentError: another word.

    """
    if reduction == "none":
        return x
    if reduction not in ("mean", "sum"):
        raise ArgumentError(
            "unknown reduction", expected="'mean', 'sum' or 'none'", got=repr(reduction)
        )
    return (mean if reduction == "mean" else sum_)(x, axis=None, keepdims=False)


# -- activations -----------------------------------------------------------------------------------
@works_on_arrays
def relu(x: Any) -> Node:
    """max(x, 0), element by element.

    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return activation.relu(x)


@works_on_arrays
def leaky_relu(x: Any, negative_slope: float = 0.01) -> Node:
    """X where x > 0, else negative_slope · x."""
    return activation.leaky_relu(x, negative_slope=float(negative_slope))


@works_on_arrays
def elu(x: Any, alpha: float = 1.0) -> Node:
    """X where x > 0, else alpha (eˣ − 1)."""
    return activation.elu(x, alpha=float(alpha))


@works_on_arrays
def sigmoid(x: Any) -> Node:
    """1 / (1 + e⁻ˣ), without overflow.

    >>> float(sigmoid(0.0))
    0.5
    """
    return activation.sigmoid_op(x)


@works_on_arrays
def tanh(x: Any) -> Node:
    """Hyperbolic tangent."""
    return tanh_op(x)


@works_on_arrays
def softplus(x: Any) -> Node:
    """log(1 + eˣ), without overflow."""
    return activation.softplus(x)


@works_on_arrays
def silu(x: Any) -> Node:
    """X σ(x)."""
    return activation.silu(x)


@works_on_arrays
def gelu(x: Any, approximate: str = "none") -> Node:
    """X Φ(x), Φ the normal distribution function; ``approximate="tanh"`` for the usual formula."""
    if approximate not in ("none", "tanh"):
        raise ArgumentError(
            "unknown approximation", expected="'none' or 'tanh'", got=repr(approximate)
        )
    return (activation.gelu_tanh if approximate == "tanh" else activation.gelu)(x)


@works_on_arrays
def softmax(x: Any, dim: int = -1) -> Node:
    """exp(xᵢ) / Σ exp(xₖ) along ``dim``.

    >>> softmax(np.log(np.array([1.0, 3.0])))
    array([0.25, 0.75])
    """
    return activation.softmax_op(x, axis=int(dim))


@works_on_arrays
def log_softmax(x: Any, dim: int = -1) -> Node:
    """X − log Σ exp(xₖ) along ``dim``."""
    return activation.log_softmax_op(x, axis=int(dim))


@works_on_arrays
def logsumexp(x: Any, dim: Any, keepdim: bool = False) -> Node:
    """Log Σ exp(x) over ``dim``, without overflow."""
    axis = tuple(dim) if isinstance(dim, (tuple, list)) else int(dim)
    return logsumexp_op(x, axis=axis, keepdims=keepdim)


# -- layers ----------------------------------------------------------------------------------------
@works_on_arrays
def linear(x: Any, weight: Any, bias: Any = None) -> Node:
    """X weightᵀ + bias: (…, in) with weight (out, in) -> (…, out)."""
    product = lift(x) @ lift(weight).mT
    return product if bias is None else product + bias


@works_on_arrays
def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Any = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Node:
    """Cross-correlation, the lecture's ``*``.

    Args:
        x: (N, C, H, W), (C, H, W), or a matrix (H, W).
        weight: (O, C / groups, h, w); a matrix (h, w) for a matrix.
        bias: (O,), or a number for a matrix.
        stride: step between windows, one number or (rows, columns).
        dilation: step between the elements of a window.
        padding: zeros on each side; ``"same"`` (stride 1) or ``"valid"``.
        groups: channels are split into so many groups, each with kernels of its own.

    Raises:
        ShapeError: channels do not fit, or the kernel is larger than the image.

    >>> conv2d(np.arange(9.0).reshape(3, 3), np.ones((2, 2)))
    array([[ 8., 12.],
           [20., 24.]])

    """
    image, kernel = lift(x), lift(weight)
    batched = kernel.ndim != 2
    single = batched and image.ndim == 3
    if single:
        image = reshape(image, shape=(1, *image.shape))
    steps = pair(dilation)
    out = conv.conv2d_op(
        image,
        kernel,
        stride=pair(stride),
        padding=_padding(padding, kernel.shape[-2:], steps, pair(stride)),
        dilation=steps,
        groups=int(groups),
        batched=batched,
    )
    if bias is not None:
        shift = lift(bias)
        out = out + (reshape(shift, shape=(*shift.shape, 1, 1)) if batched else shift)
    return reshape(out, shape=out.shape[1:]) if single else out


def _padding(
    padding: Any, kernel: Sequence[int], dilation: tuple[int, int], stride: tuple[int, int]
) -> tuple[int, int]:
    if padding == "valid":
        return 0, 0
    if padding != "same":
        return pair(padding)
    reach = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
    if stride != (1, 1) or any(r % 2 for r in reach):
        raise ArgumentError(
            "padding='same' needs stride 1 and an odd kernel",
            expected="odd kernel lengths, or numbers for padding",
            got=f"kernel {tuple(kernel)}, stride {stride}",
        )
    return reach[0] // 2, reach[1] // 2


@works_on_arrays
def conv1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Node:
    """Cross-correlation along one axis: (N, C, L) with (O, C / groups, l)."""
    signal, kernel = lift(x), lift(weight)
    out = lift(
        conv2d(
            reshape(signal, shape=(*signal.shape[:2], 1, *signal.shape[2:])),
            reshape(kernel, shape=(*kernel.shape[:2], 1, *kernel.shape[2:])),
            bias,
            (1, stride),
            (0, padding),
            (1, dilation),
            groups,
        )
    )
    return reshape(out, shape=(*out.shape[:2], out.shape[3]))


@works_on_arrays
def max_pool2d(
    x: Any, kernel_size: Size, stride: Any = None, padding: Size = 0, dilation: Size = 1
) -> Node:
    """The largest number of each window; in a tie the first in row-major order gets the δ.

    Args:
        x: (N, C, H, W), (C, H, W) or a matrix.
        kernel_size: the window, one number or (rows, columns).
        stride: step between windows; the window's size where it is left out.
        padding: rows and columns around the image that never win.
        dilation: step between the elements of a window.

    >>> max_pool2d(np.arange(16.0).reshape(4, 4), 2)
    array([[ 5.,  7.],
           [13., 15.]])

    """
    image = lift(x)
    kernel = pair(kernel_size)
    window = pool.window(
        kernel,
        kernel if stride is None else pair(stride),
        pair(padding),
        pair(dilation),
        batched=image.ndim > 2,
    )
    return pool.max_pool2d_op(image, **window)


@works_on_arrays
def max_pool1d(
    x: Any, kernel_size: int, stride: int | None = None, padding: int = 0, dilation: int = 1
) -> Node:
    """The largest number of each window along the last axis: (N, C, L) or (C, L)."""
    signal = lift(x)
    rows = reshape(signal, shape=(*signal.shape[:-1], 1, signal.shape[-1]))
    step = kernel_size if stride is None else stride
    pooled = lift(max_pool2d(rows, (1, kernel_size), (1, step), (0, padding), (1, dilation)))
    return reshape(pooled, shape=(*signal.shape[:-1], pooled.shape[-1]))


@works_on_arrays
def avg_pool2d(
    x: Any,
    kernel_size: Size,
    stride: Any = None,
    padding: Size = 0,
    count_include_pad: bool = True,
) -> Node:
    """The mean of each window; the stride is the window's size where it is left out."""
    kernel = pair(kernel_size)
    step = kernel if stride is None else pair(stride)
    return pool.avg_pool2d(lift(x), kernel, step, pair(padding), count_include_pad)


@works_on_arrays
def adaptive_avg_pool2d(x: Any, output_size: Size = 1) -> Node:
    """The mean over an image cut into ``output_size`` equal parts; 1 is the global mean.

    Raises:
        ArgumentError: the image does not divide into equal parts.

    """
    image = lift(x)
    rows, columns = pair(output_size)
    if rows < 1 or columns < 1 or image.shape[-2] % rows or image.shape[-1] % columns:
        raise ArgumentError(
            "adaptive_avg_pool2d needs an image that divides into equal parts",
            expected=f"multiples of {(rows, columns)}",
            got=f"an image of {image.shape[-2:]}",
        )
    kernel = image.shape[-2] // rows, image.shape[-1] // columns
    if (rows, columns) == (1, 1):
        return mean(image, axis=(-2, -1), keepdims=True)
    return pool.avg_pool2d(image, kernel, kernel)


@works_on_arrays
def embedding(indices: Any, weight: Any) -> Node:
    """Rows of ``weight`` (classes, width); an index that occurs twice gets δ twice."""
    return index.getitem_by(lift(weight), lift(indices))


@works_on_arrays
def one_hot(labels: Any, num_classes: int) -> Node:
    """1.0 at each label, else 0.0: (…) -> (…, classes)."""
    return loss.one_hot_op(labels, classes=int(num_classes), dtype=np.dtype(np.float64))


@works_on_arrays
def pad(x: Any, pad: Sequence[int]) -> Node:
    """Zeros around the last axes: (before last, after last, before last but one, …)."""
    from allbps.ops.shape import pad as pad_op

    node = lift(x)
    pairs = [(int(pad[k]), int(pad[k + 1])) for k in range(0, len(pad) - 1, 2)][::-1]
    if len(pad) % 2 or len(pairs) > node.ndim:
        raise ArgumentError(
            "pad needs a pair for each of the last axes",
            expected=f"at most {node.ndim} pairs",
            got=str(tuple(pad)),
        )
    return pad_op(node, width=((0, 0),) * (node.ndim - len(pairs)) + tuple(pairs))


@works_on_arrays
def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Node:
    """The axes from ``start_dim`` to ``end_dim`` as one."""
    node = lift(x)
    first, last = start_dim % max(node.ndim, 1), end_dim % max(node.ndim, 1)
    middle = int(np.prod(node.shape[first : last + 1], dtype=np.int64))
    return reshape(node, shape=(*node.shape[:first], middle, *node.shape[last + 1 :]))


@works_on_arrays
def dropout(
    x: Any, p: float = 0.5, training: bool = True, *, rng: np.random.Generator | None = None
) -> Node:
    """Elements set to 0 with probability p, the others divided by 1 − p (arXiv:1207.0580).

    Args:
        x: any array.
        p: in [0, 1).
        training: without it ``x`` is returned as it is.
        rng: where the mask comes from; required, so that nothing random is hidden.

    Raises:
        ArgumentError: p is outside [0, 1), or there is no generator.

    """
    node = lift(x)
    if not 0 <= p < 1:
        raise ArgumentError("p must be a probability below 1", expected="0 ≤ p < 1", got=str(p))
    if not training or p == 0:
        return node
    if rng is None:
        raise ArgumentError(
            "dropout needs a random generator", todo="pass rng=np.random.default_rng(seed)"
        )
    mask = (rng.random(node.shape) >= p).astype(node.dtype)
    keep = mask / node.dtype.type(1 - p)
    return node * lift(keep)


# -- normalisation ---------------------------------------------------------------------------------
@works_on_arrays
def layer_norm(
    x: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Node:
    """Zero mean and unit variance over the last axes, then · weight + bias (arXiv:1607.06450)."""
    node = lift(x)
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if node.shape[node.ndim - len(shape) :] != shape:
        raise ArgumentError(
            "layer_norm: the input does not end in normalized_shape",
            expected=f"(…, {', '.join(map(str, shape))})",
            got=str(node.shape),
        )
    out = norm.standardise_op(node, axes=tuple(range(-len(shape), 0)), eps=float(eps))
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


@works_on_arrays
def rms_norm(x: Any, normalized_shape: Any, weight: Any = None, eps: float = 1e-6) -> Node:
    """X over its root mean square along the last axes, then · weight (arXiv:1910.07467)."""
    node = lift(x)
    count = 1 if isinstance(normalized_shape, int) else len(normalized_shape)
    square = mean(node**2, axis=tuple(range(-count, 0)), keepdims=True)
    out = node * power(square + float(eps), exponent=-0.5)
    return out if weight is None else out * weight


@works_on_arrays
def group_norm(
    x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Node:
    """Normalised over groups of channels: (N, C, …) (arXiv:1803.08494)."""
    node = lift(x)
    if node.ndim < 2 or node.shape[1] % num_groups:
        raise ArgumentError(
            "group_norm: the channels do not divide into groups",
            expected=f"(N, C, …) with C a multiple of {num_groups}",
            got=str(node.shape),
        )
    grouped = reshape(node, shape=(node.shape[0], num_groups, _rest(node, num_groups)))
    out = reshape(norm.standardise_op(grouped, axes=(-1,), eps=float(eps)), shape=node.shape)
    return _per_channel(out, weight, bias)


def _rest(node: Node, groups: int) -> int:
    return int(np.prod(node.shape[1:], dtype=np.int64)) // groups


def _per_channel(out: Node, weight: Any, bias: Any) -> Node:
    column = (-1,) + (1,) * (out.ndim - 2)
    out = out if weight is None else out * lift(weight).reshape(column)
    if bias is None:
        return out
    shift: Node = lift(bias).reshape(column)
    return out + shift


@works_on_arrays
def batch_norm(
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    eps: float = 1e-5,
) -> Node:
    """Normalised per channel: (N, C, …) (arXiv:1502.03167).

    In training by the mean and (biased) variance of the batch, which depend on x; in evaluation by
    the running ones. Running statistics are not changed here: a function has no side effects.
    """
    node = lift(x)
    if training:
        axes = (0, *range(2, node.ndim))
        return _per_channel(norm.standardise_op(node, axes=axes, eps=float(eps)), weight, bias)
    if running_mean is None or running_var is None:
        raise ArgumentError(
            "batch_norm needs running_mean and running_var in evaluation",
            todo="pass them, or training=True",
        )
    column = (-1,) + (1,) * (node.ndim - 2)
    deviation = power(lift(running_var) + float(eps), exponent=0.5).reshape(column)
    return _per_channel((node - lift(running_mean).reshape(column)) / deviation, weight, bias)


@works_on_arrays
def normalize(x: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Node:
    """X over its p-norm along ``dim``."""
    node = lift(x)
    if p == 2:
        length = power(sum_(node**2, axis=dim, keepdims=True), exponent=0.5)
    else:
        total = sum_(power(abs_(node), exponent=p), axis=dim, keepdims=True)
        length = power(total, exponent=1 / p)
    return node / maximum(length, eps)


@works_on_arrays
def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Node:
    """⟨x₁, x₂⟩ / (‖x₁‖ ‖x₂‖) along ``dim``."""
    a, b = lift(x1), lift(x2)
    lengths = [
        maximum(power(sum_(x**2, axis=dim, keepdims=False), exponent=0.5), eps) for x in (a, b)
    ]
    return sum_(a * b, axis=dim, keepdims=False) / (lengths[0] * lengths[1])


# -- attention -------------------------------------------------------------------------------------
@works_on_arrays
def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> Node:
    """softmax(q kᵀ / √d) v over any leading axes (arXiv:1706.03762).

    Args:
        query: (…, T, d).
        key: (…, S, d).
        value: (…, S, e).
        attn_mask: true where a query may look, or numbers added to the scores.
        is_causal: a query sees no later key.
        scale: instead of 1/√d.

    """
    q, k, v = lift(query), lift(key), lift(value)
    factor = float(scale) if scale is not None else float(1 / np.sqrt(q.shape[-1]))
    if attn_mask is None:
        return attention.attention_op(q, k, v, scale=factor, causal=bool(is_causal))
    mask = lift(attn_mask)
    scores = factor * (q @ k.mT)
    scores = where(mask, scores, -np.inf) if mask.dtype.kind == "b" else scores + mask
    if is_causal:
        scores = where(np.tri(q.shape[-2], k.shape[-2]) > 0, scores, -np.inf)
    return activation.softmax_op(scores, axis=-1) @ v


# -- losses ----------------------------------------------------------------------------------------
@works_on_arrays
def euclidean_loss(prediction: Any, target: Any) -> Node:
    """½ ‖prediction − target‖², a sum (lecture).

    >>> float(euclidean_loss(np.array([3.0, 1.0]), np.array([1.0, 1.0])))
    2.0
    """
    return loss.euclidean_loss(prediction, target)


@works_on_arrays
def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Node:  # noqa: A002
    """(input − target)², the mean over all elements as in PyTorch."""
    return reduced((lift(input) - target) ** 2, reduction)


@works_on_arrays
def l1_loss(input: Any, target: Any, reduction: str = "mean") -> Node:  # noqa: A002
    """|input − target|."""
    return reduced(abs_(lift(input) - target), reduction)


@works_on_arrays
def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Node:  # noqa: A002
    """½ e² where |e| < delta, else delta (|e| − ½ delta)."""
    error = lift(input) - target
    size = abs_(error)
    return reduced(where(size < delta, 0.5 * error**2, delta * (size - 0.5 * delta)), reduction)


@works_on_arrays
def smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Node:  # noqa: A002
    """Huber loss over beta; L1 loss for beta = 0."""
    if beta == 0:
        return lift(l1_loss(input, target, reduction))
    return lift(huber_loss(input, target, reduction, beta)) / beta


@works_on_arrays
def cross_entropy(
    input: Any,  # noqa: A002
    target: Any,
    weight: Any = None,
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

    >>> float(cross_entropy(np.zeros((1, 4)), np.array([2]))) == float(np.log(4))
    True

    """
    logits, goal = _classes_last(lift(input)), lift(target)
    classes = logits.shape[-1]
    if goal.is_float:
        goal = _classes_last(goal)
        counted: Any = None
    else:
        counted = (
            goal != ignore_index if np.any(goal.known("cross_entropy") == ignore_index) else None
        )
        goal = goal if counted is None else where(counted, goal, 0)
    if weight is None and not label_smoothing and counted is None:
        return _average(_plain_cross_entropy(logits, goal), reduction)
    hot = goal if goal.is_float else loss.one_hot_op(goal, classes=classes, dtype=logits.dtype)
    share = lift(1.0 if weight is None else weight)
    example = sum_(hot * share, axis=-1, keepdims=False)
    smooth = hot * (1 - label_smoothing) + label_smoothing / classes
    each = sum_(
        -smooth * share * activation.log_softmax_op(logits, axis=-1), axis=-1, keepdims=False
    )
    if counted is not None:
        each, example = each * counted, example * counted
    if reduction != "mean" or goal.is_float:
        return _average(each, reduction)
    return sum_(each, axis=None, keepdims=False) / sum_(example, axis=None, keepdims=False)


def _classes_last(x: Node) -> Node:
    if x.ndim < 3:
        return x
    return transpose(x, axes=(0, *range(2, x.ndim), 1))


def _plain_cross_entropy(logits: Node, goal: Node) -> Node:
    if not goal.is_float:
        return loss.cross_entropy_op(logits, goal)
    ones = goal.value is not None and bool(np.allclose(np.sum(goal.value, axis=-1), 1, atol=1e-6))
    return loss.soft_cross_entropy_op(logits, goal, normalised=ones and not goal.traces)


def _average(each: Node, reduction: str) -> Node:
    return each if each.shape == () and reduction in ("mean", "sum") else reduced(each, reduction)


@works_on_arrays
def nll_loss(input: Any, target: Any, reduction: str = "mean") -> Node:  # noqa: A002
    """−input[target]: (N, C) log-probabilities, class numbers (N,)."""
    log_p = lift(input)
    hot = loss.one_hot_op(target, classes=log_p.shape[-1], dtype=log_p.dtype)
    return reduced(-sum_(log_p * hot, axis=-1, keepdims=False), reduction)


@works_on_arrays
def binary_cross_entropy_with_logits(input: Any, target: Any, reduction: str = "mean") -> Node:  # noqa: A002
    """−t log σ(x) − (1 − t) log(1 − σ(x)), without overflow."""
    return reduced(loss.binary_cross_entropy(input, target), reduction)


@works_on_arrays
def binary_cross_entropy(input: Any, target: Any, reduction: str = "mean") -> Node:  # noqa: A002
    """−t log p − (1 − t) log(1 − p) for probabilities p."""
    p, t = lift(input), lift(target)
    return reduced(-(t * log(p) + (1.0 - t) * log(1.0 - p)), reduction)


@works_on_arrays
def kl_div(input: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Node:  # noqa: A002
    """Target (log target − input), ``input`` holding log-probabilities; 0 where target is 0.

    ``reduction="batchmean"`` divides the sum by the number of rows.
    """
    log_q, t = lift(input), lift(target)
    if log_target:
        each = exp(t) * (t - log_q)
    else:
        safe = where(t > 0.0, t, 1.0)
        each = where(t > 0.0, t * (log(safe) - log_q), 0.0)
    if reduction == "batchmean":
        return sum_(each, axis=None, keepdims=False) / float(log_q.shape[0])
    return reduced(each, reduction)
