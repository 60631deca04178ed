"""Convolution over sequences, images and volumes, and the transposed one."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from operator import index
from typing import Any, NamedTuple

from allbps.functional.common import (
    Size,
    misfit,
    misused,
    one_row,
    pair,
    several,
    works_on_arrays,
)
from allbps.ir import Node, lift
from allbps.ops import conv
from allbps.ops.index import getitem_by
from allbps.ops.join import joined
from allbps.ops.shape import dilate_op, flip, reshape, transpose
from allbps.ops.shape import pad as pad_op

Lengths = tuple[int, ...]


class _Window(NamedTuple):
    """How a kernel goes over an input: a number for each axis."""

    stride: Lengths
    padding: Lengths
    dilation: Lengths
    groups: int

    @property
    def axes(self) -> tuple[Lengths, Lengths, Lengths]:
        """Stride, padding and dilation."""
        return self.stride, self.padding, self.dilation


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

    >>> import numpy as np
    >>> conv2d(np.arange(9.0).reshape(3, 3), np.ones((2, 2)))
    array([[ 8., 12.],
           [20., 24.]])

    """
    image, kernel = lift(input), lift(weight)
    if kernel.ndim == 2:
        return _of_matrices(image, kernel, bias, (stride, padding, dilation, groups))
    return _layer(2, image, kernel, bias, (stride, padding, dilation, groups))


@works_on_arrays
def conv1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Node:
    """Cross-correlation along one axis: (N, C, L) or (C, L) with (O, C / groups, l).

    Arguments and errors are those of ``conv2d``, with one number for each.

    >>> import numpy as np
    >>> conv1d(np.array([[1.0, 2.0, 3.0]]), np.array([[[1.0, -1.0]]]))
    array([[-1., -1.]])
    """
    return _layer(1, lift(input), lift(weight), bias, (stride, padding, dilation, groups))


@works_on_arrays
def conv3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Node:
    """Cross-correlation of volumes: (N, C, D, H, W) or (C, D, H, W), (O, C / groups, d, h, w).

    Arguments and errors are those of ``conv2d``, with three numbers for each.

    >>> import numpy as np
    >>> float(conv3d(np.ones((1, 2, 2, 2)), np.ones((1, 1, 2, 2, 2))).item())
    8.0
    """
    return _layer(3, lift(input), lift(weight), bias, (stride, padding, dilation, groups))


@works_on_arrays
def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Node:
    """What δ of an input of ``conv1d`` is: (N, C, L) or (C, L) with (C, O / groups, l).

    Arguments and errors are those of ``conv_transpose2d``, with one number for each.

    >>> import numpy as np
    >>> conv_transpose1d(np.array([[1.0, 2.0]]), np.array([[[1.0, -1.0]]]), stride=2)
    array([[ 1., -1.,  2., -2.]])
    """
    window = (stride, padding, output_padding, groups, dilation)
    return _transposed(1, lift(input), lift(weight), bias, window)


@works_on_arrays
def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Node:
    """What δ of an image of ``conv2d`` is: each number of the input lays down a whole kernel.

    Args:
        input: (N, C, H, W) or (C, H, W).
        weight: (C, O / groups, h, w).
        bias: (O,).
        stride: step between the places where kernels are laid.
        padding: rows and columns cut off on each side.
        output_padding: rows and columns more at the end, fewer than stride or dilation.
        groups: channels are split into so many groups, each with kernels of its own.
        dilation: step between the elements of a kernel.

    Raises:
        ShapeError: channels do not fit.
        ArgumentError: a number that makes no sense.

    >>> import numpy as np
    >>> conv_transpose2d(np.ones((1, 1, 2)), np.ones((1, 1, 1, 2)))
    array([[[1., 2., 1.]]])

    """
    window = (stride, padding, output_padding, groups, dilation)
    return _transposed(2, lift(input), lift(weight), bias, window)


@works_on_arrays
def conv_transpose3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Node:
    """What δ of a volume of ``conv3d`` is: (N, C, D, H, W) or (C, D, H, W).

    Arguments and errors are those of ``conv_transpose2d``, with three numbers for each.

    >>> import numpy as np
    >>> conv_transpose3d(np.ones((1, 1, 1, 1)), np.ones((1, 1, 2, 2, 2))).shape
    (1, 2, 2, 2)
    """
    window = (stride, padding, output_padding, groups, dilation)
    return _transposed(3, lift(input), lift(weight), bias, window)


# -- the parts -------------------------------------------------------------------------------------
def _of_matrices(image: Node, kernel: Node, bias: Any, window: Any) -> Node:
    """The lecture's convolution of one image with one kernel."""
    stride, padding, dilation, groups = window
    plain = _Window(pair(stride, "stride"), (0, 0), pair(dilation, "dilation"), index(groups))
    image, around = _padded(image, kernel, padding, plain)
    attrs = plain._replace(padding=around)._asdict()
    out = conv.conv2d_op(image, kernel, **attrs, batched=False)
    return out if bias is None else out + lift(bias)


def _layer(n: int, x: Node, w: Node, bias: Any, window: Any) -> Node:
    """A convolution over n axes."""
    stride, padding, dilation, groups = window
    plain = _Window(
        several(stride, n, "stride"), (0,) * n, several(dilation, n, "dilation"), index(groups)
    )
    batch = _batch(f"conv{n}d", n, x, w)
    if plain.groups < 1 or batch.shape[1] != w.shape[1] * plain.groups or w.shape[0] % plain.groups:
        raise misfit(
            f"conv{n}d: the channels do not fit",
            expected=f"weight (O, {batch.shape[1]} / {groups}, …), O divisible by {groups}",
            got=f"input {x.shape} and weight {w.shape}, groups={groups}",
        )
    batch, around = _padded(batch, w, padding, plain)
    _refuse_larger(f"conv{n}d", batch, w, plain._replace(padding=around))
    out = _convolved(batch, w, plain._replace(padding=around))
    return _finished(out, bias, single=x.ndim == n + 1)


def _batch(name: str, n: int, x: Node, w: Node) -> Node:
    """The input with an axis of examples.

    Raises:
        ShapeError: another number of axes.

    """
    if x.ndim not in (n + 1, n + 2) or w.ndim != n + 2:
        axes = ("L",) if n == 1 else ("D", "H", "W")[3 - n :]
        raise misfit(
            f"{name} takes a batch and kernels",
            expected=f"input (N, C, {', '.join(axes)}) or (C, {', '.join(axes)}), weight of"
            f" {n + 2} axes",
            got=f"input {x.shape} and weight {w.shape}",
        )
    return reshape(x, shape=(1, *x.shape)) if x.ndim == n + 1 else x


def _refuse_larger(name: str, x: Node, w: Node, window: _Window) -> None:
    reach = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], window.dilation, strict=True)]
    room = [length + 2 * p for length, p in zip(x.shape[2:], window.padding, strict=True)]
    if any(k == 0 for k in w.shape[2:]) or any(r > m for r, m in zip(reach, room, strict=True)):
        raise misfit(
            f"{name}: the kernel is larger than the input",
            expected=f"one that reaches over at most {tuple(room)}",
            got=f"weight {w.shape}, dilation {window.dilation}",
        )


def _finished(out: Node, bias: Any, single: bool) -> Node:
    if bias is not None:
        shift = lift(bias)
        out = out + reshape(shift, shape=(*shift.shape, *(1 for _ in out.shape[2:])))
    return reshape(out, shape=out.shape[1:]) if single else out


def _padded(x: Node, w: Node, padding: Any, window: _Window) -> tuple[Node, Lengths]:
    """An input and a padding, also for ``"valid"`` and ``"same"``.

    An odd number of zeros has one more after the input than before it, as in PyTorch.
    """
    n = len(window.stride)
    if not isinstance(padding, str):
        return x, several(padding, n, "padding")
    if padding == "valid":
        return x, (0,) * n
    if padding != "same" or set(window.stride) != {1}:
        raise misused(
            "padding is a number, one for each axis, 'valid', or with stride 1 'same'",
            got=f"padding={padding!r}, stride={window.stride}",
        )
    zeros = [(k - 1) * d for k, d in zip(w.shape[-n:], window.dilation, strict=True)]
    if any(count % 2 for count in zeros):
        x = pad_op(x, width=((0, 0),) * (x.ndim - n) + tuple((0, m % 2) for m in zeros))
    return x, tuple(m // 2 for m in zeros)


def _convolved(x: Node, w: Node, window: _Window) -> Node:
    """(N, C, …) with (O, C / groups, …) over one, two or three axes: by ``conv2d`` always."""
    n = len(window.stride)
    if n == 2:
        return conv.conv2d_op(x, w, **window._asdict(), batched=True)
    if n == 1:
        (step,), (around,), (apart,) = window.axes
        row = _Window((1, step), (0, around), (1, apart), window.groups)
        out = _convolved(one_row(x), one_row(w), row)
        return reshape(out, shape=(*out.shape[:-2], out.shape[-1]))
    slices, depth = _depths(x, w.shape[2], window)
    kernel = reshape(w, shape=(w.shape[0], w.shape[1] * w.shape[2], *w.shape[3:]))
    plane = window._replace(
        stride=window.stride[1:], padding=window.padding[1:], dilation=window.dilation[1:]
    )
    out = _convolved(slices, kernel, plane)  # (N D', O, H', W')
    out = reshape(out, shape=(x.shape[0], depth, *out.shape[1:]))
    return transpose(out, axes=(0, 2, 1, 3, 4))


def _depths(x: Node, kernel: int, window: _Window) -> tuple[Node, int]:
    """The planes that a kernel's planes meet, as channels: (N D', C d, H, W) and D'."""
    step, around, apart = (lengths[0] for lengths in window.axes)
    if around:
        x = pad_op(x, width=((0, 0), (0, 0), (around, around), (0, 0), (0, 0)))
    n, channels, length, height, width = x.shape
    depth = (length - (kernel - 1) * apart - 1) // step + 1
    end, whole = (depth - 1) * step + 1, slice(None)
    planes = [
        getitem_by(x, (whole, whole, None, slice(k * apart, k * apart + end, step)))
        for k in range(kernel)
    ]
    met = joined(planes, axis=2)  # (N, C, d, D', H, W)
    met = transpose(met, axes=(0, 3, 1, 2, 4, 5))
    return reshape(met, shape=(n * depth, channels * kernel, height, width)), depth


def _transposed(n: int, x: Node, w: Node, bias: Any, given: Any) -> Node:
    """δ of the input of a convolution: zeros between its numbers, then the flipped kernel."""
    stride, padding, output_padding, groups, dilation = given
    batch = _batch(f"conv_transpose{n}d", n, x, w)
    step, around, after, apart = (
        several(value, n, name)
        for value, name in ((stride, "stride"), (padding, "padding"),
                            (output_padding, "output_padding"), (dilation, "dilation"))
    )  # fmt: skip
    groups = index(groups)
    _check_transposed(n, batch, w, groups, (step, around, after, apart))
    if set(step) != {1}:
        batch = dilate_op(batch, steps=(1, 1, *step))
    reach = [(k - 1) * d for k, d in zip(w.shape[2:], apart, strict=True)]
    width = tuple((r - p, r - p + more) for r, p, more in zip(reach, around, after, strict=True))
    if any(pair != (0, 0) for pair in width):
        batch = pad_op(batch, width=((0, 0), (0, 0), *width))
    turned = _exchanged(flip(w, axis=tuple(range(2, n + 2))), groups)
    out = _convolved(batch, turned, _Window((1,) * n, (0,) * n, apart, groups))
    return _finished(out, bias, single=x.ndim == n + 1)


def _check_transposed(n: int, x: Node, w: Node, groups: int, window: Any) -> None:
    step, around, after, apart = window
    if groups < 1 or x.shape[1] != w.shape[0] or w.shape[0] % groups:
        raise misfit(
            f"conv_transpose{n}d: the channels do not fit",
            expected=f"weight ({x.shape[1]}, O / {groups}, …), its channels divisible by {groups}",
            got=f"input {x.shape} and weight {w.shape}, groups={groups}",
        )
    if min(*step, *apart) < 1 or min(*around, *after) < 0:
        raise misused(
            "stride and dilation start at 1, padding and output_padding at 0",
            got=f"stride={step}, dilation={apart}, padding={around}, output_padding={after}",
        )
    if any(more >= max(s, d) for more, s, d in zip(after, step, apart, strict=True)):
        raise misused(
            "output_padding must be smaller than stride or dilation",
            got=f"output_padding={after}, stride={step}, dilation={apart}",
        )


def _exchanged(w: Node, groups: int) -> Node:
    """(C, O / groups, …) -> (O, C / groups, …), group by group."""
    rest = tuple(range(2, w.ndim))
    if groups == 1:
        return transpose(w, axes=(1, 0, *rest))
    inputs, outputs, *kernel = w.shape
    parts = reshape(w, shape=(groups, inputs // groups, outputs, *kernel))
    swapped = transpose(parts, axes=(0, 2, 1, *(k + 1 for k in rest)))
    return reshape(swapped, shape=(groups * outputs, inputs // groups, *kernel))
