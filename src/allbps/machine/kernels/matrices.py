"""Square matrices of moderate size: elimination with row exchanges, and Cholesky's factor.

The methods are LAPACK's, written out for matrices that fit the first caches (Golub & Van Loan,
"Matrix Computations", 3.4 and 4.2). Matrices are n × n numbers, row by row.
"""

from __future__ import annotations

from allbps.machine.kernels.functions import INFINITY, NAN, log
from allbps.machine.kernels.loss import dot
from allbps.machine.language.words import (
    Int,
    Real,
    Reals,
    absolute,
    inline,
    is_nan,
    kernel,
    lanes,
    real,
    select,
    sqrt,
)


@kernel
def _copy(to: Reals, x: Reals, n: Int) -> None:
    for i in lanes(n):
        to[i] = x[i]


@kernel
def _exchange(p: Reals, q: Reals, n: Int) -> None:
    for i in lanes(n):
        x = p[i]
        p[i] = q[i]
        q[i] = x


@kernel
def _pivot(T: Reals, k: Int, n: Int) -> Int:
    """The row from k on whose number in column k is the largest; the first NaN is."""
    best, size = k, absolute(T[k * n + k])
    for i in range(k + 1, n):
        here = absolute(T[i * n + k])
        if here > size or (is_nan(here) and not is_nan(size)):
            best, size = i, here
    return best


@kernel
def _eliminate(T: Reals, X: Reals, n: Int, r: Int) -> Real:
    """T (n, n) becomes upper triangular, X (n, r) with it; -1 for each exchange of rows."""
    sign = 1.0
    for k in range(n):
        best = _pivot(T, k, n)
        if best != k:
            _exchange(T + k * n, T + best * n, n)
            _exchange(X + k * r, X + best * r, r)
            sign = -sign
        top = T + k * n
        for i in range(k + 1, n):
            row = T + i * n
            factor = select(top[k] == 0.0, 0.0, row[k] / top[k])
            for j in lanes(k + 1, n):
                row[j] -= factor * top[j]
            for j in lanes(r):
                X[i * r + j] -= factor * X[k * r + j]
    return sign


@kernel
def _substitute(T: Reals, X: Reals, n: Int, r: Int) -> None:
    """X (n, r) = T⁻¹ X of an upper triangular T, from the last row to the first."""
    for back in range(n):
        k = n - 1 - back
        x = X + k * r
        for i in range(k + 1, n):
            factor = T[k * n + i]
            for j in lanes(r):
                x[j] -= factor * X[i * r + j]
        pivot = T[k * n + k]
        for j in lanes(r):
            x[j] = x[j] / pivot


@kernel
def solve(
    X: Reals, A: Reals, each_a: Int, B: Reals, each_b: Int, n: Int, r: Int, scratch: Reals,
    lo: Int, hi: Int,
) -> None:  # fmt: skip
    """X (…, n, r) = A⁻¹ B of matrices lo..hi, each_a and each_b apart; scratch: n·n numbers."""
    for m in range(lo, hi):
        x = X + m * n * r
        _copy(scratch, A + m * each_a, n * n)
        _copy(x, B + m * each_b, n * r)
        _eliminate(scratch, x, n, r)
        _substitute(scratch, x, n, r)


@kernel
def inverse(X: Reals, A: Reals, n: Int, scratch: Reals, lo: Int, hi: Int) -> None:
    """X (…, n, n) = A⁻¹ of matrices lo..hi; scratch: n·n numbers."""
    for m in range(lo, hi):
        x = X + m * n * n
        _copy(scratch, A + m * n * n, n * n)
        for i in range(n):
            for j in lanes(n):
                x[i * n + j] = 0.0
            x[i * n + i] = 1.0
        _eliminate(scratch, x, n, n)
        _substitute(scratch, x, n, n)


@inline
def _sign_of(x: Real) -> Real:
    return select(x > 0.0, 1.0, select(x < 0.0, -1.0, x))


@kernel
def _determinant(T: Reals, n: Int) -> Real:
    """The determinant of T (n, n), which becomes upper triangular."""
    total = _eliminate(T, T, n, 0)
    for k in range(n):
        total *= T[k * n + k]
    return total


@kernel
def determinant(Y: Reals, A: Reals, n: Int, scratch: Reals, lo: Int, hi: Int) -> None:
    """Y (…) = det A of matrices lo..hi; scratch: n·n numbers."""
    for m in range(lo, hi):
        _copy(scratch, A + m * n * n, n * n)
        Y[m] = _determinant(scratch, n)


@kernel
def cofactors(Y: Reals, A: Reals, n: Int, scratch: Reals, lo: Int, hi: Int) -> None:
    """Y (…, n, n): ± the determinant without row i and column j; scratch: n·n numbers."""
    for m in range(lo, hi):
        for i in range(n):
            for j in range(n):
                at = 0
                for p in range(n):
                    for q in range(n):
                        if p != i and q != j:
                            scratch[at] = A[m * n * n + p * n + q]
                            at += 1
                sign = 1.0 - 2.0 * real((i + j) % 2)
                Y[m * n * n + i * n + j] = sign * _determinant(scratch, n - 1)


@kernel
def determinant_sign(Y: Reals, A: Reals, n: Int, scratch: Reals, lo: Int, hi: Int) -> None:
    """Y (…): the sign of det A, 0 of a singular one; scratch: n·n numbers."""
    for m in range(lo, hi):
        _copy(scratch, A + m * n * n, n * n)
        sign = _eliminate(scratch, scratch, n, 0)
        for k in range(n):
            sign *= _sign_of(scratch[k * n + k])
        Y[m] = sign


@kernel
def determinant_log(Y: Reals, A: Reals, n: Int, scratch: Reals, lo: Int, hi: Int) -> None:
    """Y (…) = ln |det A|, -inf of a singular one; scratch: n·n numbers."""
    for m in range(lo, hi):
        _copy(scratch, A + m * n * n, n * n)
        _eliminate(scratch, scratch, n, 0)
        total, singular = 0.0, False
        for k in range(n):
            pivot = scratch[k * n + k]
            singular = singular or pivot == 0.0
            total += log(absolute(pivot))
        Y[m] = select(singular, -INFINITY, total)


@kernel
def cholesky(L: Reals, A: Reals, n: Int, scratch: Reals, lo: Int, hi: Int) -> None:
    """L (…, n, n) with L Lᵀ = A, of which the lower triangle is read; scratch: n·n numbers.

    The numbers from the row on where A is not positive definite are NaN.
    """
    for m in range(lo, hi):
        _copy(scratch, A + m * n * n, n * n)
        for i in range(n):
            row = L + (m * n * n + i * n)
            for j in range(i):
                above = L + (m * n * n + j * n)
                row[j] = (scratch[i * n + j] - dot(row, above, j)) / above[j]
            left = scratch[i * n + i] - dot(row, row, i)
            row[i] = select(left > 0.0, sqrt(left), NAN)
            for j in lanes(i + 1, n):
                row[j] = 0.0
