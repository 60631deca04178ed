import json

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.errors import NameUnknownError
from allbps.readings.derivation import derivation


def formulas(derived, *kinds):
    return [step.formula for step in derived.of_kind(*kinds)]


def test_the_matrix_net_of_the_lecture(matrix):
    assert formulas(matrix, "forward") == [
        "Z₁ = X W₁",
        "Z₂ = Z₁ + b₁",
        "Z₃ = σ(Z₂)",
        "Z₄ = Z₃ W₂",
        "Yᵖ = Z₄ + b₂",
        "L = ½ ‖Yᵖ − Y‖²",
    ]
    assert formulas(matrix, "delta") == [
        "δL = 1",
        "δYᵖ = Yᵖ − Y",
        "δZ₄ = δYᵖ",
        "δZ₃ = δZ₄ W₂ᵀ",
        "δZ₂ = Z₃ ⊙ (1 − Z₃) ⊙ δZ₃",
        "δZ₁ = δZ₂",
        "δX = δZ₁ W₁ᵀ",
        "δW₁ = Xᵀ δZ₁",
        "δb₁ = Σₖ (δZ₂)ₖ,:",
        "δW₂ = Z₃ᵀ δZ₄",
        "δb₂ = Σₖ (δYᵖ)ₖ,:",
        "δY = Y − Yᵖ",
    ]


def test_each_reason_gives_the_forward_formula_then_the_local_derivative(matrix):
    because = {step.name: step.because for step in matrix}
    assert because["dZ3"] == "Z₄ = Z₃ W₂, ∂Z₄/∂Z₃ = W₂ᵀ"
    assert because["dW1"] == "Z₁ = X W₁, ∂Z₁/∂W₁ = Xᵀ"
    assert because["dZ2"] == "Z₃ = σ(Z₂), ∂Z₃/∂Z₂ = σ′(Z₂) = Z₃ ⊙ (1 − Z₃)"
    assert because["dYp"] == "L = ½ ‖Yᵖ − Y‖², ∂L/∂Yᵖ = Yᵖ − Y"
    assert because["dL"] == because["Z1"] == because["X"] == ""


def test_a_bias_that_is_added_to_every_row_says_so(matrix):
    assert matrix["db1"].because == ("Z₂ = Z₁ + b₁, ∂Z₂/∂b₁ = [1, …, 1], b₁ stands in each row")


def test_every_delta_says_what_it_stands_for(matrix):
    assert [part.inline for part in matrix["dZ3"].left()] == ["δZ₃", "∂L/∂Z₃"]
    assert [part.latex for part in matrix["dZ3"].left()] == [
        r"\delta Z_{3}",
        r"\frac{\partial L}{\partial Z_{3}}",
    ]


def test_the_convolution_of_the_lecture(conv):
    assert formulas(conv, "forward", "delta") == [
        "J = I * K",
        "δI = pad(δJ) * flip(K)",
        "δK = I * δJ",
    ]
    assert conv["dK"].because == "J = I * K, ∂J(i, j)/∂K(p, q) = I(i+p−1, j+q−1)"
    padded, _ = conv["dI"].numbers()
    assert padded.inline == ("[0 0 0 0; 0 1 0 0; 0 −1 2 0; 0 0 0 0] * [2 0; −1 1]")


def test_a_given_delta_is_given(conv):
    seed = conv["dJ"]
    assert (seed.kind, seed.formula, seed.because) == ("seed", "", "δJ is given")
    assert len(seed.left()) == 1  # there is no loss to write ∂L/∂J with


def test_contributions_come_before_their_sum(shared):
    assert formulas(shared, "contribution", "delta")[-3:] == [
        "δW₁ = Xᵀ δZ₁",
        "δW₂ = Z₂ᵀ δY",
        "δW = δW₁ + δW₂",
    ]
    assert shared["dW"].because == "W is used twice, in Z₁ and Y"
    np.testing.assert_allclose(
        shared["dW"].value, shared["dW_1"].value + shared["dW_2"].value, rtol=1e-15
    )


def test_a_residual_connection_adds_two_contributions():
    def residual(x, w):
        z = np.tanh(x * w)
        y = z + x
        return y

    derived = bp.explain(residual, x=2.0, w=0.5).derivation
    assert formulas(derived, "contribution", "delta")[-4:-1] == [
        "δx₁ = w δt₁",
        "δx₂ = δy",
        "δx = δx₁ + δx₂",
    ]
    assert derived["dx"].because == "x is used twice, in t₁ and y"


def test_many_uses_are_counted_not_listed():
    def f(x):
        return x * 1.0 + x * 2.0 + x * 3.0 + x * 4.0 + x * 5.0

    assert bp.explain(f, 1.0).derivation["dx"].because == "x is used 5 times, in t₁, t₂, …"


def test_an_output_that_is_used_again_has_a_given_share():
    def f(x):
        y = np.sin(x)
        z = y * 2.0
        return y, z

    derived = bp.explain(f, x=1.0, cotangents={"y": 3.0, "z": 5.0}).derivation
    assert derived["dy"].formula == "δy = 2 δz + δy₀"
    assert derived["dy"].because == "z = y · 2, ∂z/∂y = 2, δy₀ is given"
    assert float(derived["dy"].value) == 13.0


def test_an_argument_that_nothing_depends_on():
    def f(X, W):
        return X**2

    step = bp.explain(f, X=1.0, W=2.0).derivation["dW"]
    assert (step.symbol, step.because) == ("δW", "L does not depend on W")
    assert [part.inline for part in step.numbers()] == ["0"]


def test_an_argument_that_only_acts_through_jumps():
    def f(X, b):
        return X * (b > 0)

    assert bp.explain(f, X=1.0, b=2.0).derivation["db"].because == (
        "b acts only through steps of slope zero"
    )


def test_the_first_number_that_is_not_finite_is_pointed_out():
    def f(x):
        y = np.log(x)
        return y * x

    with np.errstate(all="ignore"):
        derived = bp.explain(f, x=0.0).derivation
    line = f.__code__.co_firstlineno + 1
    assert derived.warning == (
        f"y is the first value that is not finite (line {line}: y = np.log(x))"
    )


def test_a_mask_of_minus_infinity_that_softmax_takes_away_needs_no_warning():
    def masked(x):
        z = np.where(np.array([True, True, False]), x, -np.inf)
        return np.sum(F.softmax(z) * x)

    def lost(x):
        return np.max(np.where(x > 9, x, -np.inf))

    x = np.array([0.1, 0.2, 0.3])
    assert bp.explain(masked, x).derivation.warning == ""
    with np.errstate(all="ignore"):
        assert "is the first value that is not finite" in bp.explain(lost, x).derivation.warning


def test_all_finite_needs_no_warning(scalar):
    assert scalar.warning == ""


def test_constants_of_the_formula_stand_in_it():
    def f(x):
        return np.array([[1.0, 2.0], [3.0, 4.0]]) @ x

    derived = bp.explain(f, x=np.ones((2, 1)), cotangents={"y": np.ones((2, 1))}).derivation
    assert derived["dx"].formula == "δx = [1 2; 3 4]ᵀ δy"


def test_user_lines_are_kept(scalar):
    assert scalar["Z3"].site.text == "Z3 = F.sigmoid(Z2)"
    assert scalar["dZ3"].site == scalar["Z3"].site


def test_a_step_that_is_not_there(scalar):
    with pytest.raises(NameUnknownError) as caught:
        scalar["dZ5"]
    assert "there is no step 'dZ5'" in str(caught.value)
    assert "did you mean" in str(caught.value)


def test_json_holds_every_step(matrix):
    data = json.loads(json.dumps(matrix.to_json(), allow_nan=False))
    steps = {step["name"]: step for step in data["steps"]}
    assert steps["dZ3"]["formula"] == "δZ₃ = δZ₄ W₂ᵀ"
    assert steps["dZ3"]["because"] == "Z₄ = Z₃ W₂, ∂Z₄/∂Z₃ = W₂ᵀ"
    assert steps["dZ3"]["substitution"].endswith("[2 −1; 0 1]")
    np.testing.assert_allclose(steps["dZ3"]["value"], matrix["dZ3"].value, rtol=0)
    assert steps["Z1"]["source"] == "Z1 = X @ W1"


def test_json_has_words_for_what_is_not_finite():
    def f(x):
        return np.sum(1.0 / x)

    with np.errstate(all="ignore"):
        data = bp.explain(f, x=np.array([0.0, 1.0])).derivation.to_json()
    step = next(s for s in data["steps"] if s["name"] == "t1")
    assert step["value"] == ["inf", 1.0]
    assert data["warning"].startswith("t₁ is the first value")


def test_large_tensors_are_summarised_in_json():
    data = bp.explain(lambda x: np.sum(x**2), np.ones((20, 3))).derivation.to_json()
    step = data["steps"][0]
    assert step["value"] is None
    assert step["summary"] == "shape (20, 3), from 1 to 1, norm 7.746"
    assert step["shape"] == [20, 3]


def test_softmax_and_cross_entropy_in_one_step():
    def f(logits, y):
        loss = F.cross_entropy(logits, y)
        return loss

    derived = bp.explain(
        f, logits=np.log(np.array([1.0, 2.0, 5.0])), y=np.array([0.0, 1.0, 0.0]), wrt=["logits"]
    ).derivation
    assert derived["dlogits"].formula == "δlogits = softmax(logits) − y"
    assert derived["dlogits"].numbers()[0].inline == ("[0.125 0.250 0.625] − [0 1 0]")


def test_max_pooling_sends_the_delta_to_the_winners():
    def f(x):
        y = F.max_pool2d(x, 2)
        return y

    derived = bp.explain(
        f, x=np.array([[1.0, 3.0], [2.0, 0.0]]), cotangents={"y": np.array([[5.0]])}
    ).derivation
    assert derived["dx"].formula == "δx = δy at argmax(x), else 0"
    assert derived["dx"].value.tolist() == [[0.0, 5.0], [0.0, 0.0]]


def test_time_grows_linearly_and_no_depth_is_too_deep():
    def f(x):
        for _ in range(3000):
            x = np.tanh(x * 1.1)
        return x

    worked = bp.explain(f, 0.5)
    derived = derivation(worked.backward, worked.values)
    assert len(derived.steps) == 1 + 2 * 6000 + 1
    assert all(len(step.formula) < 60 for step in derived)


def chains(derived):
    """name of a δ -> the sides between what it means and its formula."""
    return {
        step.name: [side.inline for side in step.chain(step.pen)]
        for step in derived.of_kind("contribution", "delta")
        if step.chain
    }


def test_the_chain_rule_stands_on_the_line_with_the_name_of_the_derivative(scalar, matrix):
    assert chains(scalar)["dZ2"] == ["(∂Z₃/∂Z₂) δZ₃", "σ′(Z₂) δZ₃"]
    assert chains(matrix)["dZ2"] == ["(∂Z₃/∂Z₂) δZ₃", "σ′(Z₂) ⊙ δZ₃"]
    assert chains(matrix)["dW2"] == ["(∂Z₄/∂W₂) δZ₄"]
    assert "dYp" not in chains(matrix)  # δ of the loss is 1


def test_no_factor_stands_there_that_the_because_does_not_name(conv):
    assert chains(conv) == {"dI": [], "dK": []}


def test_the_transpose_of_a_product_shows_its_factors_as_they_are():
    def scores(x, y):
        z = x @ y.T
        return z

    x, y = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    w = bp.explain(scores, x, y, cotangents={"z": np.ones((3, 2))}).shown(by="line")
    filled, _ = w["y"].steps[-1].numbers()
    assert w["y"].formula == "δy = δzᵀ x"
    assert filled.inline.endswith("ᵀ [1 2; 3 4; 5 6]")


def test_two_minus_signs_before_a_product_are_none():
    def logistic(z):
        p = 1 / (1 + np.exp(-z))
        return p

    w = bp.explain(logistic, np.array([0.5]), cotangents={"p": np.ones(1)}).shown(by="line")
    assert w["z"].formula == "δz = (p ⊙ δp / (1 + exp(−z))) ⊙ exp(−z)"
    assert w.verify()
