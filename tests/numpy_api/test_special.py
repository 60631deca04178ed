"""Ufuncs of scipy.special on traced arrays."""

import numpy as np
import pytest

import allbps as bp
from allbps.errors import ArgumentError, NoRuleError

special = pytest.importorskip("scipy.special")


@pytest.mark.parametrize("name", ["erf", "expit", "log_expit", "logit", "exp2", "exp10", "entr"])
def test_of_one_number(name, agrees):
    agrees(getattr(special, name), np.array([[0.2, 0.9], [0.55, 0.3]]))


@pytest.mark.parametrize("name", ["xlogy", "xlog1py", "rel_entr", "kl_div"])
def test_of_two_numbers(name, agrees):
    agrees(getattr(special, name), np.array([0.2, 1.9, 0.55]), np.array([[1.5], [0.7]]))


@pytest.mark.filterwarnings("ignore:divide by zero")
def test_the_slope_of_x_log_y_at_0_is_log_y():
    with np.errstate(all="ignore"):
        value, pullback = bp.vjp(special.xlogy, np.zeros(2), np.array([3.0, 0.0]))
        slope = pullback(np.ones(2))[0]
    np.testing.assert_array_equal(value, np.zeros(2))
    np.testing.assert_allclose(slope, [np.log(3.0), -np.inf], rtol=1e-15)


def test_one_without_a_rule_is_named():
    with pytest.raises(NoRuleError, match=r"^allbps has no rule for scipy\.special\.ellipk"):
        bp.grad(special.ellipk)(0.5)


@pytest.mark.parametrize("order", [np.inf, -np.inf, np.nan, -1.0, 2.5])
@pytest.mark.parametrize(
    "name", ["jv", "yv", "iv", "kv", "ive", "kve", "jn", "yn", "kn", "polygamma"]
)
def test_an_order_that_is_no_whole_number_is_refused(name, order):
    room = bp.scipy.special if name == "polygamma" else special  # SciPy's own is no ufunc
    with pytest.raises(ArgumentError, match="takes one whole number for its order"):
        bp.grad(lambda x: getattr(room, name)(order, x))(1.5)
