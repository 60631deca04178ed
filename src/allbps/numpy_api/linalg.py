"""numpy.linalg on traced matrices."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from allbps.errors import ArgumentError, ShapeError
from allbps.ir import NUMPY, Node, label, lift, numpy_function, user_site
from allbps.numpy_api.arguments import plain_axis
from allbps.numpy_api.choosing import take_along_axis
from allbps.numpy_api.products import dot
from allbps.numpy_api.shapes import moveaxis
from allbps.ops import eigen, factorise
from allbps.ops.comparison import where
from allbps.ops.complexes import absolute, conj, imag, real, real_of, size
from allbps.ops.function import abs_, astype, sign
from allbps.ops.join import joined
from allbps.ops.length import norm_op
from allbps.ops.linalg import det, floats, inv, logabsdet, matmul, signdet, solve, transposed
from allbps.ops.questions import all_, matrix_rank
from allbps.ops.reduce import max_, min_, sum_
from allbps.ops.shape import detach, reshape
from allbps.ops.shapes import normal_axis
from allbps.ops.sort import argmax

# -- inverses and linear systems -------------------------------------------------------------------
numpy_function(np.linalg.inv)(inv)
numpy_function(np.linalg.det)(det)


@numpy_function(np.linalg.solve)
def solve_by(a: Any, b: Any) -> Node:
    """``numpy.linalg.solve``: a vector is one right-hand side."""
    a, b = lift(a), lift(b)
    if b.ndim == 1:
        made = solve(a, reshape(b, shape=(*b.shape, 1)))
        return reshape(made, shape=made.shape[:-1])
    return solve(a, b)


@numpy_function(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = np._NoValue) -> Node:
    """``numpy.linalg.pinv``; a Hermitian matrix is read from one triangle."""
    node = lift(a)
    if rcond is not None and rtol is not np._NoValue:
        raise ValueError("`rtol` and `rcond` can't be both set.")  # as NumPy says it
    if rcond is None and rtol is not np._NoValue:
        rcond = max(node.shape[-2:]) * float(np.finfo(floats(node)).eps) if rtol is None else rtol
    return factorise.pinv(node, rcond=_cutoff("pinv", rcond), hermitian=bool(hermitian))


def _cutoff(function: str, rcond: Any) -> float | None:
    """The share of the largest singular value below which one counts as 0."""
    if rcond is None:
        return None
    if isinstance(rcond, Node) or np.ndim(rcond):
        raise ArgumentError(
            f"np.linalg.{function} of a traced matrix takes one plain number for its cutoff",
            where=str(user_site() or ""),
            got=label(rcond),
        )
    return float(rcond)


class LeastSquares(NamedTuple):
    """What ``numpy.linalg.lstsq`` returns."""

    x: Any
    residuals: Any
    rank: Any
    s: Any


@numpy_function(np.linalg.lstsq)
def lstsq(a: Any, b: Any, rcond: Any = None) -> LeastSquares:
    """``numpy.linalg.lstsq``: residuals only where the rank is full and there are more rows."""
    a, b = lift(a), lift(b)
    cutoff = _cutoff("lstsq", rcond)
    x = factorise.lstsq(a, b, rcond=cutoff)
    rank = matrix_rank(a, tol=None, hermitian=False, rtol=factorise.lstsq_cutoff(a, cutoff))
    rows, columns = a.shape
    residuals: Any = np.zeros(0, x.dtype)
    if rows > columns and bool(rank == columns):
        left = (b - matmul(a, x)) ** 2
        residuals = sum_(reshape(left, shape=(*b.shape, 1)[:2]), axis=0, keepdims=False)
    return LeastSquares(x, residuals, rank, factorise.svd_s(a))


@numpy_function(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Node:
    """``numpy.linalg.tensorsolve``."""
    a, b = lift(a), lift(b)
    if axes is not None:
        a = moveaxis(a, axes, range(a.ndim - len(axes), a.ndim))
    shape = a.shape[b.ndim :]
    flat = reshape(a, shape=(b.size, int(np.prod(shape))))
    return reshape(solve(flat, reshape(b, shape=(b.size, 1))), shape=shape)


@numpy_function(np.linalg.tensorinv)
def tensorinv(a: Any, ind: int = 2) -> Node:
    """``numpy.linalg.tensorinv``."""
    node = lift(a)
    first, last = node.shape[:ind], node.shape[ind:]
    flat = reshape(node, shape=(int(np.prod(first)), int(np.prod(last))))
    return reshape(inv(flat), shape=last + first)


# -- products --------------------------------------------------------------------------------------
@numpy_function(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Node:
    """``numpy.linalg.matrix_power``, by squaring."""
    node = lift(a)
    if n < 0:
        return matrix_power(inv(node), -n)
    if n == 0:
        return lift(np.broadcast_to(np.eye(node.shape[-1], dtype=node.dtype), node.shape).copy())
    made, square = None, node
    for bit in reversed(f"{n:b}"):
        if bit == "1":
            made = square if made is None else matmul(made, square)
        n >>= 1
        square = matmul(square, square) if n else square
    return lift(made)


@numpy_function(np.linalg.multi_dot)
def multi_dot(arrays: Sequence[Any], *, out: Any = None) -> Node:
    """``numpy.linalg.multi_dot``: in the order of the fewest products, as NumPy chooses it."""
    nodes = [lift(x) for x in arrays]
    if any(x.ndim not in (1, 2) for x in nodes):
        raise ShapeError(
            "np.linalg.multi_dot takes matrices, and vectors at its ends",
            got=", ".join(str(x.shape) for x in nodes),
        )
    first, last = nodes[0], nodes[-1]
    rows = [x.shape[0] for x in nodes]
    rows[0] = first.shape[0] if first.ndim == 2 else 1
    return _chained(nodes, [*rows, last.shape[1] if last.ndim == 2 else 1])


def _chained(nodes: Sequence[Node], lengths: Sequence[int]) -> Node:
    """The product of matrices, of which the k-th is ``lengths[k]`` × ``lengths[k + 1]``."""
    if len(nodes) == 1:
        return nodes[0]
    k = _split(tuple(lengths))
    return dot(_chained(nodes[:k], lengths[: k + 1]), _chained(nodes[k:], lengths[k:]))


def _split(lengths: tuple[int, ...]) -> int:
    """How many matrices stand left of the last product, where that is cheapest.

    >>> _split((10, 1, 10, 1)), _split((1, 10, 1, 10)), _split((2, 2, 2, 2))
    (1, 2, 1)
    """
    places = range(1, len(lengths) - 1)
    return min(places, key=lambda k: _cost(lengths, k))


@lru_cache(4096)
def _cost(lengths: tuple[int, ...], k: int) -> int:
    """The fewest products that a chain of matrices takes whose last one is behind the k-th."""
    parts = (part for part in (lengths[: k + 1], lengths[k:]) if len(part) > 2)
    return lengths[0] * lengths[k] * lengths[-1] + sum(_cost(x, _split(x)) for x in parts)


# -- determinants and factorisations ---------------------------------------------------------------
class SignAndLog(NamedTuple):
    """What ``numpy.linalg.slogdet`` returns."""

    sign: Any
    logabsdet: Any


@numpy_function(np.linalg.slogdet)
def slogdet(a: Any) -> SignAndLog:
    """``numpy.linalg.slogdet``."""
    return SignAndLog(signdet(a), logabsdet(a))


@numpy_function(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Node:
    """``numpy.linalg.cholesky``; reads one triangle, so δ stands in that one."""
    node = lift(a)
    if upper:
        return transposed(factorise.cholesky(transposed(node)))
    return factorise.cholesky(node)


class Eigen(NamedTuple):
    """What ``numpy.linalg.eigh`` returns."""

    eigenvalues: Any
    eigenvectors: Any


def _triangle(UPLO: str) -> str:
    if UPLO.upper() not in ("L", "U"):
        raise ArgumentError("unknown UPLO", expected="'L' or 'U'", got=repr(UPLO))
    return UPLO.upper()


@numpy_function(np.linalg.eigh)
def eigh(a: Any, UPLO: str = "L") -> Eigen:
    """``numpy.linalg.eigh``; reads one triangle, so δ stands in that one."""
    node, triangle = lift(a), _triangle(UPLO)
    values = factorise.eigh_values(node, triangle=triangle)
    return Eigen(values, factorise.eigh_vectors(node, triangle=triangle))


@numpy_function(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Node:
    """``numpy.linalg.eigvalsh``."""
    return factorise.eigh_values(a, triangle=_triangle(UPLO))


@numpy_function(np.linalg.eig)
def eig(a: Any) -> Eigen:
    """``numpy.linalg.eig``: real where all eigenvalues are, as NumPy decides by their values.

    LAPACK makes each vector of length 1 and its largest element real; δ keeps to that.
    """
    node = lift(a)
    values, vectors = eigen.eig_values(node), eigen.eig_vectors(node)
    sizes = size(vectors)
    lengths = norm_op(sizes, order=2, axis=-2, keepdims=True)
    places = argmax(detach(sizes), axis=-2, keepdims=True)
    largest = take_along_axis(vectors, places, -2)
    phase = conj(largest) / size(largest)
    vectors = vectors / lengths * (phase * conj(detach(phase)))
    return Eigen(*_real_if(values, values, vectors))


@numpy_function(np.linalg.eigvals)
def eigvals(a: Any) -> Node:
    """``numpy.linalg.eigvals``: real where all of them are."""
    values = eigen.eig_values(a)
    return _real_if(values, values)[0]


def _real_if(values: Node, *made: Node) -> tuple[Node, ...]:
    """The real parts where all eigenvalues of a real matrix are real."""
    if values.inputs[0].is_complex:
        return made
    alone = all_(imag(values) == 0, axis=None, keepdims=False)
    return tuple(real(x) for x in made) if bool(alone) else made


class Svd(NamedTuple):
    """What ``numpy.linalg.svd`` returns."""

    U: Any
    S: Any
    Vh: Any


@numpy_function(np.linalg.svd)
def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    """``numpy.linalg.svd``; the extra vectors of ``full_matrices`` are not determined."""
    node = lift(a)
    if hermitian:
        return _svd_by_eigh(node, compute_uv)
    if not compute_uv:
        return factorise.svd_s(node)
    if full_matrices and node.ndim > 1 and node.shape[-2] != node.shape[-1]:
        raise ArgumentError(
            "np.linalg.svd with full_matrices=True has no derivative: the extra vectors are free",
            where=str(user_site() or ""),
            got=f"a matrix of shape {node.shape}",
            todo="np.linalg.svd(…, full_matrices=False)",
        )
    return Svd(factorise.svd_u(node), factorise.svd_s(node), factorise.svd_vt(node))


def _svd_by_eigh(x: Node, compute_uv: bool) -> Any:
    """That of a Hermitian matrix, read from its lower triangle: a negative sign goes to vᵀ."""
    values = factorise.eigh_values(x, triangle="L")
    sizes = abs_(values)
    falling = NUMPY[np.argsort](sizes)[..., ::-1]
    s = take_along_axis(sizes, falling, -1)
    if not compute_uv:
        return s
    columns = reshape(falling, shape=(*falling.shape[:-1], 1, falling.shape[-1]))
    u = take_along_axis(factorise.eigh_vectors(x, triangle="L"), columns, -1)
    signs = take_along_axis(sign(values), falling, -1)
    return Svd(u, s, transposed(factorise.columns_times(u, signs)))


numpy_function(np.linalg.svdvals)(factorise.svd_s)


class Qr(NamedTuple):
    """What ``numpy.linalg.qr`` returns."""

    Q: Any
    R: Any


@numpy_function(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    """``numpy.linalg.qr`` in the modes reduced and r."""
    node = lift(a)
    if node.ndim < 2:
        raise ShapeError(
            "np.linalg.qr takes a matrix, or a stack of them",
            where=str(user_site() or ""),
            got=f"shape {node.shape}",
        )
    rows, columns = node.shape[-2:]
    if mode not in ("reduced", "r") and not (mode == "complete" and rows <= columns):
        raise ArgumentError(
            f"np.linalg.qr of a traced matrix does not know mode={mode!r}",
            where=str(user_site() or ""),
            expected="'reduced' or 'r'",
        )
    if rows >= columns:
        q, r = factorise.qr_q(node), factorise.qr_r(node)
    else:  # the square part decides Q; the other columns follow
        square, rest = node[..., :rows], node[..., rows:]
        q = factorise.qr_q(square)
        # (…, m, m) · (…, m, n − m) -> (…, m, n − m)
        r = joined([factorise.qr_r(square), matmul(transposed(q), rest)], -1)
    return r if mode == "r" else Qr(q, r)


# -- norms -----------------------------------------------------------------------------------------
@numpy_function(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Node:  # noqa: A002
    """``numpy.linalg.norm``, all orders; the slope of a norm at 0 is taken as 0."""
    node, axes = _real(x), plain_axis(axis)
    if axes is None:
        if ord is None or (node.ndim == 2 and _is(ord, "fro", "f")):
            return norm_op(_size(node), order=2, axis=None, keepdims=bool(keepdims))
        axes = tuple(range(node.ndim))
    listed = (axes,) if isinstance(axes, int) else axes
    places = tuple(normal_axis(k, node.ndim) for k in listed)
    if len(places) == 1:
        return _vector_norm(node, 2 if ord is None else ord, places, keepdims)
    if len(places) == 2 and places[0] != places[1]:
        return _matrix_norm(node, "fro" if ord is None else ord, places, keepdims)
    raise ArgumentError(
        "a norm is taken over one axis or two",
        where=str(user_site() or ""),
        got=f"axis={axis} of an array of shape {node.shape}",
    )


def _real(x: Any) -> Node:
    """``x`` as floats: the norm of integers is a real number."""
    node = lift(x)
    return node if node.is_inexact else astype(node, dtype=np.dtype(np.float64))


def _is(order: Any, *names: str) -> bool:
    return isinstance(order, str) and order in names


def _vector_norm(x: Node, order: Any, axes: tuple[int, ...], keepdims: bool) -> Node:
    if isinstance(order, str) or not isinstance(order, (int, float, np.number)):
        raise _no_such_norm(order)
    size_ = absolute(x)
    if order == np.inf:
        largest: Node = NUMPY[np.max](size_, axis=axes, keepdims=keepdims, initial=0)
        return largest
    if order == -np.inf:
        return min_(size_, axis=axes, keepdims=keepdims)
    if order == 0:
        return sum_(astype(x != 0, dtype=real_of(x.dtype)), axis=axes, keepdims=keepdims)
    if order == 1:
        return sum_(size_, axis=axes, keepdims=keepdims)
    axis = axes[0] if len(axes) == 1 else axes
    return norm_op(_size(x), order=_number(order), axis=axis, keepdims=bool(keepdims))


def _size(x: Node) -> Node:
    """Complex numbers count by their size."""
    return size(x) if x.is_complex else x


def _number(order: Any) -> float:
    return int(order) if float(order).is_integer() else float(order)


def _matrix_norm(x: Node, order: Any, axes: tuple[int, ...], keepdims: bool) -> Node:
    if _is(order, "fro", "f"):
        return norm_op(_size(x), order=2, axis=axes, keepdims=bool(keepdims))
    rows, columns = axes
    if order in (1, -1, np.inf, -np.inf):
        summed, kept = (rows, columns) if abs(order) == 1 else (columns, rows)
        totals = sum_(absolute(x), axis=summed, keepdims=True)
        made = (max_ if order > 0 else min_)(totals, axis=kept, keepdims=True)
    elif order in (2, -2, "nuc"):
        values = factorise.svd_s(moveaxis(x, axes, (-2, -1)))
        made = sum_(values, axis=-1, keepdims=False) if order == "nuc" else _shared(values, order)
        made = reshape(made, shape=tuple(1 if k in axes else n for k, n in enumerate(x.shape)))
    else:
        raise _no_such_norm(order)
    if keepdims:
        return made
    return reshape(made, shape=tuple(n for k, n in enumerate(x.shape) if k not in axes))


def _shared(values: Node, order: Any) -> Node:
    """The largest or smallest singular value; of equal ones, whose vectors are free, the mean."""
    if not values.shape[-1]:
        return (max_ if order == 2 else min_)(values, axis=-1, keepdims=False)
    extreme = (max_ if order == 2 else min_)(values, axis=-1, keepdims=True)
    wins = values == detach(extreme)
    total = sum_(where(wins, values, 0.0), axis=-1, keepdims=False)
    return total / sum_(astype(wins, dtype=values.dtype), axis=-1, keepdims=False)


def _no_such_norm(order: Any) -> ArgumentError:
    return ArgumentError(
        f"there is no norm of order {order!r} here",
        where=str(user_site() or ""),
        expected="a number, inf, -inf; 'fro' or 'nuc' for matrices",
    )


@numpy_function(np.linalg.vector_norm)
def vector_norm(
    x: Any,
    /,
    *,
    axis: Any = None,
    keepdims: bool = False,
    ord: Any = 2,  # noqa: A002
) -> Node:
    """``numpy.linalg.vector_norm``: over any number of axes."""
    node, axes = _real(x), plain_axis(axis)
    places = tuple(range(node.ndim)) if axes is None else axes
    listed = (places,) if isinstance(places, int) else places
    return _vector_norm(node, ord, tuple(normal_axis(k, node.ndim) for k in listed), keepdims)


@numpy_function(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Node:  # noqa: A002
    """``numpy.linalg.matrix_norm``: of the last two axes."""
    node = _real(x)
    return _matrix_norm(node, ord, (node.ndim - 2, node.ndim - 1), keepdims)


@numpy_function(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Node:
    """``numpy.linalg.cond``: the norm of a matrix times that of its inverse."""
    node = lift(x)
    axes = (node.ndim - 2, node.ndim - 1)
    if p in (None, 2, -2):
        values = factorise.svd_s(node)
        large, small = max_(values, axis=-1, keepdims=False), min_(values, axis=-1, keepdims=False)
        return small / large if p == -2 else large / small
    return _matrix_norm(node, p, axes, False) * _matrix_norm(inv(node), p, axes, False)
