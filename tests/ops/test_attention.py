"""Attention weights: the slide's formulas, what a causal query sees, and PyTorch."""

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.ops.attention import attention_weights_op


def test_the_slides_formulas_for_three_queries_and_four_keys(rng):
    x, y = rng.normal(size=(3, 2)), rng.normal(size=(4, 2))
    s, pullback = bp.vjp(lambda x, y: attention_weights_op(x, y, scale=1.0, causal=False), x, y)
    ds = rng.normal(size=(3, 4))
    dx, dy = pullback(ds)
    dz = np.stack([(np.diag(s_i) - np.outer(s_i, s_i)) @ g for s_i, g in zip(s, ds, strict=True)])
    for i in range(3):
        np.testing.assert_allclose(dx[i], sum(y[j] * dz[i, j] for j in range(4)), rtol=1e-12)
    for j in range(4):
        np.testing.assert_allclose(dy[j], sum(x[i] * dz[i, j] for i in range(3)), rtol=1e-12)


def test_each_query_has_weights_that_add_up_to_one(rng):
    q, k = rng.normal(size=(2, 3, 4)) * 50, rng.normal(size=(2, 5, 4)) * 50
    for causal in (False, True):
        s = attention_weights_op(q, k, scale=1.0, causal=causal).value
        np.testing.assert_allclose(np.sum(s, axis=-1), 1, rtol=1e-14)


def test_a_causal_query_sees_no_later_key_and_gives_it_no_delta(rng):
    q, k, v = rng.normal(size=(3, 4, 2))
    y, pullback = bp.vjp(lambda *qkv: F.scaled_dot_product_attention(*qkv, is_causal=True), q, k, v)
    g = np.zeros((4, 2))
    g[1] = 1.0  # only the second query counts
    _, dk, dv = pullback(g)
    assert (dk[:2] != 0).any()
    np.testing.assert_array_equal(dk[2:], 0)
    np.testing.assert_array_equal(dv[2:], 0)
    np.testing.assert_allclose(y[0], v[0], rtol=1e-14)  # the first sees itself alone


@pytest.mark.parametrize(
    "shapes",
    [
        [(3, 4), (5, 4), (5, 2)],
        [(2, 3, 4), (2, 5, 4), (2, 5, 4)],
        [(2, 2, 3, 4), (2, 2, 3, 4), (2, 2, 3, 6)],
    ],
)
@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.3}])
def test_attention_agrees_with_pytorch(same_as_torch, rng, shapes, options):
    torch = pytest.importorskip("torch")
    same_as_torch(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **options),
        lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(q, k, v, **options),
        *[rng.normal(size=shape) for shape in shapes],
    )
