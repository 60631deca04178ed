"""Products, inverses and determinants of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.errors import DtypeError, ShapeError
from allbps.ir import (
    Aval,
    Bad,
    Formula,
    Node,
    Notation,
    Op,
    Rule,
    Sample,
    Zero,
    lift,
    promote,
)
from allbps.mathematics import Math, write
from allbps.mathematics.transpose import transpose_of
from allbps.mathematics.tree import Kind, Matrix, Product, Script
from allbps.ops.index import getitem_by, put_add_op
from allbps.ops.shape import matrix_transpose, reshape


# -- matrix product --------------------------------------------------------------------------------
def matmul_shape(a: Node, b: Node) -> Aval:
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError(
            "@ does not take scalars",
            expected="arrays with at least one axis",
            got=f"{{a}} is {a.shape} and {{b}} is {b.shape}",
            todo="use * for scalars",
        )
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise ShapeError(
            "{a} @ {b} does not fit",
            expected=f"{{b}} with {a.shape[-1]} rows, as many as {{a}} has columns",
            got=f"{{a}} is {a.shape} and {{b}} is {b.shape}",
        )
    batch_a, batch_b = a.shape[:-2], b.shape[:-2]
    try:
        batch = np.broadcast_shapes(batch_a, batch_b)
    except ValueError:
        raise ShapeError(
            "{a} @ {b}: the leading axes do not broadcast",
            expected="equal lengths, or 1, on every leading axis",
            got=f"{{a}} is {a.shape} and {{b}} is {b.shape}",
        ) from None
    rows = a.shape[-2:-1]  # () for a vector
    columns = b.shape[-1:] if b.ndim > 1 else ()
    return (*batch, *rows, *columns), promote(a, b)


def as_matrices(g: Node, a: Node, b: Node) -> tuple[Node, Node, Node]:
    """Vectors as one-row and one-column matrices, and the upstream δ to match."""
    rows = a.shape[-2:-1] if a.ndim > 1 else (1,)
    columns = b.shape[-1:] if b.ndim > 1 else (1,)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    g = reshape(g, shape=(*batch, *rows, *columns))
    if a.ndim == 1:
        a = reshape(a, shape=(1, *a.shape))
    if b.ndim == 1:
        b = reshape(b, shape=(*b.shape, 1))
    return g, a, b


def d_matmul_a(g: Node, y: Node, a: Node, b: Node) -> Node:
    if a.ndim > 1 and b.ndim > 1:
        return matmul(g, matrix_transpose(b))  # (…, m, n) · (…, n, k) -> (…, m, k)
    upstream, _, right = as_matrices(g, a, b)
    product = matmul(upstream, matrix_transpose(right))  # (…, m, n) · (…, n, k) -> (…, m, k)
    return product if a.ndim > 1 else reshape(product, shape=(*product.shape[:-2], a.shape[0]))


def d_matmul_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    if a.ndim > 1 and b.ndim > 1:
        return matmul(matrix_transpose(a), g)  # (…, k, m) · (…, m, n) -> (…, k, n)
    upstream, left, _ = as_matrices(g, a, b)
    product = matmul(matrix_transpose(left), upstream)  # (…, k, m) · (…, m, n) -> (…, k, n)
    return product if b.ndim > 1 else reshape(product, shape=product.shape[:-1])


def matmul_notation(a: Formula, b: Formula) -> Math:
    return Product(Kind.MATRICES, lying(a) if a.column else a.math, b.math)


def lying(column: Formula) -> Math:
    """A column on the left of a product, where it lies."""
    if isinstance(column.math, Matrix):
        return Matrix(column.math.values.T)
    return Script(column.math, ("ᵀ",))


def because_matmul_a(a: Formula, b: Formula, y: Formula) -> Math:
    return write("∂{y}/∂{a} = {slope}", y=y, a=a, slope=transpose_of(b.math))


def because_matmul_b(a: Formula, b: Formula, y: Formula) -> Math:
    return write("∂{y}/∂{b} = {slope}", y=y, b=b, slope=transpose_of(a.math))


matmul = Op(
    name="matmul",
    alike=True,
    complex=True,
    doc="Matrix product; leading axes are broadcast, vectors are rows or columns as needed.",
    operands="a b",
    shape=matmul_shape,
    numpy="{a} @ {b}",
    torch="{a} @ {b}",
    rules=(
        Rule(d_matmul_a, because_matmul_a),
        Rule(d_matmul_b, because_matmul_b),
    ),
    notation=Notation(matmul_notation),
    implements=(np.matmul,),
    operator="@",
    samples=(
        Sample(((2, 3), (3, 4))),
        Sample(((3,), (3, 4))),
        Sample(((2, 3), (3,))),
        Sample(((3,), (3,))),
        Sample(((5, 2, 3), (3, 4))),
        Sample(((2, 1, 2, 3), (4, 3, 2))),
    ),
    bad=(
        Bad(
            ((4, 3), (5, 2)),
            "a @ b does not fit\n"
            "  expected: b with 3 rows, as many as a has columns\n"
            "  got:      a is (4, 3) and b is (5, 2)",
        ),
        Bad(
            ((), (2,)),
            "@ does not take scalars\n"
            "  expected: arrays with at least one axis\n"
            "  got:      a is () and b is (2,)\n"
            "  fix:      use * for scalars",
        ),
    ),
)


# -- square matrices -------------------------------------------------------------------------------
def floats(*xs: Node) -> np.dtype[Any]:
    """The dtype in which LAPACK computes.

    Raises:
        DtypeError: it has no routines for this one.

    """
    dtype = promote(*xs)
    if dtype.kind not in "fc":
        return np.dtype(np.float64)
    if dtype.itemsize not in ((4, 8) if dtype.kind == "f" else (8, 16)):
        raise DtypeError(
            f"numpy.linalg does not compute in {dtype}",
            expected="float64 or float32",
            got=f"{{0}} is {dtype}",
            todo="x.astype(float)",
        )
    return dtype


def square_shape(x: Node) -> Aval:
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ShapeError(
            "{x} must be a square matrix, or a stack of them",
            expected="shape (…, n, n)",
            got=f"{{x}} is {x.shape}",
        )
    return x.shape, floats(x)


def transposed(x: Node) -> Node:
    """The last two axes exchanged."""
    return matrix_transpose(x)


def per_matrix(x: Node) -> Node:
    """One number for each matrix, with axes to multiply matrices by it."""
    return reshape(x, shape=(*x.shape, 1, 1))


def regular(rng: np.random.Generator) -> Any:
    """Two matrices far from singular."""
    return rng.uniform(-1.0, 1.0, (2, 3, 3)) + 3.0 * np.eye(3)


SQUARE = (Sample((lambda rng: regular(rng)[0],)), Sample((regular,)))
NOT_SQUARE = (
    Bad(
        ((2, 3),),
        "x must be a square matrix, or a stack of them\n"
        "  expected: shape (…, n, n)\n"
        "  got:      x is (2, 3)",
    ),
)


# -- inverse and linear systems --------------------------------------------------------------------
def d_inv(g: Node, y: Node, x: Node) -> Node:
    turned = transposed(y)
    return -matmul(matmul(turned, g), turned)  # (…, n, n) · (…, n, n) · (…, n, n)


def inverse(x: Formula) -> Math:
    """A⁻¹, and A⁻ᵀ where ``x`` is Aᵀ."""
    if isinstance(x.math, Script) and x.math.marks == ("ᵀ",):
        return Script(x.math.base, ("⁻ᵀ",))
    return Script(x.math, ("⁻¹",))


inv = Op(
    name="inv",
    complex=True,
    doc="Inverse of a square matrix.",
    operands="x",
    shape=square_shape,
    numpy="np.linalg.inv({x})",
    torch="torch.linalg.inv({x})",
    rules=(Rule(d_inv, 'd{y} = −{y} d{x} {y}, "so" δ{x} = −{y}ᵀ δ{y} {y}ᵀ'),),
    notation=Notation(inverse),
    samples=SQUARE,
    bad=NOT_SQUARE,
)


def d_solve_a(g: Node, y: Node, a: Node, b: Node) -> Node:
    d_b = solve(transposed(a), g)
    return -matmul(d_b, transposed(y))  # (…, n, k) · (…, k, n) -> (…, n, n)


def d_solve_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    return solve(transposed(a), g)


def solve_shape(a: Node, b: Node) -> Aval:
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ShapeError(
            "{a} must be a square matrix, or a stack of them",
            expected="shape (…, n, n)",
            got=f"{{a}} is {a.shape}",
        )
    if b.ndim < 2:
        raise ShapeError(
            "{b} must be a matrix of right-hand sides",
            expected="at least two axes",
            got=f"{{b}} is {b.shape}",
            todo="{b}[:, None] makes a column",
        )
    shape, _ = matmul_shape(a, b)
    return shape, floats(a, b)


solve = Op(
    name="solve",
    alike=True,
    complex=True,
    doc="The X with a X = b, for a matrix of right-hand sides.",
    operands="a b",
    shape=solve_shape,
    numpy="np.linalg.solve({a}, {b})",
    torch="torch.linalg.solve({a}, {b})",
    rules=(
        Rule(d_solve_a, "δ{a} = −{a}⁻ᵀ δ{y} {y}ᵀ"),
        Rule(d_solve_b, "δ{b} = {a}⁻ᵀ δ{y}"),
    ),
    notation=Notation(lambda a, b: Product(Kind.MATRICES, inverse(a), b.math)),
    expand=lambda a, b: matmul(inv(a), b),
    samples=(
        Sample((lambda rng: regular(rng)[0], (3, 2))),
        Sample((regular, (3, 1))),
        Sample((lambda rng: regular(rng)[0], (2, 3, 2))),
    ),
    bad=(
        Bad(
            ((2, 3), (3, 1)),
            "a must be a square matrix, or a stack of them\n"
            "  expected: shape (…, n, n)\n"
            "  got:      a is (2, 3)",
        ),
        Bad(
            ((2, 2), (3, 1)),
            "a @ b does not fit\n"
            "  expected: b with 2 rows, as many as a has columns\n"
            "  got:      a is (2, 2) and b is (3, 1)",
        ),
    ),
)


# -- determinants ----------------------------------------------------------------------------------
def one_a_matrix(x: Node) -> Aval:
    shape, dtype = square_shape(x)
    return shape[:-2], dtype


def d_det(g: Node, y: Node, x: Node) -> Node:
    return per_matrix(g) * cofactor_op(x)


det = Op(
    name="det",
    doc="Determinant.",
    operands="x",
    shape=one_a_matrix,
    numpy="np.linalg.det({x})",
    torch="torch.linalg.det({x})",
    rules=(Rule(d_det, '∂{y}/∂{x} = {y} {x}⁻ᵀ, "the cofactors of" {x}'),),
    notation=Notation("det({x})"),
    samples=SQUARE,
    bad=NOT_SQUARE,
)


def cofactor(x: Any) -> Any:
    """det(x) x⁻ᵀ from singular values, so that it also exists where x is singular."""
    u, s, vt = np.linalg.svd(x)
    n = x.shape[-1]
    others = np.where(np.eye(n, dtype=bool), 1, s[..., None, :])  # row k leaves out s[k]
    signs = np.linalg.det(u) * np.linalg.det(vt)
    return (u * np.prod(others, axis=-1)[..., None, :]) @ vt * signs[..., None, None]


def minors(x: Node) -> tuple[Node, Any, Any]:
    """The matrix without row i and column j for every i and j, and where its parts stand."""
    n = x.shape[-1]
    kept = np.array([[k for k in range(n) if k != i] for i in range(n)], int).reshape(n, n - 1)
    rows, columns = kept[:, None, :, None], kept[None, :, None, :]
    return getitem_by(x, (..., rows, columns)), rows, columns  # (…, n, n, n − 1, n − 1)


def checkerboard(n: int) -> Any:
    """(−1)ⁱ⁺ʲ."""
    return (-1.0) ** np.add.outer(np.arange(n), np.arange(n))


def d_cofactor(g: Node, y: Node, x: Node) -> Node:
    """Never divides by the determinant, so that it is right at every rank, to every order."""
    if x.shape[-1] == 1:
        return g * 0.0
    left, rows, columns = minors(x)
    weights = (g * checkerboard(x.shape[-1]).astype(x.dtype))[..., None, None]
    inner = weights * cofactor_op(left)
    parts = (Ellipsis, "array", "array")
    return put_add_op(inner, lift(rows), lift(columns), shape=x.shape, parts=parts)


def signed_minors(x: Node) -> Node:
    """The cofactors by their definition."""
    n = x.shape[-1]
    return x * 0.0 + 1.0 if n == 1 else det(minors(x)[0]) * checkerboard(n).astype(x.dtype)


cofactor_op = Op(
    name="cofactor",
    doc="det(x) x⁻ᵀ, the matrix of cofactors; also of a singular matrix.",
    operands="x",
    shape=square_shape,
    numpy="cofactor({x})",
    torch="(lambda x, k: torch.linalg.det(x[..., k[:, None, :, None], k[None, :, None, :]])"
    " * (-1.0) ** (k.new_tensor(range(len(k)))[:, None] + k.new_tensor(range(len(k)))))({x},"
    " torch.tensor([[j for j in range({x}.shape[-1]) if j != i] for i in range({x}.shape[-1])],"
    " device={x}.device))",
    helpers=(cofactor,),
    rules=(
        Rule(
            d_cofactor,
            '{y}ᵢⱼ "is ± the determinant of" {x} "without row" i "and column" j'
            '", whose derivatives are cofactors"',
        ),
    ),
    notation=Notation("cofactor({x})"),
    expand=signed_minors,
    samples=SQUARE,
    bad=NOT_SQUARE,
)


def d_logabsdet(g: Node, y: Node, x: Node) -> Node:
    return per_matrix(g) * transposed(inv(x))


logabsdet = Op(
    name="logabsdet",
    doc="log |det(x)|, without overflow.",
    operands="x",
    shape=one_a_matrix,
    numpy="np.linalg.slogdet({x})[1]",
    torch="torch.linalg.slogdet({x})[1]",
    rules=(Rule(d_logabsdet, "∂{y}/∂{x} = {x}⁻ᵀ"),),
    notation=Notation("log |det({x})|"),
    samples=SQUARE,
    bad=NOT_SQUARE,
)
signdet = Op(
    name="signdet",
    doc="Sign of the determinant.",
    operands="x",
    shape=one_a_matrix,
    numpy="np.linalg.slogdet({x})[0]",
    torch="torch.linalg.slogdet({x})[0]",
    rules=(Zero("a sign is constant between jumps"),),
    notation=Notation("sign(det({x}))"),
    samples=SQUARE,
    bad=NOT_SQUARE,
)
