"""Words of numbers and pasted formulas mean natively what they mean to CPython."""

from __future__ import annotations

import numpy as np

from allbps.machine.language.build import compiled
from allbps.machine.language.words import (
    Int,
    Pointer,
    Reals,
    absolute,
    copysign,
    exponent,
    inline,
    kernel,
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
def words_of_numbers(y: Reals, x: Reals, n: Int) -> None:
    scratch = stack(8)
    for k in unroll(3):
        scratch[k] = real(WEIGHTS[k])
    for i in range(n):
        a, b = swapped(x[i], scratch[i % 3])
        y[i] = select(a > 4.0, b, -a) + absolute(b) * copysign(2.0, x[i]) + nearest(x[i])
        y[i] += early(a) + power_of_two(exponent(absolute(x[i]) + 0.1))


def test_words_mean_the_same_natively():
    x = np.random.default_rng(1).standard_normal(40) * 10
    got, want = np.zeros((2, 40))
    compiled(words_of_numbers, np.float64)(got, x, 40)
    words_of_numbers(Pointer(want), Pointer(x), 40)
    np.testing.assert_allclose(got, want, rtol=1e-15)
