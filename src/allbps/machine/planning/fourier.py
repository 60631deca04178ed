"""Fourier transforms in compiled code: products with matrices of sines and cosines.

A length n = p q is done as p transforms of length q, a turn of each number, and q transforms of
length p (J. W. Cooley and J. W. Tukey, An algorithm for the machine calculation of complex Fourier
series, Mathematics of Computation 19, 1965), so that a transform of length n takes n · Σ factors
products instead of n².
"""

from __future__ import annotations

import math

import numpy as np

from allbps.errors import NoRuleError
from allbps.ir import Node, lift, user_site
from allbps.machine.planning.pairs import Pair
from allbps.ops.fourier import at, to_length
from allbps.ops.join import concatenate
from allbps.ops.shape import flip, reshape, transpose

SHORT = 96
"""Up to this length one matrix is faster than two."""
LONGEST_PRIME = 2048
"""The matrix of a longer transform would not fit a cache, and a prime length has no other way."""


def fft(z: Pair, axis: int, sign: int = -1) -> Pair:
    """Σ zⱼ exp(sign 2πi jk/n) along an axis.

    Raises:
        NoRuleError: the length has a prime factor above ``LONGEST_PRIME``.

    """
    ndim = z.some.ndim
    axis %= ndim
    to_last = (*(k for k in range(ndim) if k != axis), axis)
    back = tuple(int(k) for k in np.argsort(to_last))
    last = z.map(lambda part: transpose(part, axes=to_last))
    return _along_last(last, sign).map(lambda part: transpose(part, axes=back))


def rfft(z: Pair, axis: int) -> Pair:
    """The first half of ``fft``."""
    axis %= z.some.ndim
    made = fft(z, axis)
    n = made.some.shape[axis]
    return made.map(lambda part: at(part, axis, slice(0, n // 2 + 1)))


def ifft(z: Pair, axis: int) -> Pair:
    """The inverse of ``fft``."""
    made = fft(z, axis, 1)
    n = made.some.shape[axis]
    return made.map(lambda part: part / n)


def irfft(z: Pair, n: int, axis: int) -> Node:
    """The real numbers whose ``rfft`` this is: the other half holds conjugate numbers."""
    axis %= z.some.ndim
    half = z.map(lambda part: to_length(part, n // 2 + 1, axis))
    rest = half.map(lambda part: at(part, axis, slice(1, n - n // 2)))
    turned = rest.conj().map(lambda part: flip(part, axis=(axis,)))
    both = zip(half.full(), turned.full(), strict=True)
    whole = Pair(*(concatenate(a, b, axis=axis) for a, b in both))
    return ifft(whole, axis).full()[0]


# -- along the last axis ---------------------------------------------------------------------------
def _along_last(z: Pair, sign: int) -> Pair:
    shape, dtype = z.some.shape, z.some.dtype
    n = shape[-1]
    p = _factor(n)
    if p == 1:
        return _by_matrix(z, _turns(np.outer(np.arange(n), np.arange(n)), n, sign, dtype))
    q = n // p
    # j = j₁ p + j₂ and k = k₁ + q k₂:  (…, q of j₁, p of j₂) -> (…, p of j₂, q of j₁)
    grid = z.map(lambda part: _swapped(reshape(part, shape=(*shape[:-1], q, p))))
    inner = _along_last(grid, sign)  # (…, p of j₂, q of k₁)
    turned = inner * _turns(np.outer(np.arange(p), np.arange(q)), n, sign, dtype)
    outer = _along_last(turned.map(_swapped), sign)  # (…, q of k₁, p of k₂)
    return outer.map(lambda part: reshape(_swapped(part), shape=shape))


def _swapped(x: Node) -> Node:
    return transpose(x, axes=(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _factor(n: int) -> int:
    """What the length is divided by: the factor nearest to its root; 1 for one matrix."""
    if n <= SHORT:
        return 1
    found = next((p for p in range(math.isqrt(n), 1, -1) if n % p == 0), 1)
    if found == 1 and n > LONGEST_PRIME:
        raise NoRuleError(
            f"a Fourier transform of length {n} has no fast way in compiled code",
            where=str(user_site() or ""),
            got=f"the prime length {n}",
            todo=f"fill with zeros to a length like {1 << (n - 1).bit_length()}",
        )
    return found


def _turns(steps: np.ndarray, n: int, sign: int, dtype: np.dtype) -> Pair:
    """exp(sign 2πi steps / n), from angles below a whole turn."""
    angles = sign * 2 * np.pi * (steps % n) / n
    return Pair(lift(np.cos(angles).astype(dtype)), lift(np.sin(angles).astype(dtype)))


def _by_matrix(z: Pair, matrix: Pair) -> Pair:
    parts = [None if x is None else (x @ matrix.re, x @ matrix.im) for x in z.both]
    found = Pair(*parts[0]) if parts[0] is not None else Pair(None, None)
    if parts[1] is None:
        return found
    re, im = parts[1]
    return found + Pair(-im, re)
