"""Numbers picked at places that never change, and the places that a mask names."""

from __future__ import annotations

from allbps.machine.language.words import Bytes, Int, Ints, Reals, kernel


@kernel
def pick(Y: Reals, X: Reals, places: Ints, lo: Int, hi: Int) -> None:
    """Y[i] = X[places[i]] for i in lo..hi."""
    for i in range(lo, hi):
        Y[i] = X[places[i]]


@kernel
def marked(P: Ints, M: Bytes, step: Int, size: Int, count: Int) -> None:
    """P (count) = i·step for the i at which M (size) is true; 0 where there are fewer."""
    k = 0
    for i in range(size):
        if M[i] != 0 and k < count:
            P[k] = i * step
            k += 1
    for rest in range(k, count):
        P[rest] = 0
