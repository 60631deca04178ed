"""Passes over a plan: what becomes one work, with the numbers and δ that it had as several."""

from __future__ import annotations

import numpy as np
import pytest

import allbps as bp


def compiled(f, *arguments, params):
    """A compiled loss with gradients, checked against the same without compiling."""
    step = bp.compile(f, *arguments, params=params)
    loss, grads = step(*arguments)
    names = [params] if isinstance(params, str) else params
    known = list(step.signature.parameters)
    want, deltas = bp.value_and_grad(f, argnums=tuple(known.index(n) for n in names))(*arguments)
    np.testing.assert_allclose(loss, want, rtol=1e-10)
    grads = {params: grads} if isinstance(params, str) else grads
    for name, delta in zip(names, deltas, strict=True):
        np.testing.assert_allclose(grads[name], delta, rtol=1e-9, atol=1e-12)
    return step


@pytest.mark.parametrize("lead", [(5,), (3, 4)])
def test_weights_shared_by_a_batch_of_matrices_get_one_product(lead, rng):
    x, W = rng.standard_normal((*lead, 6, 7)), rng.standard_normal((7, 40))
    step = compiled(lambda x, W: np.sum(np.tanh(x @ W) ** 2), x, W, params=["x", "W"])
    assert len([row for row in step.stages().rows if "@" in row["work"]]) == 3
    assert not any("sum." in row["work"] and "dW" in row["work"] for row in step.stages().rows)


def test_rows_half_a_page_apart_are_packed(rng):
    x, W = rng.standard_normal((70, 512)), rng.standard_normal((512, 9))
    step = compiled(lambda x, W: np.mean((x @ W) ** 2), x, W, params="W")
    assert "packed_product_piece(" in step.source()
