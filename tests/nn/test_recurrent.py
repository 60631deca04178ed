"""Recurrent layers and cells against PyTorch's modules of the same name, with its state dict."""

import warnings

import numpy as np
import pytest
import torch

import allbps as bp
from allbps import nn
from allbps.errors import AllBPsError

LAYERS = [
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu", "num_layers": 2, "bidirectional": True}),
    ("RNN", {"bias": False, "batch_first": True}),
    ("LSTM", {}),
    ("LSTM", {"num_layers": 2, "bidirectional": True, "batch_first": True}),
    ("LSTM", {"proj_size": 2, "num_layers": 2}),
    ("LSTM", {"proj_size": 2, "bidirectional": True, "bias": False}),
    ("GRU", {}),
    ("GRU", {"num_layers": 3, "bidirectional": True}),
]


def flat(tree):
    """Arrays of nested tuples in order."""
    return [x for part in tree for x in flat(part)] if isinstance(tree, tuple) else [tree]


def same_as_module(ours, module, x, state, rng):
    """Results and the gradients of a random projection of them, for parameters, x and state."""
    params = {name: p.detach().numpy().copy() for name, p in module.state_dict().items()}
    assert {name: p.shape for name, p in params.items()} == ours.shapes()
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, *(state or ()))]
    given = tuple(tensors[1:]) if len(tensors) > 2 else tensors[1] if len(tensors) == 2 else None
    results = flat(module(tensors[0], given))
    weights = [rng.normal(size=tuple(y.shape)) for y in results]
    sum((y * torch.tensor(w)).sum() for y, w in zip(results, weights, strict=True)).backward()

    def loss(params, x, *state):
        state = state if len(state) > 1 else state[0] if state else None
        made = flat(ours(params, x, state))
        return sum(np.sum(y * w) for y, w in zip(made, weights, strict=True))

    plain = flat(ours(params, x, None if not state else state if len(state) > 1 else state[0]))
    for got, want in zip(plain, results, strict=True):
        np.testing.assert_allclose(got, want.detach().numpy(), rtol=1e-10, atol=1e-12)
    operands = (params, x, *(state or ()))
    found, *others = bp.grad(loss, tuple(range(len(operands))))(*operands)
    for name, p in module.named_parameters():
        np.testing.assert_allclose(found[name], p.grad.numpy(), rtol=1e-9, atol=1e-11)
    for got, tensor in zip(others, tensors, strict=True):
        np.testing.assert_allclose(got, tensor.grad.numpy(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize(("name", "options"), LAYERS)
def test_layers_are_pytorchs(name, options, given, rng):
    module = getattr(torch.nn, name)(3, 4, **options).double()
    ours = getattr(nn, name)(3, 4, **options)
    x = rng.normal(size=(2, 5, 3) if options.get("batch_first") else (5, 2, 3))
    n = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    state = [rng.normal(size=(n, 2, options.get("proj_size") or 4))]
    state += [rng.normal(size=(n, 2, 4))] if name == "LSTM" else []
    same_as_module(ours, module, x, tuple(state) if given else None, rng)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_one_sequence_needs_no_axis_of_examples(name, rng):
    module, ours = getattr(torch.nn, name)(3, 4).double(), getattr(nn, name)(3, 4)
    same_as_module(ours, module, rng.normal(size=(5, 3)), None, rng)


@pytest.mark.parametrize("shape", [(2, 3), (3,)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cells_are_pytorchs(name, bias, shape, rng):
    module, ours = getattr(torch.nn, name)(3, 4, bias).double(), getattr(nn, name)(3, 4, bias)
    count = 2 if name == "LSTMCell" else 1
    state = tuple(rng.normal(size=(*shape[:-1], 4)) for _ in range(count))
    same_as_module(ours, module, rng.normal(size=shape), state, rng)


def test_dropout_between_layers_draws_from_the_generator_in_training_only(rng):
    layer = nn.GRU(3, 4, num_layers=2, dropout=0.5)
    params, x = layer.init(np.random.default_rng(0)), rng.normal(size=(5, 2, 3))
    calm, _ = layer(params, x)
    once, again = (layer(params, x, training=True, rng=1)[0] for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert np.any(once != calm)
    np.testing.assert_array_equal(calm, nn.GRU(3, 4, num_layers=2)(params, x)[0])


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_a_training_step_runs_in_native_code(name, rng):
    layer = getattr(nn, name)(3, 4, num_layers=2)
    params = layer.init(np.random.default_rng(0))
    x = rng.normal(size=(5, 2, 3)).astype(np.float32)

    def loss(params, x):
        return np.mean(layer(params, x)[0] ** 2)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step = bp.compile(loss, params, x, params="params")
    value, gradients = step(params, x)
    want, exact = bp.value_and_grad(loss)(params, x)
    np.testing.assert_allclose(value, want, rtol=1e-5)
    for key, gradient in exact.items():
        np.testing.assert_allclose(gradients[key], gradient, atol=1e-6)


def called(layer):
    return layer(layer.init(np.random.default_rng(0)), np.zeros((2, 2, 5)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.GRU(3, 4, proj_size=2), "GRU: an option makes no sense"),
        (lambda: nn.LSTM(3, 4, num_layers=0), "LSTM: an option makes no sense"),
        (lambda: called(nn.RNN(5, 4, nonlinearity="sin")), "unknown nonlinearity"),
        (lambda: called(nn.LSTM(3, 4)), "LSTM: the input does not fit"),
        (lambda: nn.GRUCell(3, 4)({}, np.zeros((1, 3)), np.zeros((2, 4))), "the state does not"),
    ],
)
def test_misuse_is_told(call, message):
    with pytest.raises(AllBPsError, match=message):
        call()
