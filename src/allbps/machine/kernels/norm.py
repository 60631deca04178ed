"""Batch norm and layer norm over rows of C numbers, and their δ.

Batch norm's statistics run over rows, in pieces: each piece has a mean and a sum of squared
deviations from it, and pieces are put together as Chan, Golub and LeVeque do ("Algorithms for
Computing the Sample Variance", 1983), which loses no digits where the mean is large.
"""

from __future__ import annotations

from allbps.machine.kernels.activation import passed
from allbps.machine.kernels.reduce import ROWS, sum_rows
from allbps.machine.language.words import (
    RELU,
    SKIP,
    Int,
    Real,
    Reals,
    inline,
    kernel,
    lanes,
    real,
    select,
    sqrt,
    stack,
    unroll,
)


@kernel
def batch_moments(P: Reals, X: Reals, C: Int, lo: Int, hi: Int) -> None:
    """P (2, C): mean of rows lo..hi of X (R, C), and sum of squared deviations; lo < hi."""
    sum_rows(P, X, C, C, lo, hi)
    share = 1.0 / real(hi - lo)
    squares = P + C
    for c in lanes(C):
        P[c] *= share
        squares[c] = 0.0
    whole = lo + (hi - lo) // ROWS * ROWS
    for r in range(lo, whole, ROWS):
        x = X + r * C
        for c in lanes(C):
            total = 0.0
            for k in unroll(ROWS):
                d = x[k * C + c] - P[c]
                total += d * d
            squares[c] += total
    for r in range(whole, hi):
        for c in lanes(C):
            d = X[r * C + c] - P[c]
            squares[c] += d * d


@kernel
def batch_statistics(
    S: Reals, squares: Reals, P: Reals, pieces: Int, R: Int, C: Int, eps: Real
) -> None:
    """S (2, C): mean and 1/√(variance + eps) of all R rows, from the moments P (pieces, 2, C).

    Piece p holds rows p·R//pieces up to (p+1)·R//pieces. The variance is the biased one; squares
    (C) are the squared deviations summed, which running statistics are made of.
    """
    rows = real(R)
    for c in lanes(2 * C):
        S[c] = 0.0
    for p in range(pieces):
        share = real((p + 1) * R // pieces - p * R // pieces) / rows
        for c in lanes(C):
            S[c] += P[p * 2 * C + c] * share
    for p in range(pieces):
        n = real((p + 1) * R // pieces - p * R // pieces)
        for c in lanes(C):
            d = P[p * 2 * C + c] - S[c]
            S[C + c] += P[(p * 2 + 1) * C + c] + n * d * d
    for c in lanes(C):
        squares[c] = S[C + c]
        S[C + c] = 1.0 / sqrt(S[C + c] / rows + eps)


@kernel
def batch_norm(
    Y: Reals, X: Reals, S: Reals, gain: Reals, shift: Reals, skip: Reals, flags: Int,
    C: Int, lo: Int, hi: Int,
) -> None:  # fmt: skip
    """Rows lo..hi of Y (R, C) = (X - mean)·rstd·gain + shift; flags: 8 adds skip, 4 clips at 0."""
    relu = flags & RELU != 0
    for r in range(lo, hi):
        x, y = X + r * C, Y + r * C
        if flags & SKIP:
            z = skip + r * C
            for c in lanes(C):
                t = (x[c] - S[c]) * (S[C + c] * gain[c]) + shift[c] + z[c]
                y[c] = select(relu, max(t, 0.0), t)
        else:
            for c in lanes(C):
                t = (x[c] - S[c]) * (S[C + c] * gain[c]) + shift[c]
                y[c] = select(relu, max(t, 0.0), t)


@inline
def _masked(g: Reals, y: Reals, relu: bool, i: int) -> float:
    """δY[i], or with a ReLU behind it, as much of it as passes."""
    return select(relu, passed(g[i], y[i]), g[i])


@kernel
def batch_norm_sums(
    P: Reals, G: Reals, X: Reals, Y: Reals, S: Reals, flags: Int, C: Int, lo: Int, hi: Int
) -> None:
    """P (2, C) over rows lo..hi: Σ δY and Σ δY·x̂, one partial result of δshift and δgain.

    flags = 4: δY counts only where Y > 0 (a ReLU that follows).
    """
    relu = flags & RELU != 0
    for c in lanes(2 * C):
        P[c] = 0.0
    products = P + C
    whole = lo + (hi - lo) // ROWS * ROWS
    for r in range(lo, whole, ROWS):
        x, y, g = X + r * C, Y + r * C, G + r * C
        for c in lanes(C):
            plain, product = 0.0, 0.0
            for k in unroll(ROWS):
                d = _masked(g, y, relu, k * C + c)
                plain += d
                product += d * (x[k * C + c] - S[c])
            P[c] += plain
            products[c] += product * S[C + c]
    for r in range(whole, hi):
        x, y, g = X + r * C, Y + r * C, G + r * C
        for c in lanes(C):
            d = _masked(g, y, relu, c)
            P[c] += d
            products[c] += d * ((x[c] - S[c]) * S[C + c])


@kernel
def batch_norm_delta(
    D: Reals, G: Reals, X: Reals, Y: Reals, S: Reals, gain: Reals, sums: Reals, flags: Int,
    R: Int, C: Int, lo: Int, hi: Int,
) -> None:  # fmt: skip
    """Rows lo..hi of δX = gain·rstd·(δY - mean(δY) - x̂·mean(δY·x̂)); sums (2, C) over all R rows.

    In evaluation the statistics are constants: pass sums of zeros.
    """
    relu = flags & RELU != 0
    share = 1.0 / real(R)
    for r in range(lo, hi):
        x, y, g, to = X + r * C, Y + r * C, G + r * C, D + r * C
        for c in lanes(C):
            d = _masked(g, y, relu, c)
            hat = (x[c] - S[c]) * S[C + c]
            inner = d - share * (sums[c] + hat * sums[C + c])
            to[c] = inner * (gain[c] * S[C + c])


@kernel(reorder=True)
def _row_moments(S: Reals, x: Reals, C: Int, eps: Real) -> None:
    """S (2): mean and 1/√(variance + eps) of one row."""
    total = 0.0
    for c in lanes(C):
        total += x[c]
    mean = total / real(C)
    squares = 0.0
    for c in lanes(C):
        squares += (x[c] - mean) * (x[c] - mean)
    S[0] = mean
    S[1] = 1.0 / sqrt(squares / real(C) + eps)


@kernel
def layer_norm(
    Y: Reals, S: Reals, X: Reals, gain: Reals, shift: Reals, eps: Real, C: Int, lo: Int, hi: Int
) -> None:
    """Rows lo..hi of Y (R, C) = (X - mean)·rstd·gain + shift; S (R, 2) keeps mean and rstd."""
    for r in range(lo, hi):
        x, y, s = X + r * C, Y + r * C, S + 2 * r
        _row_moments(s, x, C, eps)
        mean, rstd = s[0], s[1]
        for c in lanes(C):
            y[c] = (x[c] - mean) * rstd * gain[c] + shift[c]


@kernel(reorder=True)
def _row_sums(sums: Reals, g: Reals, x: Reals, gain: Reals, mean: Real, rstd: Real, C: Int) -> None:
    """Write sums (2): Σ δY·gain and Σ δY·gain·x̂ of one row."""
    plain, products = 0.0, 0.0
    for c in lanes(C):
        d = g[c] * gain[c]
        plain += d
        products += d * ((x[c] - mean) * rstd)
    sums[0] = plain / real(C)
    sums[1] = products / real(C)


@kernel
def layer_norm_delta(
    D: Reals, P: Reals, G: Reals, X: Reals, S: Reals, gain: Reals, add: bool,
    C: Int, lo: Int, hi: Int,
) -> None:  # fmt: skip
    """Rows lo..hi of δX (R, C), added to D if asked; P (2, C): partial δshift and δgain.

    δX = rstd·(δY·gain - mean(δY·gain) - x̂·mean(δY·gain·x̂)).
    """
    for c in lanes(2 * C):
        P[c] = 0.0
    products, means = P + C, stack(2)
    for r in range(lo, hi):
        x, g, to = X + r * C, G + r * C, D + r * C
        mean, rstd = S[2 * r], S[2 * r + 1]
        _row_sums(means, g, x, gain, mean, rstd, C)
        plain, product = means[0], means[1]
        if not add:
            for c in lanes(C):
                to[c] = 0.0
        for c in lanes(C):
            hat = (x[c] - mean) * rstd
            P[c] += g[c]
            products[c] += g[c] * hat
            to[c] += rstd * (g[c] * gain[c] - plain - hat * product)
