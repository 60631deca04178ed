"""Convolution over images and sequences."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from operator import index
from typing import Any

from allbps.functional.common import Pair, Size, misused, one_row, pair, works_on_arrays
from allbps.ir import Node, lift
from allbps.ops import conv
from allbps.ops.shape import pad as pad_op
from allbps.ops.shape import reshape


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
    batched = kernel.ndim != 2
    single = batched and image.ndim == 3
    if single:
        image = reshape(image, shape=(1, *image.shape))
    attributes: dict[str, Any] = {
        "stride": pair(stride, "stride"),
        "dilation": pair(dilation, "dilation"),
        "groups": index(groups),
        "batched": batched,
    }
    if isinstance(padding, str):
        image, attributes["padding"] = _padded(image, kernel, padding, attributes)
    else:
        attributes["padding"] = pair(padding, "padding")
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
        raise misused(
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
    """Cross-correlation along one axis: (N, C, L) or (C, L) with (O, C / groups, l).

    Arguments and errors are those of ``conv2d``, with one number for each.

    >>> import numpy as np
    >>> conv1d(np.array([[1.0, 2.0, 3.0]]), np.array([[[1.0, -1.0]]]))
    array([[-1., -1.]])
    """
    signal, kernel = one_row(lift(input)), one_row(lift(weight))
    around = padding if isinstance(padding, str) else (0, padding)
    out = lift(conv2d(signal, kernel, bias, (1, stride), around, (1, dilation), groups))
    return reshape(out, shape=(*out.shape[:-2], out.shape[-1]))
