"""float32 in, the dtype of plain NumPy out; and the gradient in the dtype of its argument."""

import numpy as np
import pytest

import allbps as bp
from allbps.tree import leaves

FUNCTIONS = {
    "quantile": lambda x: np.quantile(x, 0.3, axis=0),
    "quantiles": lambda x: np.quantile(x, [0.3, 0.5], axis=0),
    "percentile": lambda x: np.percentile(x, 30, axis=0),
    "nanquantile": lambda x: np.nanquantile(x, 0.3, axis=0),
    "nanmedian": np.nanmedian,
    "select": lambda x: np.select([x > 1, x < 0], [x, 0.0]),
    "piecewise": lambda x: np.piecewise(x, [x < 0, x > 0], [0.0, lambda v: v * 2, 3.0]),
    "copysign": lambda x: np.copysign(x, 2) + np.copysign(3, x),
    "heaviside": lambda x: np.heaviside(x, 2),
    "heaviside of integers": lambda x: np.heaviside(np.arange(3), x),
    "angle": np.angle,
    "nan_to_num": lambda x: np.nan_to_num(x, nan=1.0, posinf=3.0),
    "ldexp": lambda x: np.ldexp(x, np.array([1, 2, 3])),
    "logaddexp2": lambda x: np.logaddexp2(x, 2),
    "cov": np.cov,
    "corrcoef": np.corrcoef,
    "gradient": lambda x: np.gradient(x, [0.0, 1.0, 3.0], axis=1),
    "gradient with parabolas": lambda x: np.gradient(x, 0.3, edge_order=2, axis=1),
    "ediff1d": lambda x: np.ediff1d(x, to_end=[1.0, 2.0], to_begin=0.0),
    "linspace": lambda x: np.linspace(0.0, x, 5),
    "logspace": lambda x: np.logspace(0.0, x, 5),
    "norm of order 0": lambda x: np.linalg.norm(x, 0, axis=1) * x[:, 0],
    "vander": lambda x: np.vander(x[0], 3),
    "poly": lambda x: np.poly(x[0]),
    "polyval": lambda x: np.polyval(x[0], 2.0),
    "einsum with a number": lambda x: np.einsum("ij,->i", x, 2.0),
    "max of nothing": lambda x: np.max(x[:0], initial=1.0) + x[0, 0],
    "pad": lambda x: np.pad(x, 2, mode="linear_ramp", end_values=1.5),
    "unwrap": np.unwrap,
    "std": lambda x: np.std(x),
    "norm": np.linalg.norm,
    "sum of squares": lambda x: np.tensordot(x, x, 2),
    "windows": lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, axis=1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_single_precision_stays_as_numpy_has_it(name):
    x = np.array([[0.5, -1.25, 2.0], [3.0, 0.75, -0.5], [1.5, -2.5, 0.25]], np.float32)
    plain = FUNCTIONS[name](x)
    value, pullback = bp.vjp(FUNCTIONS[name], x)
    for got, want in zip(leaves(value), leaves(plain), strict=True):
        assert (got.dtype, np.shape(got)) == (want.dtype, np.shape(want))
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)  # float32
    (gradient,) = pullback(value)
    assert gradient.dtype == np.float32


def test_a_result_without_axes_is_a_number():
    value, pullback = bp.vjp(lambda x: np.where(x > 0, x, -x), -2.0)
    assert (type(value), type(pullback(1.0)[0])) == (np.float64, np.float64)
