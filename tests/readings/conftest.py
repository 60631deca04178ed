"""Small nets whose derivations can be checked by hand."""

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F


def scalar_net(X, W1, b1, W2, b2, Y):
    Z1 = X * W1
    Z2 = Z1 + b1
    Z3 = F.sigmoid(Z2)
    Z4 = Z3 * W2
    Yp = Z4 + b2
    return F.euclidean_loss(Yp, Y)


def matrix_net(X, W1, b1, W2, b2, Y):
    Z1 = X @ W1
    Z2 = Z1 + b1
    Z3 = F.sigmoid(Z2)
    Z4 = Z3 @ W2
    Yp = Z4 + b2
    return F.euclidean_loss(Yp, Y)


def convolution(I, K):
    J = F.conv2d(I, K)
    return J


def shared_weights(X, W):
    Z1 = X @ W
    Z2 = F.relu(Z1)
    Y = Z2 @ W
    loss = F.euclidean_loss(Y, X)
    return loss


SYMBOLS = {"Yp": "Yᵖ"}


@pytest.fixture(scope="session")
def scalar():
    numbers = {"X": 2.0, "W1": 0.5, "b1": -1.0, "W2": 4.0, "b2": -1.0, "Y": 0.0}
    return bp.explain(scalar_net, symbols=SYMBOLS, **numbers).derivation


@pytest.fixture(scope="session")
def matrix():
    return bp.explain(
        matrix_net,
        X=np.array([[1.0, 2.0, 0.0], [0.0, -1.0, 1.0]]),
        W1=np.array([[0.5, 1.0], [0.0, -0.5], [1.0, 0.5]]),
        b1=np.array([0.5, 0.0]),
        W2=np.array([[2.0, 0.0], [-1.0, 1.0]]),
        b2=np.array([0.0, 1.0]),
        Y=np.array([[1.0, 0.0], [0.0, 1.0]]),
        symbols=SYMBOLS,
    ).derivation


@pytest.fixture(scope="session")
def conv():
    return bp.explain(
        convolution,
        I=np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0], [2.0, 0.0, 1.0]]),
        K=np.array([[1.0, -1.0], [0.0, 2.0]]),
        cotangents={"J": np.array([[1.0, 0.0], [-1.0, 2.0]])},
    ).derivation


@pytest.fixture(scope="session")
def shared():
    return bp.explain(
        shared_weights,
        X=np.array([[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]]),
        W=np.array([[1.0, -2.0], [0.5, 1.0]]),
        wrt=["W"],
    ).derivation
