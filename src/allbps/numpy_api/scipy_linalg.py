"""scipy.linalg and scipy.signal on traced arrays, offered by ``allbps.scipy``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from allbps.errors import ArgumentError
from allbps.ir import Node, lift, numpy_function, user_site
from allbps.numpy_api import linalg
from allbps.numpy_api.arguments import floating
from allbps.numpy_api.choosing import tril
from allbps.ops.exponential import expm_op
from allbps.ops.join import joined
from allbps.ops.linalg import det, inv, transposed

numpy_function("scipy.linalg.expm")(expm_op)
numpy_function("scipy.linalg.inv")(inv)
numpy_function("scipy.linalg.det")(det)
numpy_function("scipy.linalg.svdvals")(lambda a: linalg.svd(a, compute_uv=False))
numpy_function("scipy.linalg.norm")(linalg.norm)
numpy_function("scipy.linalg.pinv")(lambda a, *, rtol=None: linalg.pinv(a, rtol=rtol))


# -- triangular systems ----------------------------------------------------------------------------
def _transposition(trans: Any) -> bool:
    """Is the matrix to be transposed?

    Raises:
        ArgumentError: a word that SciPy does not know.

    """
    if trans not in (0, 1, 2, "N", "T", "C"):
        raise ArgumentError(
            "unknown trans",
            where=str(user_site() or ""),
            expected="0 or 'N', 1 or 'T', 2 or 'C'",
            got=repr(trans),
        )
    return trans not in (0, "N")


def triangle(a: Any, lower: bool, unit: bool = False) -> Node:
    """The triangle that is read, with ones on the diagonal where that is not."""
    node = lift(a)
    k = -1 if unit else 0
    made = tril(node, k) if lower else transposed(tril(transposed(node), k))
    return made + np.eye(node.shape[-1], dtype=node.dtype) if unit else made


@numpy_function("scipy.linalg.solve_triangular")
def solve_triangular(
    a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False, **_: Any
) -> Node:
    """``scipy.linalg.solve_triangular``: the x with a x = b; one triangle of a is read."""
    matrix = triangle(a, lower, unit_diagonal)
    return linalg.solve_by(transposed(matrix) if _transposition(trans) else matrix, b)


@numpy_function("scipy.linalg.cholesky")
def cholesky(a: Any, lower: bool = False, **_: Any) -> Node:
    """``scipy.linalg.cholesky``: the upper factor unless told otherwise, and that triangle read."""
    return linalg.cholesky(a, upper=not lower)


@numpy_function("scipy.linalg.cho_factor")
def cho_factor(a: Any, lower: bool = False, **_: Any) -> tuple[Node, bool]:
    """``scipy.linalg.cho_factor``; the other triangle holds zeros here, and not what was in a."""
    return linalg.cholesky(a, upper=not lower), lower


@numpy_function("scipy.linalg.cho_solve")
def cho_solve(c_and_lower: Any, b: Any, **_: Any) -> Node:
    """``scipy.linalg.cho_solve``: the x with a x = b from the factor of a."""
    factor, lower = c_and_lower
    half = triangle(factor, bool(lower))
    half = half if lower else transposed(half)
    return linalg.solve_by(transposed(half), linalg.solve_by(half, b))


@numpy_function("scipy.linalg.solve")
def solve(a: Any, b: Any, lower: bool = False, assume_a: Any = None, **_: Any) -> Node:
    """``scipy.linalg.solve``; a symmetric or positive definite matrix is read from one triangle."""
    node = lift(a)
    if assume_a in ("sym", "symmetric", "her", "hermitian", "pos", "positive definite"):
        half = triangle(node, lower)
        node = half + transposed(half) - half * np.eye(node.shape[-1], dtype=node.dtype)
    return linalg.solve_by(node, b)


# -- factorisations --------------------------------------------------------------------------------
@numpy_function("scipy.linalg.eigh")
def eigh(a: Any, *, lower: bool = True, eigvals_only: bool = False) -> Any:
    """``scipy.linalg.eigh`` of one matrix."""
    found = linalg.eigh(a, "L" if lower else "U")
    return found.eigenvalues if eigvals_only else tuple(found)


@numpy_function("scipy.linalg.eigvalsh")
def eigvalsh(a: Any, *, lower: bool = True) -> Node:
    """``scipy.linalg.eigvalsh`` of one matrix."""
    return linalg.eigvalsh(a, "L" if lower else "U")


@numpy_function("scipy.linalg.svd")
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """``scipy.linalg.svd``."""
    return linalg.svd(a, full_matrices, compute_uv)


@numpy_function("scipy.linalg.qr")
def qr(a: Any, *, mode: str = "full") -> Any:
    """``scipy.linalg.qr`` in the modes economic and r, and full of what is not tall."""
    rows, columns = lift(a).shape[-2:]
    if mode == "r" and rows > columns:
        zeros = np.zeros((rows - columns, columns))
        return (joined([linalg.qr(a, "r"), lift(zeros)], -2),)
    if mode == "r":
        return (linalg.qr(a, "r"),)
    return tuple(linalg.qr(a, "reduced" if mode == "economic" else "complete"))


# -- convolution -----------------------------------------------------------------------------------
@numpy_function("scipy.signal.convolve")
def convolve_by(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Node:
    """``scipy.signal.convolve`` of signals with any number of axes, by sums of products."""
    return _sliding(in1, in2, mode, turned=True)


@numpy_function("scipy.signal.correlate")
def correlate_by(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Node:
    """``scipy.signal.correlate`` of signals with any number of axes, by sums of products."""
    return _sliding(in1, in2, mode, turned=False)


def _sliding(in1: Any, in2: Any, mode: str, turned: bool) -> Node:
    a, v = floating(in1), floating(in2)
    if mode not in ("full", "same", "valid") or a.ndim != v.ndim:
        raise ArgumentError(
            "a convolution takes two arrays with as many axes, and a mode",
            where=str(user_site() or ""),
            expected="'full', 'same' or 'valid'",
            got=f"mode={mode!r}, shapes {a.shape} and {v.shape}",
        )
    places: Any = np
    kernel = v if turned else places.flip(v)
    if mode == "valid" and any(n < m for n, m in zip(a.shape, v.shape, strict=True)):
        if any(n > m for n, m in zip(a.shape, v.shape, strict=True)):
            raise ArgumentError(
                "one of the two must be at least as long as the other on every axis",
                where=str(user_site() or ""),
                got=f"shapes {a.shape} and {v.shape}",
            )
        swapped = _sliding(in2, in1, mode, turned)
        back: Node = swapped if turned else places.flip(swapped)
        return back
    pairs: dict[str, Callable[[int], tuple[int, int]]] = {
        "full": lambda m: (m - 1, m - 1),
        "same": lambda m: (m - 1 - (m - 1) // 2, (m - 1) // 2),  # the middle of the full one
        "valid": lambda m: (0, 0),
    }
    around = [pairs[mode](m) for m in v.shape]
    windows = places.lib.stride_tricks.sliding_window_view(places.pad(a, around), v.shape)
    axes = tuple(range(a.ndim, 2 * a.ndim))
    made: Node = places.sum(windows * places.flip(kernel), axis=axes)
    return made
