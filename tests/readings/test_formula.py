"""Parentheses, dots and products: formulas that mean what was computed."""

import numpy as np
import pytest

import allbps as bp
from allbps.ir import new_input
from allbps.ops.activation import relu
from allbps.ops.arithmetic import div
from allbps.ops.function import erf, exp, sin
from allbps.ops.reduce import sum_
from allbps.ops.shape import reshape
from allbps.readings.formula import Writer, as_math

NUMBERS = {name: new_input(value, 1, name) for name, value in {"x": 2.0, "y": -3.0}.items()}
MATRICES = {
    name: new_input(np.array(value), 1, name)
    for name, value in {"A": [[1.0, 2.0], [3.0, 4.0]], "B": [[0.5, -1.0], [2.0, 0.0]]}.items()
}
x, y = NUMBERS.values()
A, B = MATRICES.values()
SYMBOLS = {node: name for name, node in (NUMBERS | MATRICES).items()}
WRITER = Writer(SYMBOLS)


def total(node, **attrs):
    return sum_(node, **{"axis": None, "keepdims": False, **attrs})


@pytest.mark.parametrize(
    ("node", "formula", "numbers"),
    [
        ((erf(x) + 1.0) * 0.5, "(erf(x) + 1) · 0.5", "(erf(2) + 1) · 0.5"),
        (erf(x) + 1.0 * 0.5, "erf(x) + 0.5", "erf(2) + 0.5"),
        (x - (y - x), "x − (y − x)", "2 − (−3 − 2)"),
        (x - y - x, "x − y − x", "2 − (−3) − 2"),
        (x + y, "x + y", "2 + (−3)"),
        (x * y, "x y", "2 · (−3)"),
        (y * x, "y x", "−3 · 2"),
        (2.0 * x, "2 x", "2 · 2"),
        (x * 2.0, "x · 2", "2 · 2"),
        (x * (2.0 * y), "x · 2 y", "2 · 2 · (−3)"),
        (-2.0 * x + y, "−2 x + y", "−2 · 2 + (−3)"),
        (x * (-2.0 * y), "x (−2 y)", "2 (−2 · (−3))"),
        (x * (1.0 - x), "x (1 − x)", "2 (1 − 2)"),
        (-(x + y), "−(x + y)", "−(2 + (−3))"),
        (-(x * y), "−x y", "−2 · (−3)"),
        ((-x) * y, "(−x) y", "(−2) (−3)"),
        ((x + y) ** 2, "(x + y)²", "(2 + (−3))²"),
        (y**2, "y²", "(−3)²"),
        (-(y**2), "−y²", "−(−3)²"),
        ((-y) ** 2, "(−y)²", "(−(−3))²"),
        (x**0.5, "x⁰·⁵", "2⁰·⁵"),
        (exp(-0.5 * x**2), "exp(−0.5 x²)", "exp(−0.5 · 2²)"),
        (x / (y * x), "x / (y x)", "2 / (−3 · 2)"),
        (x / y / x, "x / y / x", "2 / (−3) / 2"),
        ((x / y) * x, "(x / y) x", "(2 / (−3)) · 2"),
        (sin(x) / (x + y), "sin(x) / (x + y)", "sin(2) / (2 + (−3))"),
    ],
)
def test_scalar_formulas(node, formula, numbers):
    assert WRITER.formula(node).inline == formula
    assert WRITER.substituted(node, lambda leaf: leaf.value).inline == numbers


@pytest.mark.parametrize(
    ("node", "formula"),
    [
        (A @ B @ A, "A B A"),
        (A @ (B @ A), "A (B A)"),
        ((A * B) @ A, "(A ⊙ B) A"),
        (A * (B @ A), "A ⊙ (B A)"),
        ((A @ B) * A, "(A B) ⊙ A"),
        (A * B * A, "A ⊙ B ⊙ A"),
        ((A + B) @ A, "(A + B) A"),
        ((A / x) @ B, "(A / x) B"),
        ((A @ B) / x, "A B / x"),
        (x * A, "x A"),
        ((x * A) @ B, "(x A) B"),
        (2.0 * A @ B, "(2 A) B"),
        (A.T @ B, "Aᵀ B"),
        ((A @ B).T, "Bᵀ Aᵀ"),
        ((A + B).T, "(A + B)ᵀ"),
        (A * (A > 0), "A ⊙ [A > 0]"),
        (total(A * B), "Σ A ⊙ B"),
        (total(A) * x, "(Σ A) x"),
        (-total(A * B), "−Σ A ⊙ B"),
        (total(A + B, axis=0), "Σₖ (A + B)ₖ,:"),
        (total(A, axis=1), "Σₖ A:,ₖ"),
        (total(A, axis=1) / total(A), "(Σₖ A:,ₖ) / (Σ A)"),
        (relu(A - B), "ReLU(A − B)"),
        (reshape(A, shape=(1, 2, 2, 1)) * 1.0, "A · 1"),
        (reshape(A, shape=(4,)), "reshape(A)"),
    ],
)
def test_matrix_formulas(node, formula):
    assert WRITER.formula(node).inline == formula


def test_the_result_of_a_function_inside_is_shown_as_the_matrix_it_is():
    written = WRITER.substituted(A * (B > 0), lambda leaf: leaf.value)
    assert written.inline == "[1 2; 3 4] ⊙ [1 0; 1 0]"
    written = WRITER.substituted(A.T @ B, lambda leaf: leaf.value)
    assert written.inline == "[1 3; 2 4] [0.5 −1.0; 2.0 0]"


def test_no_substitution_with_an_array_too_large_to_print():
    large = new_input(np.zeros((3, 20)), 1, "M")
    assert Writer({large: "M"}).substituted(large + 1.0, lambda leaf: leaf.value) is None


def test_text_and_latex_come_from_one_notation():
    assert WRITER.formula((A + B) @ A.T).latex == r"(A + B)\,A^{\top}"
    assert WRITER.formula(div(x + y, x)).latex == r"\frac{x + y}{x}"
    assert WRITER.formula((x / y) ** 2).latex == r"\left(\frac{x}{y}\right)^{2}"
    assert WRITER.formula(total(A * B, axis=0)).latex == r"\sum_{k} (A \odot B)_{k,:}"


def test_arrays_in_latex_are_matrices_and_parentheses_grow():
    spelled = WRITER.substituted((A - 1.0) @ B, lambda leaf: leaf.value).latex
    assert spelled == (
        r"\left(\begin{bmatrix} 1 & 2 \\ 3 & 4 \end{bmatrix} - 1\right)"
        r" \begin{bmatrix} 0.5 & -1.0 \\ 2.0 & 0 \end{bmatrix}"
    )
    assert WRITER.substituted(relu(A), lambda leaf: leaf.value).latex == (
        r"\mathrm{ReLU}\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}"
    )


def test_slices_of_a_tensor_are_labelled_in_latex():
    value = np.arange(4.0).reshape(2, 1, 2)
    assert WRITER.value(value).latex == (
        r"\overset{[0]}{\begin{bmatrix} 0 & 1 \end{bmatrix}}"
        r"\quad \overset{[1]}{\begin{bmatrix} 2 & 3 \end{bmatrix}}"
    )
    assert as_math(value).inline == "[0 1] [2 3]"


def test_a_symbol_with_a_superscript_is_not_squared_as_if_it_had_none():
    def f(Yp):
        return Yp**2

    worked = bp.explain(f, Yp=3.0, symbols={"Yp": "Yᵖ"})
    assert worked["L"].forward == "L = (Yᵖ)²"


def test_vectors_are_rows_and_columns_as_the_product_needs_them():
    def f(W, v):
        return W @ v

    derived = bp.explain(
        f, W=np.ones((2, 3)), v=np.arange(3.0), cotangents={"y": np.array([1.0, 2.0])}
    ).derivation
    assert derived["dW"].formula == "δW = δy vᵀ"
    assert derived["dW"].numbers()[0].inline == "[1; 2] [0 1 2]"


def test_a_vector_that_belongs_to_the_formula_stands_as_its_numbers_do():
    def f(W):
        h = np.array([0.0, 2.0])
        z = W @ h
        return np.sum(z)

    text = bp.explain(f, np.eye(2)).to_text()
    assert "z = W ⎡ 0 ⎤ = ⎡ 1  0 ⎤ ⎡ 0 ⎤ = ⎡ 0 ⎤" in text
    assert "= δz ⎡ 0 ⎤ᵀ = ⎡ 1 ⎤ [ 0  2 ] = ⎡ 0  2 ⎤" in text


def test_a_number_times_ones_is_the_number_where_it_meets_an_array():
    def net(x):
        return -0.5 * np.sum(np.exp(x))

    w = bp.explain(net, np.array([0.0, 1.0])).shown(by="line")
    assert w["x"].formula == "δx = −0.5 exp(x)"
    assert w.verify()


def test_a_delta_that_is_passed_on_stands_behind_the_local_derivative_too():
    def net(mu, sigma, eps):
        z = mu + sigma * eps
        return np.sum(np.tanh(z))

    w = bp.explain(net, *np.ones((3, 2))).shown(by="line")
    assert w["sigma"].formula == "δσ = eps ⊙ δz"
    assert w["eps"].formula == "δeps = σ ⊙ δz"
