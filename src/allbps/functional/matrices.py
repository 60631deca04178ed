"""Solutions and factors of linear systems that NumPy has no function for."""
# ruff: noqa: A002  (``input``, ``A``, ``B`` and ``L`` are PyTorch's names)

from __future__ import annotations

from typing import Any

import numpy

from allbps.functional.common import misfit, works_on_arrays
from allbps.ir import Node, lift
from allbps.ops.exponential import expm_op
from allbps.ops.factorise import lower
from allbps.ops.linalg import inv, logabsdet, matmul, signdet, solve, transposed

np: Any = numpy  # its functions, given nodes, give nodes


def triangular(a: Any, upper: bool, unit: bool = False) -> Node:
    """The triangle that is read, with ones on the diagonal where that is not."""
    node = lift(a)
    k = int(unit)
    made = transposed(lower(transposed(node), -k)) if upper else lower(node, -k)
    return made + np.eye(node.shape[-1], dtype=node.dtype) if unit else made


@works_on_arrays
def solve_triangular(
    A: Any, B: Any, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Node:
    """The X with A X = B, or X A = B where not ``left``; one triangle of A is read.

    Args:
        A: square matrices (…, n, n).
        B: right-hand sides (…, n, k), or (…, k, n).
        upper: which triangle.
        left: on which side A stands.
        unitriangular: are the diagonal's numbers 1, whatever stands there?

    Raises:
        ShapeError: the shapes do not fit.
        SingularError: there is a zero on the diagonal.

    >>> A = np.array([[2.0, 9.0], [1.0, 1.0]])
    >>> solve_triangular(A, np.array([[4.0], [3.0]]), upper=False)
    array([[2.],
           [1.]])

    """
    a, b = triangular(A, upper, unitriangular), lift(B)
    if left:
        return solve(a, b)
    return transposed(solve(transposed(a), transposed(b)))


@works_on_arrays
def cholesky_solve(B: Any, L: Any, upper: bool = False) -> Node:
    """The X with L Lᵀ X = B, or Lᵀ L X = B where L is ``upper``.

    Raises:
        ShapeError: the shapes do not fit.

    >>> cholesky_solve(np.array([[8.0]]), np.array([[2.0]]))
    array([[2.]])
    """
    factor = triangular(L, upper)
    factor = transposed(factor) if upper else factor
    return solve(transposed(factor), solve(factor, lift(B)))


@works_on_arrays
def cholesky_inverse(L: Any, upper: bool = False) -> Node:
    """The inverse of L Lᵀ, or of Lᵀ L where L is ``upper``.

    >>> cholesky_inverse(np.array([[2.0]]))
    array([[0.25]])
    """
    half = inv(triangular(L, upper))
    # (…, n, n) · (…, n, n) -> (…, n, n)
    return matmul(half, transposed(half)) if upper else matmul(transposed(half), half)


@works_on_arrays
def matrix_exp(A: Any) -> Node:
    """eᴬ of square matrices (…, n, n), as ``scipy.linalg.expm`` computes it.

    Raises:
        ShapeError: they are not square.

    >>> matrix_exp(np.array([[0.0, 2.0], [0.0, 0.0]]))
    array([[1., 2.],
           [0., 1.]])
    """
    return expm_op(A)


@works_on_arrays
def logdet(input: Any) -> Node:
    """The logarithm of the determinant, −∞ where it is 0 and NaN where it is negative.

    Raises:
        ShapeError: the matrices are not square.

    >>> float(logdet(np.diag([2.0, 0.5])))
    0.0
    """
    made: Node = np.where(signdet(input) < 0, np.nan, logabsdet(input))
    return made


# -- products of reflections -----------------------------------------------------------------------
def _reflected(v: Node, tau: Node, k: int, x: Node, turned: bool = False) -> Node:
    """(1 − τ w wᵀ) x for the k-th column w of v, which has 1 in row k and 0 above."""
    n = v.shape[-2]
    below = np.arange(n) > k
    w = np.where(below, v[..., :, k], 0.0) + (np.arange(n) == k)
    column = w[..., :, None]  # (…, n, 1)
    along = matmul(column.mT, x)  # (…, 1, n) · (…, n, m) -> (…, 1, m)
    made: Node = x - tau[..., k, None, None] * matmul(column, along)
    return made


def _reflections(v: Node, tau: Node, x: Node, backwards: bool) -> Node:
    """H₁ … Hₖ x, or Hₖ … H₁ x."""
    order = range(tau.shape[-1])
    for k in order if backwards else reversed(order):
        x = _reflected(v, tau, k, x)
    return x


@works_on_arrays
def householder_product(A: Any, tau: Any) -> Node:
    """The first columns of H₁ … Hₖ, Hᵢ = 1 − τᵢ wᵢ wᵢᵀ with wᵢ below the diagonal of A.

    Args:
        A: (…, n, m) with m ≤ n; the part below the diagonal is read.
        tau: (…, k) with k ≤ m.

    Raises:
        ShapeError: the shapes do not fit.

    >>> householder_product(np.array([[7.0], [1.0]]), np.array([1.0]))
    array([[ 0.],
           [-1.]])

    """
    v, scales = lift(A), lift(tau)
    rows, columns = v.shape[-2:]
    if columns > rows or scales.shape[-1] > columns:
        raise misfit(
            "householder_product takes (…, n, m) and (…, k)",
            "k ≤ m ≤ n",
            f"{v.shape} and {scales.shape}",
        )
    return _reflections(v, scales, lift(np.eye(rows, columns, dtype=v.dtype)), False)


@works_on_arrays
def ormqr(input: Any, tau: Any, other: Any, left: bool = True, transpose: bool = False) -> Node:
    """Q other, Qᵀ other, other Q or other Qᵀ for the Q = H₁ … Hₖ of ``householder_product``.

    Here Q is square: all its columns count.

    >>> ormqr(np.array([[7.0], [1.0]]), np.array([1.0]), np.array([[1.0], [0.0]]))
    array([[ 0.],
           [-1.]])
    """
    v, scales, x = lift(input), lift(tau), lift(other)
    if left:
        return _reflections(v, scales, x, transpose)
    return transposed(_reflections(v, scales, transposed(x), not transpose))


@works_on_arrays
def vander(x: Any, N: int | None = None) -> Node:
    """Rows 1, x, x², …, N of them; rising powers, unlike ``np.vander``.

    >>> vander(np.array([2.0, 3.0]), 3)
    array([[1., 2., 4.],
           [1., 3., 9.]])
    """
    node = lift(x)
    count = node.shape[-1] if N is None else int(N)
    rows = [np.ones(node.shape, node.dtype), *[node**k for k in range(1, count)]]
    made: Node = np.stack(rows[:count], axis=-1)
    return made
