"""Functions of the vocabulary that draw: their range, their δ, the same bits from the same seed."""

import numpy as np

import allbps as bp
import allbps.functional as F

X = np.random.default_rng(5).normal(size=(50, 4))


def test_random_slopes_lie_between_their_bounds_and_are_the_delta():
    y, pullback = bp.vjp(lambda x: F.rrelu(x, 0.25, 0.5, training=True, rng=7), X)
    slopes = y / X
    assert np.all(slopes[X > 0] == 1)
    below = slopes[X < 0]
    assert np.all((below >= 0.25 - 1e-12) & (below < 0.5))
    assert np.ptp(below) > 0.2
    np.testing.assert_allclose(pullback(np.ones_like(X))[0], slopes)
    np.testing.assert_array_equal(y, F.rrelu(X, 0.25, 0.5, training=True, rng=7))
    assert np.any(y != F.rrelu(X, 0.25, 0.5, training=True, rng=8))


def test_gumbel_softmax_draws_a_class_as_often_as_its_softmax_says():
    logits = np.broadcast_to(np.log([0.5, 0.3, 0.2]), (4000, 3))
    drawn = F.gumbel_softmax(logits, hard=True, rng=1)
    assert set(np.unique(drawn)) == {0.0, 1.0}
    np.testing.assert_array_equal(drawn.sum(axis=-1), np.ones(4000))
    np.testing.assert_allclose(drawn.mean(axis=0), [0.5, 0.3, 0.2], atol=0.04)


def test_a_hard_gumbel_softmax_has_the_delta_of_the_soft_one():
    g = np.random.default_rng(6).normal(size=X.shape)
    for dim in (0, -1):
        hard, soft = (
            bp.vjp(lambda x, h=h, d=dim: F.gumbel_softmax(x, 0.7, h, dim=d, rng=3), X)
            for h in (True, False)
        )
        np.testing.assert_array_equal(hard[0].sum(axis=dim), 1)
        np.testing.assert_array_equal(np.argmax(hard[0], dim), np.argmax(soft[0], dim))
        np.testing.assert_allclose(hard[1](g)[0], soft[1](g)[0], rtol=1e-12)
