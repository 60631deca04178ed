"""A traced array behaves as an array, and says clearly where it cannot."""

import math

import numpy as np
import pytest

import allbps as bp
from allbps.errors import AllBPsError, ArgumentError, InPlaceError, NoRuleError, TraceError
from allbps.machine.compile import FrozenWarning


def delete_part(x):
    del x[0]
    return np.sum(x)


OUTSIDE = np.zeros(3)
"""An array that no function here made: what is written into it would be lost."""


def write_into_plain(x):
    total = OUTSIDE
    total[0] = x[0]
    return np.sum(total)


def write_slice_into_plain(x):
    total = OUTSIDE
    total[:] = x
    return np.sum(total)


def add_into_plain(x):
    total = OUTSIDE
    total += x
    return np.sum(total)


def with_out(x):
    y = OUTSIDE
    np.multiply(x, 2.0, out=y)
    return np.sum(y)


def shapes(X, W):
    Z = X @ W
    return np.sum(Z)


CUT = (
    "  expected: an operation that works on traced arrays\n"
    "  got:      a conversion of {0} to plain numbers\n"
    "  fix:      use it as it is: NumPy functions instead of math's, np.stack instead of np.array,"
    " np.zeros_like(x) or np.zeros(n, like=x) instead of np.zeros(n) to write into; or"
    " allbps.stop_gradient to cut it on purpose"
)
IN_PLACE = (
    "  expected: a new array: x = np.where(…), np.concatenate(…), x + …\n"
    "  got:      a write into x\n"
    "  fix:      build the changed array and bind it to x again"
)
INTO_TOTAL = (
    "x is traced and cannot be written into the plain array {0}\n"
    "  expected: a new array: {0} = {0} + …\n"
    "  got:      np.{1} with the plain array {0} as its output\n"
    "  fix:      a = a + x instead of a += x; or make it with np.zeros_like(x),"
    " np.zeros(n, like=x)"
)
REFUSED = {
    "del x[0]": (
        delete_part, InPlaceError,
        "x is traced and cannot be changed in place (delete a part)\n" + IN_PLACE,
    ),
    "range(x)": (
        lambda x: len(range(x[0])), TraceError,
        "operator.index() of x[0] would cut its gradient\n" + CUT.format("x[0]"),
    ),
    "x.resize(2)": (
        lambda x: x.resize(2), InPlaceError,
        "x is traced and cannot be changed in place (.resize())\n" + IN_PLACE,
    ),
    "out=y": (with_out, InPlaceError, INTO_TOTAL.format("y", "multiply")),
    "total += x": (add_into_plain, InPlaceError, INTO_TOTAL.format("total", "add")),
    "total[0] = x[0]": (
        write_into_plain, TraceError,
        "float() of x[0] would cut its gradient\n" + CUT.format("x[0]"),
    ),
    "total[:] = x": (
        write_slice_into_plain, TraceError,
        "float() of x[0] would cut its gradient\n" + CUT.format("x[0]"),
    ),
    "np.put": (
        lambda x: np.put(np.zeros(3), [0], x[0]), InPlaceError,
        "np.put writes into a plain array, and x[0] is traced\n"
        "  expected: a traced array to write into\n"
        "  got:      a plain array of shape (3,)\n"
        "  fix:      make it with np.zeros_like(x), np.empty_like(x) or np.zeros(n, like=x)",
    ),
    "float(x)": (
        lambda x: float(x[0]), TraceError,
        "float() of x[0] would cut its gradient\n" + CUT.format("x[0]"),
    ),
    "math.exp(y)": (
        lambda x: math.exp(y) if (y := np.sum(x)) else y, TraceError,
        "float() of y would cut its gradient\n" + CUT.format("y"),
    ),
    "x.item()": (
        lambda x: np.sum(x).item(), TraceError,
        "item() of the result of sum would cut its gradient\n" + CUT.format("the result of sum"),
    ),
    "x.tolist()": (
        lambda x: sum(x.tolist()), TraceError,
        "tolist() of x would cut its gradient\n" + CUT.format("x"),
    ),
    "no rule": (
        lambda x: np.sum(np.gcd(x, 2)), NoRuleError,
        "allbps has no rule for np.gcd\n"
        "  got:      np.gcd of x\n"
        "  fix:      write it with functions that have one, or declare an op"
        " (docs/adding-an-op.md)",
    ),
    "text": (
        lambda x: np.sum(x + "abc"), AllBPsError,
        "an operand is not made of numbers\n"
        "  expected: bool, integer, floating-point or complex numbers\n"
        "  got:      str with dtype <U3\n"
        "  fix:      pass text by keyword, or let the function close over it",
    ),
    "None": (
        lambda x: np.sum(x + None), AllBPsError,
        "an operand is not made of numbers\n"
        "  expected: bool, integer, floating-point or complex numbers\n"
        "  got:      NoneType with dtype object\n"
        "  fix:      pass arrays of numbers",
    ),
    "len of a scalar": (lambda x: len(x[0]), ArgumentError, "a scalar has no length"),
    "shapes": (
        lambda x: shapes(x, np.ones((4, 5))), AllBPsError,
        "X @ W does not fit\n"
        "  expected: W with 3 rows, as many as X has columns\n"
        "  got:      X is (3,) and W is (4, 5)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_mistake_gets_its_message_and_its_line(name):
    function, kind, message = REFUSED[name]
    with pytest.raises(kind) as caught:
        bp.grad(function)(np.ones(3))
    assert "test_arraylike.py" in caught.value.where
    caught.value.where = ""
    assert str(caught.value) == message


def test_a_number_is_looked_for_in_the_whole_array():
    def f(x):
        assert 2.0 in x
        assert 9.0 not in x
        return np.sum(x[0])

    np.testing.assert_array_equal(bp.grad(f)(np.array([[1.0], [2.0]])), [[1.0], [0.0]])


def test_the_line_is_the_users_where_compiled_code_asks_for_numbers():
    rng = np.random.default_rng(0)
    with pytest.raises(TraceError) as caught:
        bp.grad(lambda x: np.sum(rng.normal(x, 1.0)))(np.ones(3))
    assert "test_arraylike.py" in caught.value.where


def test_a_whole_number_of_what_is_looked_at_has_no_slope_and_is_looked_at_in_every_call():
    def f(x):
        repeats = int(x[0])
        return np.sum(x) * repeats + sum(np.sum(x**2) for _ in range(int(x[1] + x[2])))

    x = np.array([2.7, 0.6, 0.9])
    np.testing.assert_allclose(bp.grad(f)(x), 2.0 + 2 * x)
    step = bp.compile(f, x, params="x")
    for other in (x, np.array([3.2, 1.6, 0.9]), np.array([-1.9, 0.1, 0.2])):
        value, delta = step(other)
        np.testing.assert_allclose(value, f(other), rtol=1e-12)
        np.testing.assert_allclose(delta, bp.grad(f)(other), rtol=1e-12)


def test_masks_counts_and_places_may_become_plain():
    def f(x):
        mask = np.asarray(x > 1.0)
        assert mask.dtype == bool
        assert int(np.argmax(x)) == 2
        assert float(x > 1.0 if x.ndim == 0 else mask.sum()) == 2.0
        assert [1, 2, 3][np.argmax(x)] == 3
        return np.sum(x[mask])

    np.testing.assert_array_equal(bp.grad(f)(np.array([1.0, 2.0, 3.0])), [0.0, 1.0, 1.0])


def test_a_traced_number_is_printed_as_a_plain_one():
    def f(x):
        assert f"{x:.2f} {x} {x!r} %s" % x == "1.50 1.5 np.float64(1.5) 1.5"
        y = np.stack([x, -x])
        assert (str(y), repr(y), str([y[1]])) == (
            "[ 1.5 -1.5]",
            "array([ 1.5, -1.5])",
            "[np.float64(-1.5)]",
        )
        return x

    bp.grad(f)(1.5)


def test_who_decides_by_a_text_decides_as_on_plain_arrays_and_is_told_when_compiled():
    def f(x):
        return np.sum(x) * (2.0 if "-" in str(x[0]) else 3.0) * len(repr(x))

    for x in (np.array([-1.0, 2.0]), np.array([1.0, 2.5])):
        assert bp.value_and_grad(f)(x)[0] == f(x)
    with pytest.warns(FrozenWarning, match="made a text of numbers"):
        bp.compile(f, x)


def test_only_array_attributes_are_there():
    def f(x):
        assert not hasattr(x, "concatenate")
        assert not hasattr(x, "_anything")
        assert hasattr(x, "cumsum")
        with pytest.raises(AttributeError, match="a traced array has no attribute 'foo'"):
            x.foo
        return np.sum(x.real + x.imag)

    bp.grad(f)(np.ones(2))


@pytest.mark.parametrize("source", ["def f(x):\n    return x + np.ones((2, 2))\n"])
def test_code_without_a_file_is_named_as_far_as_it_can(source):
    scope = {"np": np}
    exec(source, scope)
    f = scope["f"]
    assert bp.vjp(f, np.ones(2))[0].shape == (2, 2)
    with pytest.raises(AllBPsError) as caught:
        bp.vjp(f, np.ones(3))
    assert caught.value.where == "<string>:2 in f"


def test_a_statement_over_several_lines_is_named_by_the_line_of_the_call():
    def f(x):
        return np.sum(
            np.sin(x)
            @ np.ones((4, 5))
        )  # fmt: skip

    with pytest.raises(AllBPsError) as caught:
        bp.grad(f)(np.ones(3))
    assert caught.value.where.endswith("in f: np.sin(x)")
    assert caught.value.what == "a @ b does not fit"


def test_an_array_without_axes_stands_among_traced_numbers():
    n = np.array(3.0)

    def f(x):
        return np.sum((x + np.array([x[0], n])) * np.array([[n, x[1]], [1.0, x[0]]]))

    x = np.array([1.0, 2.0])
    value, gradient = bp.value_and_grad(f)(x)
    assert value == f(x)
    for k, move in enumerate(1e-6 * np.eye(2)):
        slope = (f(x + move) - f(x - move)) / 2e-6
        assert gradient[k] == pytest.approx(slope, rel=1e-8)
