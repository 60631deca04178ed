"""Arithmetic of complex numbers as pairs of real nodes: a real and an imaginary part."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from allbps.ir import NUMPY, Node, lift
from allbps.ops.index import getitem_by
from allbps.ops.join import concatenate
from allbps.ops.shape import broadcast_to


@dataclass(frozen=True, eq=False)
class Pair:
    """``re + i im``; None for a part that is 0 everywhere."""

    re: Node | None
    im: Node | None

    @property
    def both(self) -> tuple[Node | None, Node | None]:
        """Both parts."""
        return self.re, self.im

    def __add__(self, other: Pair) -> Pair:
        return Pair(_sum(self.re, other.re), _sum(self.im, other.im))

    def __neg__(self) -> Pair:
        return Pair(_negative(self.re), _negative(self.im))

    def __sub__(self, other: Pair) -> Pair:
        return self + -other

    def __mul__(self, other: Pair) -> Pair:
        return multilinear(lambda a, b: a * b, self, other)

    def conj(self) -> Pair:
        """``re − i im``."""
        return Pair(self.re, _negative(self.im))

    def map(self, f: Callable[[Node], Node]) -> Pair:
        """A linear function with real coefficients of both parts."""
        return Pair(*(None if x is None else f(x) for x in self.both))

    @property
    def some(self) -> Node:
        """A part that is there: it has the shape and dtype of both."""
        found = self.re if self.re is not None else self.im
        assert found is not None, "0 + 0i has no shape"
        return found

    def full(self) -> tuple[Node, Node]:
        """Both parts, zeros written out."""
        one = self.some
        zeros = broadcast_to(lift(one.dtype.type(0)), shape=one.shape)
        return (zeros if self.re is None else self.re), (zeros if self.im is None else self.im)


def _sum(a: Node | None, b: Node | None) -> Node | None:
    return b if a is None else a if b is None else a + b


def _negative(x: Node | None) -> Node | None:
    return None if x is None else -x


def multilinear(f: Callable[..., Node], *operands: Pair) -> Pair:
    """A function that is linear in each operand: Σ f(parts) i^(how many are imaginary)."""
    found: list[Node | None] = [None, None]
    for chosen in itertools.product((0, 1), repeat=len(operands)):
        parts = [x.both[k] for x, k in zip(operands, chosen, strict=True)]
        if any(part is None for part in parts):
            continue
        turns = sum(chosen) % 4
        term = f(*parts)
        found[turns % 2] = _sum(found[turns % 2], -term if turns >= 2 else term)
    return Pair(*found)


# -- functions of one number -----------------------------------------------------------------------
def divide(x: Pair, y: Pair) -> Pair:
    """Smith's algorithm, as NumPy divides: no square of y, which could be too large or too small.

    Robert L. Smith, Algorithm 116: Complex division, Communications of the ACM 5 (1962).
    """
    if y.im is None:
        return x.map(lambda part: part / y.re)
    (a, b), (c, d) = x.full(), y.full()
    first = NUMPY[np.abs](c) >= NUMPY[np.abs](d)
    large, small = _where(first, c, d), _where(first, d, c)
    ratio = small / large
    below = large + small * ratio
    over_re = _where(first, a + b * ratio, a * ratio + b)
    over_im = _where(first, b - a * ratio, b * ratio - a)
    return Pair(over_re / below, over_im / below)


def _where(condition: Node, a: Any, b: Any) -> Node:
    made: Node = NUMPY[np.where](condition, a, b)
    return made


def size(z: Pair) -> Node:
    """|z|."""
    made: Node = NUMPY[np.hypot](*z.full())
    return made


def angle(z: Pair) -> Node:
    """Arg z, in (−π, π]."""
    re, im = z.full()
    made: Node = NUMPY[np.arctan2](im, re)
    return made


_sin, _cos, _tan, _exp, _log = (NUMPY[f] for f in (np.sin, np.cos, np.tan, np.exp, np.log))
_sinh, _cosh, _tanh, _sqrt, _abs = (NUMPY[f] for f in (np.sinh, np.cosh, np.tanh, np.sqrt, np.abs))


def exp(z: Pair) -> Pair:
    """eᵃ (cos b + i sin b)."""
    if z.im is None:
        return z.map(_exp)
    turned = Pair(_cos(z.im), _sin(z.im))
    return turned if z.re is None else turned.map(lambda part: _exp(z.re) * part)


def log(z: Pair) -> Pair:
    """Log |z| + i arg z."""
    return Pair(_log(size(z)), angle(z))


def sqrt(z: Pair) -> Pair:
    """The root in the right half of the plane, without a difference of nearly equal numbers."""
    a, b = z.full()
    t = _sqrt((_abs(a) + size(z)) / 2)
    zero = t == 0
    half = b / _where(zero, a.dtype.type(1), 2 * t)
    right = a >= 0
    below = NUMPY[np.signbit](b)
    return Pair(_where(right, t, _abs(half)), _where(right, half, _where(below, -t, t)))


def sin(z: Pair) -> Pair:
    """Sin a cosh b + i cos a sinh b."""
    a, b = z.full()
    return Pair(_sin(a) * _cosh(b), _cos(a) * _sinh(b))


def cos(z: Pair) -> Pair:
    """Cos a cosh b − i sin a sinh b."""
    a, b = z.full()
    return Pair(_cos(a) * _cosh(b), -(_sin(a) * _sinh(b)))


def _turned(f: Callable[[Pair], Pair]) -> Callable[[Pair], Pair]:
    """−i f(i z): from a circular function to the hyperbolic one, or back."""

    def turned(z: Pair) -> Pair:
        found = f(Pair(_negative(z.im), z.re))
        return Pair(found.im, _negative(found.re))

    return turned


def cosh(z: Pair) -> Pair:
    """cos(i z)."""
    return cos(Pair(_negative(z.im), z.re))


def tanh(z: Pair) -> Pair:
    """(t (1 + s²) + i s (1 − t²)) / (1 + s² t²) for t = tanh a, s = tan b."""
    a, b = z.full()
    t, s = _tanh(a), _tan(b)
    below = 1 + (s * t) ** 2
    return Pair(t * (1 + s**2) / below, s * (1 - t) * (1 + t) / below)


sinh = _turned(sin)
tan = _turned(tanh)


def whole_power(z: Pair, n: int) -> Pair:
    """``z · z · …``, by squares."""
    found: Pair | None = None
    square, rest = z, abs(n)
    while rest:
        if rest % 2:
            found = square if found is None else found * square
        rest //= 2
        square = square * square if rest else square
    if found is None:
        re, _ = z.full()
        return Pair(broadcast_to(lift(re.dtype.type(1)), shape=re.shape), None)
    one = found.some.dtype.type(1)
    return found if n > 0 else divide(Pair(lift(one), None), found)


def power(z: Pair, n: Pair) -> Pair:
    """exp(n log z), and 1 where n is 0."""
    re, im = exp(n * log(z)).full()
    real, imaginary = n.full()
    zero, one = (real == 0) & (imaginary == 0), re.dtype.type(1)
    return Pair(_where(zero, one, re), _where(zero, one - one, im))


# -- matrices --------------------------------------------------------------------------------------
def in_blocks(f: Callable[..., Node], *matrices: Pair) -> Pair:
    """A function of matrices that holds for [[A, −B], [B, A]] in the place of A + i B."""

    def block(z: Pair) -> Node:
        a, b = z.full()
        rows = concatenate(a, -b, axis=a.ndim - 1), concatenate(b, a, axis=a.ndim - 1)
        return concatenate(*rows, axis=a.ndim - 2)

    made = f(*map(block, matrices))
    rows, columns = made.shape[-2] // 2, made.shape[-1] // 2
    left = slice(0, columns)
    ahead = (Ellipsis,)
    return Pair(
        getitem_by(made, (*ahead, slice(0, rows), left)),
        getitem_by(made, (*ahead, slice(rows, 2 * rows), left)),
    )
