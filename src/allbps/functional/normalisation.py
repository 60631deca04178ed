"""Normalisation over features, groups, channels and batches."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from allbps.functional.common import Size, Updates, misfit, misused, works_on_arrays
from allbps.ir import Node, lift
from allbps.ops import norm, pool
from allbps.ops.arithmetic import power
from allbps.ops.reduce import mean, sum_
from allbps.ops.shape import detach, reshape
from allbps.ops.shape import pad as pad_op


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

    >>> layer_norm(np.array([[1.0, 3.0], [2.0, 2.0]]), 2, eps=1e-12)
    array([[-1.,  1.],
           [ 0.,  0.]])

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

    Args:
        input: (…, *normalized_shape).
        normalized_shape: as in ``layer_norm``.
        weight: of that shape.
        eps: added to the mean square; left out, it is the dtype's, as in PyTorch.

    Raises:
        ShapeError: ``input`` does not end in ``normalized_shape``.

    >>> rms_norm(np.array([1.0, 7.0]), 2).round(6)
    array([0.2, 1.4])

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
        raise misfit(
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

    Args:
        input: (N, C, …).
        num_groups: C is a multiple of it.
        weight: (C,).
        bias: (C,).
        eps: added to the variance.

    Raises:
        ShapeError: the channels do not divide into groups.

    >>> group_norm(np.array([[1.0, 3.0, 10.0, 20.0]]), 2).round(3)
    array([[-1.,  1., -1.,  1.]])

    """
    node = lift(input)
    if node.ndim < 2 or num_groups < 1 or node.shape[1] % num_groups:
        raise misfit(
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
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Zero mean and unit variance per channel: (N, C, …) (arXiv:1502.03167).

    In training by the mean and (biased) variance of the batch, which depend on the input; in
    evaluation by the running ones.

    Args:
        input: (N, C, …).
        running_mean: (C,). In training it is changed as in PyTorch, in the array that was given:
            (1 − momentum) times itself plus momentum times the mean of the batch.
        running_var: (C,); likewise, with the unbiased variance.
        weight: (C,).
        bias: (C,).
        training: by the batch's own statistics?
        momentum: the share of the batch in the running statistics.
        eps: added to the variance.

    Raises:
        ArgumentError: in evaluation, the running statistics are missing.
        ShapeError: no channels, or in training only one number per channel.
        InPlaceError: running statistics that a compiled function cannot write into.

    >>> batch_norm(np.array([[1.0, 10.0], [3.0, 20.0]]), training=True).round(3)
    array([[-1., -1.],
           [ 1.,  1.]])

    """
    node = lift(input)
    if not node.size:
        return node * 1.0
    if node.ndim < 2:
        raise misfit("batch_norm needs channels", expected="(N, C, …)", got=str(node.shape))
    if not training:
        running = _known(running_mean, running_var, "batch_norm")
        return _by_running(node, running, (weight, bias), eps)
    axes = (0, *range(2, node.ndim))
    if node.size == node.shape[1]:
        raise misfit(
            "batch_norm: one number per channel has no variance",
            expected="several examples or pixels",
            got=str(node.shape),
        )
    out = _per_channel(norm.standardise_op(node, axes=axes, eps=float(eps)), weight, bias)
    if running_mean is None and running_var is None:
        return out
    batch = _moments(node, axes)
    return Updates(out, _followed((running_mean, running_var), batch, float(momentum)))


def _known(mean_: Any, var: Any, name: str) -> tuple[Node, Node]:
    if mean_ is None or var is None:
        raise misused(
            f"{name} needs running_mean and running_var in evaluation",
            todo="pass them, or training=True" if name == "batch_norm" else "pass them",
        )
    return lift(mean_), lift(var)


def _by_running(x: Node, running: tuple[Node, Node], affine: Any, eps: float) -> Node:
    mean_, var = (_channels(statistic, x.ndim) for statistic in running)
    return _per_channel((x - mean_) / power(var + float(eps), exponent=0.5), *affine)


def _moments(x: Node, axes: tuple[int, ...]) -> tuple[Node, Node]:
    """Mean and unbiased variance over axes, as constants."""
    still = detach(x)
    centre = mean(still, axis=axes, keepdims=True)
    count = int(np.prod([x.shape[k] for k in axes]))
    var = sum_((still - centre) ** 2, axis=axes, keepdims=False) / max(count - 1, 1)
    return mean(still, axis=axes, keepdims=False), var


def _followed(running: Any, batch: tuple[Node, Node], momentum: float) -> dict[str, Node]:
    """What the running statistics become."""
    names = ("running_mean", "running_var")
    return {
        name: (1.0 - momentum) * lift(old) + momentum * new
        for name, old, new in zip(names, running, batch, strict=True)
        if old is not None
    }


@works_on_arrays
def instance_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Zero mean and unit variance per example and channel: (N, C, …) (arXiv:1607.08022).

    By the input's own statistics, or without ``use_input_stats`` by the running ones. Arguments and
    errors are otherwise those of ``batch_norm``; the running statistics follow the mean of those of
    the examples.

    >>> instance_norm(np.array([[[1.0, 3.0], [10.0, 20.0]]])).round(3)
    array([[[-1.,  1.],
            [-1.,  1.]]])
    """
    node = lift(input)
    if node.ndim < 3:
        raise misfit("instance_norm needs channels and pixels", expected="(N, C, …)",
                     got=str(node.shape))  # fmt: skip
    if not use_input_stats:
        running = _known(running_mean, running_var, "instance_norm")
        return _by_running(node, running, (weight, bias), eps)
    axes = tuple(range(2, node.ndim))
    if node.size == node.shape[0] * node.shape[1]:
        raise misfit(
            "instance_norm: one number per channel has no variance",
            expected="several pixels",
            got=str(node.shape),
        )
    out = _per_channel(norm.standardise_op(node, axes=axes, eps=float(eps)), weight, bias)
    if running_mean is None and running_var is None:
        return out
    of_examples = _moments(node, axes)
    batch = tuple(mean(moment, axis=0, keepdims=False) for moment in of_examples)
    return Updates(out, _followed((running_mean, running_var), (batch[0], batch[1]), momentum))


@works_on_arrays
def local_response_norm(
    input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Node:
    """The input over (k + alpha · mean of squares of ``size`` neighbouring channels)^beta.

    Source: Krizhevsky, Sutskever & Hinton, "ImageNet classification with deep convolutional neural
    networks", NIPS 2012, with a mean for the sum, as PyTorch has it.

    Args:
        input: (N, C, …); channels that do not exist count as 0.
        size: how many channels.
        alpha: their factor.
        beta: the exponent.
        k: what is added.

    Raises:
        ShapeError: fewer than three axes.
        ArgumentError: size is below 1.

    >>> local_response_norm(np.array([[[3.0]]]), 1, alpha=8 / 9, beta=0.5)
    array([[[1.]]])

    """
    node = lift(input)
    if node.ndim < 3:
        raise misfit("local_response_norm needs channels and pixels", expected="(N, C, …)",
                     got=str(node.shape))  # fmt: skip
    if size < 1:
        raise misused("size starts at 1", got=f"size={size!r}")
    pixels = int(np.prod(node.shape[2:], dtype=np.int64))
    planes = reshape(node**2, shape=(node.shape[0], node.shape[1], pixels))
    around = ((0, 0), (size // 2, (size - 1) // 2), (0, 0))
    if size > 1:
        planes = pad_op(planes, width=around)
    means = pool.avg_pool2d_op(planes, **pool.window((size, 1), (1, 1)))
    spread = reshape(means, shape=node.shape) * float(alpha) + float(k)
    return node / power(spread, exponent=float(beta))
