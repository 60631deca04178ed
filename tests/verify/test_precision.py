"""Numbers that a person rounded are read with the digits that the person kept."""

import numpy as np
import pytest

from allbps.verify.precision import looks, to_digits


def refused(rounding, rng, hand_ins, lengths, arrays):
    """How often the numbers before rounding are said not to be those that were handed in."""
    count = 0
    for _ in range(hand_ins):
        right = {
            k: rng.normal(size=rng.integers(*lengths)) * 10 ** rng.uniform(-1.5, 1)
            for k in range(rng.integers(*arrays))
        }
        given = {k: rounding(v) for k, v in right.items()}
        found = looks({k: (v, v.dtype) for k, v in given.items()}, None)
        count += any(not (p.within(right[k]) or p.exactly(right[k])) for k, p in found.items())
    return count


@pytest.mark.parametrize("decimals", [2, 3])
def test_of_few_numbers_in_decimals_those_that_end_in_0_do_not_make_digits(decimals):
    rng = np.random.default_rng(decimals)
    # [0.45, -0.08, 0.645, -0.094, -1.49] are 3 decimals, though four of five end in 0
    assert not refused(lambda x: np.round(x, decimals) + 0.0, rng, 2500, (4, 7), (1, 5))


@pytest.mark.parametrize("digits", [2, 3])
def test_of_many_numbers_significant_digits_are_recognised(digits):
    rng = np.random.default_rng(digits)
    # where hardly any number has more digits than the decimals show, it cannot be told
    assert refused(lambda x: to_digits(x, digits), rng, 1000, (30, 60), (1, 3)) <= 1


def test_five_numbers_are_still_wrong_where_one_is_wrong():
    right = np.array([0.45009, -0.08012, 0.64516, -0.09382, -1.49023])
    for k in range(5):
        off = np.round(right, 3)
        off[k] += 0.02
        (p,) = looks({0: (off, off.dtype)}, None).values()
        assert not p.within(right)
