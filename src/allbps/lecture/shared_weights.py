"""Y = ReLU(X W) W: one matrix used twice gets two contributions."""

from typing import Any

import numpy as np

import allbps.functional as F
from allbps.lecture.system import Example, Prose, System


def shared_weights(X: Any, W: Any) -> Any:
    Z1 = X @ W
    Z2 = F.relu(Z1)
    Y = Z2 @ W
    loss = F.euclidean_loss(Y, X)
    return loss


SYSTEM = System(
    name="shared-weights",
    title="Shared weights",
    slides="Example 2",
    sections=(
        Prose(
            "$Y = ReLU(X W) W$ with the L2 loss between $Y$ and $X$. The matrix $W$ appears in "
            "two nodes of the graph. Name the two uses, $W₁$ and $W₂$ with $W₁ = W$ and $W₂ = "
            "W$: the chain rule then adds what comes through the two, $δW = δW₁ + δW₂$, that is "
            "$δW = Xᵀ δZ₁ + Z₂ᵀ δY$."
        ),
        Example(
            shared_weights,
            {
                "X": np.array([[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]]),
                "W": np.array([[1.0, -2.0], [0.5, 1.0]]),
            },
            wrt=("W",),
        ),
        Prose(
            "Overwriting instead of adding, $δW = Z₂ᵀ δY$ alone, is the classic mistake here; it "
            "often still makes the loss go down for a while, which hides it."
        ),
    ),
)
