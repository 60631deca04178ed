"""Lengths at 0: no slope of their own (0 is taken), but what is made of them may be smooth."""

import numpy as np
import pytest

import allbps as bp

ORIGIN, ROWS = np.zeros(2), np.array([[0.0, 0.0], [3.0, 4.0]])
I2, I4 = np.eye(2), np.eye(4).reshape(2, 2, 2, 2)
norm = np.linalg.norm


def square_of_norm(x):
    r = norm(x)
    return r * r


# every one of these functions is smooth; its Hessian at the point is known
SMOOTH = {
    "norm²": (lambda x: norm(x) ** 2, ORIGIN, 2 * I2),
    "norm · norm": (lambda x: norm(x) * norm(x), ORIGIN, 2 * I2),
    "one norm, twice": (square_of_norm, ORIGIN, 2 * I2),
    "around a centre": (lambda x: norm(x - 1.0) * norm(x - 1.0), np.ones(2), 2 * I2),
    "np.square": (lambda x: np.square(norm(x)), ORIGIN, 2 * I2),
    "half of it": (lambda x: 0.5 * norm(x) ** 2 / 3.0, ORIGIN, I2 / 3),
    "a sum of powers": (lambda x: norm(x) ** 2 + norm(x) ** 4 - 3 * norm(x) ** 2, ORIGIN, -4 * I2),
    "norm³": (lambda x: norm(x) ** 3, ORIGIN, 0 * I2),
    "norm⁴": (lambda x: norm(x) ** 4, ORIGIN, 0 * I2),
    "vector_norm": (lambda x: np.linalg.vector_norm(x) ** 2, ORIGIN, 2 * I2),
    "keepdims": (lambda x: np.sum(norm(x, keepdims=True) ** 2), ORIGIN, 2 * I2),
    "matrix_norm": (lambda x: np.linalg.matrix_norm(x) ** 2, np.zeros((2, 2)), 2 * I4),
    "both axes": (lambda x: norm(x, axis=(0, 1)) ** 2, np.zeros((2, 2)), 2 * I4),
    "rows": (lambda x: np.sum(norm(x, axis=1) ** 2), ROWS, 2 * I4),
    "mean of rows": (lambda x: np.mean(norm(x, axis=1) ** 2), ROWS, I4),
    "order 3": (lambda x: norm(x, 3) ** 3, ORIGIN, 0 * I2),
    "order 2.5": (lambda x: norm(x, 2.5) ** 2.5, ORIGIN, 0 * I2),
    "gauss": (lambda x: np.exp(-0.5 * norm(x) ** 2), ORIGIN, -I2),
    "cosh of it": (lambda x: np.cosh(norm(x) ** 2), ORIGIN, 0 * I2),
    "hypot²": (lambda x: np.hypot(x[0], x[1]) ** 2, ORIGIN, 2 * I2),
    "abs²": (lambda x: np.sum(np.abs(x) ** 2), np.array([0.0, 3.0]), 2 * I2),
    "abs · abs": (lambda x: np.sum(np.abs(x) * np.abs(x)), ORIGIN, 2 * I2),
    "sqrt²": (lambda x: np.sqrt(np.sum(x**2)) ** 2, ORIGIN, 2 * I2),
    "std²": (lambda x: np.std(x) ** 2, np.ones(2), np.array([[0.5, -0.5], [-0.5, 0.5]])),
    "std², ddof": (lambda x: np.std(x, ddof=1) ** 2, np.ones(2), np.array([[1.0, -1], [-1, 1]])),
    "std⁴": (lambda x: np.std(x) ** 4, np.ones(2), 0 * I2),
    "std of rows": (lambda x: np.sum(np.std(x, axis=0) ** 2), np.ones((2, 1)),
                    np.array([[0.5, -0.5], [-0.5, 0.5]]).reshape(2, 1, 2, 1)),
    "cbrt³": (lambda x: np.sum(np.cbrt(x) ** 3), ORIGIN, 0 * I2),
}  # fmt: skip


@pytest.mark.parametrize(("f", "x", "hessian"), SMOOTH.values(), ids=SMOOTH)
def test_hessians_of_what_is_smooth_are_exact_at_zero(f, x, hessian):
    np.testing.assert_allclose(bp.hessian(f)(x), hessian, atol=1e-12)
    along = np.arange(1.0, x.size + 1).reshape(x.shape)
    _, tangent = bp.jvp(bp.grad(f), (x,), (along,))
    np.testing.assert_allclose(tangent, np.tensordot(hessian, along, x.ndim), atol=1e-12)


# no Hessian at the point, and first derivatives by convention
CONES = {
    "norm": (norm, ORIGIN),
    "norm of order 3": (lambda x: norm(x, 3), ORIGIN),
    "norm of order 3, squared": (lambda x: norm(x, 3) ** 2, ORIGIN),
    "a row": (lambda x: np.sum(norm(x, axis=1)), ROWS),
    "hypot": (lambda x: np.hypot(x[0], x[1]), ORIGIN),
    "std": (np.std, np.ones(2)),
    "norm · x": (lambda x: norm(x) * (1.0 + x[0]), ORIGIN),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("f", "x"), CONES.values(), ids=CONES)
def test_hessians_that_do_not_exist_are_not_finite(f, x):
    assert np.isfinite(bp.grad(f)(x)).all()
    assert not np.isfinite(bp.hessian(f)(x)).all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_report_on_a_hessian_that_does_not_exist_is_not_true():
    assert not bp.check(lambda x: np.sum(bp.grad(norm)(x) * np.arange(2.0)), ORIGIN)
