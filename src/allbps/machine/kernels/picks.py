"""Numbers picked at places that never change, and their δ."""

from __future__ import annotations

from allbps.machine.language.words import Int, Ints, Reals, kernel


@kernel
def pick(Y: Reals, X: Reals, places: Ints, lo: Int, hi: Int) -> None:
    """Y[i] = X[places[i]] for i in lo..hi."""
    for i in range(lo, hi):
        Y[i] = X[places[i]]


@kernel
def hand_back(D: Reals, G: Reals, places: Ints, lo: Int, hi: Int) -> None:
    """D[places[i]] += G[i] for i in lo..hi, in order: repeated places add up."""
    for i in range(lo, hi):
        D[places[i]] += G[i]
