"""Is the gradient right, and where is there none? Two entries stand exactly on a kink.

allbps check examples/check_kinks.py:loss
"""

import numpy as np

import allbps.functional as F

X = np.array([[1.0, -2.0, 0.0], [3.0, 3.0, -1.0]])
W = np.array([[1.0, 2.0], [0.5, -1.0], [2.0, 0.0]])


def loss(X, W):
    hidden = F.relu(X)  # X[0, 2] is 0: ReLU has a kink there
    largest = np.max(X, axis=1)  # X[1, 0] and X[1, 1] tie
    return np.sum((hidden @ W) ** 2) + np.sum(largest)
