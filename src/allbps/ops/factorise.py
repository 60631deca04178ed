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
from allbps.ir import INPUT, Aval, Bad, Node, Notation, Op, Rule, Sample
from allbps.ops.arithmetic import accumulate, power
from allbps.ops.comparison import where
from allbps.ops.function import abs_
from allbps.ops.index import numpy_index, put_add_op
from allbps.ops.linalg import (
    NOT_SQUARE,
    floats,
    matmul,
    per_matrix,
    solve,
    square_shape,
    transposed,
)
from allbps.ops.questions import matrix_rank
from allbps.ops.reduce import max_
from allbps.ops.shape import identity, reshape


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


def mirrored(x: Node) -> Node:
    """The symmetric matrix that the lower triangle of ``x`` says."""
    return lower(x) + transposed(lower(x, -1))


def read(g: Node, triangle: str = "L") -> Node:
    """δ of a matrix of which only one triangle is read, from δ of the symmetric one."""
    below = lower(g) + lower(transposed(g), -1)
    return below if triangle == "L" else transposed(below)


def over_differences(inner: Node, values: Node, used: Any) -> Node:
    """``inner[i, j] / (vⱼ − vᵢ)``, and 0 on the diagonal.

    The vectors of equal values may be turned among themselves: there the quotient is NaN, unless
    nothing depends on these vectors. So it is where values differ by less than ε^⅔ of the
    largest: more than two thirds of the digits would be those of rounding.
    """
    n = values.shape[-1]
    if not values.size:
        return inner
    row = reshape(values, shape=(*values.shape[:-1], 1, n))
    gaps = row - reshape(values, shape=(*values.shape[:-1], n, 1))
    closest = float(np.finfo(values.dtype).eps ** (2 / 3))
    apart = abs_(gaps) > closest * max_(abs_(row), axis=-1, keepdims=True)
    free = np.logical_or.outer(used, used) & ~np.eye(n, dtype=bool)
    equal = np.where(free, np.nan, 0.0).astype(values.dtype)
    return inner * where(apart, 1.0 / where(apart, gaps, 1.0), equal)


def used_along(g: Node, axis: int) -> Any:
    """Which places of an axis a δ can reach, as far as it was picked by plain indices."""
    reached = np.zeros(g.shape, bool)
    pending = [g]
    while pending:
        node = pending.pop()
        if node.op in (accumulate, identity):
            pending += node.inputs
        elif node.op is put_add_op and len(node.inputs) == 1:
            reached[numpy_index(node.attrs["parts"], [])] = True
        else:
            reached[...] = True
    return np.any(np.moveaxis(reached, axis, -1), axis=tuple(range(g.ndim - 1)))


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
            'δ{x} = {y}⁻ᵀ Φ({y}ᵀ δ{y}) {y}⁻¹", where" Φ'
            ' "takes the lower triangle with half its diagonal"',
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
    rules=(Rule(d_eigh_values, '∂{y}ₖ/∂{x} = vₖ vₖᵀ "with the eigenvector" vₖ'),),
    notation=Notation("eigenvalues({x})"),
    samples=EIGEN,
    bad=NOT_SYMMETRIC,
)


def d_eigh_vectors(g: Node, y: Node, x: Node, triangle: str) -> Node:
    values = eigh_values(x, triangle=triangle)
    # every product: (…, n, n) · (…, n, n) -> (…, n, n)
    inner = over_differences(matmul(transposed(y), g), values, used_along(g, -1))
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
    rules=(Rule(d_eigh_vectors, 'δ{x} = {y} (F ⊙ {y}ᵀ δ{y}) {y}ᵀ "with" Fᵢⱼ = 1 / (λⱼ − λᵢ)'),),
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
    inner = _turn(y, g, s, used_along(g, -1))  # (…, r, r)
    full = matmul(columns_times(matmul(y, inner), s), vt)  # (…, m, r) · (…, r, n) -> (…, m, n)
    if x.shape[-2] > y.shape[-1]:  # what of δ lies outside the columns of u
        outside = g - matmul(y, matmul(transposed(y), g))  # (…, m, r)
        full = full + matmul(columns_times(outside, 1.0 / s), vt)
    return full


def d_svd_vt(g: Node, y: Node, x: Node) -> Node:
    u, s, v, d_v = svd_u(x), svd_s(x), transposed(y), transposed(g)
    inner = _turn(v, d_v, s, used_along(g, -2))  # (…, r, r)
    full = matmul(columns_times(u, s), matmul(inner, y))  # (…, m, r) · (…, r, n) -> (…, m, n)
    if x.shape[-1] > y.shape[-2]:
        outside = d_v - matmul(v, matmul(y, d_v))  # (…, n, r)
        full = full + matmul(columns_times(u, 1.0 / s), transposed(outside))
    return full


def _turn(vectors: Node, g: Node, s: Node, used: Any) -> Node:
    """F ⊙ (Xᵀ δX − δXᵀ X) with F(i, j) = 1 / (sⱼ² − sᵢ²), which is antisymmetric."""
    # (…, r, n) · (…, n, r) -> (…, r, r)
    inner = over_differences(matmul(transposed(vectors), g), power(s, exponent=2), used)
    return inner + transposed(inner)


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
            "δ{x} = {y} (F ⊙ ({y}ᵀ δ{y} − δ{y}ᵀ {y})) S Vᵀ + (1 − {y} {y}ᵀ) δ{y} S⁻¹ Vᵀ",
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
    rules=(Rule(d_svd_s, '∂{y}ₖ/∂{x} = uₖ vₖᵀ "with the singular vectors" uₖ "and" vₖ'),),
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
    rules=(Rule(d_svd_vt, "δ{x} = U S (F ⊙ (Vᵀ δV − δVᵀ V)) Vᵀ + U S⁻¹ δVᵀ (1 − V Vᵀ), V = {y}ᵀ"),),
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
    return _divided(g + matmul(y, mirrored(inner)), qr_r(x))  # (…, m, n)


def d_qr_r(g: Node, y: Node, x: Node) -> Node:
    inner = matmul(y, transposed(upper(g)))  # (…, n, n) · (…, n, n) -> (…, n, n)
    return _divided(matmul(qr_q(x), mirrored(inner)), y)  # (…, m, n) · (…, n, n) -> (…, m, n)


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
    rules=(Rule(d_qr_q, "δ{x} = (δ{y} + {y} copyltu(−δ{y}ᵀ {y})) R⁻ᵀ"),),
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
    rules=(Rule(d_qr_r, "δ{x} = Q copyltu({y} δ{y}ᵀ) {y}⁻ᵀ"),),
    notation=Notation("qr_r({x})"),
    samples=TALL,
    bad=NOT_TALL,
)


# -- pseudo-inverse --------------------------------------------------------------------------------
Cutoff = float | None
"""The share of the largest singular value below which one counts as 0; None is NumPy's default."""


def pinv_shape(x: Node, rcond: Cutoff, hermitian: bool) -> Aval:
    batch, rows, columns = matrix(x)
    return (*batch, columns, rows), floats(x)


def pinv_code(operands: Any, attrs: Any) -> str:
    options = "" if attrs["rcond"] is None else f", rcond={attrs['rcond']!r}"
    options += ", hermitian=True" if attrs["hermitian"] else ""
    return f"np.linalg.pinv({operands['x']}{options})"


def pinv_torch(operands: Any, attrs: Any) -> str:
    x, rtol = operands["x"], 1e-15 if attrs["rcond"] is None else attrs["rcond"]  # NumPy's default
    if attrs["hermitian"]:  # PyTorch spreads δ over both triangles
        return f"torch.linalg.pinv(torch.tril({x}) + torch.tril({x}, -1).mT, rtol={rtol!r})"
    return f"torch.linalg.pinv({x}, rtol={rtol!r})"


def pinv_jax(operands: Any, attrs: Any) -> str:
    x = operands["x"]
    if attrs["hermitian"]:
        operands = {"x": f"jnp.tril({x}) + jnp.tril({x}, -1).mT"}
    return pinv_code(operands, {**attrs, "hermitian": False}).replace("np.", "jnp.", 1)


def d_pinv(g: Node, y: Node, x: Node, rcond: Cutoff, hermitian: bool) -> Node:
    """Golub & Pereyra (1973), along matrices of the rank that x has.

    Where that is not the full rank and x may be any matrix, the pseudo-inverse jumps; and where
    the cutoff leaves out what is not 0, it depends on that too: NaN.
    """
    whole = mirrored(x) if hermitian else x
    gt, yt = transposed(g), transposed(y)  # x, gt, yt: (…, m, n); y, g: (…, n, m)
    total = -matmul(matmul(yt, g), yt)  # (…, m, n) · (…, n, m) · (…, m, n) -> (…, m, n)
    total = total + matmul(gt - matmul(matmul(whole, y), gt), matmul(y, yt))
    total = total + matmul(matmul(yt, y), gt - matmul(gt, matmul(y, whole)))
    total = read(total) if hermitian else total
    cutoff = 1e-15 if rcond is None else rcond
    if cutoff >= 1:  # no singular value is above
        return total
    noise = float(np.finfo(floats(x)).eps ** 0.5)

    def above(least: float) -> Node:
        return matrix_rank(x, tol=None, hermitian=hermitian, rtol=least)

    if x.op is not INPUT and cutoff <= noise:
        return total
    wanted = min(x.shape[-2:]) if x.op is INPUT else above(noise)
    number = x.dtype.type
    return total * per_matrix(where(above(cutoff) == wanted, number(1), number(np.nan)))


CUTOFFS = {"rcond": None, "hermitian": False}
pinv = Op(
    name="pinv",
    doc="Moore-Penrose inverse; its derivative is that along matrices of one rank.",
    operands="x",
    shape=pinv_shape,
    numpy=pinv_code,
    torch=pinv_torch,
    jax=pinv_jax,
    rules=(
        Rule(
            d_pinv,
            "δ{x} = −{y}ᵀ δ{y} {y}ᵀ + (1 − {x} {y}) δ{y}ᵀ {y} {y}ᵀ + {y}ᵀ {y} δ{y}ᵀ (1 − {y} {x})",
        ),
    ),
    notation=Notation("{x}⁺"),
    samples=tuple(replace(sample, attrs=CUTOFFS) for sample in SHAPES_OF_MATRICES),
    bad=tuple(replace(bad, attrs=CUTOFFS) for bad in NO_MATRIX),
)


# -- least squares ---------------------------------------------------------------------------------
def lstsq_shape(a: Node, b: Node, rcond: Cutoff) -> Aval:
    if a.ndim != 2 or b.ndim not in (1, 2) or a.shape[0] != b.shape[0]:
        raise ShapeError(
            "np.linalg.lstsq takes a matrix and right-hand sides with as many rows",
            expected="{a} of shape (m, n) and {b} of shape (m,) or (m, k)",
            got=f"{{a}} is {a.shape} and {{b}} is {b.shape}",
        )
    return (a.shape[1], *b.shape[1:]), floats(a, b)


def lstsq_code(operands: Any, attrs: Any) -> str:
    return f"np.linalg.lstsq({operands['a']}, {operands['b']}, rcond={attrs['rcond']!r})[0]"


def lstsq_torch(operands: Any, attrs: Any) -> str:
    """PyTorch's own needs the full rank."""
    a, b, rcond = operands["a"], operands["b"], attrs["rcond"]
    rtol = f"torch.finfo({a}.dtype).eps * max({a}.shape)" if rcond is None else repr(rcond)
    return f"torch.linalg.pinv({a}, rtol={rtol}) @ {b}"


def lstsq_cutoff(a: Node, rcond: Cutoff) -> float:
    """As LAPACK has it: None is machine precision times the larger side, below 0 it alone."""
    precision = float(np.finfo(floats(a)).eps)
    if rcond is None:
        return precision * max(a.shape)
    return precision if rcond < 0 else rcond


def d_lstsq_a(g: Node, y: Node, a: Node, b: Node, rcond: Cutoff) -> Node:
    """That of the pseudo-inverse, whose product with b this is."""
    column = (*g.shape, 1)[:2]
    d_inverse = matmul(reshape(g, shape=column), transposed(reshape(b, shape=(*b.shape, 1)[:2])))
    inverse = pinv(a, rcond=lstsq_cutoff(a, rcond), hermitian=False)
    return d_pinv(d_inverse, inverse, a, lstsq_cutoff(a, rcond), False)


def d_lstsq_b(g: Node, y: Node, a: Node, b: Node, rcond: Cutoff) -> Node:
    # (m, n) · (n, …) -> (m, …)
    return matmul(transposed(pinv(a, rcond=lstsq_cutoff(a, rcond), hermitian=False)), g)


lstsq = Op(
    name="lstsq",
    alike=True,
    doc="The shortest x for which ‖a x − b‖ is smallest.",
    operands="a b",
    shape=lstsq_shape,
    numpy=lstsq_code,
    torch=lstsq_torch,
    jax=lambda operands, attrs: lstsq_code(operands, attrs).replace("np.", "jnp.", 1),
    rules=(
        Rule(d_lstsq_a, '{y} = {a}⁺ {b}", so" δ{a} "is that of" {a}⁺ "with" δ({a}⁺) = δ{y} {b}ᵀ'),
        Rule(d_lstsq_b, "δ{b} = {a}⁺ᵀ δ{y}"),
    ),
    notation=Notation("lstsq({a}, {b})"),
    expand=lambda a, b, rcond: matmul(pinv(a, rcond=lstsq_cutoff(a, rcond), hermitian=False), b),
    samples=(
        Sample((lambda rng: tall_sample(rng)[0], (4,)), {"rcond": None}),
        Sample((lambda rng: tall_sample(rng)[0].T, (3, 2)), {"rcond": 1e-10}),
    ),
    bad=(
        Bad(
            ((3, 2), (2,)),
            "np.linalg.lstsq takes a matrix and right-hand sides with as many rows\n"
            "  expected: a of shape (m, n) and b of shape (m,) or (m, k)\n"
            "  got:      a is (3, 2) and b is (2,)",
            {"rcond": None},
        ),
    ),
)
