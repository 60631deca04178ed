"""Batch norm and layer norm against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

from allbps.machine.kernels.norm import (
    batch_moments,
    batch_norm,
    batch_norm_delta,
    batch_norm_sums,
    batch_statistics,
    layer_norm,
    layer_norm_delta,
)
from allbps.machine.kernels.reduce import combine

torch = pytest.importorskip("torch")
EPS = 1e-5


def double(x):
    return torch.tensor(x, dtype=torch.float64)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("mean", [0, 30])
@pytest.mark.parametrize("shape", [(50, 16), (23, 5), (8, 33)], ids=str)
def test_batch_norm_in_training(shape, mean, relu, native, near, draw, dtype):
    R, C = shape
    X, G, gain, shift = draw(R, C) + dtype(mean), draw(R, C), draw(C), draw(C)
    x, g, b = (double(a).requires_grad_() for a in (X, gain, shift))
    y = torch.nn.functional.batch_norm(x, None, None, g, b, training=True, eps=EPS)
    y = torch.relu(y) if relu else y
    y.backward(double(G))

    pieces = 3
    P, S, Y = np.full((pieces, 2, C), np.nan, dtype), np.zeros((2, C), dtype), np.empty_like(X)
    cuts = [(p * R // pieces, (p + 1) * R // pieces) for p in range(pieces)]
    for p, (lo, hi) in enumerate(cuts):
        native(batch_moments)(P[p], X, C, lo, hi)
    squares = np.full(C, np.nan, dtype)
    native(batch_statistics)(S, squares, P, pieces, R, C, EPS)
    flags = 4 if relu else 0
    for lo, hi in cuts:
        native(batch_norm)(Y, X, S, gain, shift, X, flags, C, lo, hi)
    factor = 1 + mean  # the digits that subtracting the mean costs
    near(S[0], double(X).mean(0).numpy(), factor)
    near(squares, double(X).var(0, correction=0).numpy() * R, factor)
    near(Y, y.detach().numpy(), factor)

    sums, D = np.empty((2, C), dtype), np.full_like(X, np.nan)
    for p, (lo, hi) in enumerate(cuts):
        native(batch_norm_sums)(P[p], G, X, Y, S, flags, C, lo, hi)
    native(combine)(sums, P, 2 * C, pieces, 0, 2 * C)
    for lo, hi in cuts:
        native(batch_norm_delta)(D, G, X, Y, S, gain, sums, flags, R, C, lo, hi)
    near(sums[0], b.grad.numpy(), factor)
    near(sums[1], g.grad.numpy(), factor)
    near(D, x.grad.numpy(), factor)


def test_batch_norm_adds_a_skip_connection(native, near, draw, dtype):
    X, Z, S = draw(9, 17), draw(9, 17), np.abs(draw(2, 17))
    gain, shift, Y = draw(17), draw(17), np.zeros((9, 17), dtype)
    native(batch_norm)(Y, X, S, gain, shift, Z, 12, 17, 0, 9)
    near(Y, np.maximum((X - S[0]) * S[1] * gain + shift + Z, 0))


@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("shape", [(7, 32), (4, 5), (3, 129)], ids=str)
def test_layer_norm(shape, add, native, near, draw, dtype):
    R, C = shape
    X, G, gain, shift = draw(R, C) + dtype(2), draw(R, C), draw(C), draw(C)
    x, g, b = (double(a).requires_grad_() for a in (X, gain, shift))
    y = torch.nn.functional.layer_norm(x, (C,), g, b, EPS)
    y.backward(double(G))
    Y, S, P = np.empty_like(X), np.empty((R, 2), dtype), np.empty((2, C), dtype)
    D = draw(R, C) if add else np.full_like(X, np.nan)
    want = x.grad.numpy() + (D if add else 0)
    native(layer_norm)(Y, S, X, gain, shift, EPS, C, 0, R)
    native(layer_norm_delta)(D, P, G, X, S, gain, add, C, 0, R)
    near(Y, y.detach().numpy())
    near(D, want)
    near(P[0], b.grad.numpy())
    near(P[1], g.grad.numpy())
