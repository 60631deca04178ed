from xml.etree import ElementTree

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.mathematics import parse
from allbps.mathematics.tree import Kind, Product, Relation
from allbps.readings.formula import as_math
from allbps.readings.mathml import displayed, inline, mathml, to_mathml
from allbps.readings.numbers import cells


def parsed(text):
    return ElementTree.fromstring(text)


@pytest.mark.parametrize(
    "text",
    [
        "pad(δJ) * flip(K)",
        "log Σ exp(x)",
        "σ′(Z₂) = Z₃ (1 − Z₃)",
        "∂L/∂Yᵖ = ½ ‖Yᵖ − Y‖²",
        "Σₖ (δZ₂)ₖ,:",
        "x̂ + ⌊y⌋ + |z| + √π",
        "y < x and x > 0",
        "a & b",
        "[x ≥ 0] ⊙ ¬y ∧ z ⊻ w",
        "Γ + λ + φ + ∞",
    ],
)
def test_every_sign_becomes_well_formed_mathml(text):
    formula = parsed(mathml(parse(text).latex))
    assert formula.tag == "math"
    assert formula.get("display") == "block"
    assert not list(formula.iter("merror"))
    parsed(f"<p>{inline(parse(text))}</p>")


def test_function_names_are_one_upright_word():
    words = [part.text for part in parsed(mathml(parse("pad(δJ)").latex)).iter("mi")]
    assert words == ["pad", "δ", "J"]


def test_matrices_are_tables(conv):
    table = next(parsed(to_mathml(conv)).iter("mtable"))
    assert [[cell.findtext("mn") for cell in row] for row in table] == [
        ["1", "2", "0"],
        ["0", "1", "3"],
        ["2", "0", "1"],
    ]


def test_a_whole_derivation_is_well_formed(scalar, matrix, conv, shared):
    def f(x):
        """Less < more & "quotes"."""
        y = F.gelu(x) * (x > 0) / 3.0
        return np.sum(y)

    odd = bp.explain(f, np.ones((2, 2, 3))).derivation
    for derived in (scalar, matrix, conv, shared, odd):
        fragment = parsed(to_mathml(derived))
        steps = [div for div in fragment.iter("div") if "step" in div.get("class").split()]
        assert len(steps) == len(derived.steps)
        assert not list(fragment.iter("merror"))


def test_words_of_a_reason_are_outside_of_the_formulas():
    text = inline(parse('y "holds the numbers of" x'))
    assert text == "<math><mi>y</mi></math> holds the numbers of <math><mi>x</mi></math>"


def test_reasons_and_lines_stand_beside_their_step(scalar):
    text = to_mathml(scalar)
    assert "<code>Z3 = F.sigmoid(Z2)</code>" in text
    assert '<p class="because">because <math>' in text


def test_a_negative_number_is_one_numeral_in_a_matrix_and_stands_close_after_a_word():
    html = mathml(r"\begin{bmatrix} -0.5 & 1 \\ 2 & -3 \end{bmatrix}")
    assert "<mn>−0.5</mn>" in html
    assert "<mo" not in html.partition("<mtable")[2].partition("</mtable>")[0]
    said = parse('"from" −2.5 "to" −1').latex
    assert said == r"\text{from }{-2.5}\text{ to }{-1}"
    assert '<mo lspace="0" rspace="0">−</mo><mn>2.5</mn>' in mathml(said)


def test_a_prime_stands_beside_its_function_at_full_size():
    assert mathml(r"\sigma'(x)").startswith(
        '<math display="block"><mrow><mi>σ</mi><mo lspace="0" rspace="0">′</mo></mrow>'
    )


def test_each_side_of_an_equation_is_a_formula_of_its_own_so_that_lines_break(matrix):
    fragment = parsed(to_mathml(matrix))
    (step,) = (x for x in fragment.iter("div") if x.get("data-step") == "dW1")
    (equation,) = (x for x in step if x.get("class") == "eq")
    left, sides = equation
    assert "".join(left.itertext()) == "δW1≡∂L∂W1"
    first = [side[0] for side in sides]
    assert [next(x.iter("mo")).text for x in first] == ["="] * len(first)
    assert all(x.tag == "math" and x.get("displaystyle") == "true" for x in first)


def test_a_long_side_breaks_before_its_signs_and_between_matrices():
    long = displayed(parse("y = σ(exp(x + 1)) + exp(−2 x y z)"))
    assert len(list(parsed(long).iter("math"))) == 3
    assert len(list(parsed(displayed(parse("y = a + b"))).iter("math"))) == 2
    product = named_product(np.full((2, 3), 0.25), np.full((3, 2), 0.125))
    assert len(list(parsed(displayed(product)).iter("math"))) == 3
    many = Relation((parse("y"), as_math(cells(np.full((3, 2, 4), 0.125)))), ("=",))
    assert len(list(parsed(displayed(many)).iter("math"))) == 4


def named_product(left, right):
    factors = Product(Kind.MATRICES, as_math(cells(left)), as_math(cells(right)))
    return Relation((parse("y"), factors), ("=",))


def test_a_long_chain_in_a_sentence_may_break_and_a_short_one_stays_whole():
    assert inline(parse("y = a + b")).count("<math>") == 1
    assert inline(parse("y = exp(x) exp(z) + a = exp(x + z) + a")).count("<math>") == 3


def test_a_winner_is_underlined_in_place():
    html = mathml(r"\underline{9}")
    assert "border-bottom" in html
    assert "munder" not in html
