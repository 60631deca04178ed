"""Emitted JAX computes in the dtype of what it is given."""

import numpy as np
import pytest

import allbps as bp

jax = pytest.importorskip("jax")

X = np.array([[0.3, -1.2, 0.7], [1.1, 0.4, -0.6]])
WHOLE = np.arange(6).reshape(2, 3)
NETS = {
    "whole numbers": lambda x: np.sum(x * WHOLE),
    "truth values": lambda x: np.sum(x * (WHOLE > 2)),
    "numbers": lambda x: np.sum(x * np.pi + np.e),
    "rows": lambda x: sum(np.sum(row) * k for k, row in enumerate(x)),
    "remainder": lambda x: np.sum(np.mod(x, 0.7)),
    "left out": lambda x: np.nansum(np.where(x > 0.5, np.nan, x)),
    "float32 beside": lambda x: np.sum(x * WHOLE.astype(np.float32) / 3.0),
    "square": lambda x: np.sum(x**2),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETS)
def test_gradients_have_the_dtype_of_the_argument(name, dtype):
    def net(x):
        return NETS[name](x)

    scope = {}
    exec(bp.explain(net, X).to_source("jax"), scope)
    with jax.enable_x64(True):
        value, gradients = scope["net"](jax.numpy.asarray(X, dtype))
        assert str(gradients["x"].dtype) == dtype
    tolerance = 1e-6 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(value, net(X), rtol=tolerance)
    np.testing.assert_allclose(gradients["x"], bp.grad(net)(X), rtol=tolerance, atol=tolerance)
