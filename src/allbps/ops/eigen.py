"""Eigenvalues and eigenvectors of any square matrix, which may be complex.

In the convention of ``complexes`` the formulas are those of Giles (2008) with plain transposes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.ir import Aval, Node, Notation, Op, Rule, Sample
from allbps.ops.comparison import where
from allbps.ops.complexes import absolute, complex_of
from allbps.ops.linalg import NOT_SQUARE, inv, matmul, regular, square_shape, transposed
from allbps.ops.reduce import max_
from allbps.ops.shape import reshape


def values_shape(x: Node) -> Aval:
    shape, dtype = square_shape(x)
    return shape[:-1], complex_of(dtype)


def vectors_shape(x: Node) -> Aval:
    shape, dtype = square_shape(x)
    return shape, complex_of(dtype)


def _text(part: int) -> str:
    return f"np.linalg.eig({{x}})[{part}] + 0j"


def _back(inner: Node, vectors: Node) -> Node:
    """V⁻ᵀ inner Vᵀ.

    A matrix that lacks eigenvectors has no such δ, as its eigenvalues move like roots; one that
    nearly does has a V whose inverse is so large that more than two thirds of the digits would be
    those of rounding. In both cases δ is NaN.
    """
    inverse = inv(vectors)
    real = vectors.real.dtype
    largest = max_(absolute(inverse), axis=(-2, -1), keepdims=True)
    complete = largest < float(np.finfo(real).eps ** (-1 / 3))
    # (…, n, n) · (…, n, n) · (…, n, n)
    full = matmul(matmul(transposed(inverse), inner), transposed(vectors))
    return full * where(complete, real.type(1), real.type(np.nan))


def d_eig_values(g: Node, y: Node, x: Node) -> Node:
    n = y.shape[-1]
    diagonal = reshape(g, shape=(*g.shape, 1)) * np.eye(n)
    return _back(diagonal, eig_vectors(x))


def d_eig_vectors(g: Node, y: Node, x: Node) -> Node:
    """δ along changes of each vector by the others; its own length is nobody's business here.

    Vectors of equal eigenvalues may be turned among themselves: there δ is NaN.
    """
    values, n = eig_values(x), y.shape[-1]
    row = reshape(values, shape=(*values.shape[:-1], 1, n))
    gaps = row - reshape(values, shape=(*values.shape[:-1], n, 1))
    largest = max_(absolute(row), axis=-1, keepdims=True)
    closest = float(np.finfo(x.dtype).eps ** (2 / 3))
    apart = absolute(gaps) > closest * largest
    own = np.eye(n, dtype=bool)
    shares = where(apart, 1.0 / where(apart, gaps, 1.0), np.where(own, 0.0, np.nan))
    return _back(shares * matmul(transposed(y), g), y)  # (…, n, n) · (…, n, n) -> (…, n, n)


def turned(rng: np.random.Generator) -> Any:
    """A matrix with a pair of complex eigenvalues."""
    return rng.uniform(-0.5, 0.5, (3, 3)) + np.array([[1.0, -3.0, 0], [3.0, 1.0, 0], [0, 0, 2.0]])


MATRICES = (Sample((turned,)), Sample((regular,)))
eig_values = Op(
    name="eig_values",
    doc="Eigenvalues of a square matrix, as complex numbers.",
    operands="x",
    shape=values_shape,
    numpy=_text(0),
    torch="torch.linalg.eig({x})[0]",
    why_no_torch="the order of eigenvalues is free, so another library may choose another",
    rules=(Rule(d_eig_values, 'δ{x} = V⁻ᵀ diag(δ{y}) Vᵀ "with the eigenvectors" V'),),
    notation=Notation("eig({x})"),
    complex=True,
    samples=MATRICES,
    bad=NOT_SQUARE,
)
eig_vectors = Op(
    name="eig_vectors",
    doc="Eigenvectors of a square matrix as columns; who uses them fixes their lengths.",
    operands="x",
    shape=vectors_shape,
    numpy=_text(1),
    torch="torch.linalg.eig({x})[1]",
    why_no_torch="the order and the phase of eigenvectors are free",
    rules=(Rule(d_eig_vectors, 'δ{x} = {y}⁻ᵀ (F ⊙ {y}ᵀ δ{y}) {y}ᵀ, "F the inverse gaps"'),),
    notation=Notation("eigenvectors({x})"),
    complex=True,
    samples=MATRICES,
    bad=NOT_SQUARE,
)
