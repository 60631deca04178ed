"""Examples of a mini-batch, fetched from a data set by number."""

from __future__ import annotations

from allbps.machine.language.words import Bytes, Int, Ints, Reals, kernel, lanes


@kernel
def fetch(X: Reals, data: Reals, order: Ints, size: Int, lo: Int, hi: Int) -> None:
    """Rows lo..hi of X (M, size) = data[order]."""
    for r in range(lo, hi):
        x, d = X + r * size, data + order[r] * size
        for i in lanes(size):
            x[i] = d[i]


@kernel
def fetch_integers(X: Ints, data: Ints, order: Ints, size: Int, lo: Int, hi: Int) -> None:
    """The same for integers."""
    for r in range(lo, hi):
        x, d = X + r * size, data + order[r] * size
        for i in lanes(size):
            x[i] = d[i]


@kernel
def fetch_bytes(X: Bytes, data: Bytes, order: Ints, size: Int, lo: Int, hi: Int) -> None:
    """The same for truth values."""
    for r in range(lo, hi):
        x, d = X + r * size, data + order[r] * size
        for i in lanes(size):
            x[i] = d[i]
