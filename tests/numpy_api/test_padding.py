"""np.pad in every mode."""

import numpy as np
import pytest

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
