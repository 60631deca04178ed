"""Methods of ufuncs: reduce, accumulate, outer; and what cannot be."""

import numpy as np
import pytest

import allbps as bp
from allbps.errors import InPlaceError, NoRuleError


@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.maximum, np.minimum, np.logaddexp])
def test_reduce_goes_along_the_first_axis_unless_told(ufunc, agrees, draw):
    agrees(ufunc.reduce, draw((3, 2)))
    agrees(lambda x: ufunc.reduce(x, axis=1, keepdims=True), draw((3, 2)))
    agrees(lambda x: ufunc.reduce(x, axis=None), draw((3, 2)))
    agrees(ufunc.reduce, draw((3,)))


@pytest.mark.parametrize("ufunc", [np.add, np.multiply])
def test_accumulate_goes_along_the_first_axis_unless_told(ufunc, agrees, draw):
    agrees(ufunc.accumulate, draw((3, 2)))
    agrees(lambda x: ufunc.accumulate(x, axis=1), draw((3, 2)))


@pytest.mark.parametrize("ufunc", [np.add, np.subtract, np.multiply, np.maximum, np.hypot])
def test_outer_keeps_all_axes(ufunc, agrees, draw):
    agrees(ufunc.outer, draw((2, 2), 1), draw((3,), 2) + 0.11)
    agrees(lambda x: ufunc.outer(np.array([1.0, 2.0]), x), draw((2, 2)))


def test_reduce_of_masks_is_plain():
    assert bp.grad(lambda x: x[0] if np.logical_or.reduce(x > 5) else x[1])(
        np.ones(2)
    ).tolist() == [0, 1]


def test_a_method_without_a_meaning_says_so():
    with pytest.raises(NoRuleError) as caught:
        bp.grad(lambda x: np.sum(np.subtract.reduce(x)))(np.ones(3))
    caught.value.where = ""
    assert str(caught.value) == (
        "allbps has no rule for np.subtract.reduce\n"
        "  to do:    write it with functions that have one, or declare an op"
        " (docs/adding-an-op.md)"
    )


def test_at_is_a_write():
    def scatter(x):
        total = np.zeros(3)
        np.add.at(total, [0, 1], x)
        return np.sum(total)

    with pytest.raises(InPlaceError) as caught:
        bp.grad(scatter)(np.ones(2))
    caught.value.where = ""
    assert str(caught.value) == (
        "x is traced and cannot be written into the plain array total\n"
        "  expected: a new array: total = total + …\n"
        "  got:      np.add.at with the plain array total as its output\n"
        "  to do:    a = a + x instead of a += x, and no out="
    )
