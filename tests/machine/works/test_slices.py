"""δ of an array that is used slice by slice, in every mixture of dtypes."""

import warnings

import numpy as np
import pytest

import allbps as bp
from allbps.machine.building import FallbackWarning

DTYPES = ["float16", "float32", "float64"]
CUTS = {
    "covering": lambda y: np.sum(np.sin(y[:3])) + np.sum(np.cos(y[3:])),
    "with a gap": lambda y: np.sum(np.sin(y[:2])) + np.sum(y[4:] ** 2),
    "with steps": lambda y: np.sum(np.sin(y[::2])) + np.sum(y[1::2] ** 2),
    "backwards": lambda y: np.sum(np.sin(y[2::-1])) + np.sum(y[:2:-1] ** 2 * np.arange(3)),
    "one by one": lambda y: y[0] * y[1] + y[2] ** 2 + y[-1],
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("inner", DTYPES)
@pytest.mark.parametrize("outer", DTYPES)
def test_slices_side_by_side_in_every_mixture_of_dtypes(outer, inner, cut):
    def f(x):
        return CUTS[cut](np.sin(x).astype(inner))

    x = np.linspace(-1, 1, 6).astype(outer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FallbackWarning)
        value, found = bp.compile(f, x, params="x")(x)
    want_value, want = bp.value_and_grad(f)(x)
    coarsest = max(np.finfo(outer).eps, np.finfo(inner).eps)
    delta = found["x"] if isinstance(found, dict) else found
    assert delta.dtype == want.dtype
    np.testing.assert_allclose(value, want_value, rtol=8 * coarsest)
    np.testing.assert_allclose(delta, want, rtol=8 * coarsest, atol=8 * coarsest)


@pytest.mark.parametrize("part", [0, slice(1, 5, 2), slice(None, None, -1)], ids=str)
def test_a_write_into_a_part_of_what_lies_scattered_in_memory(part):
    def f(x):
        y = x.T.reshape(-1)  # no two numbers of a row lie side by side
        y[part] = 5.0 * y[part] ** 2
        return np.sum(x**2) + np.sum(y * np.arange(6))

    x = np.linspace(-1, 1, 6).reshape(2, 3)
    value, found = bp.compile(f, x, params="x")(x)
    want_value, want = bp.value_and_grad(f)(x)
    np.testing.assert_allclose(value, want_value)
    np.testing.assert_allclose(found["x"] if isinstance(found, dict) else found, want)
