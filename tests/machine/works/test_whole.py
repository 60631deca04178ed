"""Whole numbers and truth values in native code: NumPy's bits, without NumPy."""

import warnings
from itertools import product

import numpy as np
import pytest

import allbps.functional as F
from allbps.machine.compile import compile  # noqa: A004

DTYPES = [np.int64, np.int32, np.int16, np.int8, np.uint32, np.uint8]
dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=lambda t: t.__name__)


def natively(f, *args, threads=None):
    """The result of compiled code that asks NumPy for nothing, since a warning is an error."""
    step = compile(f, *args, threads=threads)
    return step(*args)


def same(got, want):
    got, want = np.asarray(got), np.asarray(want)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


def agree(f, *args):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.filterwarnings("error", module="allbps")
        want = f(*args)
    for got, expected in zip(natively(f, *args), want, strict=True):
        same(got, expected)


def extremes(dtype):
    """Pairs of numbers, the smallest and the largest among them."""
    kind = np.iinfo(dtype)
    some = [kind.min, kind.min + 1, 0, 1, 2, 3, 7, kind.max - 1, kind.max]
    if kind.min < 0:
        some += [-1, -2, -7]
    pairs = np.array(list(product(some, some)), dtype)
    return pairs[:, 0].copy(), pairs[:, 1].copy()


@dtypes
def test_arithmetic_wraps_around_and_rounds_down_as_numpys(dtype):
    def f(a, b):
        return (
            a + b, a - b, a * b, a // b, a % b, -a, a**2, a**3, np.abs(a), np.sign(a),
            a // 3, a % 3, a + 1, 2 - a, np.maximum(a, b), np.minimum(a, b), np.maximum(a, 2),
        )  # fmt: skip

    agree(f, *extremes(dtype))


def test_quotients_by_constants_of_either_sign():
    def f(a):
        return a // -3, a % -3, a // -1, a % -1, a // 0, a % 0, a // 1, 7 // a, 7 % a

    agree(f, extremes(np.int64)[0])


@dtypes
def test_comparisons_choices_and_truth_values(dtype):
    def f(a, b):
        p, q = a < b, a == b
        return (
            p, a <= b, a > b, a >= 3, q, a != b, p & q, p | q, p ^ q, ~p, np.where(p, a, b),
            np.where(p, a, 1), np.where(p, q, ~q), np.where(a, b, a), p + q, p * q, p * a, p + a,
            np.maximum(p, q), np.minimum(p, q), p < q, p == a,
        )  # fmt: skip

    agree(f, *extremes(dtype))


def test_whole_numbers_beside_real_ones_are_compared_exactly():
    whole = np.array([2**53, 2**53 + 1, -(2**53) - 1, 3, 2**62 + 1])
    real = np.array([2.0**53, 2.0**53, -(2.0**53), 3.5, 2.0**62])
    agree(lambda a, x: (a < x, a == x, a >= x, x * a, a / 3, a < 3.5, a == 3), whole, real)
    single, few = np.array([2.0**24, 0.5], np.float32), np.array([2**24 + 1, 1])
    agree(lambda a, x: (a > x, a == x, x <= a, x + x), few, single)


@dtypes
def test_conversions(dtype):
    def f(a, x):
        return (
            a.astype(np.int64), a.astype(np.int32), a.astype(np.int8), a.astype(np.uint8),
            a.astype(bool), a.astype(np.float64), (a > 1).astype(dtype), (a > 1).astype(np.float64),
            x.astype(bool), np.floor(a), x + 1.0,
        )  # fmt: skip

    a = extremes(dtype)[0]
    agree(f, a, np.linspace(-2, 2, a.size))


@pytest.mark.parametrize("real", [np.float64, np.float32])
def test_real_numbers_are_cut_toward_zero(real):
    x = np.array([0.0, -0.0, 0.9, -0.9, 1.5, -2.5, 1e9, -1e9, 2.0**31, -(2.0**31), 2.0**40], real)
    agree(lambda x: (x.astype(np.int64), x + x), x)
    agree(lambda x: (x.astype(np.int32), x + x), x[:8])


def test_what_no_whole_number_holds_is_the_least():
    """In NumPy it is what the CPU makes of it: this, on x86."""
    x = np.array([np.nan, np.inf, -np.inf, 1e300, -1e300, 2.0**63, -(2.0**63)])
    same(natively(lambda x: x.astype(np.int64), x), np.full(7, -(2**63)))
    same(natively(lambda x: x.astype(np.int32), x), np.full(7, -(2**31), np.int32))


def test_arrangement():
    def f(a, p):
        return (
            np.pad(a, 1), np.pad(p, ((0, 1), (2, 0))), np.pad(a, 1, constant_values=5),
            np.concatenate([a, -a]), np.stack([p, ~p]), np.flip(a, 0), a[1:, ::2], a.T + 1,
            np.roll(a, 1, 0), np.tile(p, 2), np.repeat(a, 2, 1), np.broadcast_to(a[0], (4, 3)),
            np.tril(a), np.triu(a, 1),
        )  # fmt: skip

    agree(f, np.arange(12).reshape(4, 3), np.arange(12).reshape(4, 3) % 2 == 0)


def test_sums_of_whole_numbers_and_of_truth_values():
    def f(a, p):
        return (
            np.sum(a), np.sum(a, 0), np.sum(a, 1), np.sum(a, (0, 2)), np.sum(p), np.sum(p, -1),
            np.sum(a * 3 - 1, 1), np.any(p, 0), np.all(p), np.count_nonzero(p),
        )  # fmt: skip

    rng = np.random.default_rng(0)
    agree(f, rng.integers(-(2**62), 2**62, (4, 5, 3)), rng.random((4, 5, 3)) < 0.5)


def test_extremes_products_and_running_sums():
    def f(a, b):
        return (
            np.max(a), np.min(a, 1), np.max(b, (0, 2)), np.argmax(a, 0), np.argmin(a, -1),
            np.argmax(b, 1), np.prod(a, 1), np.cumsum(a, 1), np.cumsum(a), np.cumprod(a, 0),
            np.cumsum((a > 3).astype(np.int64), -1) * 2,
        )  # fmt: skip

    rng = np.random.default_rng(0)
    a = rng.integers(-(2**62), 2**62, (4, 5, 3)) // rng.choice([1, 2**61], (4, 5, 3))
    agree(f, a, (a % 7).astype(np.int8))


def test_one_hot_rows_of_whole_numbers():
    agree(lambda i: (F.one_hot(i, 5), F.one_hot(i, 5) * 2), np.array([[0, 4], [3, 3]]))


def test_the_bits_do_not_depend_on_threads():
    def f(a, b, x):
        i = (a * 7 + b) % 1009
        return i, np.where(i < 500, a, b), np.sum(i), np.sum(i, 0), (x * 1000).astype(np.int64) // 3

    rng = np.random.default_rng(1)
    a, b = rng.integers(-(2**40), 2**40, (2, 300, 200))
    x = rng.normal(size=(300, 200))
    with np.errstate(all="ignore"):
        want = f(a, b, x)
    for threads in (1, 2, 3):
        for got, expected in zip(natively(f, a, b, x, threads=threads), want, strict=True):
            same(got, expected)


def test_what_64_bits_with_a_sign_do_not_hold_is_left_to_numpy():
    a = np.array([2**63 + 5, 3], np.uint64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got = compile(lambda a: (a + a, a // np.uint64(2), a * 1.0, a > 5), a)(a)
    for one, want in zip(got, (a + a, a // np.uint64(2), a * 1.0, a > 5), strict=True):
        same(one, want)
