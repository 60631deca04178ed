"""Errors: five parts, one message, and the built-in kinds they belong to."""

import pytest

from allbps import errors
from allbps.errors import AllBPsError, NameUnknownError, ShapeError, unknown_name


def test_a_message_shows_the_parts_that_are_there():
    error = ShapeError(
        "X @ W does not fit", where="net.py:3 in net: X @ W", expected="4", got="5", todo="W.T"
    )
    assert str(error) == (
        "X @ W does not fit\n"
        "  at:       net.py:3 in net: X @ W\n"
        "  expected: 4\n"
        "  got:      5\n"
        "  fix:      W.T"
    )
    assert str(ShapeError("only this")) == "only this"
    assert (error.what, error.got, error.todo) == ("X @ W does not fit", "5", "W.T")


def test_an_unknown_name_suggests_the_nearest():
    error = unknown_name("weigth", ["bias", "weight"])
    assert str(error) == (
        "there is no 'weigth'\n  expected: one of bias, weight\n  fix:      did you mean 'weight'?"
    )
    assert "…" in str(unknown_name("x", [f"n{k}" for k in range(30)]))
    assert isinstance(error, KeyError)


KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and kind.__module__ == errors.__name__
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_one_of_ours_and_reads_as_its_message(kind):
    assert issubclass(kind, AllBPsError)
    assert kind is AllBPsError or issubclass(kind.__mro__[1], AllBPsError)
    assert str(kind("said plainly")) == "said plainly"
    assert kind.__doc__
    assert NameUnknownError.__str__ is AllBPsError.__str__
