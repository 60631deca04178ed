"""Each system shows what the lecture shows."""

import json

import numpy as np
import pytest

from allbps.errors import NameUnknownError
from allbps.lecture import NAMES, system
from allbps.lecture.pages import FORMATS, documents, open_system
from allbps.lecture.system import Example, Numbers


def first(name):
    return next(system(name).examples).work()


def formulas(worked):
    return [step.formula for step in worked.derivation.steps if step.kind in ("delta", "seed")]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [None, 3])
def test_every_delta_of_every_system_is_verified(name, seed):
    for example in system(name).examples:
        report = example.work(seed).verify()
        assert report, str(report)


@pytest.mark.parametrize("name", NAMES)
def test_every_system_can_be_written_in_every_format(name):
    opened = open_system(system(name))
    for form in FORMATS:
        for file, text in documents(opened, form).items():
            assert text.strip(), file
            if form == "json":
                assert json.loads(text)["name"] == name
            if form == "latex":
                assert "U+" not in text, "a sign that LaTeX was not told of"
            if form == "source":
                compile(text, file, "exec")


def test_the_scalar_net_in_the_slides_order_with_numbers_one_can_check():
    worked = first("scalar-net")
    order = [step.name for step in worked.derivation.steps if step.name.startswith("d")]
    assert order == ["dL", "dYp", "dZ4", "dZ3", "dZ2", "dZ1", "dW1", "db1", "dW2", "db2"]
    numbers = [float(worked[name[1:]].delta) for name in order[1:]]
    assert numbers == [-2, -2, -8, -2, -2, -4, -2, -1, -2]


def test_the_matrix_net_has_transposes_and_a_sum_over_the_batch():
    worked = first("neural-net")
    assert worked["Z3"].formula == "δZ₃ = δZ₄ W₂ᵀ"
    assert worked["W1"].formula == "δW₁ = Xᵀ δZ₁"
    assert worked["W2"].formula == "δW₂ = Z₃ᵀ δZ₄"
    assert worked["b1"].formula == "δb₁ = Σₖ (δZ₂)ₖ,:"
    assert worked["b2"].formula == "δb₂ = Σₖ (δYᵖ)ₖ,:"


def test_softmax_and_cross_entropy_collapse():
    pieces, whole = (example.work() for example in system("softmax-cross-entropy").examples)
    y, yp = pieces["y"].value, pieces["yp"].value
    np.testing.assert_allclose(pieces["yp"].delta, -y / yp, rtol=1e-15)
    np.testing.assert_allclose(pieces["logits"].delta, yp - y, rtol=1e-14)
    np.testing.assert_allclose(whole["logits"].delta, yp - y, rtol=1e-14)


def test_convolution_has_the_boxed_formulas():
    worked = first("convolution")
    assert worked["K"].formula == "δK = I * δJ"
    assert worked["I"].formula == "δI = pad(δJ) * flip(K)"


def test_flip_of_the_slides_kernel():
    from allbps.lecture.convolution import flip_and_pad

    np.testing.assert_array_equal(
        flip_and_pad(first("convolution"))["flip(K)"], [[6, 4, 2], [5, 3, 1]]
    )


def test_max_pooling_lands_where_the_slide_does():
    worked = first("max-pooling")
    d1, d2, d3, d4 = 1, 2, 3, 4
    np.testing.assert_array_equal(worked["y"].delta, [[d1, d3], [d2, d4]])
    np.testing.assert_array_equal(
        worked["x"].delta, [[0, 0, d3, 0], [0, d1, 0, 0], [d2, 0, 0, 0], [0, 0, 0, d4]]
    )


def test_a_tie_has_a_single_winner_and_overlaps_add():
    _, tie, overlap, _ = (example.work() for example in system("max-pooling").examples)
    np.testing.assert_array_equal(tie["x"].delta, [[1, 0], [0, 0]])
    assert overlap["x"].delta.sum() == overlap["y"].delta.sum()
    assert np.count_nonzero(overlap["x"].delta) < 4


def test_relu_as_on_the_slide():
    np.testing.assert_array_equal(first("relu")["x"].delta, [[0, 3], [0, 4]])


def test_the_convnet_does_not_compute_the_delta_of_its_input():
    worked = first("convnet")
    assert worked["x"].delta is None
    assert worked["K"].formula == "δK = x * δy"


def test_the_convnets_loop_draws_examples_at_random_and_finds_the_kernel():
    from allbps.lecture.convnet import WANTED, iterations, training_loop

    worked = first("convnet")
    rows = training_loop(worked)
    assert rows[-1][3] < rows[0][3] / 1000
    assert {int(row[1]) for row, _ in iterations(worked)} == {1, 2, 3, 4}
    *_, (_, kernel) = iterations(worked)
    assert np.max(np.abs(kernel - WANTED)) < 0.05


def test_the_worked_example_has_dead_cells_and_late_winners():
    worked = first("pytorch-example")
    np.testing.assert_array_equal(worked["J"].value, [[-1, 1, 4, 4], [2, 4, 8, -1]])
    np.testing.assert_array_equal(worked["O"].delta, [[-3, -2]])
    np.testing.assert_array_equal(worked["J"].delta, [[0, 0, 0, 0], [0, -3, -2, 0]])
    np.testing.assert_array_equal(worked["W"].delta, [[-4, -12], [-6, -17]])


def test_the_worked_example_agrees_with_pytorch():
    pytest.importorskip("torch")
    from allbps.lecture.pytorch_example import beside_pytorch

    shown = beside_pytorch(first("pytorch-example"))
    for name in ("δO", "δK", "δJ", "δW"):
        np.testing.assert_array_equal(shown[name], shown[f'{name} "by PyTorch"'])


def test_shared_weights_show_both_contributions_and_their_sum():
    worked = first("shared-weights")
    steps = {step.name: step.formula for step in worked.derivation.steps}
    assert steps["dW_1"] == "δW₁ = Xᵀ δZ₁"
    assert steps["dW_2"] == "δW₂ = Z₂ᵀ δY"
    assert steps["dW"] == "δW = δW₁ + δW₂"


def test_the_residual_connection_adds_two_contributions():
    worked = first("residual")
    steps = {step.name: step.formula for step in worked.derivation.steps}
    assert steps["dz2"] == "δz₂ = pad(δz₃) * flip(w₂)"
    assert steps["dx"] == "δx = δx₁ + δx₂"
    assert steps["dx_2"] == "δx₂ = δz"
    assert steps["dw2"] == "δw₂ = pad(z₂) * δz₃"
    assert worked["w2"].because == (
        "z₃ = pad(z₂) * w₂, ∂z₃(i, j)/∂w₂(p, q) = pad(z₂)(i+p−1, j+q−1)"
    )
    assert worked["z2"].because == (
        "z₃ = pad(z₂) * w₂, ∂z₃(i, j)/∂z₂(p, q) = w₂(p−i+2, q−j+2) if 0 ≤ p−i+1 ≤ 2"
        " and 0 ≤ q−j+1 ≤ 2, else 0"
    )
    for name in ("dx_1", "dx_2", "dw1", "dw2"):
        assert np.count_nonzero(worked.values[name]) >= 5, "a sum with zeros shows nothing"


def test_the_formulas_of_a_padded_convolution_hold_element_by_element():
    worked = first("residual")
    z2, w2, dz3 = worked["z2"].value, worked["w2"].value, worked["z3"].delta
    padded = np.pad(z2, 1)
    for p, q in np.ndindex(3, 3):
        total = sum(padded[i + p, j + q] * dz3[i, j] for i, j in np.ndindex(4, 4))
        assert worked["w2"].delta[p, q] == total
    for p, q in np.ndindex(4, 4):
        near = [(i, j) for i, j in np.ndindex(4, 4) if abs(p - i) < 2 and abs(q - j) < 2]
        total = sum(w2[p - i + 1, q - j + 1] * dz3[i, j] for i, j in near)
        assert worked["z2"].delta[p, q] == total


def test_the_convnets_steps_are_numbered_as_on_the_slide():
    text = documents(open_system(system("convnet")), "text")["convnet.txt"]
    places = [
        text.index(f"{step}")
        for step in ("Step 1 ", "1a:", "1b:", "Step 2:", "Step 3 ", "3a:", "3b:", "3c:", "4c:")
    ]
    assert places == sorted(places)
    assert "We don't need δx" in text


def test_attention_scores_are_the_slides_sums():
    worked = first("attention-scores")
    x, y, s = (worked[name].value for name in "xys")
    for i in range(3):
        jacobian = np.diag(s[i]) - np.outer(s[i], s[i])
        dz = jacobian @ worked["s"].delta[i]
        np.testing.assert_allclose(worked["z"].delta[i], dz, rtol=1e-13)
        np.testing.assert_allclose(worked["x"].delta[i], sum(y[j] * dz[j] for j in range(4)))
    assert worked["x"].formula == "δx = δz y"
    assert len(x) == 3


def test_an_unknown_system_is_refused():
    with pytest.raises(NameUnknownError) as caught:
        system("convolutions")
    assert "did you mean 'convolution'?" in str(caught.value)


def test_another_seed_keeps_shapes_and_what_is_fixed():
    example = next(system("softmax-cross-entropy").examples)
    assert isinstance(example, Example)
    other = example.work(5)
    np.testing.assert_array_equal(other["y"].value, example.inputs["y"])
    assert other["logits"].value.shape == (3,)
    assert np.any(other["logits"].value != example.inputs["logits"])


SEEDS = range(6)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_page_says_beside_an_example_is_said_of_the_numbers_drawn(name):
    """Every symbol that a table or a list shares with the derivation has the derivation's value."""
    for seed in SEEDS:
        opened = open_system(system(name), seed)
        first = opened.first
        for section in system(name).sections:
            if isinstance(section, Numbers) and section.caption not in LEARNED:
                shown = section.compute(first)
                for symbol, value in shown.items():
                    plain = {"δyᵖ": ("yp", "delta")}.get(symbol)
                    key, part = plain or (symbol.lstrip("δ"), "delta" if "δ" in symbol else "value")
                    if key in first.names:
                        numbers = value
                        if np.asarray(value).dtype == object:
                            numbers = numbers_for_letters(value, first["y"].delta)
                        told = np.asarray(getattr(first[key], part))
                        numbers = np.reshape(numbers, told.shape)  # a vector may stand upright
                        np.testing.assert_allclose(numbers, told, rtol=1e-12)


def numbers_for_letters(shown, delta):
    """δy₁, δy₂, … replaced by what they stand for, counted down the columns."""
    down = np.ravel(delta, order="F")
    numbers = {f"δy{'₀₁₂₃₄₅₆₇₈₉'[k + 1]}": x for k, x in enumerate(down)} | {"0": 0.0}
    return np.vectorize(numbers.get, otypes=[float])(shown)


LEARNED = {"What was learned"}  # the kernel after the loop, not the one it began with


def test_the_worked_example_beside_pytorch_takes_the_numbers_drawn():
    pytest.importorskip("torch")
    from allbps.lecture.pytorch_example import beside_pytorch

    for seed in SEEDS:
        shown = beside_pytorch(next(system("pytorch-example").examples).work(seed))
        for name in ("δO", "δK", "δJ", "δW"):
            np.testing.assert_array_equal(shown[name], shown[f'{name} "by PyTorch"'])


def test_prose_about_the_worked_example_counts_what_is_there():
    from allbps.lecture.pytorch_example import about

    assert "two cells of $J$ are dead, and both winners stand elsewhere" in about(
        first("pytorch-example")
    )
    said = {about(next(system("pytorch-example").examples).work(seed)) for seed in range(20)}
    assert len(said) > 1


@pytest.mark.parametrize("name", NAMES)
def test_drawn_numbers_leave_something_to_see_in_every_step(name):
    for seed in SEEDS:
        for example in system(name).examples:
            worked = example.work(seed)
            for delta in worked.backward.steps:
                assert np.any(worked.values[delta.node.name]), f"seed {seed}: δ{delta.primal.name}"
            sigmoids = [n for n in worked.backward.traced.graph.nodes if n.op.name == "sigmoid"]
            for node in sigmoids:
                slope = worked.values[node.name] * (1 - worked.values[node.name])
                assert np.min(slope) > 0.04, "a saturated σ shows nothing"


def test_a_seed_always_draws_the_same_numbers():
    for example in system("neural-net").examples:
        one, two = example.work(4), example.work(4)
        assert one.to_text() == two.to_text()
