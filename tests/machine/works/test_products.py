"""Which operand of a product is laid out anew, and which is read where it lies."""

from __future__ import annotations

import numpy as np
import pytest

import allbps as bp
from allbps.optim import SGD


def loss(x, W1, W2):
    """Two layers whose weights are (out, in)."""
    hidden = np.maximum(x @ W1.T, 0.0)
    return np.mean((hidden @ W2.T) ** 2)


@pytest.mark.parametrize(("rows", "copies"), [(128, False), (512, True)])
def test_a_weight_that_is_read_both_ways_is_copied_where_products_would_turn_it_twice(
    rows, copies, rng
):
    x, W1 = rng.standard_normal((rows, 40)), rng.standard_normal((70, 40)) / 7
    W2 = rng.standard_normal((50, 70)) / 8
    step = bp.compile(loss, x, W1, W2, params=["W1", "W2"], optimizer=SGD(lr=0.1))
    assert ("transposed" in str(step.stages())) == copies
    want, (one, two) = bp.value_and_grad(loss, argnums=(1, 2))(x, W1, W2)
    np.testing.assert_allclose(step(x), want, rtol=1e-12)
    np.testing.assert_allclose(step.params["W1"], W1 - 0.1 * one, rtol=1e-12)
    np.testing.assert_allclose(step.params["W2"], W2 - 0.1 * two, rtol=1e-12)
