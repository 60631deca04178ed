"""Matrices below full rank: determinants, pseudo-inverses and least squares."""

import numpy as np
import pytest

import allbps as bp
from allbps.errors import AllBPsError


def of_rank(m, n, rank, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(m, rank)) @ rng.normal(size=(rank, n))


def hessian_of_det(x):
    """By differences, exact but for rounding: det is of degree 1 in each element."""
    n, made = len(x), np.zeros(x.shape * 2)
    for i, j, k, m in np.ndindex(*x.shape * 2):
        if i != k and j != m:
            rows = [r for r in range(n) if r not in (i, k)]
            columns = [c for c in range(n) if c not in (j, m)]
            minor = np.linalg.det(x[np.ix_(rows, columns)])
            turned = (i > k) != (j > m)
            made[i, j, k, m] = (-1) ** (i + j + k + m) * (-1 if turned else 1) * minor
    return made


@pytest.mark.parametrize(("n", "rank"), [(n, r) for n in (2, 3, 4) for r in range(n + 1)])
def test_second_derivatives_of_det_are_right_at_every_rank(n, rank):
    for seed in range(5):
        x = of_rank(n, n, rank, seed)
        np.testing.assert_allclose(bp.hessian(np.linalg.det)(x), hessian_of_det(x), atol=1e-9)


@pytest.mark.parametrize("rank", range(4))
def test_third_derivatives_of_det_are_the_same_everywhere(rank):
    third = bp.jacobian(bp.hessian(np.linalg.det))
    np.testing.assert_allclose(third(of_rank(3, 3, rank, 1)), third(np.eye(3)), atol=1e-9)


def test_det_of_one_number_and_of_a_stack():
    assert bp.hessian(np.linalg.det)(np.array([[2.0]])) == 0
    x = np.stack([of_rank(3, 3, 2, 1), of_rank(3, 3, 1, 2)])
    made = bp.hessian(lambda x: np.sum(np.linalg.det(x)))(x)
    for k in range(2):
        np.testing.assert_allclose(made[k, :, :, k], hessian_of_det(x[k]), atol=1e-9)


SHAPES = [(2, 2, 1), (3, 3, 2), (3, 3, 1), (3, 4, 2), (4, 3, 2), (4, 3, 3), (3, 4, 3)]


@pytest.mark.parametrize(("m", "n", "rank"), SHAPES)
def test_pinv_and_lstsq_along_matrices_of_one_rank(m, n, rank, agrees):
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(m, rank)), rng.normal(size=(rank, n))
    agrees(lambda a, b: np.linalg.pinv(a @ b), a, b)
    agrees(lambda a, b, y: np.linalg.lstsq(a @ b, y)[0], a, b, rng.normal(size=m))
    agrees(lambda a, b, y: np.linalg.lstsq(a @ b, y)[0], a, b, rng.normal(size=(m, 2)), order=1)


@pytest.mark.parametrize("f", [np.linalg.pinv, lambda a: np.linalg.lstsq(a, np.ones(3))[0]])
def test_where_the_rank_may_change_there_is_no_derivative(f):
    assert np.isnan(bp.grad(lambda a: np.sum(f(a)))(of_rank(3, 3, 2, 1))).all()


def with_values(*values):
    """A symmetric matrix with these eigenvalues, none along an axis."""
    turned = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    return turned @ np.diag(values) @ turned.T


@pytest.mark.parametrize(
    "f",
    [
        lambda a: np.linalg.pinv(a * 1.0, rcond=0.3),
        lambda a: np.linalg.pinv(a * 1.0, rtol=0.3),
        lambda a: np.linalg.pinv(a, rcond=0.3, hermitian=True),
        lambda a: np.linalg.pinv(a * 1.0, rcond=0.3, hermitian=True),
        lambda a: np.linalg.lstsq(a * 1.0, np.ones(3), rcond=0.3)[0],
    ],
)
def test_a_cutoff_that_leaves_out_what_is_not_zero_has_no_derivative_here(f):
    assert np.isnan(bp.grad(lambda a: np.sum(f(a)))(with_values(3.0, 2.0, 0.3))).all()


def put_together(a):
    u, s, vt = np.linalg.svd(a, hermitian=True)
    return (u * s**2) @ vt


@pytest.mark.parametrize(
    "f",
    [
        lambda a: np.linalg.pinv(a * 1.0, rcond=0.3),
        lambda a: np.linalg.pinv(a, hermitian=True),
        lambda a: np.linalg.svd(a, hermitian=True)[1],
        lambda a: np.linalg.svd(a, hermitian=True, compute_uv=False),
        put_together,
    ],
)
def test_a_hermitian_matrix_is_read_from_its_lower_triangle(f, agrees):
    agrees(f, with_values(3.0, -2.0, 1.0))
    report = bp.check(lambda a: np.sum(f(a) * (1.0 + np.arange(3))), with_values(3.0, -2.0, 1.0))
    assert report, str(report)


CUT = np.diag([1.0, 0.1])


@pytest.mark.parametrize(
    "options",
    [{}, {"rcond": 0.5}, {"rtol": 0.5}, {"rtol": None}, {"rcond": 0.5, "hermitian": True},
     {"hermitian": True}],
)  # fmt: skip
def test_pinv_follows_its_options(options):
    def f(a):
        return np.linalg.pinv(a * 1.0, **options)

    np.testing.assert_array_equal(bp.vjp(f, CUT)[0], f(CUT))


LOW = np.ones((3, 2))
"""Its second singular value is that of rounding, which LAPACK counts or not if nothing is cut."""


@pytest.mark.parametrize("rcond", [None, -1, 0.5, 0.05, 0])
@pytest.mark.parametrize("matrix", [CUT, np.ones((3, 1)), LOW, np.eye(3)[:2]])
def test_lstsq_gives_all_that_numpy_gives(rcond, matrix):
    if matrix is LOW and rcond == 0:
        pytest.skip("rounding decides what the rank is")
    b = np.arange(1.0, len(matrix) + 1)
    seen = []
    bp.vjp(lambda a: seen.append(np.linalg.lstsq(a, b, rcond)) or np.sum(a), matrix)
    x, residuals, rank, s = np.linalg.lstsq(matrix, b, rcond)
    got = seen[0]
    np.testing.assert_array_equal(got.x.value, x)
    np.testing.assert_allclose(
        getattr(got.residuals, "value", got.residuals), residuals, atol=1e-14
    )
    assert np.shape(got.residuals) == residuals.shape
    assert int(got.rank.value) == rank
    np.testing.assert_allclose(got.s.value, s, atol=1e-15)


def test_a_cutoff_for_each_matrix_is_refused():
    with pytest.raises(AllBPsError, match="one plain number for its cutoff"):
        bp.grad(lambda a: np.sum(np.linalg.pinv(a, rcond=np.array([0.1, 0.2]))))(np.ones((2, 2, 2)))
