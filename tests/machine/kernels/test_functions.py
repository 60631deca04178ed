"""The vectorised functions against NumPy's and SciPy's, over their whole range."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

from allbps.machine.kernels import functions
from allbps.machine.language.words import Int, Reals, kernel, lanes

#: A few units in the last place.
RELATIVE = {np.float32: 4e-7, np.float64: 1e-15}


def loop(formula):
    """A kernel that applies a formula to n numbers."""

    @kernel
    def apply(y: Reals, x: Reals, n: Int) -> None:
        for i in lanes(n):
            y[i] = formula(x[i])

    return apply


LOOPS = {name: loop(getattr(functions, name)) for name in ("exp", "log", "tanh", "sigmoid", "erf")}


def points(dtype):
    rng = np.random.default_rng(3)
    far = 85 if dtype == np.float32 else 700
    return np.concatenate(
        [np.linspace(-12, 12, 4001), rng.uniform(-far, far, 4000), rng.standard_normal(4000) * 1e-3]
    ).astype(dtype)


@pytest.mark.parametrize(
    ("name", "reference"),
    [("exp", np.exp), ("tanh", np.tanh), ("erf", scipy.special.erf),
     ("sigmoid", scipy.special.expit)],
)  # fmt: skip
def test_relative_error_of_a_few_units_in_the_last_place(name, reference, native, dtype):
    x = points(dtype)
    y = np.empty_like(x)
    native(LOOPS[name])(y, x, len(x))
    np.testing.assert_allclose(y, reference(x.astype(np.longdouble).astype(np.float64)),
                               rtol=RELATIVE[dtype], atol=2 * np.finfo(dtype).tiny)  # fmt: skip


def test_logarithm(native, dtype):
    x = np.exp(points(np.float64) / 20).astype(dtype)
    tiny, huge = np.finfo(dtype).tiny, dtype(np.finfo(dtype).max / 1e30)
    with np.errstate(under="ignore"):
        x = np.concatenate([x, x * tiny * 8, x * tiny / 1e5, x * huge])
    x = x[x > 0]
    assert (x < tiny).any(), "subnormal numbers too"
    y = np.empty_like(x)
    native(LOOPS["log"])(y, x, len(x))
    near_one = np.finfo(dtype).eps * 0.1
    np.testing.assert_allclose(y, np.log(x.astype(np.float64)), rtol=RELATIVE[dtype], atol=near_one)


@pytest.mark.parametrize(
    ("name", "at", "want"),
    [
        ("exp", [np.nan, np.inf, -np.inf, 0, 1e4, -1e4], [np.nan, np.inf, 0, 1, np.inf, 0]),
        ("log", [np.nan, np.inf, 0, -1, 1], [np.nan, np.inf, -np.inf, np.nan, 0]),
        ("tanh", [np.nan, np.inf, -np.inf, 0], [np.nan, 1, -1, 0]),
        ("erf", [np.nan, np.inf, -np.inf, 0], [np.nan, 1, -1, 0]),
        ("sigmoid", [np.nan, np.inf, -np.inf, 0], [np.nan, 1, 0, 0.5]),
    ],
)
def test_ends_of_the_range(name, at, want, native, dtype):
    x = np.array(at * 17, dtype)  # long enough for the vector loop as well as for its tail
    y = np.empty_like(x)
    native(LOOPS[name])(y, x, len(x))
    np.testing.assert_array_equal(y, np.array(want * 17, dtype))
