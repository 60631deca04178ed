"""Writes into single places: noted, read back, put together once; loops cost what they compute."""

import warnings

import numpy as np
import pytest

import allbps as bp
from allbps.ir import Op
from allbps.machine.building import FallbackWarning

SEED = 5


def doubled(x):
    out = np.zeros_like(x)
    for k in range(len(x)):
        out[k] = 2.0 * x[k]
    return np.sum(out * out)


def recurrence(x):
    out = np.zeros_like(x)
    out[0] = x[0]
    for k in range(1, len(x)):
        out[k] = 0.5 * out[k - 1] + x[k]
    return np.sum(out * out)


def rows(x):
    h = np.zeros((len(x), 3), dtype=x.dtype, like=x)
    for t in range(1, len(x)):
        h[t] = np.tanh(h[t - 1] + x[t])
    return np.sum(h * h)


def added_rows(x):
    h = np.zeros((len(x), 2), dtype=x.dtype, like=x)
    for t in range(len(x)):
        h[t] += x[t] ** 2
        h[t] *= 1.0 + h[t - 1]
    return np.sum(h[1:])


def plane(x):
    D = np.full((5, 4), 1.0, dtype=x.dtype, like=x)
    for i in range(1, 5):
        for j in range(1, 4):
            D[i, j] = 0.3 * D[i - 1, j] + 0.2 * D[i, j - 1] * x[i - 1]
    return D[-1, -1] + np.sum(D[:, 3])


def every_third_from_the_end(x):
    y = x * 1.0
    for k in range(1, len(x), 3):
        y[-k] = y[-k] * x[k]
    return np.sum(y**2)


def the_last_write_counts(x):
    y = x * 1.0
    for k in range(3 * len(x)):
        y[(5 * k) % len(x)] = x[k % len(x)] ** 2 + k
    return np.sum(y * x)


def a_run_in_the_middle(x):
    y = x * 1.0
    for k in range(2, len(x) - 2):
        y[k] = np.sin(y[k - 1])
    return np.sum(y**2)


def a_view_sees_what_is_noted(x):
    y = x * 1.0
    tail, middle = y[1:], y[2:5]
    for k in range(12):
        y[k] = x[k] * y[k - 1]
    middle *= 2.0
    y[3] = y[4] * 1.0
    return np.sum(tail * x[1:]) + np.sum(middle**2)


def numbers_among_them(x):
    y = np.ones_like(x)
    y[0], y[1], y[2] = 3, 0.5, x[1]
    return np.sum(y * x) + y[0] * y[1]


def whole_numbers_and_places(x):
    z = np.zeros((5, 2), dtype=x.dtype, like=x)
    for k in range(5):
        z[k, 1] = x[k]
        z[k] = z[k] * x[0]
    return np.sum(z**3)


FLAT = (doubled, recurrence, plane, every_third_from_the_end, the_last_write_counts,
        a_run_in_the_middle, a_view_sees_what_is_noted, numbers_among_them,
        whole_numbers_and_places)  # fmt: skip
ROWS = {rows: (10, 3), added_rows: (10, 2)}
ALL = pytest.mark.parametrize("f", [*FLAT, *ROWS], ids=lambda f: f.__name__)


def given(f):
    return np.random.default_rng(SEED).uniform(0.2, 1.2, ROWS.get(f, 12))


@ALL
def test_what_is_written_place_by_place_has_numpys_value_and_its_derivative(f):
    x = given(f)
    np.testing.assert_allclose(bp.value_and_grad(f)(x)[0], f(x.copy()), rtol=1e-14)
    v = np.random.default_rng(SEED + 1).standard_normal(x.shape)
    slope = f(x + 1e-20j * v).imag / 1e-20  # the complex step, computed by NumPy alone
    np.testing.assert_allclose(np.sum(bp.grad(f)(x) * v), slope, rtol=1e-12)


@ALL
def test_what_is_written_place_by_place_is_explained_verified_and_compiled(f):
    x = given(f)
    report = bp.explain(f, x).verify()
    assert report, str(report)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FallbackWarning)
        value, slope = bp.compile(f, x, params=["x"])(x)
    np.testing.assert_allclose(value, f(x.copy()), rtol=1e-12)
    np.testing.assert_allclose(slope, bp.grad(f)(x), rtol=1e-11)


@pytest.mark.parametrize("f", [doubled, recurrence, rows], ids=lambda f: f.__name__)
@pytest.mark.parametrize("way", [bp.grad, lambda f: lambda x: bp.vjp(f, x)], ids=["grad", "vjp"])
def test_a_loop_of_writes_computes_as_many_numbers_as_it_is_long(f, way, monkeypatch):
    plain = Op.run
    count = 0

    def counted(self, values, attrs):
        nonlocal count
        made = plain(self, values, attrs)
        count += np.size(made)
        return made

    monkeypatch.setattr(Op, "run", counted)
    counts = []
    for n in (100, 400):
        x = np.random.default_rng(SEED).uniform(0.2, 1.2, (n, 3) if f is rows else n)
        count = 0
        way(f)(x)
        counts.append(count)
    assert counts[1] < 4.5 * counts[0], "four times as long must not cost sixteen times as much"


def test_a_row_of_writes_that_fill_the_array_is_one_step_to_read():
    text = bp.explain(doubled, given(doubled)[:3]).to_text()
    assert "elsewhere" not in text.split("Backward")[0]
    assert "out" in text
