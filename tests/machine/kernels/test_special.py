"""Formulas of SciPy's functions against SciPy's, over their whole range and at its ends."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

from allbps.machine.kernels import entropy, gammas, normal
from allbps.machine.language.words import Int, Reals, kernel, lanes

RELATIVE = {np.float32: 3e-6, np.float64: 1e-13}
ENDS = (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -3.0, 30.0, -30.0, 1e30, -1e30, np.inf, -np.inf, np.nan)


def of_one(formula):
    @kernel
    def apply(y: Reals, a: Reals, n: Int) -> None:
        for i in lanes(n):
            y[i] = formula(a[i])

    return apply


def of_two(formula):
    @kernel
    def apply(y: Reals, a: Reals, b: Reals, n: Int) -> None:
        for i in lanes(n):
            y[i] = formula(a[i], b[i])

    return apply


ONE = {"entr": entropy, "logit": entropy, "erfc": normal, "erfcx": normal, "ndtr": normal,
       "log_ndtr": normal, "ndtri": normal, "erfinv": normal, "erfcinv": normal,
       "gammaln": gammas, "digamma": gammas, "trigamma": gammas}  # fmt: skip
TWO = ("xlogy", "xlog1py", "pseudo_huber", "boxcox")
LOOPS = {name: of_one(getattr(room, name)) for name, room in ONE.items()}
LOOPS |= {name: of_two(getattr(entropy, name)) for name in TWO}
RANGES = {
    "logit": (0, 1),
    "erfc": (-6, 9),
    "erfcx": (-9, 60),
    "ndtr": (-12, 9),
    "log_ndtr": (-40, 20),
    "ndtri": (0, 1),
    "erfinv": (-1, 1),
    "erfcinv": (0, 2),
}  # beyond, SciPy's own rounding shows


BESIDE_ONE = {"gammaln": 16, "digamma": 16}
"""Functions whose zeros cost relative precision -> the error in units in the last place of 1."""


def trigamma(x):
    return scipy.special.zeta(2.0, x)


def compared(name, native, dtype, *given):
    given = [np.asarray(x, dtype) for x in given]
    y = np.empty_like(given[0])
    native(LOOPS[name])(y, *given, len(y))
    with np.errstate(all="ignore"):
        of = trigamma if name == "trigamma" else getattr(scipy.special, name)
        exact = of(*[x.astype(np.float64) for x in given])
        want = exact.astype(dtype)
    return y, want


@pytest.mark.parametrize("name", list(ONE))
def test_a_function_of_one_number_is_scipys(name, native, dtype, rng):
    low, high = RANGES.get(name, (-40, 40))
    far = rng.uniform(low, high, 3000)
    y, want = compared(name, native, dtype, [*far, *rng.uniform(0, 2, 3000), *far * 1e-3])
    beside = BESIDE_ONE.get(name, 0) * np.finfo(dtype).eps
    smallest = 4 * np.finfo(dtype).tiny
    np.testing.assert_allclose(y, want, rtol=RELATIVE[dtype], atol=max(beside, smallest))


@pytest.mark.parametrize("name", TWO)
def test_a_function_of_two_numbers_is_scipys(name, native, dtype, rng):
    a, b = rng.uniform(0.0, 4.0, 4000), rng.uniform(0.01, 4.0, 4000)
    y, want = compared(name, native, dtype, a, b)
    np.testing.assert_allclose(y, want, rtol=RELATIVE[dtype], atol=4 * np.finfo(dtype).tiny)


@pytest.mark.parametrize("name", list(LOOPS))
def test_ends_of_the_domain_are_scipys(name, native, dtype):
    a, b = (grid.ravel() for grid in np.meshgrid(ENDS, ENDS))
    y, want = compared(name, native, dtype, *((a, b) if name in TWO else (a,)))
    tiny = np.finfo(dtype).tiny
    np.testing.assert_allclose(y, want, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=tiny)
