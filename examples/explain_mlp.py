"""Every δ of a small net, with its reason.

allbps explain examples/explain_mlp.py:net
allbps explain examples/explain_mlp.py:net --format svg --out net.svg
"""

import numpy as np

import allbps.functional as F


def net(X, W1, b1, W2, b2, labels):
    Z1 = X @ W1
    Z2 = Z1 + b1
    A = F.relu(Z2)
    Z3 = A @ W2
    logits = Z3 + b2
    return F.cross_entropy(logits, labels)


inputs = {
    "X": np.array([[1.0, -2.0], [0.5, 3.0]]),
    "W1": np.array([[0.5, -1.0, 2.0], [1.0, 0.5, -0.5]]),
    "b1": np.array([0.0, 1.0, -1.0]),
    "W2": np.array([[1.0, 0.0], [-1.0, 2.0], [0.5, -0.5]]),
    "b2": np.array([0.1, -0.1]),
    "labels": np.array([0, 1]),
}
