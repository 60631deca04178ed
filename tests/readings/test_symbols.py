import numpy as np

import allbps as bp
from allbps.readings.symbols import pretty


def symbols_of(f, **inputs):
    return {step.name: step.symbol for step in bp.explain(f, **inputs).derivation}


def test_digits_at_the_end_are_a_subscript():
    assert [pretty(name) for name in ("Z1", "h_2", "x10", "conv1_3")] == [
        "Z₁", "h₂", "x₁₀", "conv1₃",
    ]  # fmt: skip


def test_spelled_greek_becomes_a_letter():
    assert [pretty(name) for name in ("sigma", "alpha_1", "Gamma", "lambda_", "score")] == [
        "σ", "α₁", "Γ", "λ", "score",
    ]  # fmt: skip


def test_other_names_stay_as_they_are():
    assert [pretty(name) for name in ("logits", "x_train", "params_W", "_", "W_q")] == [
        "logits", "x_train", "params_W", "_", "W_q",
    ]  # fmt: skip


def test_names_that_would_look_alike_are_kept_apart():
    def f(Z1, Z_1):
        return Z1 * Z_1

    found = symbols_of(f, Z1=1.0, Z_1=2.0)
    assert (found["Z1"], found["Z_1"]) == ("Z₁", "Z_1")
    assert (found["dZ1"], found["dZ_1"]) == ("δZ₁", "δZ_1")


def test_contributions_are_numbered_below():
    def f(x):
        return x * x

    found = symbols_of(f, x=3.0)
    assert (found["dx_1"], found["dx_2"], found["dx"]) == ("δx₁", "δx₂", "δx")


def test_contributions_are_numbered_above_where_below_is_taken():
    def f(h1, W, W1):
        return h1 * h1 + W * W * W1

    found = symbols_of(f, h1=3.0, W=1.0, W1=2.0)
    assert (found["dh1_1"], found["dh1_2"]) == ("δh₁⁽¹⁾", "δh₁⁽²⁾")
    assert (found["dW_1"], found["dW_2"], found["dW1"]) == ("δW⁽¹⁾", "δW₂", "δW₁")


def test_large_constants_get_a_letter():
    table = np.arange(40.0).reshape(20, 2)

    def f(x):
        return np.sum(x * table)

    derived = bp.explain(f, x=np.ones(2)).derivation
    assert [step.symbol for step in derived.of_kind("given")] == ["x", "C₁"]
    assert derived["dx"].formula == "δx = Σₖ (C₁ ⊙ δt₁)ₖ,:"


def test_chosen_symbols_win():
    def f(Yp):
        return Yp**2

    worked = bp.explain(f, Yp=3.0, symbols={"Yp": "Yᵖ"})
    assert worked["Yp"].formula == "δYᵖ = 2 Yᵖ"
