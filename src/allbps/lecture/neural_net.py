"""The same net with matrices and a batch: transposes and sums over the batch appear."""

from typing import Any

import numpy as np

import allbps.functional as F
from allbps.lecture.system import Example, Prose, System


def neural_net(X: Any, W1: Any, b1: Any, W2: Any, b2: Any, Y: Any) -> Any:
    Z1 = X @ W1
    Z2 = Z1 + b1
    Z3 = F.sigmoid(Z2)
    Z4 = Z3 @ W2
    Yp = Z4 + b2
    L = F.euclidean_loss(Yp, Y)
    return L


SYSTEM = System(
    name="neural-net",
    title="A neural net with matrices and a batch",
    slides="Chain rule for a (general) neural net",
    sections=(
        Prose(
            "Each row of $X$ is one example. The formulas are those of the scalar net with two "
            "changes. Matrix products do not commute, so the order matters and a transpose "
            "appears: $δZ₃ = δZ₄ W₂ᵀ$ and $δW₁ = Xᵀ δZ₁$, the only orders whose shapes fit. A bias "
            "is added to every row, so $∂Z₂/∂b₁ = [1, …, 1]$ and its δ is the sum over the rows: "
            "$δb₁ = Σₖ (δZ₂)ₖ,:$."
        ),
        Example(
            neural_net,
            {
                "X": np.array([[1.0, 2.0], [0.0, -1.0], [3.0, 1.0]]),
                "W1": np.array([[0.5, -1.0, 0.2], [0.3, 0.8, -0.4]]),
                "b1": np.array([0.1, -0.2, 0.4]),
                "W2": np.array([[1.0, -0.5], [0.7, 0.2], [-1.2, 0.9]]),
                "b2": np.array([0.3, -0.1]),
                "Y": np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]),
            },
            wrt=("W1", "b1", "W2", "b2"),
            symbols={"Yp": "Yᵖ"},
            labels={"dYp": "Intermediate values, 1 to 5", "dW1": "Parameters, 1 to 4"},
        ),
    ),
)
