"""A formula means what mathematics means by it, or is refused with a finger on the place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import allbps as bp
from allbps.errors import AllBPsError, FormulaError
from allbps.formula import read
from allbps.formula.formula import shapes_from

pytest.importorskip("lark")
RNG = np.random.default_rng(0)


def value(text, shapes=None, seed=0):
    """The numbers of a formula, and those it was given."""
    formula = read(text, shapes)
    rng = np.random.default_rng(seed)
    given = {name: rng.normal(size=shape) for name, shape in formula.shapes.items()}
    found = formula.function()(*given.values())
    assert np.shape(found) == formula.result
    return found, given


MEANINGS = {
    "X W": lambda X, W: X @ W,
    "ReLU(X W) W": lambda X, W: np.maximum(X @ W, 0) @ W,
    "x yᵀ": lambda x, y: x @ y.T,
    "½ ‖Y − X W‖²": lambda Y, X, W: 0.5 * np.sum((Y - X @ W) ** 2),
    "||a||^2 / 2": lambda a: np.sum(a * a) / 2,
    "-x - -y": lambda x, y: -x + y,
    "2 X ⊙ Y Z": lambda X, Y, Z: 2 * X * (Y @ Z),
    "(a + b) (a - b)ᵀ": lambda a, b: (a + b) @ (a - b).T,
    "a^T b' ": lambda a, b: a.T @ b.T,
    "tanh(x) + exp(-x²) / 3": lambda x: np.tanh(x) + np.exp(-(x**2)) / 3,
    "x - y - z": lambda x, y, z: x - y - z,
    "x / 2 / 4": lambda x: x / 2 / 4,
    "sum(σ(x))": lambda x: np.sum(1 / (1 + np.exp(-x))),
    "maxpool(I)": lambda I: I.reshape(2, 2, 2, 2).max((1, 3)),
}


@pytest.mark.parametrize("text", MEANINGS)
def test_a_formula_has_the_numbers_that_numpy_gives(text):
    found, given = value(text)
    np.testing.assert_allclose(found, MEANINGS[text](**given), rtol=1e-14)


@pytest.mark.parametrize("text", [*MEANINGS, "softmax(x yᵀ)", "conv(pad(I), K) + I"])
def test_every_delta_of_a_formula_is_confirmed_by_the_judges(text):
    formula = read(text)
    given = {name: RNG.normal(size=shape) for name, shape in formula.shapes.items()}
    output = bp.trace.trace(formula.function(), **given).graph.outputs[0]
    seed = None if output.shape == () else {output.name: RNG.normal(size=output.shape)}
    assert bp.explain(formula.function(), cotangents=seed, **given).verify()


def test_shapes_follow_from_the_product_and_from_those_given():
    assert read("ReLU(X W) W").shapes == {"X": (2, 3), "W": (3, 3)}
    assert read("X W", {"W": (5, 1)}).shapes == {"X": (2, 5), "W": (5, 1)}
    assert read("conv(conv(I, K), K)").result == (2, 2)
    assert read("conv(I, K) + M", {"M": (5, 6), "K": (3, 1)}).shapes["I"] == (7, 6)
    assert read("X W + b", {"b": (1, 4)}).shapes["W"] == (3, 4)
    assert read("W x", {"x": (3,)}).shapes["x"] == (3, 1)
    assert shapes_from("X: 2×3; b 1x3, η: ()") == {"X": (2, 3), "b": (1, 3), "η": ()}


REFUSED = {
    "": "there is no formula",
    "X +": "the formula ends too early",
    "X )": "')' cannot stand here",
    "__import__('os')": "'_' cannot stand here",
    "X.__class__": "'.' cannot stand here",
    "lambda x": "lambda cannot be a name",
    "X * Y": "could mean three things",
    "X / Y Z": "divide by the product",
    "foo(x)": "there is no function foo",
    "relu x": "relu is a function",
    "relu(x, y)": "takes 1 operand",
    "X X²": "could mean two things",
    "3 + 4": "no names",
    "x" * 301: "too long",
    " ".join(f"x{k}" for k in range(30)): "too many names",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_formula_is_refused_in_words(text):
    with pytest.raises(FormulaError, match=r".") as caught:
        read(text)
    assert REFUSED[text] in str(caught.value)


def test_the_place_is_pointed_at():
    with pytest.raises(FormulaError) as caught:
        read("X W + foo(x)")
    assert caught.value.where == f"X W + foo(x)\n{' ' * 18}^^^^^^"


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("X W", {"X": (2, 3), "W": (4, 2)}),
        ("X + Y", {"X": (2, 3), "Y": (3, 2)}),
        ("conv(I, K)", {"I": (2, 2), "K": (3, 3)}),
        ("X", {"Y": (2, 2)}),
        ("X", {"X": (1000, 1000)}),
        ("x yᵀ", {"x": (9999,), "y": (9999,)}),
    ],
)
def test_shapes_that_do_not_fit_or_are_too_large_are_refused(text, shapes):
    with pytest.raises(FormulaError):
        read(text, shapes)


PIECES = [
    "X", "W", "x₁", "ᵀ", "²", "^T", " ", "+", "-", "*", "⊙", "/", "(", ")", "2", "½", "‖", "relu(",
    "conv(", ",", "exp(", "'", "^3", "\\", "\n", "é", "sum(",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_any_text_is_computed_or_refused_and_nothing_else(text):
    try:
        found, _ = value(text)
    except FormulaError:
        return
    except AllBPsError:
        pytest.fail(f"{text!r} was accepted and then could not be computed")
    assert np.size(found) <= 10_000
