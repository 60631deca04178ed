"""What each sign and function does to shapes and to numbers; each stands here once."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import allbps.functional as F
from allbps.formula.shapes import Link, MisfitError, Shape, Sizes
from allbps.ir import OPS
from allbps.ops.shapes import elementwise_float, same

SameShape = Callable[..., Shape]


@dataclass(frozen=True)
class Meaning:
    """A function of a formula.

    Attributes:
        takes: how many operands.
        shape: ``shape(sizes, *operands)``, the shape of the result; joins sizes that must be equal.
        compute: the numbers, of traced arrays.
        doc: what it is, for the list on the page.
    """

    takes: int
    shape: Callable[..., Shape]
    compute: Callable[..., Any]
    doc: str


# -- shapes ----------------------------------------------------------------------------------------
def unchanged(sizes: Sizes, x: Shape) -> Shape:
    """The operand's."""
    return x


def number(sizes: Sizes, *operands: Shape) -> Shape:
    """A single number."""
    return ()


def transposed(sizes: Sizes, x: Shape) -> Shape:
    """Rows and columns change places."""
    return x[::-1]


def together(sizes: Sizes, a: Shape, b: Shape) -> Shape:
    """Element by element; a number, a row or a column given as such is repeated."""
    if not a or not b:
        return a or b
    return tuple(_axis(sizes, m, n) for m, n in zip(a, b, strict=True))


def _axis(sizes: Sizes, m: int, n: int) -> int:
    if sizes.value(m) == 1:
        return n
    if sizes.value(n) != 1:
        sizes.join(m, n)
    return m


def product(sizes: Sizes, a: Shape, b: Shape) -> Shape:
    """(n, m) · (m, k) -> (n, k); a number multiplies every element."""
    if not a or not b:
        return a or b
    sizes.join(a[1], b[0])
    return a[0], b[1]


def equal(sizes: Sizes, a: Shape, b: Shape) -> Shape:
    """One number from two arrays of one shape."""
    if len(a) != len(b):
        raise MisfitError("a number and a matrix")
    for m, n in zip(a, b, strict=True):
        sizes.join(m, n)
    return ()


def windows(sizes: Sizes, image: Shape, kernel: Shape) -> Shape:
    """Valid cross-correlation: (h, w) under (k, l) -> (h − k + 1, w − l + 1)."""
    if not image or not kernel:
        raise MisfitError("a number, where a convolution needs two matrices")
    result = []
    for n, k in zip(image, kernel, strict=True):
        out = sizes.new()
        sizes.like(n, 4)
        sizes.like(k, 2)
        back = (lambda out, n, k: out + k - 1, lambda out, n, k: n - out + 1)
        sizes.links.append(Link(out, (n, k), lambda n, k: n - k + 1, back))
        result.append(out)
    return tuple(result)


def halved(sizes: Sizes, x: Shape) -> Shape:
    """Windows of two by two, side by side."""
    if not x:
        raise MisfitError("a number, where pooling needs a matrix")
    result = []
    for n in x:
        out = sizes.new()
        sizes.like(n, 4)
        sizes.links.append(Link(out, (n,), lambda n: n // 2, (lambda out, n: 2 * out,)))
        result.append(out)
    return tuple(result)


def widened(sizes: Sizes, x: Shape) -> Shape:
    """A row and a column more on every side."""
    result = []
    for n in x:
        out = sizes.new()
        sizes.links.append(Link(out, (n,), lambda n: n + 2, (lambda out, n: out - 2,)))
        result.append(out)
    return tuple(result)


# -- functions -------------------------------------------------------------------------------------
def _sum(x: Any) -> Any:
    return x.sum()


def _squared_norm(x: Any) -> Any:
    return (x * x).sum()


_STRUCTURED: Mapping[str, Meaning] = {
    "softmax": Meaning(1, unchanged, F.softmax, "softmax of each row"),
    "log_softmax": Meaning(1, unchanged, F.log_softmax, "its logarithm"),
    "sum": Meaning(1, number, _sum, "the sum of all elements"),
    "mean": Meaning(1, number, lambda x: x.mean(), "their mean"),
    "conv": Meaning(2, windows, F.conv2d, "the lecture's convolution, without flipping K"),
    "maxpool": Meaning(1, halved, lambda x: F.max_pool2d(x, 2), "the largest of each 2 × 2"),
    "avgpool": Meaning(1, halved, lambda x: F.avg_pool2d(x, 2), "the mean of each 2 × 2"),
    "pad": Meaning(1, widened, lambda x: F.pad(x, (1, 1, 1, 1)), "one row of zeros all around"),
    "euclidean": Meaning(2, equal, F.euclidean_loss, "½ ‖Y − T‖²"),
    "mse": Meaning(2, equal, F.mse_loss, "the mean squared error"),
}


@cache
def functions() -> Mapping[str, Meaning]:
    """Every function by its name in small letters: these, and the table's of one array."""
    found = dict(_STRUCTURED)
    for op in OPS.values():
        plain = op.shape in (same, elementwise_float) and len(op.names) == 1 and op.samples
        if plain and not op.samples[0].attrs and op.name not in ("neg", "identity"):
            found[op.name] = Meaning(1, unchanged, op, op.doc)
    return found | {"σ": found["sigmoid"], "ln": found["log"], "conv2d": found["conv"]}


def _power(exponent: str) -> Callable[[Any], Any]:
    value = float(exponent)
    return lambda x: x ** (int(value) if value == int(value) else value)


def _scaled_or_matmul(a: Any, b: Any) -> Any:
    return a * b if a.ndim == 0 or b.ndim == 0 else a @ b


_TIMES = Meaning(2, together, operator.mul, "element by element")
_PRODUCT = Meaning(2, product, _scaled_or_matmul, "the product of matrices")
SIGNS: Mapping[str, Meaning] = {
    "product": _PRODUCT,
    "@": _PRODUCT,
    "⊙": _TIMES,
    "∘": _TIMES,
    "·": _TIMES,
    "×": _TIMES,
    "*": _TIMES,
    "∗": _TIMES,
    "/": Meaning(2, together, operator.truediv, "element by element"),
    "+": Meaning(2, together, operator.add, "element by element"),
    "-": Meaning(2, together, operator.sub, "element by element"),
    "−": Meaning(2, together, operator.sub, "element by element"),
    "negative": Meaning(1, unchanged, operator.neg, "with the other sign"),
    "transpose": Meaning(1, transposed, lambda x: x.T, "the transpose"),
    "normsquared": Meaning(1, number, _squared_norm, "the sum of the squares"),
}
"""Kind of a part, or the sign between two operands -> what it means."""
AMBIGUOUS = {"*", "∗", "×", "·"}
"""Between two matrices these mean different things to different people."""


def power(exponent: str) -> Meaning:
    """Every element to a power."""
    return Meaning(1, unchanged, _power(exponent), "to a power")
