"""Products and factorisations of matrices."""

from __future__ import annotations

import numpy as np

from allbps.errors import ShapeError
from allbps.ir import Aval, Bad, Formula, Node, Notation, Op, Precedence, Rule, Sample, promote
from allbps.ops.shape import reshape, swapaxes


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
        return matmul(g, swapaxes(b, -1, -2))
    upstream, _, right = as_matrices(g, a, b)
    product = matmul(upstream, swapaxes(right, -1, -2))  # (…, m, n) · (…, n, k) -> (…, m, k)
    return product if a.ndim > 1 else reshape(product, shape=(*product.shape[:-2], a.shape[0]))


def d_matmul_b(g: Node, y: Node, a: Node, b: Node) -> Node:
    if a.ndim > 1 and b.ndim > 1:
        return matmul(swapaxes(a, -1, -2), g)
    upstream, left, _ = as_matrices(g, a, b)
    product = matmul(swapaxes(left, -1, -2), upstream)  # (…, k, m) · (…, m, n) -> (…, k, n)
    return product if b.ndim > 1 else reshape(product, shape=product.shape[:-1])


def matmul_notation(a: Formula, b: Formula) -> str:
    return f"{a.factor('matmul')} {b:4}"


matmul = Op(
    name="matmul",
    doc="Matrix product; leading axes are broadcast, vectors are rows or columns as needed.",
    operands="a b",
    shape=matmul_shape,
    numpy="{a} @ {b}",
    torch="{a} @ {b}",
    rules=(
        Rule(d_matmul_a, "∂{y}/∂{a} = {b:5}ᵀ"),
        Rule(d_matmul_b, "∂{y}/∂{b} = {a:5}ᵀ"),
    ),
    notation=Notation(matmul_notation, Precedence.PRODUCT),
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
            "  to do:    use * for scalars",
        ),
    ),
)
