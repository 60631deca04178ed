import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.mathematics.tree import Applied, Big, Matrix, Number, Script, Sum, Word
from allbps.readings.boxes import Block, array_block, beside, line, words
from allbps.readings.text import to_text

SCALAR_NET = """\
scalar_net

Given
  X = 2    W₁ = 0.5    b₁ = −1    W₂ = 4    b₂ = −1    Y = 0

Forward
  Z₁ = X W₁ = 2 · 0.5 = 1               # Z1 = X * W1
  Z₂ = Z₁ + b₁ = 1 + (−1) = 0           # Z2 = Z1 + b1
  Z₃ = σ(Z₂) = σ(0) = 0.5               # Z3 = F.sigmoid(Z2)
  Z₄ = Z₃ W₂ = 0.5 · 4 = 2              # Z4 = Z3 * W2
  Yᵖ = Z₄ + b₂ = 2 + (−1) = 1           # Yp = Z4 + b2
  L  = ½ (Yᵖ − Y)² = ½ (1 − 0)² = 0.5   # return F.euclidean_loss(Yp, Y)

Backward
  δL  ≡ ∂L/∂L  = 1

  δYᵖ ≡ ∂L/∂Yᵖ = Yᵖ − Y = 1 − 0 = 1
      because L = ½ (Yᵖ − Y)², ∂L/∂Yᵖ = Yᵖ − Y

  δZ₄ ≡ ∂L/∂Z₄ = (∂Yᵖ/∂Z₄) δYᵖ = δYᵖ = 1
      because Yᵖ = Z₄ + b₂, ∂Yᵖ/∂Z₄ = 1

  δZ₃ ≡ ∂L/∂Z₃ = (∂Z₄/∂Z₃) δZ₄ = W₂ δZ₄ = 4 · 1 = 4
      because Z₄ = Z₃ W₂, ∂Z₄/∂Z₃ = W₂

  δZ₂ ≡ ∂L/∂Z₂ = (∂Z₃/∂Z₂) δZ₃ = σ′(Z₂) δZ₃ = Z₃ (1 − Z₃) δZ₃
               = 0.5 (1 − 0.5) · 4 = 1
      because Z₃ = σ(Z₂), ∂Z₃/∂Z₂ = σ′(Z₂) = Z₃ (1 − Z₃)

  δZ₁ ≡ ∂L/∂Z₁ = (∂Z₂/∂Z₁) δZ₂ = δZ₂ = 1
      because Z₂ = Z₁ + b₁, ∂Z₂/∂Z₁ = 1

  δX  ≡ ∂L/∂X  = (∂Z₁/∂X) δZ₁ = W₁ δZ₁ = 0.5 · 1 = 0.5
      because Z₁ = X W₁, ∂Z₁/∂X = W₁

  δW₁ ≡ ∂L/∂W₁ = (∂Z₁/∂W₁) δZ₁ = X δZ₁ = 2 · 1 = 2
      because Z₁ = X W₁, ∂Z₁/∂W₁ = X

  δb₁ ≡ ∂L/∂b₁ = (∂Z₂/∂b₁) δZ₂ = δZ₂ = 1
      because Z₂ = Z₁ + b₁, ∂Z₂/∂b₁ = 1

  δW₂ ≡ ∂L/∂W₂ = (∂Z₄/∂W₂) δZ₄ = Z₃ δZ₄ = 0.5 · 1 = 0.5
      because Z₄ = Z₃ W₂, ∂Z₄/∂W₂ = Z₃

  δb₂ ≡ ∂L/∂b₂ = (∂Yᵖ/∂b₂) δYᵖ = δYᵖ = 1
      because Yᵖ = Z₄ + b₂, ∂Yᵖ/∂b₂ = 1

  δY  ≡ ∂L/∂Y  = Y − Yᵖ = 0 − 1 = −1
      because L = ½ (Yᵖ − Y)², ∂L/∂Y = Y − Yᵖ
"""

CONVOLUTION = """\
convolution

Given
      ⎡ 1  2  0 ⎤
  I = ⎢ 0  1  3 ⎥    K = ⎡ 1  −1 ⎤
      ⎣ 2  0  1 ⎦        ⎣ 0   2 ⎦

Forward
  # J = F.conv2d(I, K)
              ⎡ 1  2  0 ⎤
  J = I * K = ⎢ 0  1  3 ⎥ * ⎡ 1  −1 ⎤ = ⎡  1  8 ⎤
              ⎣ 2  0  1 ⎦   ⎣ 0   2 ⎦   ⎣ −1  0 ⎦
      J(1, 1) = 1·1 + 2·(−1) + 0·0 + 1·2 = 1

Backward
  δJ = ⎡  1  0 ⎤
       ⎣ −1  2 ⎦
      δJ is given

                           ⎡ 0   0  0  0 ⎤               ⎡  1  −1   0 ⎤
  δI = pad(δJ) * flip(K) = ⎢ 0   1  0  0 ⎥ * ⎡  2  0 ⎤ = ⎢ −1   5  −2 ⎥
                           ⎢ 0  −1  2  0 ⎥   ⎣ −1  1 ⎦   ⎣  0  −2   4 ⎦
                           ⎣ 0   0  0  0 ⎦
      because J = I * K, ∂J(i, j)/∂I(p, q) = K(p−i+1, q−j+1) if 0 ≤ p−i ≤ 1 and
              0 ≤ q−j ≤ 1, else 0

                ⎡ 1  2  0 ⎤
  δK = I * δJ = ⎢ 0  1  3 ⎥ * ⎡  1  0 ⎤ = ⎡  3  7 ⎤
                ⎣ 2  0  1 ⎦   ⎣ −1  2 ⎦   ⎣ −2  3 ⎦
      because J = I * K, ∂J(i, j)/∂K(p, q) = I(i+p−1, j+q−1)
"""


def test_the_scalar_net_by_hand(scalar):
    assert to_text(scalar, 80) == SCALAR_NET


def test_a_convolution_by_hand(conv):
    assert to_text(conv, 80) == CONVOLUTION


def block_of(derived, name, width=80):
    """The lines of one step."""
    paragraphs = to_text(derived, width).split("\n\n")
    symbol = derived[name].symbol
    return next(p for p in paragraphs if f"  {symbol} " in p and "≡" in p)


def test_matrices_stand_side_by_side_on_one_baseline(matrix):
    assert block_of(matrix, "dZ3", 100).splitlines() == [
        "  δZ₃ ≡ ∂L/∂Z₃ = (∂Z₄/∂Z₃) δZ₄ = δZ₄ W₂ᵀ = ⎡ −0.038  1.500 ⎤ ⎡ 2  −1 ⎤"
        " = ⎡ −0.076   1.538 ⎤",
        "                                           ⎣  0.904  0.731 ⎦ ⎣ 0   1 ⎦"
        "   ⎣  1.808  −0.173 ⎦",
        "      because Z₄ = Z₃ W₂, ∂Z₄/∂Z₃ = W₂ᵀ",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
def test_no_line_is_wider_than_asked(scalar, matrix, conv, shared, width):
    def f(x):
        return np.sum(F.gelu(x, approximate="tanh"))

    gelu = bp.explain(f, np.array([0.1, -0.5, 2.0])).derivation
    for derived in (scalar, matrix, conv, shared, gelu):
        lines = to_text(derived, width).splitlines()
        # a single matrix cannot be broken
        too_wide = [text for text in lines if len(text) > width and "⎡" not in text]
        assert not too_wide
        if width >= 60:
            assert max(map(len, lines)) <= width


def test_equations_break_before_equals_signs_and_operators(matrix):
    lines = block_of(matrix, "dZ2", 60).splitlines()
    assert lines == [
        "  δZ₂ ≡ ∂L/∂Z₂ = (∂Z₃/∂Z₂) δZ₃ = σ′(Z₂) ⊙ δZ₃",
        "               = Z₃ ⊙ (1 − Z₃) ⊙ δZ₃",
        "               = ⎡ 0.73106  0.50000 ⎤",
        "                 ⎣ 0.81757  0.73106 ⎦",
    ]
    paragraphs = to_text(matrix, 60).split("\n\n")
    after = paragraphs[paragraphs.index("\n".join(lines)) + 1].splitlines()
    assert after[0] == "                 ⊙ ⎛1 − ⎡ 0.73106  0.50000 ⎤⎞"


def test_large_tensors_become_a_summary():
    rng = np.random.default_rng(0)

    def f(X, W):
        Z = X @ W
        return np.sum(Z**2)

    derived = bp.explain(f, X=rng.normal(size=(64, 10)), W=rng.normal(size=(10, 9))).derivation
    rows = to_text(derived, 100).splitlines()
    assert f"  Z  = X W   {derived['Z'].summary}     # Z = X @ W" in rows
    chain = "(∂t₁/∂Z) δt₁ = 2 Z ⊙ δt₁"
    assert f"  δZ  ≡ ∂L/∂Z  = {chain}   {derived['dZ'].summary}" in rows
    assert derived["Z"].summary.startswith("shape (64, 9), from −")


def test_slices_of_a_batch_are_labelled():
    def f(x):
        y = 2.0 * x
        return y

    text = to_text(
        bp.explain(
            f, x=np.arange(8.0).reshape(2, 2, 2), cotangents={"y": np.ones((2, 2, 2))}
        ).derivation
    )
    assert ("       [0]      [1]\n  x = ⎡ 0  1 ⎤ ⎡ 4  5 ⎤\n      ⎣ 2  3 ⎦ ⎣ 6  7 ⎦\n") in text


def test_the_first_line_of_the_docstring_is_shown():
    def f(x):
        """Half a square.

        More about it.
        """
        return 0.5 * x**2

    assert to_text(bp.explain(f, 3.0).derivation).splitlines()[:3] == ["f", "Half a square.", ""]


def test_a_warning_stands_at_the_top():
    def f(x):
        y = np.log(x)
        return y

    with np.errstate(all="ignore"):
        text = to_text(bp.explain(f, x=-1.0).derivation)
    assert text.splitlines()[2].startswith("Warning: y is the first value that is not finite")


def test_a_line_that_computes_several_values_is_shown_once():
    def f(x):
        return np.sin(x) * np.cos(x)

    text = to_text(bp.explain(f, 0.0).derivation)
    assert text.count("# return np.sin(x) * np.cos(x)") == 1


def test_colours_do_not_move_anything(scalar):
    colored = to_text(scalar, 80, color=True)
    assert "\x1b[1mForward\x1b[0m" in colored
    for code in ("\x1b[0m", "\x1b[1m", "\x1b[2m"):
        colored = colored.replace(code, "")
    assert colored == SCALAR_NET


# -- blocks ----------------------------------------------------------------------------------------
def test_blocks_align_on_their_baselines():
    assert beside([line("a ="), Block((" 1", " 2", " 3"), 1)]).lines == ("    1", "a = 2", "    3")


def test_columns_are_right_aligned():
    assert array_block(np.array([[1.0, -10.0], [100.0, 2.0]])).lines == (
        "⎡   1  −10 ⎤",
        "⎣ 100    2 ⎦",
    )


def test_parentheses_grow_and_powers_stand_at_the_top():
    column = Matrix(np.array([["1"], ["2"], ["3"]], object))
    (squared,) = words(Script(Sum((column, Number("1")), ("−",), tight=True), ("²",)))
    assert squared.lines == ("⎛⎡ 1 ⎤  ⎞²", "⎜⎢ 2 ⎥−1⎟ ", "⎝⎣ 3 ⎦  ⎠ ")


def test_a_function_of_a_matrix_needs_one_pair_of_brackets():
    (applied,) = words(Applied(Word("σ"), Matrix(np.array([["1"], ["2"]], object))))
    assert applied.lines == ("σ⎛ 1 ⎞", " ⎝ 2 ⎠")


def test_an_index_stands_at_the_bottom():
    column = Matrix(np.array([["1"], ["2"]], object))
    _, indexed = words(Big("Σ", Script(column, ("ₖ,:",)), ("ₖ",)))
    assert indexed.lines == ("⎡ 1 ⎤   ", "⎣ 2 ⎦ₖ,:")


def test_names_longer_than_a_line_are_written_out():
    first, second = "a" * 60, "a" * 61
    scope = {"np": np}
    exec(f"def net({first}, {second}):\n    return np.sum({first} * {second} ** 2)\n", scope)
    text = bp.explain(scope["net"], np.array([1.0, 2.0]), np.array([3.0, 4.0])).to_text()
    assert f"δ{first}" in text
    assert f"δ{second}" in text
