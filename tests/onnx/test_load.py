"""ONNX models as functions: ONNX's own samples of its operators, and what we wrote ourselves."""

import warnings
from collections import Counter

import numpy as np
import pytest

import allbps as bp
from allbps.errors import ArgumentError, NoRuleError, ShapeError, UserFileError

onnx = pytest.importorskip("onnx")


def samples():
    """Every model with inputs and outputs that the onnx package brings for its operators."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return collect_testcases(None)


def as_array(x):
    return onnx.numpy_helper.to_array(x) if isinstance(x, onnx.TensorProto) else np.asarray(x)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_onnx_own_samples_are_right_or_refused():
    """A sample is right as a whole, or the import says what it does not know."""
    outcomes, wrong = Counter(), []
    for case in samples():
        try:
            net = bp.onnx.load(case.model)
        except (NoRuleError, ArgumentError):
            outcomes["refused"] += 1
            continue
        for inputs, expected in case.data_sets:
            try:
                found = net(*map(as_array, inputs))
                found = found if isinstance(found, tuple) else (found,)
                for a, b in zip(found, expected, strict=True):
                    b = as_array(b)  # noqa: PLW2901
                    assert np.asarray(a).dtype == b.dtype
                    np.testing.assert_allclose(a, b, case.rtol, case.atol)
            except ShapeError:
                outcomes["refused when it is run"] += 1
            except Exception as error:
                wrong.append(f"{case.name}: {type(error).__name__} {error}"[:200])
        outcomes["run"] += 1
    assert not wrong, "\n".join([f"{len(wrong)} of {outcomes}", *wrong])
    assert outcomes["run"] >= 700
    assert outcomes["refused when it is run"] <= 5


def loss(x, w, b, labels):
    h = bp.functional.relu(x @ w + b)
    return bp.functional.cross_entropy(h, labels)


def test_a_model_of_ours_comes_back_with_its_weights_as_parameters(ours):
    rng = np.random.default_rng(0)
    args = [rng.normal(size=(4, 3)), rng.normal(size=(3, 3)), rng.normal(size=3)]
    labels = np.array([0, 2, 1, 1])
    model = bp.onnx.export(loss, *args, labels, backward=False, stored=["w", "b"])
    net = bp.onnx.load(model)
    assert list(net.params) == ["w", "b"]
    assert len(net.source.splitlines()) == 2 + len(model.graph.node)
    worked = bp.explain(lambda x, labels, params: net(x, labels, params=params)[0],
                        x=args[0], labels=labels, params=net.params)  # fmt: skip
    expected = ours(loss, *args, labels)
    for name in ("w", "b"):
        np.testing.assert_allclose(worked[f"params_{name}"].delta, expected[f"d{name}"], 1e-12)
    np.testing.assert_allclose(net(args[0], labels)[0], expected["L"], 1e-12)


def test_the_backward_pass_that_was_written_comes_back_too(ours):
    rng = np.random.default_rng(1)
    args = [rng.normal(size=(4, 3)), rng.normal(size=(3, 3)), rng.normal(size=3)]
    labels = np.array([0, 2, 1, 1])
    model = bp.onnx.export(loss, *args, labels)
    found = dict(zip([y.name for y in model.graph.output], bp.onnx.load(model)(*args, labels),
                     strict=True))  # fmt: skip
    assert found.pop("guard")
    for name, array in ours(loss, *args, labels).items():
        np.testing.assert_allclose(found[name], array, 1e-12, err_msg=name)


def test_an_imported_model_is_explained_checked_and_written_again(run):
    def f(x, w):
        return np.sum(np.tanh(x @ w))

    net = bp.onnx.load(bp.onnx.export(f, np.ones(2), np.eye(2), backward=False, stored=["w"]))
    x = np.array([0.3, -0.2])
    worked = bp.explain(net, x)
    assert worked.verify()
    np.testing.assert_allclose(worked["w"].delta, bp.grad(f, argnums=1)(x, np.eye(2)))
    again = bp.onnx.export(net, x)
    np.testing.assert_allclose(run(again, {again.graph.input[0].name: x,
                               "w": np.eye(2)})["dw"], worked["w"].delta)  # fmt: skip


def test_all_that_is_not_known_is_said_at_once():
    h = onnx.helper
    nodes = [h.make_node("StringSplit", ["x"], ["y", "n"], name="first"),
             h.make_node("MaxPool", ["x"], ["z"], kernel_shape=[2], auto_pad="SAME_UPPER"),
             h.make_node("Relu", ["x"], ["r"])]  # fmt: skip
    x = h.make_tensor_value_info("x", 1, [1, 1, 4])
    y = h.make_tensor_value_info("r", 1, [1, 1, 4])
    model = h.make_model(h.make_graph(nodes, "g", [x], [y]))
    with pytest.raises(NoRuleError) as caught:
        bp.onnx.load(model)
    assert "StringSplit first: allbps does not know this operator" in str(caught.value)
    assert "MaxPool → z: its attribute auto_pad='SAME_UPPER'" in str(caught.value)
    assert "Relu" not in str(caught.value)


def test_a_file_that_is_no_model_is_a_message(tmp_path):
    with pytest.raises(UserFileError, match="there is no file"):
        bp.onnx.load(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(UserFileError, match="is not a valid ONNX model"):
        bp.onnx.load(tmp_path / "bad.onnx")
