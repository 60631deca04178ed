"""Factorisations of matrices.

Each factor is an operation of its own: a pullback is linear in its cotangents, so the δ of the
factors of one matrix simply add up. The formulas are those of Giles, "An extended collection of
matrix derivative results" (2008), and Townsend, "Differentiating the singular value
decomposition" (2016).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from allbps.errors import ShapeError
from allbps.ir import Aval, Bad, Node, Notation, Op, Precedence, Rule, Sample
from allbps.ops.arithmetic import power
from allbps.ops.comparison import where
from allbps.ops.linalg import (
    NOT_SQUARE,
    floats,
    inv,
    matmul,
    solve,
    square_shape,
    transposed,
)
from allbps.ops.shape import reshape


# -- parts of a matrix -----------------------------------------------------------------------------
def lower(x: Node, k: int = 0) -> Node:
    """The part of ``x`` on and below diagonal ``k``, zeros above."""
    rows, columns = x.shape[-2:]
    return where(np.tri(rows, columns, k, dtype=bool), x, 0.0)


def upper(x: Node) -> Node:
    """The part of ``x`` on and above the diagonal, zeros below."""
    rows, columns = x.shape[-2:]
    return where(np.tri(rows, columns, -1, dtype=bool), 0.0, x)


def columns_times(matrix: Node, x: Node) -> Node:
    """``matrix`` · diag(x): column j times x[j]."""
    return matrix * reshape(x, shape=(*x.shape[:-1], 1, x.shape[-1]))


def read(g: Node, triangle: str = "L") -> Node:
    """δ of a matrix of which only one triangle is read, from δ of the symmetric one."""
    below = lower(g) + lower(transposed(g), -1)
    return below if triangle == "L" else transposed(below)


def inverse_differences(values: Node) -> Node:
    """F(i, j) = 1 / (vⱼ − vᵢ), and 0 where they are equal: there a loss must not depend on it."""
    n = values.shape[-1]
    gaps = reshape(values, shape=(*values.shape[:-1], 1, n))
    gaps = gaps - reshape(values, shape=(*values.shape[:-1], n, 1))
    same = gaps == 0
    return where(same, 0.0, 1.0 / where(same, 1.0, gaps))


def symmetric_sample(rng: np.random.Generator) -> Any:
    """A matrix whose lower triangle has eigenvalues well apart."""
    return rng.uniform(-0.5, 0.5, (3, 3)) + np.diag([-3.0, 0.5, 4.0])


def positive_sample(rng: np.random.Generator) -> Any:
    """Two positive definite matrices."""
    x = rng.uniform(-1.0, 1.0, (2, 3, 3))
    return x @ np.swapaxes(x, -1, -2) + np.eye(3)


# -- Cholesky --------------------------------------------------------------------------------------
def d_cholesky(g: Node, y: Node, x: Node) -> Node:
    inner = matmul(transposed(y), lower(g))  # (…, n, n) · (…, n, n) -> (…, n, n)
    halved = lower(inner) - 0.5 * lower(upper(inner))
    left = solve(transposed(y), halved)  # L⁻ᵀ Φ
    full = transposed(solve(transposed(y), transposed(left)))  # L⁻ᵀ Φ L⁻¹
    return read(0.5 * (full + transposed(full)))


cholesky = Op(
    name="cholesky",
    doc="The lower triangular L with L Lᵀ = x; reads the lower triangle of x.",
    operands="x",
    shape=square_shape,
    numpy="np.linalg.cholesky({x})",
    torch="torch.linalg.cholesky(torch.tril({x}) + torch.tril({x}, -1).mT)",
    jax="jnp.linalg.cholesky({x}, symmetrize_input=False)",
    rules=(
        Rule(
            d_cholesky,
            "δ{x} = {y:5}⁻ᵀ Φ({y:5}ᵀ δ{y}) {y:5}⁻¹, Φ the lower triangle with half its diagonal",
        ),
    ),
    notation=Notation("cholesky({x})"),
    samples=(
        Sample((lambda rng: positive_sample(rng)[0],)),
        Sample((positive_sample,)),
    ),
    bad=NOT_SQUARE,
)


# -- symmetric eigenvalues -------------------------------------------------------------------------
def values_shape(x: Node, triangle: str) -> Aval:
    shape, dtype = square_shape(x)
    return shape[:-1], dtype


def vectors_shape(x: Node, triangle: str) -> Aval:
    return square_shape(x)


def d_eigh_values(g: Node, y: Node, x: Node, triangle: str) -> Node:
    vectors = eigh_vectors(x, triangle=triangle)
    # (…, n, n) · (…, n, n) -> (…, n, n)
    return read(matmul(columns_times(vectors, g), transposed(vectors)), triangle)


def eigh_text(part: int) -> Any:
    def text(operands: Any, attrs: Any) -> str:
        which = "" if attrs["triangle"] == "L" else ", 'U'"
        return f"np.linalg.eigh({operands['x']}{which})[{part}]"

    return text


def eigh_jax(part: int) -> Any:
    def text(operands: Any, attrs: Any) -> str:
        x, half = operands["x"], attrs["triangle"]
        return f"jnp.linalg.eigh({x}, '{half}', symmetrize_input=False)[{part}]"

    return text


def eigh_torch(call: str) -> Any:
    def text(operands: Any, attrs: Any) -> str:
        # PyTorch spreads δ over both triangles, so it is given the symmetric matrix
        x, (half, k) = operands["x"], ("tril", -1) if attrs["triangle"] == "L" else ("triu", 1)
        return call.format(f"torch.{half}({x}) + torch.{half}({x}, {k}).mT")

    return text


EIGEN = (
    Sample((symmetric_sample,), {"triangle": "L"}),
    Sample((symmetric_sample,), {"triangle": "U"}),
    Sample(
        (lambda rng: np.stack([symmetric_sample(rng), symmetric_sample(rng)]),), {"triangle": "L"}
    ),
)
NOT_SYMMETRIC = tuple(replace(bad, attrs={"triangle": "L"}) for bad in NOT_SQUARE)
eigh_values = Op(
    name="eigh_values",
    doc="Eigenvalues of a symmetric matrix, rising; reads one triangle of x.",
    operands="x",
    shape=values_shape,
    numpy=eigh_text(0),
    torch=eigh_torch("torch.linalg.eigvalsh({})"),
    jax=eigh_jax(0),
    rules=(Rule(d_eigh_values, "∂{y:6}ₖ/∂{x} = vₖ vₖᵀ with the eigenvector vₖ"),),
    notation=Notation("eigenvalues({x})"),
    samples=EIGEN,
    bad=NOT_SYMMETRIC,
)


def d_eigh_vectors(g: Node, y: Node, x: Node, triangle: str) -> Node:
    values = eigh_values(x, triangle=triangle)
    # every product: (…, n, n) · (…, n, n) -> (…, n, n)
    inner = matmul(transposed(y), g) * inverse_differences(values)
    full = matmul(matmul(y, inner), transposed(y))
    return read(0.5 * (full + transposed(full)), triangle)


eigh_vectors = Op(
    name="eigh_vectors",
    doc="Eigenvectors of a symmetric matrix as columns; reads one triangle of x.",
    operands="x",
    shape=vectors_shape,
    numpy=eigh_text(1),
    torch=eigh_torch("torch.linalg.eigh({})[1]"),
    why_no_torch="the signs of eigenvectors are free, so another library may choose others",
    jax=eigh_jax(1),
    rules=(Rule(d_eigh_vectors, "δ{x} = {y} (F ⊙ {y:5}ᵀ δ{y}) {y:5}ᵀ with Fᵢⱼ = 1 / (λⱼ − λᵢ)"),),
    notation=Notation("eigenvectors({x})"),
    samples=EIGEN,
    bad=NOT_SYMMETRIC,
)


# -- singular values -------------------------------------------------------------------------------
def matrix(x: Node) -> tuple[tuple[int, ...], int, int]:
    """Leading axes, rows and columns.

    Raises:
        ShapeError: there are fewer than two axes.

    """
    if x.ndim < 2:
        raise ShapeError(
            "{x} must be a matrix, or a stack of them",
            expected="at least two axes",
            got=f"{{x}} is {x.shape}",
        )
    return x.shape[:-2], x.shape[-2], x.shape[-1]


def svd_u_shape(x: Node) -> Aval:
    batch, rows, columns = matrix(x)
    return (*batch, rows, min(rows, columns)), floats(x)


def svd_s_shape(x: Node) -> Aval:
    batch, rows, columns = matrix(x)
    return (*batch, min(rows, columns)), floats(x)


def svd_vt_shape(x: Node) -> Aval:
    batch, rows, columns = matrix(x)
    return (*batch, min(rows, columns), columns), floats(x)


def d_svd_s(g: Node, y: Node, x: Node) -> Node:
    return matmul(columns_times(svd_u(x), g), svd_vt(x))  # (…, m, r) · (…, r, n) -> (…, m, n)


def d_svd_u(g: Node, y: Node, x: Node) -> Node:
    s, vt = svd_s(x), svd_vt(x)
    inner = _turn(y, g, s)  # (…, r, r)
    full = matmul(columns_times(matmul(y, inner), s), vt)  # (…, m, r) · (…, r, n) -> (…, m, n)
    if x.shape[-2] > y.shape[-1]:  # what of δ lies outside the columns of u
        outside = g - matmul(y, matmul(transposed(y), g))  # (…, m, r)
        full = full + matmul(columns_times(outside, 1.0 / s), vt)
    return full


def d_svd_vt(g: Node, y: Node, x: Node) -> Node:
    u, s, v, d_v = svd_u(x), svd_s(x), transposed(y), transposed(g)
    inner = _turn(v, d_v, s)  # (…, r, r)
    full = matmul(columns_times(u, s), matmul(inner, y))  # (…, m, r) · (…, r, n) -> (…, m, n)
    if x.shape[-1] > y.shape[-2]:
        outside = d_v - matmul(v, matmul(y, d_v))  # (…, n, r)
        full = full + matmul(columns_times(u, 1.0 / s), transposed(outside))
    return full


def _turn(vectors: Node, g: Node, s: Node) -> Node:
    """F ⊙ (Xᵀ δX − δXᵀ X) with F(i, j) = 1 / (sⱼ² − sᵢ²)."""
    inner = matmul(transposed(vectors), g)  # (…, r, n) · (…, n, r) -> (…, r, r)
    return inverse_differences(power(s, exponent=2)) * (inner - transposed(inner))


def tall_sample(rng: np.random.Generator) -> Any:
    """Two tall matrices with singular values well apart."""
    return rng.uniform(-0.5, 0.5, (2, 4, 3)) + np.eye(4, 3) * [4.0, 2.0, 1.0]


NO_MATRIX = (
    Bad(
        ((3,),),
        "x must be a matrix, or a stack of them\n"
        "  expected: at least two axes\n"
        "  got:      x is (3,)",
    ),
)
FREE_SIGNS = "the signs of singular vectors are free, so another library may choose others"
SHAPES_OF_MATRICES = (
    Sample((tall_sample,)),
    Sample((lambda rng: np.swapaxes(tall_sample(rng)[0], 0, 1),)),
    Sample((lambda rng: tall_sample(rng)[0, :3],)),
)
svd_u = Op(
    name="svd_u",
    doc="u of x = u diag(s) vᵀ: left singular vectors as columns.",
    operands="x",
    shape=svd_u_shape,
    numpy="np.linalg.svd({x}, full_matrices=False)[0]",
    torch="torch.linalg.svd({x}, full_matrices=False)[0]",
    why_no_torch=FREE_SIGNS,
    rules=(
        Rule(
            d_svd_u,
            "δ{x} = {y} (F ⊙ ({y:5}ᵀ δ{y} − δ{y:5}ᵀ {y})) S Vᵀ + (1 − {y} {y:5}ᵀ) δ{y} S⁻¹ Vᵀ",
        ),
    ),
    notation=Notation("svd_u({x})"),
    samples=SHAPES_OF_MATRICES,
    bad=NO_MATRIX,
)
svd_s = Op(
    name="svd_s",
    doc="Singular values, falling.",
    operands="x",
    shape=svd_s_shape,
    numpy="np.linalg.svd({x}, full_matrices=False)[1]",
    torch="torch.linalg.svdvals({x})",
    rules=(Rule(d_svd_s, "∂{y:6}ₖ/∂{x} = uₖ vₖᵀ with the singular vectors uₖ and vₖ"),),
    notation=Notation("svd_s({x})"),
    samples=SHAPES_OF_MATRICES,
    bad=NO_MATRIX,
)
svd_vt = Op(
    name="svd_vt",
    doc="vᵀ of x = u diag(s) vᵀ: right singular vectors as rows.",
    operands="x",
    shape=svd_vt_shape,
    numpy="np.linalg.svd({x}, full_matrices=False)[2]",
    torch="torch.linalg.svd({x}, full_matrices=False)[2]",
    why_no_torch=FREE_SIGNS,
    rules=(
        Rule(d_svd_vt, "δ{x} = U S (F ⊙ (Vᵀ δV − δVᵀ V)) Vᵀ + U S⁻¹ δVᵀ (1 − V Vᵀ), V = {y:5}ᵀ"),
    ),
    notation=Notation("svd_vt({x})"),
    samples=SHAPES_OF_MATRICES,
    bad=NO_MATRIX,
)


# -- QR --------------------------------------------------------------------------------------------
def qr_shape(x: Node) -> tuple[tuple[int, ...], int, int]:
    batch, rows, columns = matrix(x)
    if rows < columns:
        raise ShapeError(
            "{x} has more columns than rows",
            expected="at least as many rows as columns",
            got=f"{{x}} is {x.shape}",
        )
    return batch, rows, columns


def qr_q_shape(x: Node) -> Aval:
    batch, rows, columns = qr_shape(x)
    return (*batch, rows, columns), floats(x)


def qr_r_shape(x: Node) -> Aval:
    batch, _, columns = qr_shape(x)
    return (*batch, columns, columns), floats(x)


def d_qr_q(g: Node, y: Node, x: Node) -> Node:
    inner = -matmul(transposed(g), y)  # (…, n, m) · (…, m, n) -> (…, n, n)
    return _divided(g + matmul(y, _copy_lower(inner)), qr_r(x))  # (…, m, n)


def d_qr_r(g: Node, y: Node, x: Node) -> Node:
    inner = matmul(y, transposed(upper(g)))  # (…, n, n) · (…, n, n) -> (…, n, n)
    return _divided(matmul(qr_q(x), _copy_lower(inner)), y)  # (…, m, n) · (…, n, n) -> (…, m, n)


def _copy_lower(x: Node) -> Node:
    """The lower triangle, mirrored into the upper."""
    return lower(x) + transposed(lower(x, -1))


def _divided(x: Node, r: Node) -> Node:
    """The quotient x R⁻ᵀ."""
    return transposed(solve(r, transposed(x)))


TALL = (
    Sample((tall_sample,)),
    Sample((lambda rng: tall_sample(rng)[0, :3],)),
)
NOT_TALL = (
    Bad(
        ((2, 3),),
        "x has more columns than rows\n"
        "  expected: at least as many rows as columns\n"
        "  got:      x is (2, 3)",
    ),
)
qr_q = Op(
    name="qr_q",
    doc="Q of x = Q R: orthonormal columns.",
    operands="x",
    shape=qr_q_shape,
    numpy="np.linalg.qr({x})[0]",
    torch="torch.linalg.qr({x})[0]",
    rules=(Rule(d_qr_q, "δ{x} = (δ{y} + {y} copyltu(−δ{y:5}ᵀ {y})) R⁻ᵀ"),),
    notation=Notation("qr_q({x})"),
    samples=TALL,
    bad=NOT_TALL,
)
qr_r = Op(
    name="qr_r",
    doc="R of x = Q R: upper triangular.",
    operands="x",
    shape=qr_r_shape,
    numpy="np.linalg.qr({x})[1]",
    torch="torch.linalg.qr({x})[1]",
    rules=(Rule(d_qr_r, "δ{x} = Q copyltu({y} δ{y:5}ᵀ) {y:5}⁻ᵀ"),),
    notation=Notation("qr_r({x})"),
    samples=TALL,
    bad=NOT_TALL,
)


# -- pseudo-inverse --------------------------------------------------------------------------------
def pinv_shape(x: Node) -> Aval:
    batch, rows, columns = matrix(x)
    return (*batch, columns, rows), floats(x)


def d_pinv(g: Node, y: Node, x: Node) -> Node:
    """Golub & Pereyra (1973), for a rank that stays the same near x."""
    rows, columns = x.shape[-2:]
    gt, yt = transposed(g), transposed(y)  # x, gt, yt: (…, m, n); y, g: (…, n, m)
    total = -matmul(matmul(yt, g), yt)  # (…, m, n) · (…, n, m) · (…, m, n) -> (…, m, n)
    if rows > columns:
        outside = gt - matmul(matmul(x, y), gt)
        total = total + matmul(outside, matmul(y, yt))
    if columns > rows:
        outside = gt - matmul(gt, matmul(y, x))
        total = total + matmul(matmul(yt, y), outside)
    return total


pinv = Op(
    name="pinv",
    doc="Moore-Penrose inverse of a matrix of full rank.",
    operands="x",
    shape=pinv_shape,
    numpy="np.linalg.pinv({x})",
    torch="torch.linalg.pinv({x})",
    rules=(Rule(d_pinv, "δ{x} = −{y:5}ᵀ δ{y} {y:5}ᵀ + (1 − {x} {y}) δ{y:5}ᵀ {y} {y:5}ᵀ + …"),),
    notation=Notation("{x:5}⁺", Precedence.POWER, latex="{x:5}^{{+}}"),
    expand=lambda x: (
        matmul(inv(matmul(transposed(x), x)), transposed(x))
        if x.shape[-2] >= x.shape[-1]
        else matmul(transposed(x), inv(matmul(x, transposed(x))))
    ),
    samples=SHAPES_OF_MATRICES,
    bad=NO_MATRIX,
)
