"""numpy.linalg: inverses, determinants, factorisations and norms."""

import numpy as np
import pytest

import allbps as bp
from allbps.errors import ArgumentError, DtypeError, ShapeError


def square(shape=(3, 3), seed=0):
    """Matrices far from singular, with eigenvalues and singular values well apart."""
    rng = np.random.default_rng(seed)
    n = shape[-1]
    return (2 * rng.integers(-4, 4, shape) + 1) / 32 + np.diag(np.arange(n) * 1.5 + 1.25)


def definite(shape=(3, 3), seed=0):
    x = square(shape, seed)
    return x @ np.swapaxes(x, -1, -2)


def oblong(shape, seed=0):
    """A matrix of full rank with singular values well apart."""
    rng = np.random.default_rng(seed)
    rows, columns = shape[-2:]
    scale = np.eye(rows, columns) * (np.arange(columns) * 1.5 + 1.25)
    return (2 * rng.integers(-4, 4, shape) + 1) / 32 + scale


MOVES_LIKE_A_ROOT = [[1.0, 1.0], [0.0, 1.0]], [[2.0, 1.0], [-1.0, 0.0]]


@pytest.mark.parametrize("x", MOVES_LIKE_A_ROOT)
@pytest.mark.parametrize(
    "f", [np.linalg.eigvals, lambda x: np.linalg.eig(x)[0], lambda x: np.abs(np.linalg.eig(x)[1])]
)
def test_a_matrix_that_lacks_eigenvectors_has_no_derivative_of_its_eigenvalues(f, x):
    gradient = bp.grad(lambda x: np.sum(f(x) ** 2).real)(np.array(x))
    assert np.isnan(gradient).all()


def test_equal_eigenvalues_with_all_their_eigenvectors_have_a_derivative_of_their_sum():
    gradient = bp.grad(lambda x: np.sum(np.linalg.eigvals(x) ** 3).real)(2.0 * np.eye(3))
    np.testing.assert_allclose(gradient, 12.0 * np.eye(3))


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 3, 3), (2, 1, 2, 2)])
@pytest.mark.parametrize("function", [np.linalg.inv, np.linalg.det, np.linalg.pinv])
def test_inverses_and_determinants(function, shape, agrees):
    agrees(function, square(shape))


@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3)])
def test_log_determinants(shape, agrees):
    agrees(lambda x: np.linalg.slogdet(x).logabsdet, square(shape))
    agrees(lambda x: list(np.linalg.slogdet(-x)), square(shape), order=1)


def test_the_determinant_of_a_singular_matrix_has_a_gradient(agrees):
    x = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 4.0], [1.0, 3.0, 7.0]])
    agrees(np.linalg.det, x, order=1)
    agrees(np.linalg.det, np.diag([1.0, 0.0, 2.0]), order=1)
    np.testing.assert_allclose(bp.grad(np.linalg.det)(np.diag([0.0, 0, 2])), 0.0, atol=1e-15)


@pytest.mark.parametrize(
    ("a", "b"),
    [((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 3, 3), (3, 2)), ((3, 3), (2, 3, 1)), ((2, 3, 3), (3,))],
)
def test_linear_systems(a, b, agrees, draw):
    agrees(np.linalg.solve, square(a), draw(b))


def test_tensor_systems(agrees, draw):
    agrees(np.linalg.tensorinv, square((4, 4)).reshape(2, 2, 4))
    agrees(np.linalg.tensorsolve, square((4, 4)).reshape(2, 2, 4), draw((2, 2)))


@pytest.mark.parametrize("shape", [(4, 3), (3, 4)])
def test_least_squares(shape, agrees, draw):
    agrees(np.linalg.pinv, oblong(shape))
    agrees(lambda a, b: np.linalg.lstsq(a, b)[0], oblong(shape), draw((shape[0], 2)))
    agrees(lambda a, b: list(np.linalg.lstsq(a, b)[:2]), oblong(shape), draw((shape[0],)))


@pytest.mark.parametrize("n", [-2, -1, 0, 1, 2, 3, 5])
def test_powers_of_a_matrix(n, agrees):
    agrees(lambda x: np.linalg.matrix_power(x, n), square() / 4)


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 3, 3)])
def test_cholesky_reads_one_triangle(shape, agrees):
    agrees(np.linalg.cholesky, definite(shape))
    agrees(lambda x: np.linalg.cholesky(x, upper=True), definite(shape))
    (g,) = bp.vjp(np.linalg.cholesky, definite())[1](np.ones((3, 3)))
    np.testing.assert_array_equal(g, np.tril(g))


@pytest.mark.parametrize("triangle", ["L", "U"])
@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3)])
def test_eigenvalues_and_vectors_of_symmetric_matrices(shape, triangle, agrees):
    agrees(lambda x: np.linalg.eigvalsh(x, triangle), square(shape))
    agrees(lambda x: list(np.linalg.eigh(x, triangle)), square(shape))
    agrees(lambda x: np.linalg.eigh(x).eigenvectors[..., 0], definite(shape))


# -- equal eigenvalues and singular values ---------------------------------------------------------
def symmetric(f):
    return lambda x: f(*np.linalg.eigh((x + x.T) / 2))


WEIGHTS = np.arange(9.0).reshape(3, 3)
TURN = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
EQUAL = np.diag([1.0, 1.0, 4.0])
ALMOST = np.diag([1.0, 1.0 + 1e-13, 4.0])


@pytest.mark.parametrize("x", [np.eye(3), EQUAL, ALMOST, TURN @ EQUAL @ TURN.T])
@pytest.mark.parametrize("g", [np.sqrt, np.log, np.square, lambda w: w * 0 + 1])
def test_functions_of_equal_eigenvalues_are_nan_rather_than_wrong(g, x):
    """What the vectors contribute is 0 / 0 there, whatever its limit."""
    spectral = symmetric(lambda w, v: np.sum((v * g(w)) @ v.T * WEIGHTS))
    assert np.isnan(bp.grad(spectral)(x)).any()


@pytest.mark.parametrize("x", [np.eye(3), TURN, np.diag([2.0, 2.0, 1.0])])
def test_the_polar_factor_at_equal_singular_values_is_nan_rather_than_wrong(x):
    def polar(x):
        u, _, vt = np.linalg.svd(x)
        return np.sum(u @ vt * WEIGHTS)

    assert np.isnan(bp.grad(polar)(x)).any()


def test_values_alone_and_vectors_that_stand_apart_have_derivatives_beside_equal_ones():
    np.testing.assert_allclose(
        bp.grad(symmetric(lambda w, v: np.sum(w**2)))(TURN @ EQUAL @ TURN.T),
        2 * TURN @ EQUAL @ TURN.T,
        atol=1e-12,
    )
    top = symmetric(lambda w, v: np.sum(v[:, -1] ** 2 * np.arange(3.0)))
    x = TURN @ EQUAL @ TURN.T
    got, step = bp.grad(top)(x), 1e-5
    for k in np.ndindex(3, 3):
        move = np.zeros((3, 3))
        move[k] = step
        np.testing.assert_allclose(got[k], (top(x + move) - top(x - move)) / 2 / step, atol=1e-8)


@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (3, 5), (2, 4, 3)])
def test_singular_values_and_vectors(shape, agrees):
    x = oblong(shape)
    agrees(lambda x: np.linalg.svd(x, compute_uv=False), x)
    agrees(np.linalg.svdvals, x)
    agrees(lambda x: list(np.linalg.svd(x, full_matrices=False)), x)


@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (3, 5), (2, 4, 3)])
def test_qr(shape, agrees):
    agrees(lambda x: list(np.linalg.qr(x)), oblong(shape))
    agrees(lambda x: np.linalg.qr(x, mode="r"), oblong(shape))


@pytest.mark.parametrize("order", [None, 0, 1, 2, 3, 0.5, -1, np.inf, -np.inf])
def test_norms_of_vectors(order, agrees, draw):
    agrees(lambda x: np.linalg.norm(x, order), draw((5,)))
    agrees(lambda x: np.linalg.norm(x, order, axis=0), draw((3, 2)))
    agrees(lambda x: np.linalg.norm(x, order, axis=-1, keepdims=True), draw((2, 3)))


@pytest.mark.parametrize("order", [None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
def test_norms_of_matrices(order, agrees):
    agrees(lambda x: np.linalg.norm(x, order), oblong((4, 3)))
    agrees(lambda x: np.linalg.norm(x, order, axis=(1, 0), keepdims=True), oblong((4, 3)))
    agrees(lambda x: np.linalg.norm(x, order, axis=(0, 2)), np.moveaxis(oblong((2, 4, 3)), 0, 1))


def test_norms_under_their_newer_names(agrees, draw):
    agrees(np.linalg.norm, draw((2, 3, 2)))
    agrees(lambda x: np.linalg.vector_norm(x, axis=(0, 1)), draw((2, 3, 2)))
    agrees(lambda x: np.linalg.matrix_norm(x, ord="nuc"), oblong((4, 3)))
    agrees(np.linalg.cond, oblong((4, 3)))
    agrees(lambda x: np.linalg.cond(x, 1), square())
    agrees(lambda x: np.linalg.trace(x) * np.linalg.matrix_transpose(x), square())


def test_the_slope_of_a_norm_at_zero_is_zero():
    for order in (None, 2, 3, 1):
        np.testing.assert_array_equal(bp.grad(lambda x: np.linalg.norm(x, order))(np.zeros(3)), 0.0)  # noqa: B023


MESSAGES = {
    "a square is needed": (
        np.linalg.inv,
        ShapeError,
        "x must be a square matrix, or a stack of them\n"
        "  expected: shape (…, n, n)\n"
        "  got:      x is (2, 3)",
    ),
    "full svd": (
        np.linalg.svd,
        ArgumentError,
        "np.linalg.svd with full_matrices=True has no derivative: the extra vectors are free\n"
        "  got:      a matrix of shape (2, 3)\n"
        "  fix:      np.linalg.svd(…, full_matrices=False)",
    ),
    "half precision": (
        lambda x: np.linalg.svdvals(x.astype(np.float16)),
        DtypeError,
        "numpy.linalg does not compute in float16\n"
        "  expected: float64 or float32\n"
        "  got:      x is float16\n"
        "  fix:      x.astype(float)",
    ),
    "an unknown norm": (
        lambda x: np.linalg.norm(x, "huge"),
        ArgumentError,
        "there is no norm of order 'huge' here\n"
        "  expected: a number, inf, -inf; 'fro' or 'nuc' for matrices",
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_mistake_gets_its_message(name):
    function, kind, message = MESSAGES[name]
    with pytest.raises(kind) as caught:
        bp.vjp(function, np.ones((2, 3)))
    assert "test_linalg.py" in caught.value.where
    caught.value.where = ""
    assert str(caught.value) == message
