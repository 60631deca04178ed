"""np.pad in every mode."""

import numpy as np
import pytest

import allbps as bp

MODES = {
    "constants": {"constant_values": ((1.0, 2.0), (3.0, 4.0))},
    "edge": {"mode": "edge"},
    "reflect": {"mode": "reflect"},
    "reflect odd": {"mode": "reflect", "reflect_type": "odd"},
    "symmetric": {"mode": "symmetric"},
    "symmetric odd": {"mode": "symmetric", "reflect_type": "odd"},
    "wrap": {"mode": "wrap"},
    "linear_ramp": {"mode": "linear_ramp"},
    "linear_ramp to ends": {"mode": "linear_ramp", "end_values": ((1.0, 2.0), (0.0, -3.0))},
    "mean": {"mode": "mean"},
    "mean of the nearest": {"mode": "mean", "stat_length": ((1, 2), (2, 3))},
    "maximum": {"mode": "maximum"},
    "maximum of the nearest": {"mode": "maximum", "stat_length": 2},
    "minimum": {"mode": "minimum"},
    "median": {"mode": "median"},
    "median of the nearest": {"mode": "median", "stat_length": (3, 2)},
}


@pytest.mark.parametrize("name", MODES)
def test_borders(name, agrees, draw):
    agrees(lambda x: np.pad(x, ((1, 2), (3, 0)), **MODES[name]), draw((3, 4)))
    agrees(lambda x: np.pad(x, 4, **{**MODES[name], **one_axis(name)}), draw((3,)))


def one_axis(name):
    """Options given for two axes, for one."""
    options = MODES[name]
    return {k: v[0] for k, v in options.items() if isinstance(v, tuple) and np.ndim(v) == 2}


def test_an_empty_border_may_hold_anything(agrees, draw):
    agrees(lambda x: np.pad(x, 2, mode="empty")[2:-2], draw((3,)))


UNEVEN = np.array([[1.0, np.nan, 3.0, -0.0], [4.0, 4.0, np.inf, 2.0], [-np.inf, 0.0, -1.0, 5.0]])


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "linear_ramp", "end_values": (1, 2)}, {"mode": "linear_ramp"},
        {"mode": "mean"}, {"mode": "mean", "stat_length": 1}, {"mode": "maximum"},
        {"mode": "reflect", "reflect_type": "odd"}, {"mode": "symmetric", "reflect_type": "odd"},
        {"mode": "constant", "constant_values": ((5.0, 6.0), (7.0, np.inf))}, {"mode": "wrap"},
        {"mode": "constant", "constant_values": -0.0},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("width", [2, ((0, 1), (3, 0)), ((5, 4), (0, 0))], ids=str)
def test_what_is_not_finite_stays_where_numpy_has_it(width, options):
    def padded(x):
        return np.pad(x, width, **options)

    with np.errstate(all="ignore"):
        for x in (UNEVEN, np.cumsum(np.ones((3, 4)), 1) ** 1.5):
            np.testing.assert_allclose(bp.vjp(padded, x)[0], padded(x), rtol=1e-13)


def test_a_border_is_differentiated():
    x = np.cumsum(np.ones((3, 4)), 1) ** 1.5
    weights = np.cos(np.arange(56.0)).reshape(7, 8)
    for options in (
        {"mode": "linear_ramp", "end_values": 3.0}, {"mode": "mean", "stat_length": 2},
        {"mode": "reflect", "reflect_type": "odd"}, {"mode": "constant", "constant_values": 2.0},
    ):  # fmt: skip

        def f(x, options=options):
            return np.sum(np.pad(x, 2, **options) ** 2 * weights)

        found = bp.grad(f)(x)
        for k, move in enumerate(1e-6 * np.eye(x.size).reshape(-1, 3, 4)):
            slope = (f(x + move) - f(x - move)) / 2e-6
            assert found.flat[k] == pytest.approx(slope, rel=1e-6, abs=1e-6), options
