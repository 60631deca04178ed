"""Softmax and cross-entropy against PyTorch's, at the ends of the range too."""

from __future__ import annotations

import numpy as np
import pytest

from allbps.machine.kernels.loss import cross_entropy, softmax

torch = pytest.importorskip("torch")


@pytest.fixture
def loss_of(native):
    """The loss that the kernel writes; the δ goes to ``D``."""

    def run(D, X, *rest):
        L = np.full(1, np.nan, X.dtype)
        native(cross_entropy)(L, D, X, *rest)
        return L[0]

    return run


@pytest.mark.parametrize("N", [2, 10, 65, 200])
def test_cross_entropy_and_its_delta(N, loss_of, near, draw, dtype):
    M = 9
    X = draw(M, N) * dtype(5)
    labels = np.arange(M) * 7 % N
    x = torch.tensor(X, dtype=torch.float64, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(x, torch.tensor(labels))
    loss.backward()
    D = np.full_like(X, np.nan)
    got = sum(loss_of(D, X, labels, 1 / M, N, lo, lo + 3) for lo in (0, 3, 6))
    near(got, loss.item())
    near(D, x.grad.numpy())


def test_cross_entropy_of_huge_logits_is_finite_and_of_nan_is_nan(loss_of, near, dtype):
    X = np.array([[1e4, -1e4, 0], [np.nan, 0, 1]], dtype)
    D = np.zeros_like(X)
    assert loss_of(D, X, np.array([0, 0]), 1.0, 3, 0, 1) == 0
    near(D[0], [0, 0, 0])
    near(loss_of(D, X, np.array([1, 0]), 1.0, 3, 0, 1), 2e4)
    near(D[0], [1, -1, 0])
    assert np.isnan(loss_of(D, X, np.array([0, 0]), 1.0, 3, 1, 2))


def test_delta_in_place_of_the_logits(loss_of, draw):
    X = draw(4, 10)
    D, labels = np.empty_like(X), np.array([1, 2, 3, 9])
    want = loss_of(D, X, labels, 0.25, 10, 0, 4)
    assert loss_of(X, X, labels, 0.25, 10, 0, 4) == want
    np.testing.assert_array_equal(X, D)


@pytest.mark.parametrize("N", [1, 10, 40])
def test_softmax(N, native, near, draw):
    X = draw(6, N)
    Y = np.empty_like(X)
    native(softmax)(Y, X, N, 0, 6)
    near(Y, torch.softmax(torch.tensor(X, dtype=torch.float64), 1).numpy())
