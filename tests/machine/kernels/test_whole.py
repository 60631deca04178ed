"""Kernels of whole numbers, of places and of order, run by CPython: what they say is NumPy's."""

import numpy as np
import pytest

from allbps.machine.kernels import picks, rows, whole
from allbps.machine.language.words import Pointer

RNG = np.random.default_rng(0)
EDGES = [-(2**63), -7, -1, 0, 1, 3, 2**63 - 1]


@pytest.mark.parametrize("x", EDGES)
@pytest.mark.parametrize("y", EDGES)
def test_quotients_and_remainders(x, y):
    a, b = np.array([x]), np.array([y])
    with np.errstate(all="ignore"):
        want, rest = (a // b)[0], (a % b)[0]
    if (x, y) != (-(2**63), -1):  # wraps around in 64 bits, which CPython's numbers do not have
        assert whole.quotient(x, y) == want
    assert whole.remainder_of(x, y) == rest


@pytest.mark.parametrize("x", [0.9, -0.9, 2.5, -(2.0**63), 2.0**63, np.nan, np.inf, -1e300])
def test_what_is_cut_off(x):
    held = -(2.0**63) <= x < 2.0**63
    assert whole.cut_to_64(x) == (int(x) if held else -(2**63))
    assert whole.cut_to_32(x) == (int(x) if abs(x) < 2.0**31 else -(2**31))


def test_a_place_is_never_outside():
    assert [whole.at_place(k, 4) for k in range(-6, 7)] == [0, 0, 0, 1, 2, 3, 0, 1, 2, 3, 3, 3, 3]


def test_extremes_of_rows():
    x = RNG.integers(-3, 4, (3, 8))
    for kernel, f in (
        (whole.row_max, np.max), (whole.row_min, np.min), (whole.row_prod, np.prod),
        (whole.row_argmax, np.argmax), (whole.row_argmin, np.argmin),
    ):  # fmt: skip
        out = np.full(3, 99)
        kernel(Pointer(out), Pointer(x.ravel()), 8, 0, 3)
        np.testing.assert_array_equal(out, f(x, 1))


def test_places_where_a_mask_is_true():
    mask = np.array([1, 0, 0, 1, 1, 0], np.uint8)
    for count, want in ((3, [0, 6, 8]), (2, [0, 6]), (5, [0, 6, 8, 0, 0])):
        out = np.full(count, 99)
        picks.marked(Pointer(out), Pointer(mask), 2, 6, count)
        assert out.tolist() == want


def test_indices_that_sort_rows():
    x = RNG.integers(0, 4, (3, 11)).astype(float)
    x[0, 2], x[1, 5:7] = np.nan, [-np.inf, np.nan]
    out, other = np.full((2, 33), 99)
    rows.argsort(Pointer(out), Pointer(other), Pointer(x.ravel()), 11, 0, 3)
    np.testing.assert_array_equal(out.reshape(3, 11), np.argsort(x, 1, kind="stable"))
