"""np.array of traced numbers, for which NumPy has no protocol but __array__."""

import numpy as np
import pytest

import allbps as bp
from allbps.errors import DtypeError, TraceError

LISTS = {
    "numbers": lambda x: np.array([x[0], 2.0 * x[1], x[2]]),
    "numbers and constants": lambda x: np.array([[x[0], 0.0], [1.0, x[1]]]),
    "vectors": lambda x: np.array([x, np.sin(x)]),
    "a traced vector and a plain one": lambda x: np.array([x, np.ones(3)]),
    "a copy": lambda x: np.array(x) * x,
    "asarray": lambda x: np.exp(np.asarray(x)),
    "asarray of a scalar": lambda x: np.asarray(x[0]) * x,
    "all of a vector, in another order": lambda x: np.array([x[2], x[0], x[1], x[1]]),
    "some neighbours": lambda x: np.array([x[1], x[2], x[0]]),
    "r_": lambda x: np.r_[x, 1.0, x[0]],
    "r_ with slices": lambda x: np.r_[0:2, x],
    "c_": lambda x: np.c_[x, np.ones(3)],
    "a rotation": lambda x: (
        np.array([[np.cos(x[0]), -np.sin(x[0])], [np.sin(x[0]), np.cos(x[0])]]) @ x[1:]
    ),
    "a product of two": lambda x: np.array([[x[0], x[1]], [x[1], x[2]]]) @ np.array([x[0], 1.0]),
    "ufuncs": lambda x: np.tanh(np.array([x[0], x[1]])) + np.sqrt(np.array([x[1] ** 2, x[2] ** 2])),
    "sum": lambda x: np.sum(np.array([x, x**2])),
    "sum of a list": lambda x: np.sum([x[0], x[1] * x[2]]),
    "largest of a list": lambda x: np.max([x[0], x[1], x[2]]),
    "norm of a list": lambda x: np.linalg.norm([x[0], x[1]]),
    "only constants remain": lambda x: np.min(np.array([[x[0], 9.0], [9.0, -9.0]]), axis=0),
    "inside np.stack": lambda x: np.stack([np.array([x[0], 1.0]), x[:2]]),
    "a method": lambda x: np.array([[x[0], x[1]], [x[1], x[2]]]).T.sum(axis=0),
    "rounded": lambda x: x * np.floor(np.array([x[0], x[1], x[2]])) + np.ceil(np.asarray(x)),
}


@pytest.mark.parametrize("name", LISTS)
def test_np_array_of_traced_numbers(name, agrees):
    agrees(lambda x: np.sin(x) * LISTS[name](x)[..., None], np.array([0.7, 1.3, 0.4]))


def test_neighbours_of_one_array_stay_together():
    def f(x):
        return np.array([x, np.sin(x)]) + 0.0 * x[0]

    def whole(x):
        return np.array([x]) @ x

    assert bp.explain(whole, x=np.ones(50)).to_source().count("x[") <= 50
    np.testing.assert_array_equal(bp.jacobian(f)(np.zeros(4))[0], np.eye(4))


def test_what_np_array_made_can_be_cut_returned_and_differentiated_again():
    def cut(x):
        return np.sum(bp.stop_gradient(np.array([x, x])) * np.array([x, 2.0 * x]))

    def inner(x, y):
        return np.sum(bp.grad(lambda z: np.sum(z**3))(np.array([x, y])))

    def with_aux(x):
        return x**2, np.array([x, 1.0])

    assert float(bp.grad(cut)(3.0)) == 9.0
    assert [float(g) for g in bp.grad(inner, (0, 1))(1.0, 2.0)] == [6.0, 12.0]
    slope, aux = bp.grad(with_aux, has_aux=True)(2.0)
    assert float(slope) == 4.0
    np.testing.assert_array_equal(aux, np.array([2.0, 1.0]), strict=True)


def test_an_array_of_objects_may_be_written_into():
    def f(x):
        matrix = np.zeros((2, 2), object)
        matrix[0, 0], matrix[1, 1] = x[0], x[1] * x[2]
        return matrix @ x[:2]

    value, pullback = bp.vjp(f, np.array([2.0, 3.0, 5.0]))
    np.testing.assert_array_equal(value, np.array([4.0, 45.0]), strict=True)
    (gradient,) = pullback(np.array([10.0, 1.0]))
    np.testing.assert_array_equal(gradient, np.array([40.0, 30.0, 9.0]), strict=True)


NO_OBJECTS = (
    "NumPy cannot compute with an array of traced numbers that np.array made\n"
    "  expected: an array made by np.stack, which knows traced numbers\n"
    "  got:      {0}\n"
    "  fix:      np.stack([a, b]) instead of np.array([a, b]), no np.asarray of a traced array; a"
    " function that takes plain numbers alone gets allbps.stop_gradient(x).tolist()"
)
CUT = (
    "{0} would cut its gradient\n"
    "  expected: an operation that works on traced arrays\n"
    "  got:      a conversion of {1} to plain numbers\n"
    "  fix:      use it as it is: NumPy functions instead of math's, np.stack instead of np.array,"
    " np.zeros_like(x) or np.zeros(n, like=x) instead of np.zeros(n) to write into; or"
    " allbps.stop_gradient to cut it on purpose"
)
REFUSED = {
    "linear algebra": (
        lambda x: np.linalg.det(np.array([[x[0], x[1]], [x[1], x[2]]])),
        NO_OBJECTS.format(
            "Cannot cast ufunc 'det' input from dtype('O') to dtype('float64') with casting rule"
            " 'same_kind'"
        ),
    ),
    "a ufunc of a constant": (
        lambda x: np.sin(np.array([x[0], 1.0])),
        NO_OBJECTS.format(
            "loop of ufunc does not support argument 1 of type float which has no callable sin"
            " method"
        ),
    ),
    "a dtype": (
        lambda x: np.array([x[0], x[1]], dtype=float), CUT.format("float() of x[0]", "x[0]")
    ),
    "a large array": (
        lambda x: np.asarray(big) if (big := np.outer(np.ones(400), x)).ndim else x,
        CUT.format("numpy.asarray() of big", "big"),
    ),
    "a mean of a list": (
        lambda x: np.mean([x[0], x[1]]),
        CUT.format("float() of the result of div", "the result of div"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_np_array_cannot_do_says_so(name):
    function, message = REFUSED[name]

    def without_a_twin(x):
        global SEEN  # noqa: PLW0603  (a function that writes globals has no twin)
        SEEN = True
        return function(x)

    with pytest.raises(TraceError) as caught:
        bp.vjp(without_a_twin, np.ones(3))
    assert "test_making.py" in caught.value.where
    caught.value.where = ""
    assert str(caught.value) == message


def test_rows_of_different_lengths_are_no_array():
    with pytest.raises((DtypeError, ValueError), match=r"inhomogeneous|one shape"):
        bp.vjp(lambda x: np.array([x, x[:2]]), np.ones(3))


def test_a_mistake_of_the_users_own_stays_as_it_is():
    def f(x):
        return x + len(3)

    with pytest.raises(TypeError, match="has no len"):
        bp.vjp(f, np.ones(3))
