"""Pooling: windows of an image reduced to one number each."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.errors import ArgumentError, ShapeError
from allbps.ir import Aval, Bad, Formula, Node, Notation, Op, Rule, Sample, Zero
from allbps.mathematics import Math, write
from allbps.ops.conv import attributes, conv2d_op
from allbps.ops.shape import dilate_op, pad, reshape

Pair = tuple[int, int]


def windows_shape(
    x: Node, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, batched: bool
) -> tuple[int, ...]:
    """Shape of the pooled image; the last two axes are pooled.

    Raises:
        ShapeError: no window fits, or the operand is not an image.
        ArgumentError: a window, stride, padding or dilation that makes no sense.

    """
    if x.ndim not in ((3, 4) if batched else (2,)):
        raise ShapeError(
            "pooling takes a matrix or a batch of images",
            expected="{x} (H, W), (C, H, W) or (N, C, H, W)",
            got=f"{{x}} is {x.shape}",
        )
    if min(*kernel, *stride, *dilation) < 1 or min(padding) < 0:
        raise ArgumentError(
            "window, stride and dilation start at 1, padding at 0",
            got=f"kernel={kernel}, stride={stride}, padding={padding}, dilation={dilation}",
        )
    lengths = []
    for n, k, s, p, d in zip(x.shape[-2:], kernel, stride, padding, dilation, strict=True):
        reach = (k - 1) * d + 1
        if 2 * p > k:
            raise ArgumentError(
                "padding is more than half the window, so some windows would hold nothing",
                expected=f"at most {k // 2}",
                got=f"padding={padding} for kernel={kernel}",
            )
        if reach > n + 2 * p:
            raise ShapeError(
                "the window is larger than {x}",
                expected=f"a window that reaches over at most {n + 2 * p} elements",
                got=f"{{x}} is {x.shape}, padding {padding}; window {kernel}, dilation {dilation}",
            )
        lengths.append((n + 2 * p - reach) // s + 1)
        _refuse_windows_of_padding(n, lengths[-1], k, s, p, d)
    return (*x.shape[:-2], *lengths)


def _refuse_windows_of_padding(n: int, windows: int, k: int, s: int, p: int, d: int) -> None:
    """A dilated window may step over a small image and meet nothing but padding.

    Raises:
        ArgumentError: one does.

    """
    if p == 0 or d == 1:
        return
    places = np.arange(windows)[:, None] * s - p + np.arange(k) * d
    if not np.all(np.any((places >= 0) & (places < n), axis=1)):
        raise ArgumentError(
            "some windows would hold nothing but padding",
            expected=f"a window that meets one of {n} elements everywhere",
            got=f"kernel {k}, stride {s}, padding {p}, dilation {d}",
        )


# -- max pooling -----------------------------------------------------------------------------------
def pool_windows(
    x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, fill: Any = None
) -> Any:
    """The windows of an image: (…, H, W) -> (…, rows, columns, h, w).

    Padding holds ``fill``; left out, the lowest number there is, so that padding never wins.
    """
    if fill is None:
        fill = np.iinfo(x.dtype).min if x.dtype.kind in "iu" else -np.inf
    (top, left), (h, w) = padding, kernel
    x = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(top, top), (left, left)], constant_values=fill)
    rows = (x.shape[-2] - (h - 1) * dilation[0] - 1) // stride[0] + 1
    columns = (x.shape[-1] - (w - 1) * dilation[1] - 1) // stride[1] + 1
    i = np.arange(rows)[:, None] * stride[0] + np.arange(h) * dilation[0]
    j = np.arange(columns)[:, None] * stride[1] + np.arange(w) * dilation[1]
    return x[..., i[:, None, :, None], j[None, :, None, :]]


def max_pool2d(
    x: Any, kernel: Any, stride: Any, padding: Any = (0, 0), dilation: Any = (1, 1)
) -> Any:
    """The largest number of each window; padding never wins."""
    return np.max(pool_windows(x, kernel, stride, padding, dilation), axis=(-2, -1))


def winner_index(
    x: Any, kernel: Any, stride: Any, padding: Any = (0, 0), dilation: Any = (1, 1)
) -> Any:
    """Where each window's first maximum stands in the flattened image: (…, rows, columns)."""
    pixels = x.shape[-2] * x.shape[-1]
    image = np.arange(pixels).reshape(x.shape[-2:])
    # (…, rows, columns, h, w) and (rows, columns, h, w); padding is numbered after all pixels
    windows = pool_windows(x, kernel, stride, padding, dilation)
    places = pool_windows(image, kernel, stride, padding, dilation, pixels)
    size = kernel[0] * kernel[1]
    first = np.argmax(windows.reshape(*windows.shape[:-2], size), axis=-1)[..., None]
    places = np.broadcast_to(places, windows.shape).reshape(*windows.shape[:-2], size)
    found = np.take_along_axis(places, first, axis=-1)[..., 0]
    # where a window holds nothing but −∞ a pixel wins, not the padding
    return np.where(found < pixels, found, np.min(places, axis=-1))


def window(
    kernel: Pair,
    stride: Pair,
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    batched: bool = True,
) -> dict[str, Any]:
    """Attributes of a pooling operation."""
    return {
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "batched": batched,
    }


def options(attrs: Any) -> str:
    """The arguments that differ from their default."""
    text = f", {attrs['kernel']}, stride={attrs['stride']}"
    text += f", padding={attrs['padding']}" if attrs["padding"] != (0, 0) else ""
    return text + (f", dilation={attrs['dilation']}" if attrs["dilation"] != (1, 1) else "")


def torch_pool(
    operands: Any, attrs: Any, more: str = "", pick: str = "", function: str = "max_pool2d"
) -> str:
    """Text of a pooling in PyTorch, which takes a matrix as one image."""
    image = operands["x"] if attrs["batched"] else f"{operands['x']}[None]"
    text = f"torch.nn.functional.{function}({image}{options(attrs)}{more}){pick}"
    return text if attrs["batched"] else f"{text}[0]"


def torch_winner(operands: Any, attrs: Any) -> str:
    return torch_pool(operands, attrs, ", return_indices=True", "[1]")


def winner_shape(x: Node, **window: Any) -> Aval:
    return windows_shape(x, **window), np.dtype(np.int64)


def places_of(index: Any, x: tuple[int, ...], **window: Any) -> Any:
    """Row and column of each winner, counted from 1: ``(2, 2)``."""
    texts = np.empty(np.shape(index), object)
    for place, k in np.ndenumerate(index):
        row, column = divmod(int(k), x[-1])
        texts[place] = f"({row + 1}, {column + 1})"
    return texts


winner_index_op = Op(
    name="winner_index",
    doc="Where each pooling window has its first maximum, counted in the flattened image.",
    operands="x",
    shape=winner_shape,
    numpy=lambda operands, attrs: f"winner_index({operands['x']}{options(attrs)})",
    torch=torch_winner,
    helpers=(winner_index, pool_windows),
    rules=(Zero("a winner stays the winner under small changes"),),
    notation=Notation("argmax({x})", numerals=places_of),
    samples=(Sample(((4, 4),), window((2, 2), (2, 2), batched=False)),),
)


def scatter_to(g: Any, index: Any, size: Any) -> Any:
    """An image of zeros with each g added at its index: (…, rows, columns) -> (…, H, W)."""
    images, windows = int(np.prod(g.shape[:-2])), g.shape[-2] * g.shape[-1]
    flat = np.zeros((images, size[0] * size[1]), g.dtype)
    rows = np.arange(images)[:, None]
    np.add.at(flat, (rows, index.reshape(images, windows)), g.reshape(images, windows))
    return flat.reshape(*g.shape[:-2], *size)


def d_scatter_to(g: Node, y: Node, values: Node, index: Node, size: Pair) -> Node:
    return gather_from_op(g, index)


def scatter_shape(values: Node, index: Node, size: Pair) -> Aval:
    return (*values.shape[:-2], *size), values.dtype


def draw_index(rng: np.random.Generator) -> Any:
    return np.array([[0, 5], [5, 11]])


scatter_to_op = Op(
    name="scatter_to",
    doc="An image of zeros with each value added at its index: the adjoint of gather_from.",
    operands="values index",
    shape=scatter_shape,
    numpy="scatter_to({values}, {index}, {size})",
    torch=lambda operands, attrs: (
        f"{operands['values']}.new_zeros(*{operands['values']}.shape[:-2],"
        f" {attrs['size'][0] * attrs['size'][1]}).scatter_add(-1, {operands['index']}.flatten(-2),"
        f" {operands['values']}.flatten(-2)).unflatten(-1, {attrs['size']})"
    ),
    jax=lambda operands, attrs: (
        f"jax.vmap(lambda v, i: jnp.zeros({attrs['size']}, v.dtype).ravel().at[i.ravel()]"
        f".add(v.ravel()))({operands['values']}.reshape(-1, *{operands['values']}.shape[-2:]),"
        f" {operands['index']}.reshape(-1, *{operands['index']}.shape[-2:]))"
        f".reshape(*{operands['values']}.shape[:-2], *{attrs['size']})"
    ),
    helpers=(scatter_to,),
    rules=(Rule(d_scatter_to, '"each value goes to one place"'), Zero("an index")),
    notation=Notation('{values} if "at" {index}, else 0'),
    samples=(Sample(((2, 2), draw_index), {"size": (3, 4)}),),
)


def gather_from(x: Any, index: Any) -> Any:
    """The pixels at an index: (…, H, W) -> (…, rows, columns)."""
    flat = x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1])
    places = index.reshape(*index.shape[:-2], index.shape[-2] * index.shape[-1])
    return np.take_along_axis(flat, places, axis=-1).reshape(index.shape)


def d_gather_from(g: Node, y: Node, x: Node, index: Node) -> Node:
    return scatter_to_op(g, index, size=x.shape[-2:])


def gather_shape(x: Node, index: Node) -> Aval:
    return index.shape, x.dtype


gather_from_op = Op(
    name="gather_from",
    doc="The pixels of an image at an index into its flattened form.",
    operands="x index",
    shape=gather_shape,
    numpy="gather_from({x}, {index})",
    torch="{x}.flatten(-2).gather(-1, {index}.flatten(-2)).reshape({index}.shape)",
    helpers=(gather_from,),
    rules=(Rule(d_gather_from, '"each element of" {y} "is one pixel of" {x}'), Zero("an index")),
    notation=Notation("{x}[{index}]"),
    samples=(Sample(((3, 4), draw_index)),),
)


def d_max_pool2d(g: Node, y: Node, x: Node, **window: Any) -> Node:
    return scatter_to_op(g, winner_index_op(x, **window), size=x.shape[-2:])


def winners(x: Any, **window: Any) -> Any:
    """Which elements win a window; ``batched`` is a matter of shapes alone."""
    geometry = {key: value for key, value in window.items() if key != "batched"}
    found = np.zeros((*x.shape[:-2], x.shape[-2] * x.shape[-1]), bool)
    index = winner_index(x, **geometry)
    np.put_along_axis(found, index.reshape(*index.shape[:-2], -1), True, axis=-1)
    return found.reshape(x.shape)


def pool_shape(x: Node, **window: Any) -> Aval:
    return windows_shape(x, **window), x.dtype


max_pool2d_op = Op(
    name="max_pool2d",
    doc="The largest number of each window; in a tie the first in row-major order gets the δ.",
    operands="x",
    shape=pool_shape,
    numpy=lambda operands, attrs: f"max_pool2d({operands['x']}{options(attrs)})",
    torch=torch_pool,
    helpers=(max_pool2d, pool_windows),
    rules=(Rule(d_max_pool2d, '∂{y}/∂{x} = 1 if "at the first maximum of each window", else 0'),),
    notation=Notation("maxpool({x})", marked=winners),
    samples=(
        Sample(((4, 4),), window((2, 2), (2, 2), batched=False)),
        Sample(((2, 3, 5, 6),), window((3, 2), (2, 1), (1, 1))),
        Sample(((1, 2, 7, 7),), window((2, 3), (1, 2), (0, 1), (2, 2))),
    ),
    bad=(
        Bad(
            ((2, 2),),
            "the window is larger than x\n"
            "  expected: a window that reaches over at most 2 elements\n"
            "  got:      x is (2, 2), padding (0, 0); window (3, 3), dilation (1, 1)",
            window((3, 3), (1, 1), batched=False),
        ),
        Bad(
            ((4, 4),),
            "padding is more than half the window, so some windows would hold nothing\n"
            "  expected: at most 1\n"
            "  got:      padding=(2, 2) for kernel=(2, 2)",
            window((2, 2), (2, 2), (2, 2), batched=False),
        ),
        Bad(
            ((2, 5),),
            "some windows would hold nothing but padding\n"
            "  expected: a window that meets one of 2 elements everywhere\n"
            "  got:      kernel 2, stride 1, padding 1, dilation 3",
            window((2, 2), (1, 1), (1, 0), (3, 1), batched=False),
        ),
    ),
)


# -- average pooling -------------------------------------------------------------------------------
def avg_pool2d(x: Any, kernel: Any, stride: Any, padding: Any = (0, 0)) -> Any:
    """The mean of each window; padding counts as zeros."""
    return np.mean(pool_windows(x, kernel, stride, padding, (1, 1), 0), axis=(-2, -1))


def d_avg_pool2d(g: Node, y: Node, x: Node, **window: Any) -> Node:
    """A pixel gets the mean of the δ of the windows it is in: average pooling of the padded δy."""
    kernel, stride, padding = window["kernel"], window["stride"], window["padding"]
    if stride != (1, 1):
        g = dilate_op(g, steps=(1,) * (g.ndim - 2) + stride)
    lengths = zip(x.shape[-2:], g.shape[-2:], kernel, padding, strict=True)
    width = tuple((k - 1 - p, n + p - m) for n, m, k, p in lengths)
    if width != ((0, 0), (0, 0)):
        g = pad(g, width=((0, 0),) * (g.ndim - 2) + width)
    step_by_step = {**window, "stride": (1, 1), "padding": (0, 0)}
    return avg_pool2d_op(g, **step_by_step)


def avg_pool_shape(x: Node, **window: Any) -> Aval:
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
    return windows_shape(x, **window), dtype


def avg_pool_because(x: Formula, y: Formula, **window: Any) -> Math:
    n = window["kernel"][0] * window["kernel"][1]
    said = "for the numbers of each window"
    return write(f'∂{{y}}/∂{{x}} = 1/{n} if "{said}", else 0', x=x, y=y)


avg_pool2d_op = Op(
    name="avg_pool2d",
    doc="The mean of each window; padding counts as zeros.",
    operands="x",
    shape=avg_pool_shape,
    numpy=lambda operands, attrs: f"avg_pool2d({operands['x']}{options(attrs)})",
    torch=lambda operands, attrs: torch_pool(operands, attrs, function="avg_pool2d"),
    helpers=(avg_pool2d, pool_windows),
    rules=(Rule(d_avg_pool2d, avg_pool_because),),
    notation=Notation("avgpool({x})"),
    expand=lambda x, kernel, stride, padding, dilation, batched: convolved_with_shares(
        x, kernel, stride, padding
    ),
    samples=(
        Sample(((4, 4),), window((2, 2), (2, 2), batched=False)),
        Sample(((2, 3, 5, 6),), window((3, 2), (2, 1), (1, 1))),
        Sample(((2, 6, 7),), window((2, 3), (3, 2))),
    ),
    bad=(
        Bad(
            ((4, 4),),
            "window, stride and dilation start at 1, padding at 0\n"
            "  got:      kernel=(2, 2), stride=(0, 1), padding=(0, 0), dilation=(1, 1)",
            window((2, 2), (0, 1), batched=False),
        ),
        Bad(
            ((4,),),
            "pooling takes a matrix or a batch of images\n"
            "  expected: x (H, W), (C, H, W) or (N, C, H, W)\n"
            "  got:      x is (4,)",
            window((2, 2), (2, 2)),
        ),
    ),
)


def convolved_with_shares(x: Node, kernel: Pair, stride: Pair, padding: Pair) -> Node:
    """Average pooling as the convolution of each channel with a kernel of equal shares."""
    shares = np.full((1, 1, *kernel), 1 / (kernel[0] * kernel[1]), x.dtype)
    channels = reshape(x, shape=(int(np.prod(x.shape[:-2])), 1, *x.shape[-2:]))
    pooled = conv2d_op(channels, shares, **attributes(stride=stride, padding=padding))
    return reshape(pooled, shape=(*x.shape[:-2], *pooled.shape[-2:]))
