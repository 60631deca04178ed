"""grad, vjp, jvp, jacobian, hessian: nested, over containers, and what they refuse."""

import threading
import warnings
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.errors import (
    AllBPsError,
    ArgumentError,
    DtypeError,
    NotScalarError,
    ShapeError,
)
from allbps.ir import TracedArray
from allbps.ops.sides import KinkWarning

Point = namedtuple("Point", "x y")


def forward(f):
    """The derivative of a function of one number, by forward mode."""
    return lambda x: bp.jvp(f, (x,), (np.ones(np.shape(x))[()],))[1]


def reverse(f):
    return lambda x: bp.vjp(f, x)[1](np.ones(np.shape(x))[()])[0]


MODES = {"forward": forward, "reverse": reverse, "grad": bp.grad}


# -- any order -------------------------------------------------------------------------------------
@pytest.mark.parametrize("third", MODES)
@pytest.mark.parametrize("second", MODES)
@pytest.mark.parametrize("first", MODES)
def test_three_derivatives_in_any_mixture_of_modes(first, second, third):
    x = 0.7
    derivative = MODES[third](MODES[second](MODES[first](lambda z: np.sin(z) * z**3)))
    exact = 18 * x * np.cos(x) + 6 * np.sin(x) - 9 * x**2 * np.sin(x) - x**3 * np.cos(x)
    np.testing.assert_allclose(derivative(x), exact, rtol=1e-13)


@pytest.mark.parametrize("order", range(6))
def test_derivatives_of_exp_stay_exp(order):
    f = np.exp
    for _ in range(order):
        f = bp.grad(f)
    np.testing.assert_allclose(f(0.3), np.exp(0.3), rtol=1e-15)


def test_a_hessian_is_what_forward_over_reverse_gives():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(4, 4))

    def f(x):
        return np.sum(np.tanh(weights @ x) ** 2)

    x = rng.normal(size=4)
    hessian = bp.hessian(f)(x)
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-12, atol=1e-14)
    for k, e in enumerate(np.eye(4)):
        _, column = bp.jvp(bp.grad(f), (x,), (e,))
        np.testing.assert_allclose(column, hessian[:, k], rtol=1e-12, atol=1e-14)


# -- no confusion of perturbations -----------------------------------------------------------------
@pytest.mark.parametrize("inner", MODES)
@pytest.mark.parametrize("outer", MODES)
def test_an_inner_derivative_does_not_see_the_outer_variable_as_its_own(outer, inner):
    """d/dx x · (d/dy (x + y)) = 1, not 2."""
    d_outer, d_inner = MODES[outer], MODES[inner]
    assert d_outer(lambda x: x * d_inner(lambda y: x + y)(1.0))(1.0) == 1.0


@pytest.mark.parametrize("inner", MODES)
@pytest.mark.parametrize("outer", MODES)
def test_an_inner_derivative_at_the_outer_variable(outer, inner):
    """d/dx (d/dy x y² at y = x) = d/dx 2 x² = 4x."""
    d_outer, d_inner = MODES[outer], MODES[inner]
    assert d_outer(lambda x: d_inner(lambda y: x * y * y)(x))(3.0) == 12.0


def test_three_nested_levels_that_all_use_each_other():
    def f(x):
        def g(y):
            return bp.grad(lambda z: x * y * z**2 + y**3 * z)(x * y)

        return bp.grad(g)(x)

    # g(y) = 2 x² y² + y³; g'(x) = 4 x³ + 3 x²; its derivative 12 x² + 6 x
    assert bp.grad(f)(2.0) == 12 * 4 + 6 * 2


def test_a_pullback_is_differentiated_through():
    def f(x):
        y, pullback = bp.vjp(lambda z: z**3 * x, x)
        return pullback(y)[0]  # 3 x² · x · x⁴ = 3 x⁷

    np.testing.assert_allclose(bp.grad(f)(1.1), 21 * 1.1**6, rtol=1e-14)


def test_a_pullback_may_be_called_again_and_later():
    _, pullback = bp.vjp(lambda x: x**2, np.array([1.0, 2.0]))
    np.testing.assert_array_equal(pullback(np.array([1.0, 1.0]))[0], [2.0, 4.0])
    np.testing.assert_array_equal(pullback(np.array([0.0, 3.0]))[0], [0.0, 12.0])
    assert bp.grad(lambda c: np.sum(pullback(c * np.ones(2))[0]))(5.0) == 6.0


def test_closed_over_variables_get_their_gradient():
    def f(w):
        def layer(x):
            return np.sum(np.sin(w * x))

        return layer(np.array([1.0, 2.0])) + bp.grad(layer)(np.array([1.0, 2.0]))[0]

    exact = np.cos(1) + 2 * np.cos(2) + np.cos(1) - np.sin(1)
    np.testing.assert_allclose(bp.grad(f)(1.0), exact, rtol=1e-14)


def test_stop_gradient_cuts_in_every_mode():
    def f(x):
        return x * bp.stop_gradient(x**2)

    assert bp.grad(f)(3.0) == 9.0
    assert bp.jvp(f, (3.0,), (1.0,)) == (27.0, 9.0)
    assert bp.stop_gradient({"a": 1.0}) == {"a": 1.0}


# -- control flow ----------------------------------------------------------------------------------
def test_python_control_flow_on_values():
    def f(x):
        steps = 0
        while x < 100.0:
            x = x * x if x > 3.0 else x + 1.0
            steps += 1
        return x * steps

    assert bp.value_and_grad(f)(2.5) == ((3.5**4) * 3, 4 * 3.5**3 * 3)


def test_a_function_that_does_not_use_its_argument():
    np.testing.assert_array_equal(bp.grad(lambda x: 3.0)(np.ones(2)), [0.0, 0.0])
    assert bp.jvp(lambda x: np.float64(3.0), (1.0,), (1.0,)) == (3.0, 0.0)
    np.testing.assert_array_equal(bp.jacobian(lambda x: np.ones(2))(np.ones(3)), np.zeros((2, 3)))


def test_the_argument_itself_as_the_result():
    assert bp.value_and_grad(lambda x: x)(2.0) == (2.0, 1.0)
    np.testing.assert_array_equal(bp.jacobian(lambda x: x)(np.ones(2)), np.eye(2))


def test_one_output_twice():
    y, pullback = bp.vjp(lambda x: (x, x), 2.0)
    assert y == (2.0, 2.0)
    assert pullback((3.0, 4.0)) == (7.0,)


# -- containers ------------------------------------------------------------------------------------
def test_gradients_have_the_container_of_their_argument():
    def loss(p):
        return np.sum(p["W"] ** 2) + 3.0 * p["layers"][0] * p["layers"][1].x + p["pair"][1]

    parameters = {
        "W": np.array([1.0, 2.0]),
        "layers": [2.0, Point(5.0, np.ones(2))],
        "pair": (1.0, 2.0),
        "nothing": None,
    }
    g = bp.grad(loss)(parameters)
    assert list(g) == list(parameters)
    np.testing.assert_array_equal(g["W"], [2.0, 4.0])
    assert g["layers"][0] == 15.0
    assert isinstance(g["layers"][1], Point)
    assert g["layers"][1].x == 6.0
    np.testing.assert_array_equal(g["layers"][1].y, [0.0, 0.0])
    assert g["pair"] == (0.0, 1.0)
    assert g["nothing"] is None


def test_empty_containers_pass_through():
    assert bp.grad(lambda p, x: x**2)({}, 3.0) == {}
    assert bp.grad(lambda p: 1.0)([]) == []


def test_pullbacks_and_pushforwards_of_containers():
    def f(p):
        return {"sum": p["a"] + p["b"], "parts": (p["a"] * p["b"],)}

    x, v = {"a": 2.0, "b": 5.0}, {"a": 1.0, "b": 10.0}
    y, pullback = bp.vjp(f, x)
    assert y == {"sum": 7.0, "parts": (10.0,)}
    assert pullback({"sum": 1.0, "parts": (2.0,)}) == ({"a": 11.0, "b": 5.0},)
    assert bp.jvp(f, (x,), (v,))[1] == {"sum": 11.0, "parts": (25.0,)}


def test_jacobians_of_containers():
    def f(x, p):
        return {"y": p["w"] @ x, "z": np.sum(x)}

    x, w = np.array([1.0, 2.0]), np.arange(6.0).reshape(3, 2)
    jacobian = bp.jacobian(f, argnums=(0, 1))(x, {"w": w})
    np.testing.assert_array_equal(jacobian["y"][0], w)
    np.testing.assert_array_equal(jacobian["z"][0], [1.0, 1.0])
    assert jacobian["y"][1]["w"].shape == (3, 3, 2)
    np.testing.assert_array_equal(jacobian["y"][1]["w"][1, 1], x)


# -- which arguments -------------------------------------------------------------------------------
def test_argnums_choose_the_arguments():
    def f(a, b, *, scale=1.0):
        return a**2 * b * scale

    assert bp.grad(f)(3.0, 4.0) == 24.0
    assert bp.grad(f, 1)(3.0, 4.0) == 9.0
    assert bp.grad(f, -1)(3.0, 4.0) == 9.0
    assert bp.grad(f, argnums=(1, 0))(3.0, 4.0, scale=2.0) == (18.0, 48.0)
    assert bp.grad(f, argnums=[0])(3.0, 4.0) == (24.0,)
    assert bp.value_and_grad(f, (0, 1))(3.0, 4.0) == (36.0, (24.0, 9.0))


def test_keywords_may_have_any_name():
    def loss(a, *, f, args=1.0):
        return a**2 * f * args

    assert bp.grad(loss)(3.0, f=2.0, args=5.0) == 60.0


def test_what_is_not_chosen_may_be_anything():
    def f(x, power, name, mask):
        return np.sum(x**power * mask) if name == "yes" else None

    g = bp.grad(f)(np.array([1.0, 2.0]), 3, "yes", np.array([True, False]))
    np.testing.assert_array_equal(g, [3.0, 0.0])


def test_aux_is_passed_through_as_plain_values():
    def f(x):
        return x**2, {"double": 2 * x, "name": "f", "none": None}

    g, aux = bp.grad(f, has_aux=True)(3.0)
    assert (g, aux) == (6.0, {"double": 6.0, "name": "f", "none": None})
    assert not isinstance(aux["double"], TracedArray)
    (value, aux), g = bp.value_and_grad(f, has_aux=True)(3.0)
    assert (value, aux["double"], g) == (9.0, 6.0, 6.0)


def test_the_wrapper_keeps_the_name():
    def loss(x):
        """What it does."""
        return x

    assert bp.grad(loss).__name__ == "loss"
    assert bp.jacobian(loss).__doc__ == "What it does."
    assert bp.grad(partial(lambda a, x: a * x, 2.0))(1.0) == 2.0


def test_an_array_with_one_element_is_a_loss():
    np.testing.assert_array_equal(bp.grad(lambda x: x**2)(np.array([3.0])), [6.0])


def test_0d_arrays_and_numpy_numbers_and_floats_are_the_same():
    for x in (2.0, np.float64(2.0), np.array(2.0)):
        assert bp.grad(lambda z: z**2)(x) == 4.0


def test_an_empty_array():
    assert bp.grad(lambda x: np.sum(x**2))(np.zeros((0, 3))).shape == (0, 3)
    assert bp.jacobian(lambda x: x * 2)(np.zeros(0)).shape == (0, 0)


def test_results_are_plain_and_writable():
    g = bp.grad(lambda x: np.sum(x * 2.0))(np.ones(2))
    g += 1.0
    np.testing.assert_array_equal(g, [3.0, 3.0])


# -- threads ---------------------------------------------------------------------------------------
def test_threads_trace_at_once_without_meeting():
    def traced(k, together):
        def f(x):
            for _ in range(300):
                x = np.sin(x) + k
            together()  # everyone is inside a trace now
            return x * bp.grad(lambda z: z * x)(1.0)

        return bp.value_and_grad(f)(0.3)

    barrier, results = threading.Barrier(4, timeout=30), {}

    def work(k):
        results[k] = traced(k, barrier.wait)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == {k: traced(k, lambda: None) for k in range(4)}


# -- what is refused -------------------------------------------------------------------------------
VECTOR = np.ones(3)
REFUSED = {
    "an integer": (
        lambda: bp.grad(lambda x: x**2)(3),
        DtypeError,
        "argument 0 (x) holds int64 numbers, and derivatives need floating-point ones\n"
        "  expected: float64 or float32\n"
        "  got:      int64, shape ()\n"
        "  fix:      pass 3.0 instead of 3, or x.astype(float)",
    ),
    "integers in a container": (
        lambda: bp.grad(lambda p: p["w"])({"w": np.arange(3)}),
        DtypeError,
        "argument 0 (p).w holds int64 numbers, and derivatives need floating-point ones\n"
        "  expected: float64 or float32\n"
        "  got:      int64, shape (3,)\n"
        "  fix:      pass 3.0 instead of 3, or x.astype(float)",
    ),
    "a jacobian of complex numbers": (
        lambda: bp.jacobian(lambda x: x * 1j)(VECTOR),
        DtypeError,
        "a jacobian of complex numbers has no rule here\n"
        "  expected: real numbers\n"
        "  fix:      np.real(z), np.imag(z), np.abs(z) and np.angle(z) are real",
    ),
    "text": (
        lambda: bp.grad(lambda x: x)("abc"),
        DtypeError,
        "argument 0 (x) is not made of numbers\n"
        "  expected: bool, integer, floating-point or complex numbers\n"
        "  got:      str with dtype <U3\n"
        "  fix:      pass text by keyword, or let the function close over it",
    ),
    "a vector for a loss": (
        lambda: bp.grad(lambda x: x * 2)(VECTOR),
        NotScalarError,
        "<lambda> must return one number to be differentiated\n"
        "  expected: a scalar, the loss\n"
        "  got:      an array of shape (3,)\n"
        "  fix:      sum or average it, or use bp.vjp or bp.jacobian",
    ),
    "nothing for a loss": (
        lambda: bp.grad(lambda x: None)(VECTOR),
        NotScalarError,
        "<lambda> must return one number to be differentiated\n"
        "  expected: a scalar, the loss\n"
        "  got:      None\n"
        "  fix:      is a return missing?",
    ),
    "two losses": (
        lambda: bp.grad(lambda x: (x[0], x[1]))(VECTOR),
        NotScalarError,
        "<lambda> must return one number to be differentiated\n"
        "  expected: a scalar, the loss\n"
        "  got:      a tuple\n"
        "  fix:      has_aux=True for (loss, extra); bp.vjp or bp.jacobian for several outputs",
    ),
    "an integer for a loss": (
        lambda: bp.grad(lambda x: 3)(VECTOR),
        DtypeError,
        "<lambda> returns int64 numbers, which have no derivative\n"
        "  expected: floating-point numbers",
    ),
    "nothing to pull back from": (
        lambda: bp.vjp(lambda x: None, VECTOR),
        ArgumentError,
        "<lambda> returned nothing to differentiate\n"
        "  expected: an array, or a container of arrays\n"
        "  got:      None\n"
        "  fix:      is a return missing?",
    ),
    "text to pull back from": (
        lambda: bp.jacobian(lambda x: "abc")(VECTOR),
        DtypeError,
        "what <lambda> returns is not made of numbers\n"
        "  expected: bool, integer, floating-point or complex numbers\n"
        "  got:      str with dtype <U3\n"
        "  fix:      pass text by keyword, or let the function close over it",
    ),
    "an argument that is not there": (
        lambda: bp.grad(lambda x: x, argnums=2)(1.0),
        ArgumentError,
        "argnums=2, but <lambda> was called with 1 positional arguments\n"
        "  expected: an index below 1\n"
        "  fix:      pass what you differentiate by position, not by keyword",
    ),
    "an argument by name": (
        lambda: bp.grad(lambda x: x, argnums="x")(1.0),
        ArgumentError,
        "argnums='x', but <lambda> was called with 1 positional arguments\n"
        "  expected: an index below 1\n"
        "  fix:      pass what you differentiate by position, not by keyword",
    ),
    "no pair with has_aux": (
        lambda: bp.grad(lambda x: x, has_aux=True)(1.0),
        ArgumentError,
        "has_aux=True, but <lambda> returned no pair\n"
        "  expected: (loss, anything)\n"
        "  got:      an array of shape ()",
    ),
    "a cotangent of another shape": (
        lambda: bp.vjp(np.sin, VECTOR)[1](1.0),
        ShapeError,
        "the cotangent is not shaped like the output\n  expected: (3,)\n  got:      ()",
    ),
    "a cotangent in another container": (
        lambda: bp.vjp(lambda x: (x, x), VECTOR)[1](VECTOR),
        ShapeError,
        "the cotangent is not a container like the output\n"
        "  expected: ((3,), (3,))\n"
        "  got:      (3,)",
    ),
    "a direction of another shape": (
        lambda: bp.jvp(np.sin, (VECTOR,), (np.ones(2),)),
        ShapeError,
        "the direction of argument 0 is not shaped like the argument\n"
        "  expected: (3,)\n"
        "  got:      (2,)",
    ),
    "too few directions": (
        lambda: bp.jvp(np.add, (VECTOR, VECTOR), (VECTOR,)),
        ArgumentError,
        "jvp needs one direction for each argument\n  expected: 2\n  got:      1",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_mistake_gets_its_message_and_its_line(name):
    run, kind, message = REFUSED[name]
    with pytest.raises(kind) as caught:
        run()
    assert "test_transforms.py" in caught.value.where
    caught.value.where = ""
    assert str(caught.value) == message


def test_errors_are_also_what_python_calls_them():
    with pytest.raises(TypeError):
        bp.grad(lambda x: x)(3)
    with pytest.raises(ValueError, match="one number"):
        bp.grad(lambda x: x)(VECTOR)
    with pytest.raises(AllBPsError):
        bp.grad(lambda x: x)(3)


# -- in threads ------------------------------------------------------------------------------------
def in_thread(function, *args):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *args).result()


def test_a_gradient_in_a_thread_is_part_of_the_function_that_started_it():
    def closed_over(x):
        return np.sum(in_thread(bp.grad(lambda y: np.sum(x * y**2)), np.ones(2)))  # 2x

    def passed(x):
        return np.sum(in_thread(bp.grad(lambda y: np.sum(y**3)), x))  # 3x²

    def pulled(x):
        _, pullback = bp.vjp(lambda y: y**2 * x, x)
        return np.sum(in_thread(pullback, np.ones(2))[0])  # 2x²

    def twice(x):
        inner = bp.grad(lambda y: bp.grad(lambda z: x[0] * z**3 * y)(y))  # of 3xy³: 9xy²
        return in_thread(inner, 1.0)

    x = np.array([2.0, 5.0])
    np.testing.assert_array_equal(bp.grad(closed_over)(x), [2.0, 2.0])
    np.testing.assert_array_equal(bp.grad(passed)(x), 6 * x)
    np.testing.assert_array_equal(bp.grad(pulled)(x), 4 * x)
    np.testing.assert_array_equal(bp.grad(twice)(x), [9.0, 0.0])


def test_threads_that_have_nothing_to_do_with_each_other_get_plain_numbers():
    _, pullback = bp.vjp(lambda x: np.sin(x) * x, np.ones(3))
    cube = bp.grad(lambda x: np.sum(x**3))
    meet = threading.Barrier(4)

    def work(k):
        meet.wait()
        return [(pullback(np.ones(3))[0], cube(np.full(3, float(k)))) for _ in range(30)]

    with ThreadPoolExecutor(4) as pool:
        for k, pairs in enumerate(pool.map(work, range(4))):
            for pulled, gradient in pairs:
                assert type(pulled) is type(gradient) is np.ndarray
                np.testing.assert_array_equal(gradient, np.full(3, 3.0 * k * k))


def test_the_number_of_an_argument_may_be_numpys():
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    for k in (1, np.int64(1), np.int8(-1)):
        np.testing.assert_array_equal(bp.grad(lambda x, y: np.sum(x * y), k)(x, y), x)
        np.testing.assert_array_equal(bp.jacobian(lambda x, y: x * y, k)(x, y), np.diag(x))


# -- conventions at kinks --------------------------------------------------------------------------
def with_zero(x):
    return np.stack([x[0], 0.0 * x[0]])


SMOOTH_BUT_MADE_OF_KINKS = {
    "maximum": lambda x: np.sum(np.maximum(x, 0) ** 2 + np.maximum(-x, 0) ** 2),
    "minimum": lambda x: np.sum(np.minimum(x, 0) ** 2 + np.minimum(-x, 0) ** 2),
    "clip": lambda x: np.sum(np.clip(x, 0, 9) ** 2 + np.clip(-x, 0, 9) ** 2),
    "relu": lambda x: np.sum(F.relu(x) ** 2 + F.relu(-x) ** 2),
    "leaky": lambda x: np.sum(F.leaky_relu(x, 0.5) ** 2 + 0.75 * F.relu(-x) ** 2),
    "copysign": lambda x: np.sum(np.copysign(x, 1.0) ** 2),
    "extremes": lambda x: np.max(with_zero(x)) ** 2 + np.min(with_zero(x)) ** 2 + x[1] ** 2,
    "spread": lambda x: np.ptp(with_zero(x)) ** 2 + x[1] ** 2,
}
"""What is x₀² + x₁² at (0, 1), in parts that have a kink at 0."""


def rows_of(pullback):
    return np.stack([pullback(row)[0] for row in np.eye(2)])


DERIVATIVES_OF_GRADIENTS = {
    "hessian": lambda f, x: bp.hessian(f)(x),
    "jacobian": lambda f, x: bp.jacobian(bp.grad(f))(x),
    "vjp": lambda f, x: rows_of(bp.vjp(bp.grad(f), x)[1]),
    "jvp": lambda f, x: np.stack([bp.jvp(bp.grad(f), (x,), (row,))[1] for row in np.eye(2)]),
    "grad": lambda f, x: np.stack(
        [bp.grad(lambda x, row=row: np.sum(bp.grad(f)(x) * row))(x) for row in np.eye(2)]
    ),
}
derived = pytest.mark.parametrize(
    "derive", DERIVATIVES_OF_GRADIENTS.values(), ids=DERIVATIVES_OF_GRADIENTS
)


@derived
@pytest.mark.parametrize("f", SMOOTH_BUT_MADE_OF_KINKS.values(), ids=SMOOTH_BUT_MADE_OF_KINKS)
def test_a_hessian_that_depends_on_a_convention_is_nan_and_its_line_is_named(f, derive):
    with pytest.warns(KinkWarning, match=r"taken at a kink \(\w+ at test_transforms.py"):
        hessian = derive(f, np.array([0.0, 1.0]))
    assert np.isnan(hessian[0, 0])
    assert hessian[1, 1] == 2.0
    np.testing.assert_allclose(derive(f, np.array([0.5, 1.0])), 2 * np.eye(2))


def safe_norm(x):
    squares = np.sum(x**2)
    return np.where(squares == 0, 0.0, np.sqrt(np.where(squares == 0, 1.0, squares)))


DECIDED_IN_THE_OWN_LINES = {
    "sign": lambda x: np.sum(x**2 * np.sign(x) ** 2),
    "sign inside": lambda x: np.sum((x * np.sign(x)) ** 2),
    "where": lambda x: np.sum(np.where(x > 0, x**2 + x, x)),
    "where equal": lambda x: np.sum(np.where(x == 0, 0.0, x) ** 2),
    "guarded root": lambda x: safe_norm(x[:1]) ** 2 + x[1] ** 2,
    "truth values": lambda x: np.sum(((x > 0) * x) ** 2 + ((x < 0) * x) ** 2),
    "heaviside": lambda x: np.sum((np.heaviside(x, 0.5) * x) ** 2),
    "copysign": lambda x: np.sum(np.copysign(x**2, x) * np.sign(x)),
    "if": lambda x: (x[0] ** 2 + x[0] if x[0] > 0 else x[0]) + x[1] ** 2,
    "pool": lambda x: np.sum(F.max_pool1d(with_zero(x)[None], 2) ** 2) + x[1] ** 2,
    "sort": lambda x: np.sort(with_zero(x))[0] ** 2 + x[1] ** 2,
    "median": lambda x: np.median(np.stack([x[0], 0.0 * x[1], 1.0])) ** 2 + x[1] ** 2,
    "argmax": lambda x: with_zero(x)[np.argmax(with_zero(x))] ** 2 + x[1] ** 2,
    "quantile": lambda x: np.quantile(with_zero(x), 0.25) ** 2 + x[1] ** 2,
    "norm": lambda x: np.linalg.norm(with_zero(x), np.inf) * np.max(with_zero(x)) + x[1] ** 2,
    "celu": lambda x: np.sum(F.celu(x)),
}
"""Functions whose second derivative in x₀ jumps at 0, or is there another than on both sides."""


@derived
@pytest.mark.parametrize("f", DECIDED_IN_THE_OWN_LINES.values(), ids=DECIDED_IN_THE_OWN_LINES)
def test_a_hessian_that_is_no_limit_of_those_nearby_is_nan(f, derive):
    with pytest.warns(KinkWarning, match="taken at a kink"):
        assert np.isnan(derive(f, np.array([0.0, 1.0]))[0, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.all(np.isfinite(derive(f, np.array([0.5, 1.0]))))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_derivative_that_is_no_limit_is_nan_in_each_precision(dtype):
    x = np.array([0.0, 1.0], dtype)
    with pytest.warns(KinkWarning):
        hessian = bp.hessian(lambda x: np.sum((x * np.sign(x)) ** 2))(x)
    np.testing.assert_array_equal(hessian, np.array([[np.nan, 0], [0, 2]], dtype))
    np.testing.assert_array_equal(
        bp.hessian(lambda x: np.sum(np.where(x > 0, x**2, x * x)))(x), 2 * np.eye(2)
    )


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(np.abs(x) ** 2),
        lambda x: np.sum(np.sort(x) ** 2),
        lambda x: np.max(np.stack([x, -x])[:, 0]) ** 2 + x[1] ** 2,
        lambda x: np.sum(np.maximum(x, -3.0) ** 2) + np.max(np.zeros(2) * x[1]),
        lambda x: np.sum(x**2) + np.sum(F.max_pool1d(F.relu(-x - 1.0)[None], 2)),
        lambda x: np.linalg.norm(x) ** 2 + np.maximum(0.0 * x[0], 0.0),
        lambda x: np.sum(np.where(x > 0, x**2, x * x)),
        lambda x: np.sum(np.where(x == np.max(x), x, np.minimum(x, 9.0)) ** 2),
        lambda x: x @ x if x[0] > 0 else np.sum(x**2),
        lambda x: np.sum(x**2) + 1e9 * np.sum((x - x) ** 2 * np.sign(x - x)),
        lambda x: np.sum((np.sign(x) == 0) * 1.0) + np.sum(x**2) + bp.stop_gradient(x[0]),
    ],
)
def test_a_tie_that_does_not_matter_changes_no_hessian(f):
    np.testing.assert_array_equal(bp.hessian(f)(np.array([0.0, 0.0])), 2 * np.eye(2))


def test_a_third_derivative_at_a_kink_is_nan_and_a_first_one_a_convention():
    with pytest.warns(KinkWarning):
        assert np.isnan(bp.grad(bp.grad(bp.grad(lambda x: np.abs(x) ** 3)))(0.0))
    assert bp.grad(lambda x: np.maximum(x, 0.0))(0.0) == 1.0


def test_random_numbers_are_drawn_once_also_where_ties_are_decided_both_ways():
    rng = np.random.default_rng(0)

    def f(x):
        return np.sum(rng.normal(size=2) * x**2) + np.sum(np.maximum(0.0 * x, 0.0))

    drawn = 2 * np.diag(np.random.default_rng(0).normal(size=2))
    np.testing.assert_array_equal(bp.hessian(f)(np.zeros(2)), drawn)
    assert rng.normal() == np.random.default_rng(0).normal(size=3)[2]
