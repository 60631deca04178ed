"""Convolution as nets mean it: valid cross-correlation, the lecture's ``*``."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.errors import ArgumentError, ShapeError
from allbps.ir import Aval, Bad, Formula, Node, Notation, Op, Rule, Sample, promote
from allbps.mathematics import Math, write
from allbps.mathematics.tree import Matrix
from allbps.ops.shape import dilate_op, flip, pad, reshape, transpose

Pair = tuple[int, int]


def conv2d(
    x: Any,
    w: Any,
    stride: Any = (1, 1),
    padding: Any = (0, 0),
    dilation: Any = (1, 1),
    groups: Any = 1,
) -> Any:
    """Cross-correlation: (N, C, H, W) with (O, C / groups, h, w), or (H, W) with (h, w)."""
    if x.ndim == 2:
        return conv2d(x[None, None], w[None, None], stride, padding, dilation, groups)[0, 0]
    (top, left), (h, w_) = padding, w.shape[2:]
    x = np.pad(x, ((0, 0), (0, 0), (top, top), (left, left)))
    span = ((h - 1) * dilation[0] + 1, (w_ - 1) * dilation[1] + 1)
    # windows: (N, C, rows, columns, h, w)
    windows = np.lib.stride_tricks.sliding_window_view(x, span, axis=(2, 3))
    windows = windows[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    outputs = []
    for part, kernel in zip(np.split(windows, groups, 1), np.split(w, groups, 0), strict=True):
        # (N, C/G, rows, columns, h, w) · (O/G, C/G, h, w) -> (N, rows, columns, O/G)
        outputs.append(np.tensordot(part, kernel, axes=([1, 4, 5], [1, 2, 3])))
    return np.moveaxis(np.concatenate(outputs, axis=-1), -1, 1)


# -- the two rules ---------------------------------------------------------------------------------
def d_conv2d_x(
    g: Node,
    y: Node,
    x: Node,
    w: Node,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    batched: bool,
) -> Node:
    """δI = pad(δJ) * flip(K), with the stride undone by zeros between the elements of δJ."""
    if stride != (1, 1):
        g = dilate_op(g, steps=(1,) * (g.ndim - 2) + stride)
    width = ((0, 0),) * (g.ndim - 2) + tuple(
        _around(n, m, (k - 1) * d, p)
        for n, m, k, d, p in zip(
            x.shape[-2:], g.shape[-2:], w.shape[-2:], dilation, padding, strict=True
        )
    )
    if any(pair != (0, 0) for pair in width):
        g = pad(g, width=width)
    turned = flip(w, axis=(w.ndim - 2, w.ndim - 1))
    if batched:
        turned = _exchange_channels(turned, groups)
    return conv2d_op(
        g, turned, stride=(1, 1), padding=(0, 0), dilation=dilation, groups=groups, batched=batched
    )


def _around(length: int, delta: int, reach: int, padding: int) -> Pair:
    """Zeros before and after δJ along one axis; what no window reached gets zeros as well."""
    before = reach - padding
    return before, length + reach - delta - before


def _exchange_channels(w: Node, groups: int) -> Node:
    """(O, C/G, h, w) -> (C, O/G, h, w): inputs become outputs, group by group."""
    if groups == 1:
        return transpose(w, axes=(1, 0, 2, 3))
    o, c, h, k = w.shape
    parts = reshape(w, shape=(groups, o // groups, c, h, k))
    return reshape(transpose(parts, axes=(0, 2, 1, 3, 4)), shape=(groups * c, o // groups, h, k))


def d_conv2d_w(
    g: Node,
    y: Node,
    x: Node,
    w: Node,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    batched: bool,
) -> Node:
    """δK = I * δJ, with stride and dilation exchanged; examples take the place of channels."""
    if batched:
        x, g = _examples_as_channels(x, groups), transpose(g, axes=(1, 0, 2, 3))
    full = conv2d_op(
        x, g, stride=dilation, padding=padding, dilation=stride, groups=groups, batched=batched
    )
    if batched:  # (C/G, O, h, w) -> (O, C/G, h, w)
        full = transpose(full, axes=(1, 0, 2, 3))
    # a stride may leave rows over, which would give the kernel more rows than it has
    surplus = tuple((0, n - m) for n, m in zip(w.shape, full.shape, strict=True))
    return full if full.shape == w.shape else pad(full, width=surplus)


def _examples_as_channels(x: Node, groups: int) -> Node:
    """(N, C, H, W) -> (C/G, G N, H, W): channel c of group γ stands at row c, block γ."""
    n, c, h, w = x.shape
    if groups == 1:
        return transpose(x, axes=(1, 0, 2, 3))
    parts = reshape(x, shape=(n, groups, c // groups, h, w))
    return reshape(transpose(parts, axes=(2, 1, 0, 3, 4)), shape=(c // groups, groups * n, h, w))


# -- shapes ----------------------------------------------------------------------------------------
def conv2d_shape(
    x: Node, w: Node, stride: Pair, padding: Pair, dilation: Pair, groups: int, batched: bool
) -> Aval:
    if (x.ndim, w.ndim) != ((4, 4) if batched else (2, 2)):
        raise ShapeError(
            "conv2d takes two matrices, or a batch of images and kernels",
            expected="{x} (H, W) and {w} (h, w); or {x} (N, C, H, W) and {w} (O, C / groups, h, w)",
            got=f"{{x}} is {x.shape} and {{w}} is {w.shape}",
        )
    _positive(stride, dilation, padding, groups)
    if batched:
        _channels(x, w, groups)
    lengths = []
    for n, k, s, p, d in zip(x.shape[-2:], w.shape[-2:], stride, padding, dilation, strict=True):
        reach = (k - 1) * d + 1
        if k == 0 or reach > n + 2 * p:
            raise ShapeError(
                "the kernel {w} is larger than its input {x}",
                expected=f"a kernel that reaches over at most {n + 2 * p} elements",
                got=f"{{x}} is {x.shape}, padding {padding}; {{w}} is {w.shape},"
                f" dilation {dilation}",
            )
        lengths.append((n + 2 * p - reach) // s + 1)
    front = (x.shape[0], w.shape[0]) if batched else ()
    return (*front, *lengths), promote(x, w)


def _positive(stride: Pair, dilation: Pair, padding: Pair, groups: int) -> None:
    if min(*stride, *dilation, groups) < 1 or min(padding) < 0:
        raise ArgumentError(
            "stride, dilation and groups start at 1, padding at 0",
            got=f"stride={stride}, dilation={dilation}, padding={padding}, groups={groups}",
        )


def _channels(x: Node, w: Node, groups: int) -> None:
    if x.shape[1] != w.shape[1] * groups or w.shape[0] % groups:
        raise ShapeError(
            "the channels of {x} and {w} do not fit",
            expected=f"{{w}} of shape (O, {x.shape[1]} / {groups}, h, w), O divisible by {groups}",
            got=f"{{x}} is {x.shape} and {{w}} is {w.shape}, groups={groups}",
        )


# -- the declaration -------------------------------------------------------------------------------
def conv2d_notation(x: Formula, w: Formula, padding: Pair, **attrs: Any) -> Math:
    """``x * w``, ``pad(x) * w``, and in numbers the padded image itself."""
    if padding == (0, 0):
        return write("{x} * {w}", x=x, w=w)
    if isinstance(x.math, Matrix):
        (top, left), front = padding, [(0, 0)] * (np.ndim(x.math.values) - 2)
        around = [*front, (top, top), (left, left)]
        texts = np.pad(np.asarray(x.math.values, object), around, constant_values="0")
        return write("{x} * {w}", x=Formula(Matrix(texts)), w=w)
    return write("pad({x}) * {w}", x=x, w=w)


def because_x(
    x: Formula, w: Formula, y: Formula, stride: Pair, padding: Pair, dilation: Pair, **attrs: Any
) -> Math:
    """∂J(i, j)/∂I(p, q) = K(p−i+1, q−j+1) where that is an element of K, else 0."""
    kernel = w.shape[-2:]
    if max(dilation) > 1:
        met = ' "and" '.join(
            f"{at} = {_affine((s, out), (d, tap), 1 - s - d - p)}"
            for at, out, tap, s, p, d in zip(
                "pq", "ij", "lm", stride, padding, dilation, strict=True
            )
        )
        return _element(x, w, y, f"{{w}}({_channels_of(w)}l, m) if {met}, else 0", **attrs)
    places = [
        _affine((1, at), (-s, out), s + p)
        for at, out, s, p in zip("pq", "ij", stride, padding, strict=True)
    ]
    inside = ' "and" '.join(
        f"0 ≤ {_affine((1, at), (-s, out), s + p - 1)} ≤ {k - 1}"
        for at, out, s, p, k in zip("pq", "ij", stride, padding, kernel, strict=True)
    )
    return _element(
        x, w, y, f"{{w}}({_channels_of(w)}{', '.join(places)}) if {inside}, else 0", **attrs
    )


def because_w(
    x: Formula, w: Formula, y: Formula, stride: Pair, padding: Pair, dilation: Pair, **attrs: Any
) -> Math:
    """∂J(i, j)/∂K(p, q) = I(i+p−1, j+q−1), of the padded image."""
    source = "pad({x})" if padding != (0, 0) else "{x}"
    places = ", ".join(
        _affine((s, out), (d, at), 1 - s - d)
        for out, at, s, d in zip("ij", "pq", stride, dilation, strict=True)
    )
    front = "n, c, " if len(x.shape) == 4 else ""
    return _element(x, w, y, f"{source}({front}{places})", of_kernel=True, **attrs)


def _element(
    x: Formula, w: Formula, y: Formula, slope: str, groups: int, batched: bool,
    of_kernel: bool = False,
) -> Math:  # fmt: skip
    """∂ of one element of the output by one of the image or the kernel."""
    by = "{w}(o, c, p, q)" if of_kernel else "{x}(n, c, p, q)"
    top, low = (
        ("{y}(n, o, i, j)", by)
        if batched
        else ("{y}(i, j)", by.replace("n, c, ", "").replace("o, c, ", ""))
    )
    said = f"∂{top}/∂{low} = {slope}"
    if groups > 1:
        said += ', "with" c "counted in the group of" o'
    return write(said, x=x, y=y, w=w)


def _channels_of(w: Formula) -> str:
    return "o, c, " if len(w.shape) == 4 else ""


def _affine(first: tuple[int, str], second: tuple[int, str], rest: int) -> str:
    """``i+p−1``, ``p−2i+3``."""
    text = ""
    for factor, letter in (first, second):
        sign = "−" if factor < 0 else "+" if text else ""
        text += f"{sign}{abs(factor) if abs(factor) > 1 else ''}{letter}"
    return text + (f"{'+' if rest > 0 else '−'}{abs(rest)}" if rest else "")


def options(attrs: Any) -> str:
    """The arguments that differ from their default, as a person would write them."""
    default = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    return "".join(f", {key}={attrs[key]}" for key, usual in default.items() if attrs[key] != usual)


def conv2d_code(operands: Any, attrs: Any) -> str:
    return f"conv2d({operands['x']}, {operands['w']}{options(attrs)})"


def conv2d_torch(operands: Any, attrs: Any) -> str:
    x, w, function = operands["x"], operands["w"], "torch.nn.functional.conv2d"
    if attrs["batched"]:
        return f"{function}({x}, {w}{options(attrs)})"
    return f"{function}({x}[None, None], {w}[None, None]{options(attrs)})[0, 0]"


def conv2d_jax(operands: Any, attrs: Any) -> str:
    x, w = operands["x"], operands["w"]
    if not attrs["batched"]:
        x, w = f"{x}[None, None]", f"{w}[None, None]"
    (p, q), stride, dilation = attrs["padding"], attrs["stride"], attrs["dilation"]
    text = (
        f"jax.lax.conv_general_dilated({x}, {w}, window_strides={stride}, padding=(({p}, {p}),"
        f" ({q}, {q})), rhs_dilation={dilation}, feature_group_count={attrs['groups']})"
    )
    return text if attrs["batched"] else f"{text}[0, 0]"


def attributes(batched: bool = True, **changed: Any) -> dict[str, Any]:
    """Attributes of a convolution, defaults where none are given."""
    usual = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    return {**usual, "batched": batched, **changed}


conv2d_op = Op(
    name="conv2d",
    alike=True,
    doc="Valid cross-correlation of (N, C, H, W) with (O, C / groups, h, w), or of two matrices.",
    operands="x w",
    shape=conv2d_shape,
    numpy=conv2d_code,
    torch=conv2d_torch,
    jax=conv2d_jax,
    helpers=(conv2d,),
    rules=(
        Rule(d_conv2d_x, because_x),
        Rule(d_conv2d_w, because_w),
    ),
    notation=Notation(conv2d_notation),
    samples=(
        Sample(((4, 5), (2, 3)), attributes(batched=False)),
        Sample(((4, 4), (3, 3)), attributes(batched=False, padding=(1, 1))),
        Sample(((2, 3, 5, 6), (4, 3, 2, 3)), attributes()),
        Sample(((2, 3, 6, 7), (4, 3, 2, 3)), attributes(stride=(2, 3), padding=(1, 0))),
        Sample(((1, 2, 7, 7), (3, 2, 3, 2)), attributes(dilation=(2, 3), padding=(1, 1))),
        Sample(((2, 4, 5, 5), (6, 2, 2, 2)), attributes(groups=2, stride=(2, 1))),
    ),
    bad=(
        Bad(
            ((2, 2), (3, 3)),
            "the kernel w is larger than its input x\n"
            "  expected: a kernel that reaches over at most 2 elements\n"
            "  got:      x is (2, 2), padding (0, 0); w is (3, 3), dilation (1, 1)",
            attributes(batched=False),
        ),
        Bad(
            ((1, 3, 4, 4), (2, 2, 3, 3)),
            "the channels of x and w do not fit\n"
            "  expected: w of shape (O, 3 / 1, h, w), O divisible by 1\n"
            "  got:      x is (1, 3, 4, 4) and w is (2, 2, 3, 3), groups=1",
            attributes(),
        ),
        Bad(
            ((3,), (3, 3)),
            "conv2d takes two matrices, or a batch of images and kernels\n"
            "  expected: x (H, W) and w (h, w); or x (N, C, H, W) and w (O, C / groups, h, w)\n"
            "  got:      x is (3,) and w is (3, 3)",
            attributes(),
        ),
        Bad(
            ((1, 4, 4, 4), (3, 2, 3, 3)),
            "the channels of x and w do not fit\n"
            "  expected: w of shape (O, 4 / 2, h, w), O divisible by 2\n"
            "  got:      x is (1, 4, 4, 4) and w is (3, 2, 3, 3), groups=2",
            attributes(groups=2),
        ),
        Bad(
            ((4, 4), (3, 3)),
            "stride, dilation and groups start at 1, padding at 0\n"
            "  got:      stride=(0, 1), dilation=(1, 1), padding=(0, 0), groups=1",
            attributes(batched=False, stride=(0, 1)),
        ),
    ),
)
