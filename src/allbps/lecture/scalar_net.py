"""Yᵖ = σ(X W₁ + b₁) W₂ + b₂ with scalars: the chain rule, one node at a time."""

from typing import Any

import allbps.functional as F
from allbps.lecture.system import Example, Prose, System


def scalar_net(X: Any, W1: Any, b1: Any, W2: Any, b2: Any, Y: Any) -> Any:
    Z1 = X * W1
    Z2 = Z1 + b1
    Z3 = F.sigmoid(Z2)
    Z4 = Z3 * W2
    Yp = Z4 + b2
    L = F.euclidean_loss(Yp, Y)
    return L


SYSTEM = System(
    name="scalar-net",
    title="A scalar neural net",
    slides="Chain rule for a scalar neural net; Loss derivatives w.r.t. parameters",
    sections=(
        Prose(
            "The net $Yᵖ = σ(X W₁ + b₁) W₂ + b₂$ with the loss $L = ½ (Yᵖ − Y)²$, where every "
            "letter is one number. We write $δX$ for $∂L/∂X$. The chain rule goes back along the "
            "graph: the δ of a node is the δ of the node after it times the slope in between. "
            "The intermediate values come first, then the parameters, which gradient descent moves."
        ),
        Example(
            scalar_net,
            {"X": 2.0, "W1": 0.5, "b1": -1.0, "W2": 4.0, "b2": -1.0, "Y": 3.0},
            wrt=("W1", "b1", "W2", "b2"),
            symbols={"Yp": "Yᵖ"},
            labels={"dYp": "Intermediate values, 1 to 5", "dW1": "Parameters, 1 to 4"},
        ),
    ),
)
