"""Square matrices in compiled code: what NumPy gives, and an error where it raises one."""

from __future__ import annotations

import numpy as np
import pytest

import allbps as bp
from allbps.errors import SingularError
from allbps.machine.building import FallbackWarning
from allbps.machine.planning.regular import LARGE
from allbps.optim import SGD

SIZES = (1, 3, 6, 33)
OF_ONE = {
    "inv": np.linalg.inv,
    "det": np.linalg.det,
    "slogdet": lambda a: np.prod(np.stack(np.linalg.slogdet(a)), axis=0),
    "cholesky": lambda a: np.linalg.cholesky(a @ np.swapaxes(a, -1, -2) + np.eye(a.shape[-1])),
}
SINGULAR = {
    "zeros": np.zeros((3, 3)),
    "equal rows": np.ones((3, 3)),
    "one of several": np.stack([np.eye(3), np.zeros((3, 3))]),
}


def squares(rng, n, stack=()):
    """Matrices that need their rows exchanged, far from singular."""
    turned = np.roll(np.eye(n), 1, axis=0) * 3.0
    return turned + rng.uniform(-0.5, 0.5, (*stack, n, n)) / n**0.5


@pytest.mark.parametrize("stack", [(), (2, 3)], ids=str)
@pytest.mark.parametrize("name", list(OF_ONE))
def test_a_function_of_a_matrix_is_numpys_with_its_delta(name, stack, rng):
    def f(a, g):
        return np.sum(OF_ONE[name](a) * g)

    for n in SIZES[:3]:
        a = squares(rng, n, stack)
        g = rng.normal(size=np.shape(OF_ONE[name](a)))
        value, grad = bp.compile(f, a, g, params="a")(a, g)
        np.testing.assert_allclose(value, np.sum(OF_ONE[name](a) * g), rtol=1e-11)
        np.testing.assert_allclose(grad, bp.grad(f)(a, g), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(
    ("left", "right"), [((), ()), ((), (5,)), ((5,), ()), ((2, 3), (2, 3))], ids=str
)
def test_a_solution_is_numpys_with_both_deltas(left, right, n, rng):
    a, b = squares(rng, n, left), rng.normal(size=(*right, n, 3))

    def f(a, b):
        return np.sum(np.sin(np.linalg.solve(a, b)))

    value, grads = bp.compile(f, a, b, params=("a", "b"))(a, b)
    np.testing.assert_allclose(value, np.sum(np.sin(np.linalg.solve(a, b))), rtol=1e-11)
    for name, want in zip("ab", bp.grad(f, argnums=(0, 1))(a, b), strict=True):
        np.testing.assert_allclose(grads[name], want, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("solved", [np.linalg.inv, lambda a: np.linalg.solve(a, np.ones((3, 1)))])
@pytest.mark.parametrize("matrix", list(SINGULAR))
def test_a_singular_matrix_is_an_error_of_the_users_line(matrix, solved):
    bad = SINGULAR[matrix]
    good = np.broadcast_to(np.eye(3) * 2.0, bad.shape)
    compiled = bp.compile(lambda a: np.sum(solved(a)), good)
    compiled(good)
    with pytest.raises(SingularError, match=r"(?s)singular matrix.*test_matrices\.py"):
        compiled(bad)
    np.testing.assert_allclose(compiled(good), np.sum(solved(good)))


def test_a_matrix_that_is_not_positive_definite_is_an_error():
    compiled = bp.compile(lambda a: np.sum(np.linalg.cholesky(a)), np.eye(2))
    with pytest.raises(SingularError, match="not positive definite"):
        compiled(np.array([[1.0, 2.0], [2.0, 1.0]]))
    assert compiled(4.0 * np.eye(2)) == 4.0


def test_a_training_step_at_a_singular_matrix_moves_nothing():
    def loss(w, x):
        return np.sum(np.linalg.inv(w * x))

    step = bp.compile(loss, np.eye(2), np.ones((2, 2)), params="w", optimizer=SGD(0.1))
    before = step.params["w"].copy()
    with pytest.raises(SingularError):
        step(np.zeros((2, 2)))
    np.testing.assert_array_equal(step.params["w"], before)
    step(np.eye(2))
    assert np.any(step.params["w"] != before)


def test_of_a_singular_matrix_sign_and_logarithm_are_numpys():
    compiled = bp.compile(lambda a: np.linalg.slogdet(a), np.eye(3))
    for a in (np.zeros((3, 3)), np.ones((3, 3)), np.diag([1.0, -2.0, 3.0])):
        for got, want in zip(compiled(a), np.linalg.slogdet(a), strict=True):
            assert got == want


def test_numbers_that_are_none_go_through_as_in_numpy():
    a = np.eye(3)
    a[1, 2] = np.nan
    compiled = bp.compile(lambda a: np.linalg.solve(a, np.ones((3, 1))), np.eye(3))
    want = np.linalg.solve(a, np.ones((3, 1)))
    np.testing.assert_array_equal(np.isnan(compiled(a)), np.isnan(want))


def test_a_large_matrix_is_left_to_lapack(rng):
    a = squares(rng, LARGE + 1)
    with pytest.warns(FallbackWarning, match="inv"):
        compiled = bp.compile(np.linalg.inv, a)
    np.testing.assert_allclose(compiled(a), np.linalg.inv(a), rtol=1e-9, atol=1e-12)


def test_only_the_lower_triangle_of_a_factorised_matrix_is_read(rng):
    a = squares(rng, 4)
    a = a @ a.T + np.eye(4)
    spoilt = np.where(np.tri(4, dtype=bool), a, 99.0)
    compiled = bp.compile(np.linalg.cholesky, a)
    np.testing.assert_allclose(compiled(spoilt), np.linalg.cholesky(a), rtol=1e-12)
