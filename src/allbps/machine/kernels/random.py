"""Philox4x32-10 (Salmon et al., SC'11): four random words of 32 bits from a block's number.

``allbps.ops.random`` says what is drawn; the bits here are the same.
"""

from __future__ import annotations

from allbps.machine.language.words import (
    Bytes,
    Int,
    Ints,
    Reals,
    double,
    inline,
    kernel,
    lanes,
    real,
    select,
    unroll,
)

LOW = 0xFFFFFFFF


@inline
def _words(key: Ints, stream: Int, block: Int) -> tuple[Int, Int, Int, Int]:
    """The words of a block: of the seed key[0] at step key[1]."""
    seed, step = key[0], key[1]
    c0, c1, c2, c3 = block, stream, step & LOW, step >> 32
    k0, k1 = seed & LOW, seed >> 32
    for r in unroll(10):
        a, b = (k0 + r * 0x9E3779B9) & LOW, (k1 + r * 0xBB67AE85) & LOW
        p, q = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        high_p, high_q = (p >> 32) & LOW, (q >> 32) & LOW
        c0, c1, c2, c3 = high_q ^ c1 ^ a, q & LOW, high_p ^ c3 ^ b, p & LOW
    return c0, c1, c2, c3


@kernel
def bernoulli(
    Y: Bytes, key: Ints, stream: Int, threshold: Int, size: Int, lo: Int, hi: Int
) -> None:
    """Y (size): is a word below the threshold? Blocks lo..hi of four."""
    for block in lanes(lo, min(hi, size // 4)):
        w0, w1, w2, w3 = _words(key, stream, block)
        Y[4 * block] = select(w0 < threshold, 1, 0)
        Y[4 * block + 1] = select(w1 < threshold, 1, 0)
        Y[4 * block + 2] = select(w2 < threshold, 1, 0)
        Y[4 * block + 3] = select(w3 < threshold, 1, 0)
    last = size // 4
    if lo <= last < hi:
        w0, w1, w2, w3 = _words(key, stream, last)
        if size > 4 * last:
            Y[4 * last] = select(w0 < threshold, 1, 0)
        if size > 4 * last + 1:
            Y[4 * last + 1] = select(w1 < threshold, 1, 0)
        if size > 4 * last + 2:
            Y[4 * last + 2] = select(w2 < threshold, 1, 0)


@kernel
def uniform(Y: Reals, key: Ints, stream: Int, size: Int, lo: Int, hi: Int) -> None:
    """Y (size): numbers of 53 bits in [0, 1), two from each of the blocks lo..hi."""
    for block in lanes(lo, min(hi, size // 2)):
        w0, w1, w2, w3 = _words(key, stream, block)
        Y[2 * block] = _unit(w0, w1)
        Y[2 * block + 1] = _unit(w2, w3)
    last = size // 2
    if lo <= last < hi and size > 2 * last:
        w0, w1, w2, w3 = _words(key, stream, last)
        Y[2 * last] = _unit(w0, w1)


@inline
def _unit(high: Int, low: Int) -> float:
    return real((double(high >> 5) * 67108864.0 + double(low >> 6)) * 1.1102230246251565e-16)


@kernel
def uniform_single(Y: Reals, key: Ints, stream: Int, size: Int, lo: Int, hi: Int) -> None:
    """Y (size): numbers of 24 bits in [0, 1). Blocks lo..hi of four."""
    for block in lanes(lo, min(hi, size // 4)):
        w0, w1, w2, w3 = _words(key, stream, block)
        Y[4 * block] = _unit_single(w0)
        Y[4 * block + 1] = _unit_single(w1)
        Y[4 * block + 2] = _unit_single(w2)
        Y[4 * block + 3] = _unit_single(w3)
    last = size // 4
    if lo <= last < hi:
        w0, w1, w2, w3 = _words(key, stream, last)
        if size > 4 * last:
            Y[4 * last] = _unit_single(w0)
        if size > 4 * last + 1:
            Y[4 * last + 1] = _unit_single(w1)
        if size > 4 * last + 2:
            Y[4 * last + 2] = _unit_single(w2)


@inline
def _unit_single(word: Int) -> float:
    return real(double(word >> 8) * 5.960464477539063e-08)


@kernel
def next_step(key: Ints) -> None:
    """The numbers of the next step."""
    key[1] = key[1] + 1
