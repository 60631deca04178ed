"""One number from each row, or one row from each row: extremes, products, log-sums, order.

Rows are N numbers one behind the other.
"""

from __future__ import annotations

from allbps.machine.kernels.functions import NAN, exp, log
from allbps.machine.kernels.loss import dot, exponentials, largest
from allbps.machine.language.words import (
    Int,
    Ints,
    Real,
    Reals,
    inline,
    is_nan,
    kernel,
    lanes,
    maximum,
    select,
)

# ---- one number from each row


@kernel(reorder=True)
def smallest(x: Reals, n: Int) -> Real:
    """The smallest x[i]; NaN if some x[i] is."""
    best = -x[0]
    for i in lanes(n):
        best = maximum(best, -x[i])
    return -best


@kernel
def row_max(Y: Reals, X: Reals, N: Int, lo: Int, hi: Int) -> None:
    """The largest of each row."""
    for r in range(lo, hi):
        Y[r] = largest(X + r * N, N)


@kernel
def row_min(Y: Reals, X: Reals, N: Int, lo: Int, hi: Int) -> None:
    """The smallest of each row."""
    for r in range(lo, hi):
        Y[r] = smallest(X + r * N, N)


@kernel(reorder=True)
def row_prod(Y: Reals, X: Reals, N: Int, lo: Int, hi: Int) -> None:
    """The product of each row."""
    for r in range(lo, hi):
        x = X + r * N
        total = 1.0
        for n in lanes(N):
            total *= x[n]
        Y[r] = total


@kernel(reorder=True)
def _log_sum(x: Reals, n: Int) -> Real:
    """The logarithm of Σ e^x, the largest taken out; infinite where the largest is."""
    top = largest(x, n)
    total = 0.0
    for i in lanes(n):
        total += exp(x[i] - top)
    return select(top - top == 0.0, top + log(total), top)


@kernel
def row_logsumexp(Y: Reals, X: Reals, N: Int, lo: Int, hi: Int) -> None:
    """The logarithm of Σ e^x of each row."""
    for r in range(lo, hi):
        Y[r] = _log_sum(X + r * N, N)


# ---- where the extreme of a row is


@kernel
def _place(x: Reals, best: Real, n: Int) -> Int:
    """The first i with x[i] = best, or with x[i] NaN where best is."""
    for i in range(n):
        if x[i] == best or is_nan(x[i]):
            return i
    return 0


@kernel
def row_argmax(Y: Ints, X: Reals, N: Int, lo: Int, hi: Int) -> None:
    """The place of the first largest of each row."""
    for r in range(lo, hi):
        Y[r] = _place(X + r * N, largest(X + r * N, N), N)


@kernel
def row_argmin(Y: Ints, X: Reals, N: Int, lo: Int, hi: Int) -> None:
    """The place of the first smallest of each row."""
    for r in range(lo, hi):
        Y[r] = _place(X + r * N, smallest(X + r * N, N), N)


@kernel
def _mark(y: Reals, place: Int, N: Int) -> None:
    """1 at one place of a row, else 0."""
    for n in lanes(N):
        y[n] = 0.0
    y[place] = 1.0


@kernel
def first_largest(Y: Reals, X: Reals, N: Int, lo: Int, hi: Int) -> None:
    """1 at the first largest of each row, else 0."""
    for r in range(lo, hi):
        x = X + r * N
        _mark(Y + r * N, _place(x, largest(x, N), N), N)


@kernel
def first_smallest(Y: Reals, X: Reals, N: Int, lo: Int, hi: Int) -> None:
    """1 at the first smallest of each row, else 0."""
    for r in range(lo, hi):
        x = X + r * N
        _mark(Y + r * N, _place(x, smallest(x, N), N), N)


# ---- one row from each row


@kernel
def log_softmax(Y: Reals, X: Reals, N: Int, lo: Int, hi: Int) -> None:
    """Rows lo..hi of Y (M, N) = X - ln Σ e^X."""
    for r in range(lo, hi):
        x, y = X + r * N, Y + r * N
        total = _log_sum(x, N)
        for n in lanes(N):
            y[n] = x[n] - total


# ---- order


@kernel
def argsort(Y: Ints, T: Ints, X: Reals, N: Int, lo: Int, hi: Int) -> None:
    """Y: what sorts each row; equal numbers stay in order, NaNs are last. T: N numbers for each."""
    for r in range(lo, hi):
        x, y, t = X + r * N, Y + r * N, T + r * N
        for n in lanes(N):
            y[n] = n
        width = 1
        while width < N:
            _merge(t, y, x, width, N)
            for n in lanes(N):
                y[n] = t[n]
            width = 2 * width


@kernel
def _merge(t: Ints, y: Ints, x: Reals, width: Int, N: Int) -> None:
    """Neighbouring runs of so many sorted indices become one."""
    start = 0
    while start < N:
        middle, end = min(start + width, N), min(start + 2 * width, N)
        a, b = start, middle
        for n in range(start, end):
            if b >= end or (a < middle and not _before(x[y[b]], x[y[a]])):
                t[n] = y[a]
                a += 1
            else:
                t[n] = y[b]
                b += 1
        start = end


@inline
def _before(p: Real, q: Real) -> bool:
    """Does p stand before q?"""
    return (p < q) | (is_nan(q) & (not is_nan(p)))


# ---- losses


@kernel
def row_cross_entropy(Y: Reals, X: Reals, labels: Ints, N: Int, lo: Int, hi: Int) -> None:
    """Y (M) = ln Σ e^x - x[label] of each row; NaN where the label is not a class."""
    for r in range(lo, hi):
        x, label = X + r * N, labels[r]
        if 0 <= label < N:
            Y[r] = _log_sum(x, N) - x[label]
        else:
            Y[r] = NAN


@kernel(reorder=True)
def _mass(t: Reals, n: Int) -> Real:
    """Σ t[i]."""
    total = 0.0
    for i in lanes(n):
        total += t[i]
    return total


@kernel
def row_soft_cross_entropy(
    Y: Reals, X: Reals, T: Reals, scratch: Reals, N: Int, lo: Int, hi: Int
) -> None:
    """Y (M) = -Σ t·(x - ln Σ e^x) of each row; scratch: N numbers."""
    for r in range(lo, hi):
        x, t = X + r * N, T + r * N
        top = largest(x, N)
        total = log(exponentials(scratch, x, top, 1.0, N))
        for n in lanes(N):
            scratch[n] = x[n] - top
        Y[r] = _mass(t, N) * total - dot(t, scratch, N)
