"""Slopes of SciPy's functions of two numbers where terms cancel."""

import numpy as np
import pytest

import allbps as bp

special = pytest.importorskip("scipy.special")


@pytest.mark.parametrize("k", [3e-3, -4e-3, 0.0099, -0.0099, 0.0101, -0.0101, 0.3, 2.0])
def test_box_and_coxs_slope_in_the_power_joins_its_series(k):
    u = np.longdouble(k)  # log e = 1
    want = float(((u - 1) * np.exp(u) + 1) / u**2)
    np.testing.assert_allclose(bp.grad(lambda b: special.boxcox(np.e, b))(k), want, rtol=1e-12)


def test_box_and_coxs_slope_in_the_power_at_zero():
    slope = bp.grad(lambda b: special.boxcox(3.0, b))
    assert slope(0.0) == pytest.approx(np.log(3.0) ** 2 / 2, rel=1e-15)
    assert bp.grad(slope)(0.0) == pytest.approx(np.log(3.0) ** 3 / 3, rel=1e-15)


def test_the_smooth_loss_keeps_its_slope_for_small_errors():
    r, delta = 1e-9, 2.0
    want = delta * (r / delta) ** 4 / 4  # δ (w − 1)² / w, w − 1 = (r / δ)² / 2
    got = bp.grad(lambda d: special.pseudo_huber(d, r))(delta)
    assert got == pytest.approx(want, rel=1e-12)
