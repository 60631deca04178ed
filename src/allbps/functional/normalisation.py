"""Normalisation over features, groups, channels and batches."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from allbps.functional.common import Size, misfit, misused, works_on_arrays
from allbps.ir import Node, lift
from allbps.ops import norm
from allbps.ops.arithmetic import power
from allbps.ops.reduce import mean
from allbps.ops.shape import reshape


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

    >>> batch_norm(np.array([[1.0, 10.0], [3.0, 20.0]]), training=True).round(3)
    array([[-1., -1.],
           [ 1.,  1.]])

    """
    node = lift(input)
    if node.ndim < 2:
        raise misfit("batch_norm needs channels", expected="(N, C, …)", got=str(node.shape))
    if training:
        axes = (0, *range(2, node.ndim))
        if node.size == node.shape[1]:
            raise misfit(
                "batch_norm: one number per channel has no variance",
                expected="several examples or pixels",
                got=str(node.shape),
            )
        return _per_channel(norm.standardise_op(node, axes=axes, eps=float(eps)), weight, bias)
    if running_mean is None or running_var is None:
        raise misused(
            "batch_norm needs running_mean and running_var in evaluation",
            todo="pass them, or training=True",
        )
    deviation = power(_channels(running_var, node.ndim) + float(eps), exponent=0.5)
    return _per_channel((node - _channels(running_mean, node.ndim)) / deviation, weight, bias)
