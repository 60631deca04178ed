"""Softmax and cross-entropy against PyTorch's, at the ends of the range too."""

from __future__ import annotations

import numpy as np
import pytest

from allbps.machine.kernels.loss import cross_entropy, softmax

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("N", [2, 10, 65, 200])
def test_cross_entropy_and_its_delta(N, native, near, draw, dtype):
    M = 9
    X = draw(M, N) * dtype(5)
    labels = np.arange(M) * 7 % N
    x = torch.tensor(X, dtype=torch.float64, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(x, torch.tensor(labels))
    loss.backward()
    D = np.full_like(X, np.nan)
    got = sum(native(cross_entropy)(D, X, labels, 1 / M, N, lo, lo + 3) for lo in (0, 3, 6))
    near(got, loss.item())
    near(D, x.grad.numpy())


def test_cross_entropy_of_huge_logits_is_finite_and_of_nan_is_nan(native, near, dtype):
    X = np.array([[1e4, -1e4, 0], [np.nan, 0, 1]], dtype)
    D = np.zeros_like(X)
    assert native(cross_entropy)(D, X, np.array([0, 0]), 1.0, 3, 0, 1) == 0
    near(D[0], [0, 0, 0])
    near(native(cross_entropy)(D, X, np.array([1, 0]), 1.0, 3, 0, 1), 2e4)
    near(D[0], [1, -1, 0])
    assert np.isnan(native(cross_entropy)(D, X, np.array([0, 0]), 1.0, 3, 1, 2))


def test_delta_in_place_of_the_logits(native, draw):
    X = draw(4, 10)
    D, labels = np.empty_like(X), np.array([1, 2, 3, 9])
    want = native(cross_entropy)(D, X, labels, 0.25, 10, 0, 4)
    assert native(cross_entropy)(X, X, labels, 0.25, 10, 0, 4) == want
    np.testing.assert_array_equal(X, D)


@pytest.mark.parametrize("N", [1, 10, 40])
def test_softmax(N, native, near, draw):
    X = draw(6, N)
    Y = np.empty_like(X)
    native(softmax)(Y, X, N, 0, 6)
    near(Y, torch.softmax(torch.tensor(X, dtype=torch.float64), 1).numpy())
