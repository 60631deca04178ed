"""Arguments and functions that are something else than they should be."""

import re

import numpy as np
import pytest

import allbps as bp
from allbps.errors import ArgumentError, DtypeError


def squares(x):
    return np.sum(x * x)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            np.ma.array([1.0, 2.0], mask=[0, 1]),
            "is a masked array, and its mask would be lost\n"
            "  at:       {at}\n"
            "  expected: a plain array\n"
            "  got:      MaskedArray of shape (2,)\n"
            "  to do:    x.filled(0), or np.where",
        ),
        (
            np.ones((1, 2)).view(np.matrix),
            "is an np.matrix, whose * is a matrix product\n"
            "  at:       {at}\n"
            "  expected: a plain array\n"
            "  got:      matrix of shape (1, 2)\n"
            "  to do:    np.asarray(x), and @ for products",
        ),
        (
            {1.0},
            "is not made of real numbers\n"
            "  at:       {at}\n"
            "  expected: bool, integer or floating-point numbers\n"
            "  got:      set with dtype object\n"
            "  to do:    pass arrays of numbers",
        ),
    ],
    ids=["masked", "matrix", "set"],
)
def test_what_is_more_or_less_than_an_array_is_refused(wrong, message):
    with pytest.raises(DtypeError) as caught:
        bp.grad(squares)(wrong)
    at = re.search(r"at: +(.*)", str(caught.value))[1]
    assert at.endswith("bp.grad(squares)(wrong)")
    assert str(caught.value) == "argument 0 (x) " + message.format(at=at)


def test_explain_drops_no_mask():
    with pytest.raises(DtypeError, match=r"^x is a masked array"):
        bp.explain(squares, np.ma.array([1.0], mask=[1]))


def test_a_mask_inside_the_function_is_not_dropped_either():
    with pytest.raises(DtypeError, match="mask would be lost"):
        bp.grad(lambda x: np.sum(x * np.ma.array([1.0, 2.0], mask=[0, 1])))(np.ones(2))


def test_a_generator_is_told_from_a_function():
    def parts(x):
        yield x

    with pytest.raises(DtypeError, match=r"to do: +np\.stack"):
        bp.grad(parts)(np.ones(2))


@pytest.mark.parametrize("entry", [lambda f: bp.grad(f)(1.0), lambda f: bp.explain(f, 1.0)])
def test_what_cannot_be_called_is_no_function(entry):
    with pytest.raises(ArgumentError, match=r"^3 is no function"):
        entry(3)
