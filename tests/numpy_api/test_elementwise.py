"""Functions of one number or two, as plain NumPy and by ``vjp``."""

import math
import operator

import numpy as np
import pytest

import allbps as bp
from allbps.errors import ArgumentError, DtypeError, NoRuleError

ANYWHERE = [
    np.sin, np.cos, np.sinh, np.cosh, np.tanh, np.arctan, np.arcsinh, np.exp, np.exp2, np.expm1,
    np.square, np.negative, np.positive, np.abs, np.absolute, np.fabs, np.sign, np.floor, np.ceil,
    np.rint, np.trunc, np.fix, np.round, np.around, np.deg2rad, np.radians, np.rad2deg, np.degrees,
    np.sinc, np.real, np.conj, np.conjugate, np.real_if_close, np.cbrt, np.nan_to_num, np.copy,
]  # fmt: skip
ABOVE_ZERO = [np.log, np.log2, np.log10, np.log1p, np.sqrt, np.reciprocal]
INSIDE_ONE = [np.arcsin, np.arccos, np.arctanh, np.tan]


@pytest.mark.parametrize("shape", [(), (2,), (3, 2), (0,)])
@pytest.mark.parametrize("function", ANYWHERE, ids=lambda f: f.__name__)
def test_a_function_of_any_number(function, shape, agrees, draw):
    agrees(function, draw(shape) / 2 + 0.03)


@pytest.mark.parametrize("function", ABOVE_ZERO, ids=lambda f: f.__name__)
def test_a_function_of_a_positive_number(function, agrees, draw):
    agrees(function, np.abs(draw((3, 2))) + 0.5)


@pytest.mark.parametrize("function", INSIDE_ONE, ids=lambda f: f.__name__)
def test_a_function_near_zero(function, agrees, draw):
    agrees(function, draw((3, 2)) / 2)


def test_arccosh(agrees, draw):
    agrees(np.arccosh, np.abs(draw((3, 2))) + 1.5)


@pytest.mark.parametrize("x", [0.0, 1e-9, 0.05, 0.0999999, 0.1000001, 1.0, -2.5])
def test_sinc_has_all_its_derivatives_at_and_near_zero(x):
    """Against the Taylor series of sin(πx)/(πx), far enough to be exact here."""
    k = np.arange(40)
    factorial = np.cumprod(np.concatenate([[1.0], np.arange(1, 82)]))
    with np.errstate(all="ignore"):
        series = (-1.0) ** k * np.pi ** (2 * k) / factorial[2 * k + 1]
    first = np.sum(series[1:] * 2 * k[1:] * x ** (2 * k[1:] - 1))
    second = np.sum(series[1:] * 2 * k[1:] * (2 * k[1:] - 1) * x ** (2 * k[1:] - 2))
    np.testing.assert_allclose(bp.grad(np.sinc)(x), first, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(bp.grad(bp.grad(np.sinc))(x), second, rtol=1e-8)


PAIRS = [
    np.add, np.subtract, np.multiply, np.logaddexp, np.logaddexp2, np.maximum, np.minimum, np.fmax,
    np.fmin, np.arctan2, np.hypot, operator.add, operator.sub, operator.mul, np.copysign,
]  # fmt: skip
DIVISIONS = [
    np.divide, np.true_divide, np.floor_divide, np.mod, np.remainder, np.fmod, operator.truediv,
    operator.floordiv, operator.mod,
]  # fmt: skip
SHAPES = [((), ()), ((2,), (2,)), ((), (3, 2)), ((3, 2), (2,)), ((3, 1), (1, 2)), ((2, 0), (1, 1))]


@pytest.mark.parametrize(("first", "second"), SHAPES)
@pytest.mark.parametrize("function", PAIRS, ids=lambda f: f.__name__)
def test_a_function_of_two_numbers_broadcasts(function, first, second, agrees, draw):
    agrees(function, draw(first, 1), draw(second, 2) + 0.11)


@pytest.mark.parametrize(("first", "second"), SHAPES)
@pytest.mark.parametrize("function", DIVISIONS, ids=lambda f: f.__name__)
def test_a_division_broadcasts(function, first, second, agrees, draw):
    agrees(function, draw(first, 1) + 0.0371, np.abs(draw(second, 2)) + 0.6)
    agrees(function, draw(first, 1) + 0.0371, -np.abs(draw(second, 2)) - 0.6)


@pytest.mark.parametrize("function", [np.power, np.float_power, operator.pow])
def test_powers(function, agrees, draw):
    base = np.abs(draw((3, 2))) + 0.5
    agrees(function, base, draw((2,)))
    agrees(lambda x: function(x, 3), draw((3, 2)))
    agrees(lambda x: function(x, -2.5), base)
    agrees(lambda x: function(2.0, x), draw((3, 2)))


@pytest.mark.parametrize(
    "other", [2.0, 2, np.float32(2), np.array([2, 1]), np.array([True, False])]
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_float_power_is_at_least_double(dtype, other):
    x = np.array([1.5, 2.0], dtype)
    for f in (lambda x: np.float_power(x, other), lambda x: np.float_power(other, x)):
        value, want = bp.vjp(f, x)[0], f(x)
        np.testing.assert_array_equal(value, want)
        assert value.dtype == want.dtype


def test_powers_at_zero():
    assert bp.grad(lambda x: np.power(x, 0.0))(0.0) == 0.0
    assert bp.grad(bp.grad(lambda x: np.power(x, 0.0)))(0.0) == 0.0
    assert bp.grad(lambda x: x**1)(0.0) == 1.0
    assert bp.grad(lambda y: np.power(0.0, y))(1.5) == 0.0
    assert bp.grad(lambda x, y: x**y)(0.0, 1.0) == 1.0


@pytest.mark.parametrize("x", [3.0, -3.0])
def test_the_cone_and_the_cube_root_away_from_their_corner(x, agrees):
    agrees(np.hypot, x, 4.0)
    agrees(np.cbrt, x)
    assert bp.grad(np.hypot, argnums=(0, 1))(0.0, 0.0) == (0.0, 0.0)


def test_clip_with_bounds_in_every_notation(agrees, draw):
    x = draw((3, 4))
    agrees(lambda x: np.clip(x, -0.5, 0.7), x)
    agrees(lambda x: np.clip(x, a_min=0.1, a_max=None), x)
    agrees(lambda x: np.clip(x, None, 0.1), x)
    agrees(lambda x: np.clip(x, min=-0.3, max=0.3), x)
    agrees(lambda x: x.clip(-0.3, 0.3), x)
    agrees(lambda x, low: np.clip(x, low, 0.9), x, -0.4)


def test_where_and_select_send_each_gradient_to_its_branch(agrees, draw):
    mask = draw((3, 4), 5) > 0
    agrees(lambda x, y: np.where(mask, x, y), draw((3, 4)), draw((4,), 1))
    agrees(lambda x: np.where(x > 0, x**2, -x), draw((3, 4)))
    agrees(lambda x: np.where(mask, x, 0), draw((3, 4)))
    agrees(lambda x, y: np.select([x > 0.3, x > -0.3], [x, y**2], x * y), draw((6,)), draw((6,), 1))
    agrees(lambda x: np.piecewise(x, [x < 0, x > 0.5], [lambda z: z**2, 3.0, np.sin]), draw((6,)))
    agrees(lambda x, y: np.choose([0, 1, 1], [x, y]), draw((3,)), draw((3,), 1))


def test_masks_are_combined_with_operators(agrees, draw):
    agrees(lambda x: np.where((x > -0.5) & ~(x > 0.5), x**2, 0.0), draw((3, 4)))
    agrees(lambda x: np.where((x < -0.5) | (x > 0.5) ^ (x > 9), x**2, 0.0), draw((3, 4)))
    agrees(lambda x: x * (x > 0), draw((3, 4)))


def test_python_decides_on_truth_values():
    def piecewise(x):
        assert isinstance(np.allclose(x, x), bool)
        assert bool(np.any(x > 1)) is bool((x > 1).any())
        if np.all(x > 0) and np.allclose(x, x) and not np.array_equal(x, -x):
            return np.sum(x**2)
        return np.sum(x)

    np.testing.assert_array_equal(bp.grad(piecewise)(np.array([1.0, 2.0])), [2.0, 4.0])
    np.testing.assert_array_equal(bp.grad(piecewise)(np.array([1.0, -2.0])), [1.0, 1.0])


def test_what_is_known_without_numbers():
    def shapes(x):
        assert (np.shape(x), np.ndim(x), np.size(x)) == ((2, 3), 2, 6)
        assert (x.shape, x.ndim, x.size, len(x), x.dtype) == ((2, 3), 2, 6, 2, np.float64)
        assert np.result_type(x, np.float32) == np.float64
        assert not np.iscomplexobj(x)
        return np.sum(x)

    bp.grad(shapes)(np.ones((2, 3)))


def test_heaviside_is_flat_but_for_its_value_at_zero(agrees, draw):
    agrees(np.heaviside, draw((5,)), 0.5)
    assert bp.grad(lambda h: np.heaviside(0.0, h))(0.5) == 1.0


def test_pairs_of_results(agrees, draw):
    agrees(np.divmod, draw((5,)), 0.7)
    agrees(divmod, draw((5,)), 0.7)
    agrees(np.modf, draw((5,)) * 3)


def test_fmax_and_fmin_prefer_a_number_to_nan():
    x, y = np.array([np.nan, 1.0, 3.0]), np.array([2.0, np.nan, 4.0])
    value, pullback = bp.vjp(np.fmax, x, y)
    np.testing.assert_array_equal(value, np.fmax(x, y))
    dx, dy = pullback(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(dx, [0.0, 2.0, 0.0])
    np.testing.assert_array_equal(dy, [1.0, 0.0, 3.0])
    np.testing.assert_array_equal(bp.vjp(np.fmin, x, y)[0], np.fmin(x, y))


def test_nan_to_num_gives_no_gradient_to_what_it_replaced():
    x = np.array([1.0, np.nan, np.inf, -np.inf])
    y, pullback = bp.vjp(np.nan_to_num, x)
    np.testing.assert_array_equal(y, np.nan_to_num(x))
    np.testing.assert_array_equal(pullback(np.full(4, 2.0))[0], [2.0, 0.0, 0.0, 0.0])


def test_one_winner_at_a_tie():
    _, pullback = bp.vjp(np.maximum, np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    first, second = pullback(np.array([3.0, 5.0]))
    np.testing.assert_array_equal(first, [3.0, 5.0])
    np.testing.assert_array_equal(second, [0.0, 0.0])


def test_reflected_operators_with_arrays_and_numbers(agrees, draw):
    c = np.array([1.5, -0.5])
    agrees(lambda x: c + x - c * (1.0 - x) + (2 / x) + c / x, draw((3, 2)) + 0.03)
    agrees(lambda x: (np.float64(2.0) * x) ** 2 + 2**x + c**2 % (x + 9.0), draw((3, 2)))
    agrees(lambda x: +x + abs(x) - (-x), draw((3, 2)))


def test_rounding_to_decimals(agrees, draw):
    agrees(lambda x: np.round(x, 1) * x, draw((4,)) + 0.01)
    agrees(lambda x: x.round(1) + x, draw((4,)) + 0.01)
    agrees(lambda x: round(x, 1) + round(x) * x, 1.234)


def test_interpolation(agrees):
    agrees(lambda x, y: np.interp(x, [0.0, 1.0, 3.0], y), [-1.0, 0.4, 2.2, 5.0], [1.0, 4.0, 2.0])
    agrees(lambda x: np.interp(x, [0.0, 1.0], [1.0, 2.0], left=0.0, right=7.0), [-1.0, 0.5, 2.0])


def test_interpolation_of_a_period(agrees):
    places, heights = [3.5, 1.0, 2.25], [1.0, 5.0, 2.0]
    agrees(lambda x: np.interp(x, places, heights, period=3.0), [-1.3, 0.2, 2.7, 8.1])
    agrees(lambda xp, fp: np.interp([0.2, 2.7], xp, fp, period=3.0), places, heights)


def test_unwrapping(agrees):
    x = np.array([[0.5, 2.0, -2.5, 3.0], [1.0, 9.0, -7.0, 0.25]])
    agrees(np.unwrap, x)
    agrees(lambda x: np.unwrap(x, axis=0, period=5.0), x)
    agrees(lambda x: np.unwrap(x, discont=6.0), x)


def test_powers_of_two(agrees):
    agrees(lambda x: np.ldexp(x, np.array([1, -2, 3])), [0.5, -1.25, 3.0])
    agrees(lambda x: np.frexp(x)[0], [0.6, -1.3, 3.1])


def test_log2_of_a_sum_keeps_the_larger_precision(agrees):
    agrees(lambda x: np.logaddexp2(x, np.float32(2)), [0.5, -1.25, 3.0])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_the_gradient_has_the_dtype_of_its_argument(dtype):
    x = np.ones((2, 2), dtype)
    y, pullback = bp.vjp(lambda x: np.mean(np.sin(x) * 2.0 + x @ x / 3), x)
    assert y.dtype == dtype
    assert pullback(dtype(1))[0].dtype == dtype


def test_mixed_dtypes_promote_as_in_numpy():
    single, double = np.ones(2, np.float32), np.ones(2)
    y, pullback = bp.vjp(lambda a, b: a * b + 1, single, double)
    assert y.dtype == np.float64
    assert [g.dtype for g in pullback(np.ones(2))] == [np.float32, np.float64]
    assert bp.vjp(lambda a: a * np.int64(2), single)[0].dtype == np.float64
    assert bp.vjp(lambda a: a * 2, single)[0].dtype == np.float32
    assert bp.vjp(lambda a: np.add(a, 1, dtype=np.float64), single)[0].dtype == np.float64


def test_an_option_that_would_be_ignored_is_refused():
    with pytest.raises(ArgumentError) as caught:
        bp.grad(lambda x: np.sum(np.add(x, 1.0, where=x > 0)))(np.ones(2))
    caught.value.where = ""
    assert str(caught.value).startswith(
        "np.add of a traced array does not take where=\n  got:      where="
    )
    assert caught.value.todo == "np.where(mask, np.add(…), …)"


def test_bitwise_operators_are_for_masks():
    with pytest.raises(DtypeError) as caught:
        bp.grad(lambda x: np.sum(x & x))(np.ones(2))
    caught.value.where = ""
    assert str(caught.value) == (
        "the bitwise logical_and of a traced array takes truth values\n"
        "  expected: masks such as x > 0\n"
        "  got:      float64 and float64"
    )


def test_a_piece_of_piecewise_sees_its_own_elements_alone(agrees):
    x = np.array([-2.0, -0.5, 0.3, 1.7])
    roots = [lambda v: -(v**2), np.sqrt]
    np.testing.assert_allclose(
        bp.grad(lambda x: np.sum(np.piecewise(x, [x < 0, x >= 0], roots) ** 2))(x),
        [-32, -0.5, 1, 1],
    )  # the root of a negative number is no part of it
    agrees(lambda x: np.piecewise(x, [x < 0], [lambda v: v - v.mean(), lambda v: v * v.sum()]), x)
    agrees(lambda x: np.piecewise(x, x < 0, [lambda v: v * v.size, 3.0]), x)
    agrees(lambda x: np.piecewise(x, [x > 9, x < 0], [lambda v: 1 / v.size, lambda v: v * 2]), x)
    with pytest.raises(ArgumentError, match="one function for each condition"):
        bp.vjp(lambda x: np.piecewise(x, [x < 0], [1.0, 2.0, 3.0]), x)


def test_whole_numbers_near_a_traced_one_are_whole():
    kinds = []

    def f(x):
        whole = [round(x), math.floor(x), math.ceil(x), math.trunc(x)]
        kinds.extend(part.dtype for part in whole)
        return x * sum(whole) + round(x, 1)

    assert bp.value_and_grad(f)(1.7) == (1.7 * 6 + 1.7, 6)
    assert set(kinds) == {np.dtype(int)}
    with pytest.raises(ArgumentError, match="near no whole number"):
        bp.grad(lambda x: x * math.floor(x))(np.nan)


def test_complex_arrays_say_that_they_are():
    def f(x):
        z = x * (1 + 0.5j)
        assert np.iscomplexobj(z)
        assert not np.isrealobj(z)
        assert np.isrealobj(x)
        return np.sum(np.abs(z))

    bp.grad(f)(np.ones(2))


def test_nan_to_num_takes_its_numbers_by_place():
    x = np.array([1.0, np.nan, np.inf])
    value, _ = bp.vjp(lambda x: np.nan_to_num(x, True, 0.5, 2.0), x)
    np.testing.assert_array_equal(value, [1.0, 0.5, 2.0])


def test_a_float_power_of_a_size_has_all_its_derivatives_at_zero():
    f = bp.hessian(lambda x: np.sum(np.float_power(np.fabs(x), 2)))
    np.testing.assert_array_equal(f(np.zeros(2)), 2 * np.eye(2))


INSIDE = np.array([0.25, 0.5, 1.0])
OUTSIDE = np.array([0.25, -0.5, 3.0])
WIDER = {
    "sqrt": np.emath.sqrt, "log": np.emath.log, "log2": np.emath.log2, "log10": np.emath.log10,
    "arccos": np.emath.arccos, "arcsin": np.emath.arcsin,
    "logn": lambda x: np.emath.logn(3.0, x), "power": lambda x: np.emath.power(x, 0.5),
    "whole": lambda x: np.emath.power(x, -2), "arctanh": lambda x: np.emath.arctanh(0.9 * x),
}  # fmt: skip


@pytest.mark.parametrize("name", WIDER)
def test_emath_is_real_inside_of_the_domain(name):
    f = WIDER[name]
    value, pullback = bp.vjp(f, INSIDE[:2])
    np.testing.assert_array_equal(value, f(INSIDE[:2]))
    assert value.dtype == f(INSIDE).dtype
    slope = (f(INSIDE[:2] + 1e-6) - f(INSIDE[:2] - 1e-6)) / 2e-6
    np.testing.assert_allclose(pullback(np.ones(2))[0], slope, rtol=1e-6)


@pytest.mark.parametrize("name", WIDER)
def test_emath_is_complex_outside_of_it_or_refused(name):
    f = WIDER[name]
    if name not in ("sqrt", "log", "logn", "power", "whole"):
        with pytest.raises((DtypeError, NoRuleError), match="complex"):
            bp.vjp(f, OUTSIDE)
        return
    value, _ = bp.vjp(f, OUTSIDE)
    np.testing.assert_allclose(value, f(OUTSIDE), rtol=1e-14)
    assert value.dtype == f(OUTSIDE).dtype


def test_emath_in_compiled_code_looks_at_its_domain():
    step = bp.compile(lambda x: np.sum(np.abs(np.emath.sqrt(x)) ** 4), INSIDE)
    assert step(INSIDE) == pytest.approx(np.sum(INSIDE**2))
    assert step(OUTSIDE) == pytest.approx(np.sum(OUTSIDE**2))


@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize("step", [1.0, 0.3, [0.0, 1.0, 3.0, 4.0], [0.0, 0.3, 0.6, 0.9]], ids=str)
def test_a_slope_reads_the_points_that_numpy_reads(step, edge_order):
    row = np.array([1.0, np.nan, 3.0, -0.0])
    table = np.stack([row, [4.0, 4.0, np.inf, 2.0], [-np.inf, 0.0, -1.0, 5.0], np.arange(4.0)])
    with np.errstate(all="ignore"):
        for axis in (0, 1):
            for x in (table, np.nan_to_num(table, posinf=3.0, neginf=1.5)):

                def f(x, axis=axis):
                    return np.gradient(x, step, axis=axis, edge_order=edge_order)

                np.testing.assert_allclose(bp.vjp(f, x)[0], f(x), rtol=1e-14)
