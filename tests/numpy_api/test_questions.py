"""Questions about a traced array answer as NumPy does, and what is looked at is remembered."""

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.ir import TracedArray
from allbps.trace import trace
from allbps.tree import leaves

X = np.array([3.0, 0.0, 1.0, 1.0, 2.0, 3.0, 0.0, 2.5])
NAN = np.where(np.arange(8) == 3, np.nan, X)
RISING, FALLING = [0.0, 1.0, 2.0], [2.0, 1.0, 0.0]
ANSWERS = {
    "all": lambda x: np.all(x > 0),
    "any of some": lambda x: np.any(x > 2, where=x < 3, keepdims=True),
    "all of some": lambda x: np.all(x > 0, where=x != 0),
    "count": lambda x: np.count_nonzero(x.reshape(2, 4), axis=1),
    "isclose": lambda x: np.isclose(x, 1.0),
    "isclose with NaN": lambda x: np.isclose(x, x, equal_nan=True),
    "allclose": lambda x: np.allclose(x, x + 1e-12),
    "array_equal": lambda x: np.array_equal(x, x, equal_nan=True),
    "array_equal of other shapes": lambda x: np.array_equal(x, x[:2]),
    "array_equiv": lambda x: np.array_equiv(x, x[None]),
    "searchsorted": lambda x: np.searchsorted(np.arange(4.0), x, "right"),
    "digitize": lambda x: np.digitize(x, RISING),
    "digitize, right": lambda x: np.digitize(x, RISING, right=True),
    "digitize, falling": lambda x: np.digitize(x, FALLING),
    "digitize, falling, right": lambda x: np.digitize(x, FALLING, right=True),
    "nanargmax": np.nanargmax,
    "nanargmin": lambda x: np.nanargmin(x.reshape(4, 2), axis=0),
    "lexsort": lambda x: np.lexsort((x, -x)),
    "isin": lambda x: np.isin(x, [1.0, 2.0], invert=True),
    "matrix_rank": lambda x: np.linalg.matrix_rank(np.nan_to_num(x).reshape(2, 4)),
    "nonzero": lambda x: np.nonzero(x > 1),
    "argwhere": lambda x: np.argwhere(x > 1),
    "flatnonzero": lambda x: np.flatnonzero(x > 1),
    "bincount": lambda x: np.bincount(np.nan_to_num(x).astype(int), minlength=5),
    "unique": lambda x: np.unique(x, True, True, True),
    "unique rows": lambda x: np.unique(np.nan_to_num(x).reshape(4, 2), axis=0),
    "frexp": np.frexp,
    "spacing": lambda x: np.spacing(x + 0.1),
    "nanquantile": lambda x: np.nanquantile(x, [0.1, 0.5]),
    "interp": lambda x: np.interp(x, [0.0, 1.0, 3.0], [1.0, 2.0, 5.0]),
}


def numbers(answer):
    return [np.asarray(x.value if isinstance(x, TracedArray) else x) for x in leaves(list(answer))]


@pytest.mark.parametrize("x", [X, NAN], ids=["numbers", "NaN"])
@pytest.mark.parametrize("ask", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_numpys(ask, x):
    answers = []

    def f(x):
        answer = ask(x)
        answers.append(answer if isinstance(answer, tuple) else (answer,))
        return np.sum(x)

    f(x)
    bp.vjp(f, x)
    plain, traced = map(numbers, answers)
    for got, want in zip(traced, plain, strict=True):
        np.testing.assert_array_equal(got, want, strict=True)


LOOKED_AT = {
    "if": (lambda x: x[0] if x[0] > 0 else x[1], [True]),
    "max": (lambda x: max(x[0], 0.0), [False]),
    "int": (lambda x: x[int(np.argmax(x))], [0]),
    "range": (lambda x: sum(x[0] for _ in range(np.count_nonzero(x))), [6]),
    "a mask picks some": (lambda x: np.sum(x[x > 1]), [4]),
    "allclose": (lambda x: x[0] if np.allclose(x, 1) else x[1], [False]),
    "nonzero": (lambda x: x[np.nonzero(x > 2)[0][0]], [(X > 2).tolist()]),
    "unique": (lambda x: np.unique(x[:3])[0], [[2, 0, 1]]),
    "trim_zeros": (lambda x: np.trim_zeros(x[:2])[0], [[True, False]]),
    "membership": (lambda x: x[0] if 3.0 in x else x[1], [True]),
}


@pytest.mark.parametrize(("f", "seen"), LOOKED_AT.values(), ids=LOOKED_AT)
def test_what_is_looked_at_is_remembered_with_its_line(f, seen):
    guards = trace(f, X).guards
    assert [np.asarray(guard.value).tolist() for guard in guards] == seen
    assert all(guard.site.file == __file__ for guard in guards)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(np.where(x > 0, x, -x)),
        np.median,
        lambda x: np.quantile(x, 0.3),
        np.nanmedian,
        lambda x: np.interp(x, RISING, RISING),
        lambda x: np.frexp(x)[0],
        lambda x: np.partition(x, 2),
        np.sort,
        lambda x: x[np.argmax(x)],
        lambda x: f"{x[0]:.2f}" and x[0],
        lambda x: np.array2string(x) and x[0],
    ],
)
def test_nothing_is_looked_at_where_the_graph_can_say_it(f):
    assert trace(f, X).guards == ()


def test_each_trace_remembers_what_depends_on_its_own_arguments():
    def inner(w, x):
        return w * x if x > 0 and w > 1 else w

    def f(x):
        return bp.grad(lambda w: inner(w, x))(2.0)

    assert len(trace(f, 3.0).guards) == 1


def test_a_loss_takes_for_granted_only_what_it_used():
    z, y = np.zeros((2, 3)), np.array([0, 1])
    assert len(trace(F.cross_entropy, z, y).guards) == 1
    assert len(trace(F.cross_entropy, z, np.array([0, -100])).guards) == 1  # that classes exist
    assert len(trace(F.cross_entropy, z, np.eye(3)[y]).guards) == 1
    assert not trace(F.cross_entropy, z, np.ones((2, 3))).guards
    mask = np.ones((2, 2), bool)
    q = np.zeros((2, 4))
    assert not trace(F.scaled_dot_product_attention, q, q, q, mask).guards
