"""Nets as ONNX graphs: what onnxruntime computes is what we compute, backward too."""

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.errors import NameUnknownError, NoRuleError

onnx = pytest.importorskip("onnx")

rng = np.random.default_rng(3)


def drawn(*shape):
    return rng.normal(size=shape) / np.sqrt(shape[-1] if shape else 1)


def mlp(X, W1, b1, W2, b2, labels):
    hidden = F.gelu(X @ W1 + b1, approximate="tanh")
    return F.cross_entropy(hidden @ W2 + b2, labels)


def lenet(x, K1, K2, W, labels):
    h = F.max_pool2d(F.relu(F.conv2d(x, K1, padding=1)), 2)
    h = F.avg_pool2d(F.relu(F.conv2d(h, K2, stride=2, groups=2)), 2, stride=1, padding=1)
    return F.cross_entropy(h.reshape(len(h), -1) @ W, labels)


def normed(x, gamma, beta, y):
    return F.mse_loss(F.batch_norm(x, None, None, gamma, beta, training=True), y)


def attention(x, Wq, Wk, Wv, gamma, beta):
    x = F.layer_norm(x, x.shape[-1:], gamma, beta)
    return F.scaled_dot_product_attention(x @ Wq, x @ Wk, x @ Wv, is_causal=True)


def embedded(table, W, tokens, labels):
    return F.cross_entropy(F.embedding(tokens, table).mean(1) @ W, labels)


def lstm_step(x, h, c, W, R, b):
    i, f, g, o = np.split(x @ W + h @ R + b, 4, axis=-1)
    new = F.sigmoid(f) * c + F.sigmoid(i) * np.tanh(g)
    return F.sigmoid(o) * np.tanh(new), new


NETS = {
    mlp: (drawn(6, 5), drawn(5, 8), drawn(8), drawn(8, 3), drawn(3), np.array([0, 2, 1, 1, 0, 2])),
    lenet: (drawn(2, 1, 10, 10), drawn(4, 1, 3, 3), drawn(6, 2, 3, 3), drawn(54, 3),
            np.array([2, 0])),
    normed: (drawn(3, 2, 4, 4), drawn(2), drawn(2), drawn(3, 2, 4, 4)),
    attention: (drawn(2, 5, 4), drawn(4, 4), drawn(4, 4), drawn(4, 4), drawn(4), drawn(4)),
    embedded: (drawn(10, 4), drawn(4, 3), np.array([[1, 3, 3], [9, 1, 0]]), np.array([2, 0])),
    lstm_step: (drawn(2, 3), drawn(2, 4), drawn(2, 4), drawn(3, 16), drawn(4, 16), drawn(16)),
}  # fmt: skip
NAMED = [pytest.param(net, id=net.__name__) for net in NETS]
PRECISION = [(np.float32, 1e-5), (np.float64, 1e-10)]


def with_dtype(args, dtype):
    return [x.astype(dtype) if x.dtype.kind == "f" else x for x in args]


def named(model, args):
    return dict(zip((x.name for x in model.graph.input), args, strict=False))


def seeds(model, count, dtype):
    """Random δ for the results that are no loss: the inputs after the function's own."""
    shape = lambda x: [d.dim_value for d in x.type.tensor_type.shape.dim]  # noqa: E731
    return {
        x.name: np.random.default_rng(1).normal(size=shape(x)).astype(dtype)
        for x in list(model.graph.input)[count:]
    }


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
@pytest.mark.parametrize("net", NAMED)
def test_a_net_and_every_gradient_are_equal_in_onnxruntime(net, dtype, tolerance, run, ours):
    args = with_dtype(NETS[net], dtype)
    model = bp.onnx.export(net, *args)
    deltas = seeds(model, len(args), dtype)
    expected = ours(net, *args, cotangents={name[1:]: g for name, g in deltas.items()})
    found = run(model, named(model, args) | deltas)
    assert found.pop("guard", True)
    assert found.keys() == expected.keys()
    for name, array in found.items():
        assert array.dtype == np.asarray(expected[name]).dtype
        np.testing.assert_allclose(array, expected[name], tolerance, tolerance, err_msg=name)


@pytest.mark.parametrize("net", NAMED)
def test_the_model_computes_with_other_numbers_than_the_examples(net, run, ours):
    """Nothing of the examples but shapes may stand in the graph."""
    args = with_dtype(NETS[net], np.float64)
    model = bp.onnx.export(net, *args)
    others = [x[::-1].copy() if x.ndim else x for x in args]
    deltas = seeds(model, len(args), np.float64)
    expected = ours(net, *others, cotangents={name[1:]: g for name, g in deltas.items()})
    found = run(model, named(model, others) | deltas)
    assert found.pop("guard", True)
    for name, array in found.items():
        np.testing.assert_allclose(array, expected[name], 1e-10, 1e-10, err_msg=name)


def test_the_same_function_gives_the_same_bytes(tmp_path):
    args = NETS[lenet]
    bp.onnx.export(lenet, *args, path=tmp_path / "a.onnx")
    again = bp.onnx.export(lenet, *args)
    written = (tmp_path / "a.onnx").read_bytes()
    assert written == again.SerializeToString(deterministic=True)
    assert str(tmp_path).encode() not in written


def test_chosen_gradients_and_the_forward_pass_alone():
    model = bp.onnx.export(mlp, *NETS[mlp], wrt=["W1", "b1"])
    assert [y.name for y in model.graph.output] == ["L", "dW1", "db1", "guard"]
    model = bp.onnx.export(mlp, *NETS[mlp], backward=False)
    assert [y.name for y in model.graph.output] == ["L", "guard"]


def test_stored_weights_are_defaults_that_may_be_overridden(run):
    X, W1, b1, W2, b2, labels = NETS[mlp]
    model = bp.onnx.export(mlp, X, W1, b1, W2, b2, labels, stored=["W1", "b1", "W2", "b2"])
    alone = run(model, {"X": X, "labels": labels})
    np.testing.assert_allclose(alone["L"], mlp(X, W1, b1, W2, b2, labels), 1e-10)
    moved = b2 + np.array([1.0, 0.0, 0.0])
    other = run(model, {"X": X, "labels": labels, "b2": moved})
    expected = mlp(X, W1, b1, W2, moved, labels)
    np.testing.assert_allclose(other["L"], expected, 1e-10)
    with pytest.raises(NameUnknownError, match="no argument 'W3'"):
        bp.onnx.export(mlp, *NETS[mlp], stored=["W3"])


def test_a_result_that_is_an_argument_or_a_constant_or_stands_twice(run):
    def f(x, unused):
        y = x * 2.0
        return y, y, x

    x = np.array([1.0, 2.0])
    model = bp.onnx.export(f, x, x, backward=False)
    found = list(run(model, {"x": x, "unused": x}).values())
    np.testing.assert_array_equal(found, [x * 2, x * 2, x])


def test_an_argument_that_the_loss_does_not_need_has_a_delta_of_zeros(run):
    model = bp.onnx.export(lambda x, unused: np.sum(x * x), np.ones(2), np.ones(3))
    found = run(model, {"x": np.ones(2), "unused": np.ones(3)})
    np.testing.assert_array_equal(found["dunused"], np.zeros(3))


def test_all_that_cannot_be_written_is_said_at_once():
    def f(A, x):
        B = np.linalg.inv(A)
        c = F.dropout(x, rng=bp.random.Generator(1))
        return np.sum(B @ c)

    with pytest.raises(NoRuleError) as caught:
        bp.onnx.export(f, np.eye(2), np.ones(2))
    said = str(caught.value)
    assert "inv: ONNX has no factorisations" in said
    assert "B = np.linalg.inv(A)" in said
    assert "counter" in said
    assert "rng=bp.random.Generator(1)" in said


def test_a_function_that_decides_by_values_says_whether_the_graph_is_its_own(run):
    def f(x):
        return np.sum(x) if x[0] > 0 else np.sum(x * x)

    model = bp.onnx.export(f, np.ones(2))
    assert [y.name for y in model.graph.output][2:] == ["guard"]
    assert run(model, {"x": np.array([3.0, -1.0])})["guard"]
    assert not run(model, {"x": np.array([-3.0, 1.0])})["guard"]


def test_a_label_that_is_no_class_is_never_taken_for_one(run):
    *args, labels = NETS[mlp]
    model = bp.onnx.export(mlp, *args, labels)
    assert np.isnan(run(model, named(model, [*args, labels - 1]))["L"])
    with pytest.raises(Exception, match="Out of range"):
        run(model, named(model, [*args, labels + 1]))


def test_an_argument_that_is_a_result_has_its_whole_delta_apart_from_the_given_one(run):
    model = bp.onnx.export(lambda x: (x, x * 3.0), np.ones(2))
    names = [y.name for y in model.graph.output]
    given = {x.name: np.array([1.0, 2.0]) for x in model.graph.input}
    np.testing.assert_allclose(run(model, given)[names[-1]], [4.0, 8.0])


def test_a_dtype_that_an_operator_does_not_take_is_refused():
    with pytest.raises(NoRuleError, match="takes no bool"):
        bp.onnx.export(lambda x: x + x, np.array([True, False]), backward=False)


def d_cubed(g, y, x):
    return g * 3.0 * x * x


def test_a_users_own_operation_is_written_as_its_expansion_or_refused(run):
    @bp.rule(d_cubed, because="∂{y}/∂{x} = 3 {x}²", expand=lambda x: x * x * x)
    def cubed(x):
        return x**3

    @bp.rule(d_cubed, because="∂{y}/∂{x} = 3 {x}²")
    def hidden_cube(x):
        return x**3

    x = np.array([1.0, -2.0])
    found = run(bp.onnx.export(lambda x: np.sum(cubed(x)), x), {"x": x})
    np.testing.assert_allclose(found["dx"], 3 * x**2)
    with pytest.raises(NoRuleError, match="hidden_cube: no ONNX nodes are declared"):
        bp.onnx.export(lambda x: np.sum(hidden_cube(x)), x)


def test_each_node_tells_its_line():
    model = bp.onnx.export(mlp, *NETS[mlp])
    told = {node.doc_string.partition(": ")[2] for node in model.graph.node}
    assert "return F.cross_entropy(hidden @ W2 + b2, labels)" in told
