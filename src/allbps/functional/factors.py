"""Factors A = P L U of a matrix: a permutation of rows, and two triangles.

They are composed: in each column the largest number is looked for, its row changes places, and the
rows below lose their part. Which rows change places has no derivative; all else has its own.
"""

from __future__ import annotations

from typing import Any

import numpy

from allbps.functional.common import misfit, misused, works_on_arrays
from allbps.functional.matrices import solve_triangular, triangular
from allbps.ir import Node, lift
from allbps.ops.linalg import matmul, transposed

np: Any = numpy  # its functions, given nodes, give nodes


@works_on_arrays
def lu_factor(A: Any, *, pivot: bool = True) -> Any:
    """U with L below its diagonal, and with which row each row changed places, from 1 on.

    Args:
        A: matrices (…, m, n).
        pivot: as in PyTorch, whose CPU knows no other either.

    Raises:
        ArgumentError: ``pivot=False``.
        ShapeError: it has fewer than two axes.

    >>> factors, pivots = lu_factor(np.array([[1.0, 2.0], [4.0, 4.0]]))
    >>> factors
    array([[4.  , 4.  ],
           [0.25, 1.  ]])
    >>> pivots
    array([2, 2], dtype=int32)

    """
    if not pivot:
        raise misused("lu_factor changes rows", expected="pivot=True", got="pivot=False")
    a = lift(A)
    if a.ndim < 2:
        raise misfit("lu_factor takes matrices", "at least two axes", f"shape {a.shape}")
    rows, count = a.shape[-2], min(a.shape[-2:])
    places = []
    for k in range(count):
        place = np.argmax(np.abs(a[..., k:, k]), axis=-1) + k
        order = np.expand_dims(_exchanged(rows, k, place), -1)
        a = np.take_along_axis(a, np.broadcast_to(order, a.shape), axis=-2)
        share = a[..., k + 1 :, k : k + 1] / a[..., k : k + 1, k : k + 1]
        rest = a[..., k + 1 :, k + 1 :] - share * a[..., k : k + 1, k + 1 :]
        below = np.concatenate([a[..., k + 1 :, :k], share, rest], axis=-1)
        a = np.concatenate([a[..., : k + 1, :], below], axis=-2)
        places.append(place + 1)
    if not places:
        return a, lift(np.zeros((*a.shape[:-2], 0), np.int32))
    return a, np.stack(places, axis=-1).astype(np.int32)


def _exchanged(rows: int, k: int, place: Any) -> Any:
    """Where each row comes from when row k and that at ``place`` change places: (…, rows)."""
    every, place = np.arange(rows), np.expand_dims(place, -1)
    return np.where(every == k, place, np.where(every == place, k, every))


def _permutation(pivots: Node, rows: int, dtype: Any) -> Node:
    """The P of A = P L U: (…, rows, rows)."""
    every = np.arange(rows)
    order: Any = np.broadcast_to(every, (*pivots.shape[:-1], rows))
    for k in range(pivots.shape[-1]):
        moved = _exchanged(rows, k, pivots[..., k].astype(np.int64) - 1)
        order = np.take_along_axis(lift(order), moved, axis=-1)
    made: Node = (every[:, None] == np.expand_dims(lift(order), -2)).astype(dtype)
    return made


@works_on_arrays
def lu_unpack(
    LU_data: Any, LU_pivots: Any, unpack_data: bool = True, unpack_pivots: bool = True
) -> Any:
    """P (…, m, m), L (…, m, k), U (…, k, n) of what ``lu_factor`` gives; empty what is not asked.

    >>> P, L, U = lu_unpack(*lu_factor(np.array([[1.0, 2.0], [4.0, 4.0]])))
    >>> P @ L @ U
    array([[1., 2.],
           [4., 4.]])
    """
    data, pivots = lift(LU_data), lift(LU_pivots)
    k = min(data.shape[-2:])
    none = lift(np.zeros(0, data.dtype))
    L = triangular(data[..., :, :k], False, False) if unpack_data else none
    if unpack_data:
        L = L * (1 - np.eye(data.shape[-2], k)) + np.eye(data.shape[-2], k, dtype=data.dtype)
    U = np.triu(data[..., :k, :]) if unpack_data else none
    P = _permutation(pivots, data.shape[-2], data.dtype) if unpack_pivots else none
    return P, L, U


@works_on_arrays
def lu(A: Any, *, pivot: bool = True) -> Any:
    """The P, L and U with A = P L U, as ``torch.linalg.lu``.

    Raises:
        ArgumentError: ``pivot=False``.

    >>> P, L, U = lu(np.array([[1.0, 2.0], [4.0, 4.0]]))
    >>> L
    array([[1.  , 0.  ],
           [0.25, 1.  ]])

    """
    return lu_unpack(*lu_factor(lift(A), pivot=pivot))


@works_on_arrays
def lu_solve(LU: Any, pivots: Any, B: Any, *, left: bool = True, adjoint: bool = False) -> Node:
    """The X with A X = B, or X A = B where not ``left``, of the factors of A; or of those of Aᵀ.

    Args:
        LU: what ``lu_factor`` gives of square matrices (…, n, n).
        pivots: the same.
        B: right-hand sides (…, n, k), or (…, k, n).
        left: on which side A stands.
        adjoint: Aᵀ in the place of A.

    >>> A = np.array([[1.0, 2.0], [4.0, 4.0]])
    >>> lu_solve(*lu_factor(A), np.array([[3.0], [8.0]]))
    array([[1.],
           [1.]])

    """
    if not left:
        return transposed(lu_solve(LU, pivots, transposed(lift(B)), adjoint=not adjoint))
    data, b = lift(LU), lift(B)
    P = _permutation(lift(pivots), data.shape[-1], b.dtype)
    if adjoint:
        half = solve_triangular(transposed(data), b, upper=False)
        return matmul(P, solve_triangular(transposed(data), half, upper=True, unitriangular=True))
    half = solve_triangular(data, matmul(transposed(P), b), upper=False, unitriangular=True)
    made: Node = solve_triangular(data, half, upper=True)
    return made
