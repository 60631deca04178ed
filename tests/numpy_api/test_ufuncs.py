"""Methods of ufuncs: reduce, accumulate, outer; and what cannot be."""

import numpy as np
import pytest

import allbps as bp
from allbps.errors import AllBPsError, ArgumentError, InPlaceError, ShapeError
from allbps.ir.arraylike import HARMLESS, NUMPY


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


@pytest.mark.parametrize(
    "ufunc", [np.subtract, np.divide, np.hypot, np.fmax, np.logaddexp2, np.copysign]
)
def test_any_other_ufunc_reduces_element_by_element(ufunc, agrees, draw):
    agrees(ufunc.reduce, draw((3, 2)))
    agrees(lambda x: ufunc.reduce(x, axis=0, keepdims=True), draw((2, 3)))
    agrees(ufunc.reduce, draw((3,)))
    agrees(ufunc.accumulate, draw((3, 2)))


@pytest.mark.parametrize("ufunc", [np.maximum, np.minimum, np.logaddexp])
def test_running_extremes(ufunc, agrees, draw):
    agrees(ufunc.accumulate, draw((4, 2)))
    agrees(lambda x: ufunc.accumulate(x, axis=-1), draw((2, 4)))


@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.maximum, np.logaddexp])
def test_reduceat_reduces_each_stretch(ufunc, agrees, draw):
    agrees(lambda x: ufunc.reduceat(x, [0, 2, 1, 3]), draw((5,)))
    agrees(lambda x: ufunc.reduceat(x, [1, 3], axis=1), draw((2, 4)))


ONE_AXIS = (
    "np.{0} of a traced array works along one axis, which must not be empty\n"
    "  got:      axis={1} of an array of shape {2}"
)
NO_MEANING = {
    "two axes": (
        lambda x: np.subtract.reduce(x, axis=None),
        ONE_AXIS.format("subtract.reduce", None, (2, 3)),
    ),
    "nothing to reduce": (
        lambda x: np.hypot.reduce(x[:0]), ONE_AXIS.format("hypot.reduce", 0, (0, 3)),
    ),
    "a mask": (
        lambda x: np.divide.reduce(x, where=x > 0),
        "np.divide.reduce of a traced array does not take where=\n"
        "  got:      where=Node(greater, shape=(2, 3), bool)\n"
        "  fix:      leave where out",
    ),
    "an argument that is not there": (
        lambda x: x.cumsum(along=1),
        "x.cumsum of a traced array cannot take these arguments:"
        " got an unexpected keyword argument 'along'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_MEANING)
def test_a_method_without_a_meaning_says_so(name):
    function, message = NO_MEANING[name]
    with pytest.raises((ShapeError, ArgumentError)) as caught:
        bp.vjp(function, np.ones((2, 3)))
    assert "test_ufuncs.py" in caught.value.where
    caught.value.where = ""
    assert str(caught.value) == message


def test_at_is_a_write():
    total = np.zeros(3)  # from outside: what is written into it would be lost

    def scatter(x):
        np.add.at(total, [0, 1], x)
        return np.sum(total)

    with pytest.raises(InPlaceError) as caught:
        bp.grad(scatter)(np.ones(2))
    caught.value.where = ""
    assert str(caught.value) == (
        "x is traced and cannot be written into the plain array total\n"
        "  expected: a new array: total = total + …\n"
        "  got:      np.add.at with the plain array total as its output\n"
        "  fix:      a = a + x instead of a += x; or make it with np.zeros_like(x),"
        " np.zeros(n, like=x)"
    )


def test_where_what_is_left_out_is_replaced_there_are_a_value_and_slopes():
    for ufunc, known in NUMPY.items():
        if not isinstance(ufunc, np.ufunc) or ufunc.signature or ufunc.nout != 1:
            continue
        harmless = np.full(2, getattr(known, "harmless", HARMLESS))
        try:
            value, pullback = bp.vjp(lambda *xs, f=ufunc: f(*xs), *[harmless] * ufunc.nin)
        except (AllBPsError, TypeError):
            continue  # no slopes anywhere, or no such operands
        assert np.all(np.isfinite(value)), ufunc
        assert np.all(np.isfinite(pullback(np.ones(2)))), ufunc
