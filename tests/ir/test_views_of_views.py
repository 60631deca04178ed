"""Views of views: steps, negative steps, ellipsis, windows; read late, and written through."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import allbps as bp

windows = np.lib.stride_tricks.sliding_window_view
VIEWS = {
    "windows": lambda x: windows(x, 2, axis=0),
    "windows of the last axis": lambda x: windows(x, 2, axis=-1),
    "steps": lambda x: x[::2],
    "backwards": lambda x: x[::-1],
    "backwards in steps": lambda x: x[-1::-2],
    "steps of the last axis": lambda x: x[..., ::2],
    "first": lambda x: x[:1, ...],
    "new axis": lambda x: x[:, None],
    "turned": lambda x: x.T,
    "moved": lambda x: np.moveaxis(x, 0, -1),
    "flipped": lambda x: np.flip(x, 0),
}
NAMES = st.lists(st.sampled_from(sorted(VIEWS)), min_size=1, max_size=4)


def chained(x, names):
    for name in names:
        if name.startswith("windows") and min(x.shape) < 2:
            continue
        x = VIEWS[name](x)
    return x


def read_late(x, names):
    y = x * 1
    view = chained(y, names)
    y *= 2
    y[1] += 3
    return view


def written_through(x, names):
    y = x * 1
    view = chained(y, [name for name in names if not name.startswith("windows")])
    view *= 3
    view[0] = 5
    view[..., -1] += x[0, 0]
    return y


@pytest.mark.parametrize("f", [chained, read_late, written_through])
@given(names=NAMES)
@settings(max_examples=40, deadline=None)
def test_a_view_of_views_is_numpys(f, names):
    x = np.random.default_rng(0).normal(size=(5, 4))
    want = f(x, names)
    value, pullback = bp.vjp(lambda x: f(x, names), x)
    np.testing.assert_array_equal(value, want)
    g = np.random.default_rng(1).normal(size=want.shape)
    (delta,) = pullback(g)
    v = np.random.default_rng(2).normal(size=x.shape)
    h = 2.0**-10
    slope = np.sum((f(x + h * v, names) - f(x - h * v, names)) * g) / (2 * h)  # f is affine
    np.testing.assert_allclose(np.sum(delta * v), slope, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("step", [1, 2, 3, -1, -2])
def test_every_few_windows_of_a_traced_array(step):
    x = np.random.default_rng(0).normal(size=12)
    value, pullback = bp.vjp(lambda x: windows(x, 3)[::step], x)
    np.testing.assert_array_equal(value, windows(x, 3)[::step])
    want = np.zeros(12)
    for k in range(10)[::step]:
        want[k : k + 3] += 1
    (delta,) = pullback(np.ones(value.shape))
    np.testing.assert_array_equal(delta, want)
