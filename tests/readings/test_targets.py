"""Source emitted for JAX and PyTorch computes what the NumPy source computes."""

import zlib

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.backward import backward
from allbps.errors import NoRuleError
from allbps.ir import CONST, INPUT, OPS, Rule, Zero
from allbps.lecture import NAMES, system
from allbps.readings.dialect import JAX, TORCH
from allbps.readings.source import emit
from allbps.trace import trace
from allbps.tree import leaves

TABLE = [
    pytest.param(op, sample, id=f"{op.name}-{k}")
    for op in OPS.values()
    if op not in (INPUT, CONST) and op.names  # a key alone is the same text everywhere
    for k, sample in enumerate(op.samples)
]


@pytest.fixture(scope="module")
def jax():
    found = pytest.importorskip("jax")
    found.config.update("jax_enable_x64", True)
    return found


def passed_to(program, values):
    """The arguments of the emitted function, in order."""
    return [values[name] for name in program.arguments]


def function_of(program):
    scope = {}
    exec(program.text, scope)
    return scope[program.function]


def worked_sample(op, sample):
    """The op on a sample with its backward pass, if it has one, and the arguments by name."""
    rng = np.random.default_rng(zlib.crc32(op.name.encode()))
    operands = [np.asarray(x)[()] for x in sample.draw(rng)]
    floats = [k for k, x in enumerate(operands) if x.dtype.kind == "f"]

    def f(*xs):
        filled = list(operands)
        for k, x in zip(floats, xs, strict=True):
            filled[k] = x
        return op(*filled, **sample.attrs)

    traced = trace(f, *(operands[k] for k in floats))
    (y,) = traced.graph.outputs
    values = {node.name: value for node, value in traced.values.items()}
    if not y.is_float or not all(isinstance(op.rule(k), (Rule, Zero)) for k in floats):
        return traced, values
    subject = backward(traced, cotangents={y.name: rng.normal(size=y.shape)})
    return subject, {**values, **{node.name: value for node, value in subject.given.items()}}


def results_of(program, values, convert):
    """Everything it returns, flat: the result, then the δ in the order of the arguments."""
    count = sum(name.startswith("xs_") for name, _ in program.signature.opened)
    operands = [convert(values[f"xs_{k}"]) for k in range(count)]
    given = {name: convert(values[name]) for name in program.arguments if name != "xs"}
    return leaves(function_of(program)(*operands, **given))


def compare_with_numpy(op, sample, dialect, convert):
    subject, values = worked_sample(op, sample)
    theirs = results_of(emit(subject, dialect), values, convert)
    for ours, other in zip(results_of(emit(subject), values, np.asarray), theirs, strict=True):
        np.testing.assert_allclose(as_array(other), ours, rtol=1e-9, atol=1e-11)


def as_array(x):
    """As NumPy's; PyTorch conjugates a tensor by a mark, which its user resolves."""
    return np.asarray(x.resolve_conj() if hasattr(x, "resolve_conj") else x)


def refused(subject, dialect):
    """Does an op have no text in a dialect? Then that is said, with its reason."""
    without = [node.op for node in subject.graph.nodes if dialect.text(node.op) is None]
    if without:
        with pytest.raises(NoRuleError, match=f"cannot be written in {dialect.name}: .+"):
            emit(subject, dialect)
    return bool(without)


@pytest.mark.parametrize(("op", "sample"), TABLE)
def test_every_op_in_jax_unless_it_says_why_not(jax, op, sample):
    subject, _ = worked_sample(op, sample)
    if refused(subject, JAX):
        return
    compare_with_numpy(op, sample, JAX, np.asarray)


@pytest.mark.parametrize(("op", "sample"), TABLE)
def test_every_op_in_torch_unless_it_says_why_not(op, sample):
    torch = pytest.importorskip("torch")
    subject, _ = worked_sample(op, sample)
    if refused(subject, TORCH):
        return
    if any(node.op.why_no_torch for node in subject.graph.nodes):  # other signs are as right
        assert "import torch" in emit(subject, TORCH).text
        return
    compare_with_numpy(op, sample, TORCH, lambda x: torch.as_tensor(np.asarray(x)))


def squared_vectors(x):
    return np.sum(np.linalg.eigh(x @ x.T)[1] ** 2 * np.arange(9.0).reshape(3, 3))


def low_rank(x):
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    return np.sum(np.sin((u[:, :2] * s[:2]) @ vt[:2]))


def running_products(x):
    return np.sum(np.cumprod(x, axis=1) ** 2)


@pytest.mark.parametrize("net", [squared_vectors, low_rank, running_products])
def test_what_does_not_depend_on_free_signs_is_the_same_in_torch(net):
    torch = pytest.importorskip("torch")
    worked = bp.explain(net, np.random.default_rng(4).normal(size=(3, 4)))
    program = worked.program("torch")
    *_, found = function_of(program)(*map(torch.as_tensor, passed_to(program, worked.values)))
    np.testing.assert_allclose(found["x"], worked["x"].delta, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_every_system_of_the_lecture_compiled_by_jax(jax, name):
    for example in system(name).examples:
        worked = example.work(seed=2)
        program = worked.program("jax")
        *_, found = jax.jit(function_of(program))(*passed_to(program, worked.values))
        for argument, delta in found.items():
            np.testing.assert_allclose(delta, worked[argument].delta, rtol=1e-12, atol=1e-13)


def test_images_with_stride_padding_dilation_groups_and_pooling_in_jax(jax):
    def net(x, w):
        y = F.conv2d(x, w, stride=2, padding=(1, 2), dilation=(2, 1), groups=2)
        z = F.gelu(y)
        p = F.max_pool2d(z, 2, stride=1, padding=1)
        return F.cross_entropy(p.reshape(2, -1), np.array([1, 0]))

    rng = np.random.default_rng(3)
    worked = bp.explain(net, rng.normal(size=(2, 4, 9, 8)), rng.normal(size=(6, 2, 3, 3)))
    program = worked.program("jax")
    *_, found = jax.jit(function_of(program))(*passed_to(program, worked.values))
    for argument, delta in found.items():
        np.testing.assert_allclose(delta, worked[argument].delta, rtol=1e-11, atol=1e-13)


def test_jax_text_asks_for_nothing_of_numpy_or_scipy():
    worked = bp.explain(lambda x: np.sum(F.gelu(x) + np.sin(x)), np.ones(3))
    text = worked.to_source("jax")
    assert "jax.scipy.special.erf(" in text
    assert "jax.scipy.jax" not in text
    assert "import numpy" not in text
    assert "dL = jnp.asarray(1.0, x.dtype)" in text


def test_the_largest_of_several_axes_in_torch():
    def net(x):
        shifted = x - np.max(x, axis=(0, 2), keepdims=True)
        return np.sum(np.exp(shifted))

    assert ".movedim((0, 2), (-2, -1))" in bp.explain(net, np.ones((2, 3, 4))).to_source("torch")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "f",
    [
        lambda z: np.logaddexp(0, z),
        lambda z: np.logaddexp(-z, -1.5),
        lambda z: np.hypot(z, 1),
        lambda z: np.arctan2(z, 2),
        lambda z: np.arctan2(1, z - 0.5),
        lambda z: np.copysign(z, -1),
        lambda z: np.maximum(0, z),
        lambda z: np.where(z > 0, 1, 2) * z,
        lambda z: 2**z,
        lambda z: np.fmod(5, z),
        lambda z: z[::-1] * z[::2].sum(),
    ],
)
def test_plain_numbers_and_reversed_slices_in_torch(f, dtype):
    torch = pytest.importorskip("torch")

    def net(z):
        y = f(z)
        return y

    z, g = np.array([0.5, -1.0, 2.0], dtype), np.array([1.0, -2.0, 3.0], dtype)
    worked = bp.explain(net, z, cotangents={"y": g})
    scope = {}
    exec(worked.to_source("torch"), scope)
    y, gradients = scope["net"](torch.tensor(z), torch.tensor(g))
    for ours, other in ((worked["y"].value, y), (worked["z"].delta, gradients["z"])):
        assert str(other.dtype) == f"torch.{dtype}"
        np.testing.assert_allclose(other, ours, rtol=1e-12 if dtype == "float64" else 1e-6)


APART = [
    (0, slice(None), [0, 1]), (slice(None), [0, 1], slice(None), 2), (-1, ..., [0, 1, 1]),
    (0, None, [1, 2, 0]), ([0, 2], slice(None), [1, 1], 0), (np.array(1), slice(None), [0, 2]),
    (np.array(1), slice(None), np.array([[0, 2], [1, 0]]), 0), ([0, 1], None, 1),
    (slice(None), 0, slice(None), [True, False, True]), (0, [0, 2]), (slice(None), 0, [0, 2]),
]  # fmt: skip


@pytest.mark.parametrize("dialect", ["torch", "jax"])
@pytest.mark.parametrize("index", APART, ids=str)
def test_numbers_apart_from_arrays_in_an_index_put_the_axes_where_numpy_does(index, dialect):
    other = pytest.importorskip({"torch": "torch", "jax": "jax.numpy"}[dialect])
    weights = np.random.default_rng(1).normal(size=81)

    def net(x):
        y = x.copy()
        y[index] *= weights[: y[index].size].reshape(y[index].shape)
        return np.sum(y * y * weights.reshape(x.shape)) + np.sum(y[index] ** 3)

    x = np.random.default_rng(0).normal(size=(3, 3, 3, 3))
    scope = {}
    exec(bp.explain(net, x).to_source(dialect), scope)
    value, gradients = scope["net"](other.asarray(x))
    right, gradient = bp.value_and_grad(net)(x)
    assert right == pytest.approx(net(x), rel=1e-13)
    np.testing.assert_allclose(value, right, rtol=1e-5)
    np.testing.assert_allclose(gradients["x"], gradient, rtol=1e-4, atol=1e-5)
