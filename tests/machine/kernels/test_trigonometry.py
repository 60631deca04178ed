"""Sines, tangents, powers and their relatives against NumPy's in extended precision."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from allbps.machine.kernels import logarithmic, trigonometry
from allbps.machine.language.words import Int, Reals, kernel, lanes

#: A few units in the last place.
RELATIVE = {np.float32: 5e-7, np.float64: 2e-15}
UNIT, LINE, POSITIVE = (-1, 1), (-30, 30), (1e-3, 50)

ONE = {
    "sin": (trigonometry.sin, np.sin, LINE), "cos": (trigonometry.cos, np.cos, LINE),
    "tan": (trigonometry.tan, np.tan, LINE), "arcsin": (trigonometry.arcsin, np.arcsin, UNIT),
    "arccos": (trigonometry.arccos, np.arccos, UNIT),
    "arctan": (trigonometry.arctan, np.arctan, LINE),
    "expm1": (logarithmic.expm1, np.expm1, LINE),
    "log1p": (logarithmic.log1p, np.log1p, (-0.999, 9)),
    "log2": (logarithmic.log2, np.log2, POSITIVE), "log10": (logarithmic.log10, np.log10, POSITIVE),
    "sinh": (logarithmic.sinh, np.sinh, LINE), "cosh": (logarithmic.cosh, np.cosh, LINE),
    "arcsinh": (logarithmic.arcsinh, np.arcsinh, LINE),
    "arccosh": (logarithmic.arccosh, np.arccosh, (1, 50)),
    "arctanh": (logarithmic.arctanh, np.arctanh, UNIT),
}  # fmt: skip
TWO = {
    "arctan2": (trigonometry.arctan2, np.arctan2, LINE),
    "hypot": (trigonometry.hypot, np.hypot, LINE),
    "logaddexp": (logarithmic.logaddexp, np.logaddexp, LINE),
    "modulo": (logarithmic.modulo, np.mod, LINE),
    "floor_quotient": (logarithmic.floor_quotient, np.floor_divide, LINE),
}  # fmt: skip


def loop(formula):
    """A kernel that applies a formula of one argument to n numbers."""

    @kernel
    def apply(y: Reals, x: Reals, n: Int) -> None:
        for i in lanes(n):
            y[i] = formula(x[i])

    return apply


def loop_of_two(formula):
    """The same for two arguments."""

    @kernel
    def apply(y: Reals, a: Reals, b: Reals, n: Int) -> None:
        for i in lanes(n):
            y[i] = formula(a[i], b[i])

    return apply


LOOPS = {name: loop(formula) for name, (formula, _, _) in ONE.items()}
LOOPS |= {name: loop_of_two(formula) for name, (formula, _, _) in TWO.items()}
LOOPS["power"] = loop_of_two(logarithmic.power)


def exactly(reference, *xs):
    """NumPy's function in extended precision, then rounded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return reference(*(x.astype(np.longdouble) for x in xs)).astype(np.float64)


def points(low, high, dtype):
    rng = np.random.default_rng(3)
    x = np.concatenate([np.linspace(low, high, 5001), rng.uniform(low, high, 5000)])
    small = rng.standard_normal(3000) * 10.0 ** rng.uniform(-12, -2, 3000)
    return np.concatenate([x, small[(small > low) & (small < high)]]).astype(dtype)


@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_number_are_right_to_a_few_units(name, native, dtype):
    _, reference, (low, high) = ONE[name]
    x = points(low, high, dtype)
    y = np.empty_like(x)
    native(LOOPS[name])(y, x, len(x))
    near_zero = np.finfo(dtype).eps if name in ("log2", "log10") else np.finfo(dtype).tiny
    np.testing.assert_allclose(
        y, exactly(reference, x), rtol=RELATIVE[dtype], atol=2 * near_zero, equal_nan=True
    )


@pytest.mark.parametrize("name", TWO)
def test_functions_of_two_numbers_are_right_to_a_few_units(name, native, dtype):
    _, reference, (low, high) = TWO[name]
    a, b = points(low, high, dtype), points(low, high, dtype)[::-1].copy()
    b[b == 0] = 1
    y = np.empty_like(a)
    native(LOOPS[name])(y, a, b, len(a))
    # ln(eᵃ + eᵇ) cancels where it is near 0, in NumPy as here
    near_zero = 4 * np.finfo(dtype).eps if name == "logaddexp" else np.finfo(dtype).tiny
    want = reference(a, b) if name in ("modulo", "floor_quotient") else exactly(reference, a, b)
    np.testing.assert_allclose(y, want, rtol=RELATIVE[dtype], atol=near_zero)


def test_powers(native, dtype):
    rng = np.random.default_rng(4)
    x, p = rng.uniform(0.01, 30, 4000).astype(dtype), rng.uniform(-9, 9, 4000).astype(dtype)
    x[:600] *= -1
    p[:900] = np.round(p[:900])
    y = np.empty_like(x)
    native(LOOPS["power"])(y, x, p, len(x))
    # an error of the logarithm is multiplied by the exponent, at most 42 here
    np.testing.assert_allclose(y, exactly(np.power, x, p), rtol=40 * RELATIVE[dtype])


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_large_angles_keep_their_digits(name, native, dtype):
    rng = np.random.default_rng(5)
    turns = rng.integers(1, 2**40, 2000) * (np.pi / 2)  # next to zeros and poles
    x = np.concatenate([turns, rng.uniform(-1e15, 1e15, 2000), [np.pi, 1e15]]).astype(dtype)
    y = np.empty_like(x)
    native(LOOPS[name])(y, x, len(x))
    np.testing.assert_allclose(y, ONE[name][1](x.astype(np.float64)), rtol=RELATIVE[dtype])


NAN, INF = np.nan, np.inf
ENDS = {
    "sin": ([NAN, INF, 0, 1e30], [NAN, NAN, 0, NAN]),
    "arctan": ([NAN, INF, -INF, 0], [NAN, np.pi / 2, -np.pi / 2, 0]),
    "arcsin": ([NAN, 1, -1, 2, -2], [NAN, np.pi / 2, -np.pi / 2, NAN, NAN]),
    "arccos": ([NAN, 1, -1, 2, -2], [NAN, 0, np.pi, NAN, NAN]),
    "expm1": ([NAN, INF, -INF, 0, 1e4, -1e4], [NAN, INF, -1, 0, INF, -1]),
    "log1p": ([NAN, INF, -1, -2, 0], [NAN, INF, -INF, NAN, 0]),
    "log2": ([NAN, INF, 0, -1, 1], [NAN, INF, -INF, NAN, 0]),
    "sinh": ([NAN, INF, -INF, 0], [NAN, INF, -INF, 0]),
    "cosh": ([NAN, INF, -INF, 0], [NAN, INF, INF, 1]),
    "arcsinh": ([NAN, INF, -INF, 0], [NAN, INF, -INF, 0]),
    "arccosh": ([NAN, INF, 1, 0.5, -3], [NAN, INF, 0, NAN, NAN]),
    "arctanh": ([NAN, 1, -1, 2, 0], [NAN, INF, -INF, NAN, 0]),
}


@pytest.mark.parametrize("name", ENDS)
def test_ends_of_the_range(name, native, dtype):
    at, want = ENDS[name]
    x = np.array(at * 17, dtype)  # long enough for the vector loop as well as for its tail
    y = np.empty_like(x)
    native(LOOPS[name])(y, x, len(x))
    np.testing.assert_allclose(y, np.array(want * 17, dtype), rtol=RELATIVE[dtype])


@pytest.mark.parametrize("name", ["arctan2", "hypot", "logaddexp", "power", "modulo"])
def test_pairs_of_zeros_infinities_and_nan(name, native, dtype):
    ends = np.array([0.0, -0.0, 1.0, -1.0, 2.0, -3.0, INF, -INF, NAN], dtype)
    a, b = (np.ascontiguousarray(x.ravel()) for x in np.meshgrid(ends, ends))
    if name == "power":  # the sign of a power of -0 and -inf is left open
        known = ~(np.signbit(a) & ((a == 0) | np.isinf(a)))
        a, b = a[known], b[known]
    reference = np.power if name == "power" else TWO[name][1]
    with np.errstate(all="ignore"):
        want = reference(a, b)
    if name == "modulo":  # nothing useful comes out of an infinite divisor
        known = ~np.isinf(b)
        a, b, want = a[known].copy(), b[known].copy(), want[known]
    y = np.empty_like(a)
    native(LOOPS[name])(y, a, b, len(a))
    np.testing.assert_allclose(y, want, rtol=RELATIVE[dtype])
