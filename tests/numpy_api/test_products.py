"""Products of vectors, matrices and tensors, and einsum in all its notations."""

from itertools import pairwise

import numpy as np
import pytest

import allbps as bp
from allbps.errors import ArgumentError, ShapeError

PRODUCTS = [np.dot, np.inner]
OPERANDS = [((), ()), ((), (2, 3)), ((2, 3), ()), ((3,), (3,)), ((2, 3), (3,)), ((2, 2, 3), (3,))]


@pytest.mark.parametrize(("first", "second"), OPERANDS)
@pytest.mark.parametrize("function", PRODUCTS, ids=lambda f: f.__name__)
def test_dot_and_inner(function, first, second, agrees, draw):
    agrees(function, draw(first, 1), draw(second, 2))


def test_dot_of_matrices_and_stacks(agrees, draw):
    agrees(np.dot, draw((3,), 1), draw((3, 4), 2))
    agrees(np.dot, draw((2, 3), 1), draw((3, 4), 2))
    agrees(np.dot, draw((2, 3), 1), draw((2, 3, 4), 2))
    agrees(np.dot, draw((2, 2, 3), 1), draw((3, 4), 2))
    agrees(lambda x, y: x.dot(y), draw((2, 3), 1), draw((3,), 2))
    agrees(np.inner, draw((2, 3), 1), draw((4, 3), 2))


@pytest.mark.parametrize(
    ("first", "second"),
    [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 2)), ((4, 2, 3), (3, 2)),
     ((4, 1, 2, 3), (5, 3, 2)), ((1, 2, 2), (3, 2, 1)), ((0, 3), (3, 2)), ((2, 0), (0, 3))],
)  # fmt: skip
def test_matmul_broadcasts(first, second, agrees, draw):
    agrees(np.matmul, draw(first, 1), draw(second, 2))
    agrees(lambda x, y: x @ y, draw(first, 1), draw(second, 2))


TENSORDOT = [
    ((2, 3, 4), (4, 5), 1), ((2, 3), (2, 3), 2), ((2,), (3,), 0), ((2, 3, 4), (3, 4, 2), 2),
    ((2, 3, 4), (3, 2), ((0, 1), (1, 0))), ((2, 6), (6, 3), (-1, 0)), ((2, 6), (6, 3), [[-1], [0]]),
    ((4,), (), 0),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second", "axes"), TENSORDOT)
def test_tensordot(first, second, axes, agrees, draw):
    agrees(lambda x, y: np.tensordot(x, y, axes), draw(first, 1), draw(second, 2))
    agrees(lambda x, y: np.tensordot(x, y, axes=axes), draw(first, 1), draw(second, 2))


@pytest.mark.parametrize(
    ("first", "second"), [((2, 2), (3, 2)), ((3,), (2,)), ((2, 1), (3,)), ((), (2, 2)), ((2,), ())]
)
def test_kron(first, second, agrees, draw):
    agrees(np.kron, draw(first, 1), draw(second, 2))


def test_other_products_of_vectors(agrees, draw):
    agrees(np.outer, draw((3,), 1), draw((2,), 2))
    agrees(np.outer, draw((2, 2), 1), draw((2,), 2))
    agrees(np.vdot, draw((2, 3), 1), draw((2, 3), 2))
    agrees(np.vecdot, draw((2, 3), 1), draw((3,), 2))
    agrees(np.linalg.vecdot, draw((2, 3), 1), draw((2, 3), 2))
    agrees(np.linalg.outer, draw((3,), 1), draw((2,), 2))
    agrees(np.linalg.multi_dot, draw((2, 2, 2), 1))
    agrees(lambda x, y: np.linalg.multi_dot([x, y, x]), draw((2, 3), 1), draw((3, 2), 2))


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_cross(axis, agrees, draw):
    agrees(lambda x, y: np.cross(x, y, axis=axis), draw((3, 3), 1), draw((3, 3), 2))


def test_cross_with_an_axis_for_each(agrees, draw):
    agrees(lambda x, y: np.cross(x, y, axisa=0, axisb=1, axisc=0), draw((3, 2), 1), draw((2, 3), 2))
    agrees(np.cross, draw((3,), 1), draw((4, 3), 2))


@pytest.mark.parametrize("lengths", [(2, 5, 2, 5), (5, 2, 5, 2), (2, 2, 2, 2), (2, 6, 1, 4, 3)])
def test_a_chain_of_products_is_taken_in_the_order_of_numpy(lengths, agrees, draw):
    """Seen by what overflows on the way: whole numbers of eight bits."""
    rng = np.random.default_rng(0)
    shapes = list(pairwise(lengths))
    for k in range(len(shapes)):
        fixed = [rng.integers(60, 100, shape).astype(np.int8) for shape in shapes]
        agrees(
            lambda x, k=k, c=fixed: np.linalg.multi_dot([*c[:k], x, *c[k + 1 :]]), draw(shapes[k])
        )


EINSUM = [
    ("ij->ji", (2, 3)), ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)),
    ("...ij,...jk->...ik", (2, 2, 3), (3, 4)), ("...ij,...jk->...ik", (5, 1, 2, 3), (4, 3, 2)),
    ("...ij,...jk->...ik", (0, 2, 3), (0, 3, 4)), ("ijk,lji->lki", (3, 4, 4), (4, 4, 3)),
    ("...jk,...lj->...lk", (4, 4), (3, 4, 4)), ("...,...->...", (2, 3), (3,)),
    ("jk...,lj...->lk...", (3, 2, 4), (2, 3, 1)), ("j...k,lj...->lk...", (2, 3, 2), (2, 2, 3)),
    ("ijk,lji,lli->lki", (3, 4, 4), (4, 4, 3), (4, 4, 3)), ("k,nk->", (5,), (4, 5)),
    ("abcd->bd", (3, 2, 3, 2)), ("...k,...nk->...", (3, 5), (3, 4, 5)), ("ij,k", (3, 4), (3,)),
    ("ii", (3, 3)), ("ii->i", (3, 3)), ("i...i->...i", (3, 2, 3)),
    ("iij,jkk->ik", (2, 2, 3), (3, 2, 2)),
    ("i,i,i->i", (3,), (3,), (3,)), (" i j , j -> i ", (2, 3), (3,)), ("ba", (2, 3)),
    (",->", (), ()),
    ("ij,ij->i", (2, 1), (2, 3)), ("i->", (0,)),
]  # fmt: skip


@pytest.mark.parametrize("case", EINSUM, ids=lambda c: c[0])
def test_einsum(case, agrees, draw):
    subscripts, *shapes = case
    operands = [draw(shape, k) for k, shape in enumerate(shapes)]
    agrees(lambda *xs: np.einsum(subscripts, *xs), *operands)


def test_einsum_with_operands_and_lists_in_turn(agrees, draw):
    x, y = draw((2, 3), 1), draw((3, 4), 2)
    agrees(lambda x, y: np.einsum(x, [0, 1], y, [1, 2], [0, 2]), x, y)
    agrees(lambda x, y: np.einsum(x, (0, 1), y, (1, 2)), x, y)
    agrees(lambda x: np.einsum(x, [..., 0, 1], [..., 1, 0]), draw((2, 2, 3)))


BESIDE = [
    np.arange(12).reshape(3, 4) % 3 > 0,
    np.full((3, 4), 100, np.int8),
    np.full((3, 4), 0.1, np.float32),
    np.arange(12).reshape(3, 4),
]


@pytest.mark.parametrize("other", BESIDE, ids=lambda x: str(x.dtype))
@pytest.mark.parametrize("case", ["ij,jk->", "ij,jk->i", "ij,jk,jk->k", "ij,jk,il->l"])
def test_einsum_adds_up_what_stands_beside_in_the_dtype_of_the_result(case, other, agrees, draw):
    x = draw((2, 3), 1)
    more = () if case.count(",") == 1 else (other,) if "jk,jk" in case else (draw((2, 5), 3),)
    agrees(lambda x: np.einsum(case, x, other, *more), x)
    np.testing.assert_allclose(
        bp.grad(lambda x: np.sum(np.einsum(case, x, other, *more)))(x),
        bp.grad(lambda x: np.sum(np.einsum(case, x, other.astype(float), *more)))(x),
        rtol=1e-14,
    )


def test_einsum_of_one_array_with_itself(agrees, draw):
    agrees(lambda x: np.einsum("ij,kj->ik", x, x), draw((3, 2)))
    agrees(lambda x: np.einsum("ij,jk,kl->il", x, x, x, optimize=True), draw((2, 2)))


MESSAGES = {
    "rows and columns": (
        lambda x: x @ x,
        ShapeError,
        "x @ x does not fit\n"
        "  expected: x with 3 rows, as many as x has columns\n"
        "  got:      x is (2, 3) and x is (2, 3)",
    ),
    "axes of a tensordot": (
        lambda x: np.tensordot(x, x, axes=1),
        ShapeError,
        "the axes of a tensordot have different lengths\n"
        "  expected: axis 0 of b of length 3\n"
        "  got:      a is (2, 3) and b is (2, 3)",
    ),
    "letters of an einsum": (
        lambda x: np.einsum("ij,ij->i", x, x.T),
        ShapeError,
        "the axes called 'i' have different lengths\n"
        "  expected: one length, or 1, for each letter\n"
        "  got:      2 and 3",
    ),
    "operands of an einsum": (
        lambda x: np.einsum("ij,jk->ik", x),
        ArgumentError,
        "einsum needs one group of letters for each operand\n"
        "  expected: 2 operands for 'ij,jk->ik'\n"
        "  got:      1",
    ),
    "components of a cross product": (
        lambda x: np.cross(x[:, :2], x[:, 1:]),
        ShapeError,
        "np.cross takes vectors with three components\n  got:      a is (2, 2) and b is (2, 2)",
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_mistake_gets_its_message(name):
    function, kind, message = MESSAGES[name]
    with pytest.raises(kind) as caught:
        bp.vjp(function, np.ones((2, 3)))
    assert "test_products.py" in caught.value.where
    caught.value.where = ""
    assert str(caught.value) == message


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize(("first", "second"), [(5, 3), (5, 2), (3, 5), (2, 5), (3, 3), (4, 1)])
@pytest.mark.parametrize("function", [np.convolve, np.correlate])
def test_sliding_products(function, first, second, mode, agrees, draw):
    agrees(lambda x, y: function(x, y, mode), draw((first,), 1), draw((second,), 2))


def test_polynomials(agrees, draw):
    agrees(np.polyval, draw((4,), 1), draw((2, 3), 2))
    agrees(np.polyadd, draw((4,), 1), draw((2,), 2))
    agrees(np.polysub, draw((2,), 1), draw((4,), 2))
    agrees(np.polymul, draw((3,), 1), draw((4,), 2))
    agrees(lambda p: np.polyder(p, 2), draw((4,), 1))


@pytest.mark.skipif(not hasattr(np, "matvec"), reason="NumPy 2.2 brought matvec")
def test_products_of_stacks_of_matrices_and_vectors(agrees, draw):
    agrees(np.matvec, draw((2, 3, 4), 1), draw((2, 4), 2))
    agrees(np.vecmat, draw((2, 3), 1), draw((2, 3, 4), 2))
