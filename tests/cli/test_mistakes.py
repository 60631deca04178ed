"""What bad input gets: one message with the user's variable and line, and exit code 2."""

import pytest

FILE = """\
import math
import sys
import numpy as np

X = np.ones((2, 3))
W = np.ones((4, 5))
counts = np.arange(3)
nothing = np.zeros((0, 3))
holes = np.array([1.0, np.nan])
far = np.array([[1.0, 2.0], [3.0, np.inf]])
wave, kept, table = 1 + 2j, np.zeros(3), np.zeros((2, 3))
Table = 3


def shapes(X, W):
    Z = X @ W
    return np.sum(Z)


def missing(X, Q):
    return np.sum(X) + Q


def integers(counts):
    return np.sum(counts * 2)


def empty(nothing):
    return np.sum(nothing)


def nan(holes):
    return np.sum(holes**2)


def infinite(far):
    return np.sum(far)


def imaginary(wave):
    return wave * wave


def vector(X):
    Y = X * 2
    return Y


def written(X):
    X[0] = 1.0
    return np.sum(X)


def written_into(X):
    A = kept
    A[0] = X[0, 0]
    return np.sum(A)


def added_into(X):
    A = table
    A += X
    return np.sum(A)


def no_rule(X):
    Z = np.gcd(X, 2)
    return np.sum(Z)


def no_return(X):
    np.sum(X)


def by_math(X):
    return math.exp(X[0, 0])


def no_attribute(X):
    return np.sum(X.colour)


def no_name(X):
    return np.sum(x)


def no_index(X):
    return X[5, 0]


def by_zero(X):
    y = np.sum(X) / 0
    return y


def leaving(X):
    sys.exit(3)


def endless(X):
    return endless(X)


def deciding(X):
    if X > 0:
        return np.sum(X)
    return -np.sum(X)


def constant(X):
    return 3.0
"""

MESSAGES = {
    "shapes": (
        "X @ W does not fit\n"
        "  at:       mine.py:16 in shapes: Z = X @ W\n"
        "  expected: W with 3 rows, as many as X has columns\n"
        "  got:      X is (2, 3) and W is (4, 5)\n"
    ),
    "missing": (
        "mine.py defines no value for Q\n"
        "  expected: inputs for missing(X, Q)\n"
        "  got:      values for X\n"
        "  fix:      add  inputs = {'Q': …}  to the file\n"
    ),
    "integers": (
        "integers does not return floating-point numbers, and derivatives need floating-point"
        " ones\n"
        "  expected: float64 or float32 arguments\n"
        "  got:      counts of int64\n"
        "  fix:      pass counts.astype(float)\n"
    ),
    "empty": ("nothing is empty\n  expected: at least one number\n  got:      shape (0, 3)\n"),
    "nan": (
        "holes holds numbers that are not finite\n"
        "  expected: finite numbers\n"
        "  got:      holes[1] = nan\n"
        "  fix:      look for a division by zero or an overflow before this call\n"
    ),
    "infinite": (
        "far holds numbers that are not finite\n"
        "  expected: finite numbers\n"
        "  got:      far[1, 1] = inf\n"
        "  fix:      look for a division by zero or an overflow before this call\n"
    ),
    "imaginary": (
        "wave is not made of real numbers\n"
        "  expected: bool, integer or floating-point numbers; complex ones may come up inside\n"
        "  got:      complex128 with dtype complex128\n"
        "  fix:      pass real and imaginary part, and join them by allbps.functional.complex\n"
    ),
    "vector": (
        "vector does not return a scalar, so there is no loss to start from\n"
        "  at:       mine.py:45 in vector: Y = X * 2\n"
        "  expected: one number, or a given δ for the output\n"
        "  got:      Y of shape (2, 3)\n"
        "  fix:      return a loss, or pass cotangents={'Y': …}\n"
    ),
    "written_into": (
        "float() of X[0, 0] would cut its gradient\n"
        "  at:       mine.py:56 in written_into: A[0] = X[0, 0]\n"
        "  expected: an operation that works on traced arrays\n"
        "  got:      a conversion of X[0, 0] to plain numbers\n"
        "  fix:      use it as it is: NumPy functions instead of math's, np.stack instead of"
        " np.array, np.zeros_like(x) or np.zeros(n, like=x) instead of np.zeros(n) to write into;"
        " or allbps.stop_gradient to cut it on purpose\n"
    ),
    "added_into": (
        "X is traced and cannot be written into the plain array A\n"
        "  at:       mine.py:62 in added_into: A += X\n"
        "  expected: a new array: A = A + …\n"
        "  got:      np.add with the plain array A as its output\n"
        "  fix:      a = a + x instead of a += x; or make it with np.zeros_like(x),"
        " np.zeros(n, like=x)\n"
    ),
    "no_rule": (
        "allbps has no rule for np.gcd\n"
        "  at:       mine.py:67 in no_rule: Z = np.gcd(X, 2)\n"
        "  got:      np.gcd of X\n"
        "  fix:      write it with functions that have one, or declare an op"
        " (docs/adding-an-op.md)\n"
    ),
    "no_return": (
        "no_return returned nothing to explain\n"
        "  at:       mine.py:71 in no_return: def no_return(X):\n"
        "  expected: a number or an array\n"
        "  got:      None\n"
        "  fix:      is a return missing?\n"
    ),
    "by_math": (
        "float() of X[0, 0] would cut its gradient\n"
        "  at:       mine.py:76 in by_math: return math.exp(X[0, 0])\n"
        "  expected: an operation that works on traced arrays\n"
        "  got:      a conversion of X[0, 0] to plain numbers\n"
        "  fix:      use it as it is: NumPy functions instead of math's, np.stack instead of"
        " np.array, np.zeros_like(x) or np.zeros(n, like=x) instead of np.zeros(n) to write into;"
        " or allbps.stop_gradient to cut it on purpose\n"
    ),
    "no_attribute": (
        "mine.py raised AttributeError: a traced array has no attribute 'colour'\n"
        "  at:       mine.py:80 in no_attribute: return np.sum(X.colour)\n"
    ),
    "no_name": (
        "mine.py raised NameError: name 'x' is not defined\n"
        "  at:       mine.py:84 in no_name: return np.sum(x)\n"
    ),
    "no_index": (
        "the index does not fit X\n"
        "  at:       mine.py:88 in no_index: return X[5, 0]\n"
        "  expected: an index into (2, 3)\n"
        "  got:      index 5 is out of bounds for axis 0 with size 2\n"
    ),
    "leaving": ("mine.py raised SystemExit: 3\n  at:       mine.py:97 in leaving: sys.exit(3)\n"),
    "endless": (
        "mine.py raised RecursionError: maximum recursion depth exceeded\n"
        "  at:       mine.py:100 in endless: def endless(X):\n"
    ),
    "deciding": (
        "an if or while cannot decide on the result of greater, which is not a single number\n"
        "  at:       mine.py:105 in deciding: if X > 0:\n"
        "  expected: one condition\n"
        "  got:      the result of greater of shape (2, 3)\n"
        "  fix:      np.where(…) chooses element by element; .any() or .all() make one of many\n"
    ),
    "constant": (
        "constant returns a constant, which has no backward pass\n"
        "  expected: a result that is computed from the arguments\n"
        "  got:      3.0\n"
    ),
    "Table": "Table in mine.py is not a function\n"
    "  expected: def Table(…)\n  got:      Table = 3\n",
    "shape": (
        "there is no function 'shape'\n"
        "  at:       mine.py\n"
        "  expected: one of shapes, missing, integers, empty, nan, infinite, imaginary, vector,"
        " written, written_into, added_into, no_rule, no_return, by_math, no_attribute, no_name,"
        " no_index, by_zero, leaving, endless …\n"
        "  fix:      did you mean 'shapes'?\n"
    ),
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with mine.py, to work in."""
    (tmp_path / "mine.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("command", ["explain", "emit", "check"])
def test_of_the_users_function(allbps, here, command, name):
    code, out, err = allbps(command, f"mine.py:{name}")
    err = err.replace(" while calling a Python object", "").replace(" in comparison", "")
    assert (code, out, err) == (2, "", f"error: {MESSAGES[name]}")


@pytest.mark.parametrize("command", ["explain", "emit"])
def test_a_number_that_overflows_is_in_the_reading_and_no_warning(allbps, tmp_path, command):
    (tmp_path / "mine.py").write_text(
        "import numpy as np\nx = np.array([1.0, 1000.0])\n"
        "def net(x):\n    z = np.exp(x)\n    return np.sum(z)\n"
    )
    code, out, err = allbps(command, f"{tmp_path}/mine.py:net")
    assert (code, err) == (0, "")
    assert command == "emit" or "Warning: z is the first value that is not finite" in out
