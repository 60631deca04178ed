"""explain: every value, every δ, and the readings in one object."""

import json

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.errors import ArgumentError, DtypeError, NameUnknownError, NotScalarError, ShapeError

X = np.array([[1.0, 2.0], [3.0, -1.0]])
W = np.array([[1.0, -2.0, 0.5], [0.5, 1.0, 2.0]])
INPUTS = {"X": X, "W": W, "b": np.array([0.1, 0.2, 0.3]), "Y": np.ones((2, 3))}


def net(X, W, b, Y):
    Z = X @ W
    A = F.relu(Z + b)
    return F.euclidean_loss(A, Y)


@pytest.fixture(scope="module")
def worked():
    return bp.explain(net, **INPUTS)


def test_an_entry_has_value_delta_formula_reason_and_line(worked):
    entry = worked["A"]
    np.testing.assert_allclose(entry.value, np.maximum(X @ W + INPUTS["b"], 0), rtol=1e-15)
    np.testing.assert_allclose(entry.delta, entry.value - 1, rtol=1e-15)
    assert entry.formula == "δA = A − Y"
    assert entry.because == "L = ½ ‖A − Y‖², ∂L/∂A = A − Y"
    assert entry.forward == "A = ReLU(t₁)"
    assert entry.line.endswith("in net: A = F.relu(Z + b)")


def test_the_deltas_are_the_gradients(worked):
    for k, name in enumerate(INPUTS):
        expected = bp.grad(net, argnums=k)(*INPUTS.values())
        np.testing.assert_allclose(worked[name].delta, expected, rtol=1e-14)


def test_the_numbers_come_from_the_very_text_of_to_source(worked):
    scope = {}
    exec(worked.to_source("numpy"), scope)
    loss, gradients = scope["net"](**INPUTS)
    assert loss == worked["L"].value
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(gradient, worked[name].delta)


def test_emitted_torch_source_runs_and_agrees(worked):
    torch = pytest.importorskip("torch")
    scope = {}
    exec(worked.to_source("torch"), scope)
    loss, gradients = scope["net"](**{k: torch.tensor(v) for k, v in INPUTS.items()})
    np.testing.assert_allclose(loss, worked["L"].value, rtol=1e-14)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, worked[name].delta, rtol=1e-14)


def test_wrt_limits_what_is_computed():
    worked = bp.explain(net, wrt=["W"], **INPUTS)
    assert worked["X"].delta is None
    assert "dX =" not in worked.to_source()


def test_an_argument_the_loss_does_not_depend_on_has_no_delta_node():
    worked = bp.explain(lambda x, unused: np.sum(x), x=np.ones(2), unused=np.ones(3))
    assert [node.name for node in worked.backward.unreached] == ["unused"]


def test_given_cotangents_start_the_backward_pass():
    worked = bp.explain(lambda x: x * 2.0, np.ones(2), cotangents={"y": np.array([1.0, -3.0])})
    np.testing.assert_array_equal(worked["x"].delta, [2.0, -6.0])


def test_several_uses_show_each_contribution_and_their_sum():
    def square(x):
        y = x * x
        return y

    worked = bp.explain(square, x=3.0)
    assert worked["x"].formula == "δx = δx₁ + δx₂"
    assert worked.values["dx_1"] == worked.values["dx_2"] == 3.0


def test_a_function_without_a_scalar_says_how_to_go_on():
    with pytest.raises(NotScalarError) as caught:
        bp.explain(lambda x: x * 2.0, np.ones(3))
    assert "does not return a scalar, so there is no loss to start from" in str(caught.value)
    assert "expected: one number, or a given δ for the output" in str(caught.value)
    assert "got:      y of shape (3,)" in str(caught.value)


def test_unknown_names_are_met_with_the_nearest(worked):
    with pytest.raises(NameUnknownError) as caught:
        worked["AA"]
    assert "did you mean 'A'?" in str(caught.value)
    with pytest.raises(NameUnknownError):
        bp.explain(net, wrt=["V"], **INPUTS)
    with pytest.raises(ArgumentError) as caught:
        worked.render("pdf")
    assert str(caught.value).startswith("unknown format 'pdf'")


def test_an_integer_argument_cannot_be_asked_for():
    with pytest.raises(DtypeError) as caught:
        bp.explain(lambda x, k: np.sum(x[k]), wrt=["k"], x=np.ones(3), k=np.array([0, 1]))
    assert "k holds int64 numbers, and derivatives need floating-point ones" in str(caught.value)


def product(x, w):
    return x * w


@pytest.mark.parametrize(
    ("inputs", "wrt", "message"),
    [
        (
            {"x": 3, "w": np.arange(2)},
            None,
            "product does not return floating-point numbers, and derivatives need floating-point"
            " ones\n"
            "  expected: float64 or float32 arguments\n"
            "  got:      w of int64, x of int\n"
            "  fix:      pass w.astype(float), float(x)",
        ),
        (
            {"x": 3, "w": 2.0},
            ["x"],
            "x holds int numbers, and derivatives need floating-point ones\n"
            "  expected: float64 or float32 arguments\n"
            "  got:      x of int\n"
            "  fix:      pass float(x)",
        ),
    ],
)
def test_integers_are_refused_by_name_with_what_to_pass_instead(inputs, wrt, message):
    with pytest.raises(DtypeError) as caught:
        bp.explain(product, wrt=wrt, **inputs)
    assert str(caught.value) == message


def test_a_cotangent_of_another_shape_is_refused():
    with pytest.raises(ShapeError) as caught:
        bp.explain(lambda x: x * 2.0, np.ones(3), cotangents={"y": np.ones(2)})
    assert str(caught.value) == (
        "the cotangent of y is not shaped like it\n  expected: (3,)\n  got:      (2,)"
    )


def test_float32_stays_float32():
    small = {name: value.astype(np.float32) for name, value in INPUTS.items()}
    worked = bp.explain(net, **small)
    for name in worked.names:
        assert worked[name].value.dtype == worked[name].delta.dtype == np.float32, name


def test_every_format_renders_and_json_is_json(worked):
    from allbps.worked import FORMATS

    for form in FORMATS:
        assert worked.render(form), form
    assert json.loads(worked.to_json())


def test_html_is_one_file_that_asks_for_nothing(worked, tmp_path):
    text = worked.to_html(tmp_path / "net.html")
    assert (tmp_path / "net.html").read_text("utf-8") == text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text
    assert "default-src 'none'" in text
    assert " src=" not in text


def test_it_shows_itself_in_a_notebook(worked):
    assert "<svg" in worked._repr_html_()
    assert repr(worked) == "<net worked: X, W, b, Y, Z, t1, A, L>"


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("target", ["numpy", "torch", "jax"])
def test_one_number_of_an_array_as_the_result(dtype, target):
    if target != "numpy":
        pytest.importorskip(target)

    def second(x):
        y = x[1]
        return y

    x = np.array([1.0, 2.0, 4.0], dtype)
    worked = bp.explain(second, x)
    np.testing.assert_array_equal(worked["x"].delta, [0.0, 1.0, 0.0])
    np.testing.assert_array_equal(bp.grad(second)(x), np.array([0.0, 1.0, 0.0], dtype))
    program = worked.program(target)
    given = pytest.importorskip("torch").tensor(x) if target == "torch" else x
    np.testing.assert_array_equal(np.asarray(program.run({"x": given})["dx"]), [0.0, 1.0, 0.0])


def test_a_result_that_depends_on_no_number_has_its_own_delta_and_no_more():
    worked = bp.explain(lambda X: np.mean(X > 0), X)
    assert worked["L"].delta == 1.0
    assert worked["X"].delta is None
    assert worked.verify()
    assert "δX ≡ ∂L/∂X = 0" in worked.to_text()


def test_a_constant_has_no_backward_pass():
    with pytest.raises(ArgumentError) as caught:
        bp.explain(lambda X: 3.0, X)
    assert (
        str(caught.value).splitlines()[0].endswith("returns a constant, which has no backward pass")
    )


@pytest.mark.parametrize(
    ("cotangents", "message"),
    [
        (
            np.ones((2, 2)),
            "cotangents must map names of outputs to δ\n"
            "  expected: cotangents={'Y': …}\n  got:      ndarray",
        ),
        (
            {"Y": "text"},
            "the cotangent of Y is not made of numbers\n"
            "  expected: numbers of shape (2, 2)\n"
            "  got:      could not convert string to float: 'text'",
        ),
    ],
)
def test_a_cotangent_is_numbers_by_name(cotangents, message):
    def twice(X):
        Y = 2 * X
        return Y

    with pytest.raises(ArgumentError) as caught:
        bp.explain(twice, X, cotangents=cotangents)
    assert str(caught.value) == message


def test_what_is_written_into_its_arrays_changes_no_reading():
    x = np.array([1.0, 2.0])
    worked = bp.explain(lambda x: np.sum(x * x), x=x)
    for array in (worked["x"].value, worked["x"].delta, x):
        array[0] = 5.0
    np.testing.assert_array_equal(worked["x"].value, [1.0, 2.0])
    np.testing.assert_array_equal(worked["x"].delta, [2.0, 4.0])
