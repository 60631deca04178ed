"""Branches and loops, run by CPython and as native code, agree."""

from __future__ import annotations

import numpy as np
import pytest

from allbps.machine.language.build import compiled
from allbps.machine.language.words import Int, Ints, Pointer, Real, Reals, kernel, lanes


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


def test_return_from_inside_a_branch():
    native = compiled(early_return, np.float64)
    assert (native(-3.0), native(4.0)) == (3.0, 8.0)


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 100])
def test_vector_loops_do_every_turn_once_also_in_place(n):
    native = compiled(accumulate, np.float32)
    y = np.arange(n + 1, dtype=np.float32)
    native(y, y, n)
    np.testing.assert_array_equal(y, [*(2 * np.arange(n)), n])
