"""The kernel compiler: the same function, run by CPython and as native code, agrees."""

from __future__ import annotations

import numpy as np
import pytest

from allbps.machine.build import compiled
from allbps.machine.frontend import KernelError
from allbps.machine.words import (
    Int,
    Ints,
    Pointer,
    Real,
    Reals,
    absolute,
    copysign,
    exponent,
    inline,
    kernel,
    lanes,
    nearest,
    power_of_two,
    real,
    select,
    stack,
    unroll,
)

WEIGHTS = (3, 5, 7)
PLAIN = True


@inline
def early(x):
    if PLAIN:
        return x + 1.0
    return x * 0.0


@inline
def swapped(x, y):
    x = x + 0.0  # assigning to a parameter leaves the caller's variable alone
    return y, x


@kernel
def control_flow(p: Ints, n: Int) -> Int:
    total = 0
    for i in range(1, n, 2):
        if (p[i] < 0 and i > 2) or p[i] == 7:
            continue
        if not p[i] < 40:
            total += 1000
        elif i % 3 == 1:
            total -= 1
        else:
            pass
        while total > 100:
            total -= 50
            if total == 77:
                break
        total += p[i] // 3 * 10 + p[i] % -3 - (p[i] if 5 < p[i] <= 20 else -p[i])
        total += min(p[i], 4) + max(p[i], i) + (p[i] & 6) + (p[i] << 2) + (p[i] >> 1)
    return total


@kernel
def words_of_numbers(y: Reals, x: Reals, n: Int) -> None:
    scratch = stack(8)
    for k in unroll(3):
        scratch[k] = real(WEIGHTS[k])
    for i in range(n):
        a, b = swapped(x[i], scratch[i % 3])
        y[i] = select(a > 4.0, b, -a) + absolute(b) * copysign(2.0, x[i]) + nearest(x[i])
        y[i] += early(a) + power_of_two(exponent(absolute(x[i]) + 0.1))


@kernel
def early_return(x: Real) -> Real:
    if x < 0:
        return -x
    return x * 2


@kernel
def accumulate(y: Reals, x: Reals, n: Int) -> None:
    for i in lanes(n):
        y[i] += x[i]


def test_integers_and_control_flow_keep_pythons_meaning():
    native = compiled(control_flow, np.float64)
    for seed in range(20):
        p = np.random.default_rng(seed).integers(-50, 60, 41)
        assert native(p, 41) == control_flow(Pointer(p), 41)


def test_words_mean_the_same_natively():
    x = np.random.default_rng(1).standard_normal(40) * 10
    got, want = np.zeros((2, 40))
    compiled(words_of_numbers, np.float64)(got, x, 40)
    words_of_numbers(Pointer(want), Pointer(x), 40)
    np.testing.assert_allclose(got, want, rtol=1e-15)


def test_return_from_inside_a_branch():
    native = compiled(early_return, np.float64)
    assert (native(-3.0), native(4.0)) == (3.0, 8.0)


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 100])
def test_vector_loops_do_every_turn_once_also_in_place(n):
    native = compiled(accumulate, np.float32)
    y = np.arange(n + 1, dtype=np.float32)
    native(y, y, n)
    np.testing.assert_array_equal(y, [*(2 * np.arange(n)), n])


def test_what_kernels_cannot_say_is_refused_with_its_line():
    @kernel
    def wrong(x: Reals) -> None:
        x[0] = [1.0]  # type: ignore[assignment]

    with pytest.raises(KernelError, match=r"test_frontend\.py:\d+ in wrong: '\[1\.0\]' is no"):
        compiled(wrong, np.float64)


def test_a_formula_cannot_return_from_a_branch_decided_at_run_time():
    @inline
    def formula(x):
        if x > 0.0:
            return x
        return -x

    @kernel
    def caller(x: Reals) -> None:
        x[0] = formula(x[0])

    with pytest.raises(KernelError, match="returns from inside a branch"):
        compiled(caller, np.float64)


def test_mixing_numbers_of_two_kinds_is_refused():
    @kernel
    def mixed(x: Reals, n: Int) -> None:
        x[0] = x[0] * n

    with pytest.raises(KernelError, match="mixes Real and Int: convert one of them"):
        compiled(mixed, np.float64)
