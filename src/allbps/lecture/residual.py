"""z = Conv(ReLU(Conv(x, w₁)), w₂) + x: a shortcut, so x gets two contributions."""

from typing import Any

import numpy as np

import allbps.functional as F
from allbps.lecture.system import Example, Prose, System


def residual(x: Any, w1: Any, w2: Any) -> Any:
    z1 = F.conv2d(x, w1, padding=1)
    z2 = F.relu(z1)
    z3 = F.conv2d(z2, w2, padding=1)
    z = z3 + x
    return z


SYSTEM = System(
    name="residual",
    title="Backpropagation through a residual connection",
    slides="BP in residual connection",
    sections=(
        Prose(
            "$z = Conv(ReLU(Conv(x, w₁)), w₂) + x$. The sum needs equal shapes, so both 3×3 "
            "convolutions pad their input with one row and column of zeros all around. The graph "
            "forks at $x$: $x₁$ goes into the convolution and $x₂$ takes the shortcut. Given "
            "$δz$, the shortcut passes it on unchanged, $δx₂ = δz$; the other branch gives "
            "$δx₁$; and $δx = δx₁ + δx₂$, because $x₁ = x$ and $x₂ = x$. However small $δx₁$ "
            "becomes, $δz$ still arrives: this is why residual nets can be deep."
        ),
        Example(
            residual,
            {
                "x": np.array(
                    [
                        [1.0, 0.0, 2.0, -1.0],
                        [0.0, 1.0, -1.0, 2.0],
                        [3.0, -2.0, 1.0, 0.0],
                        [1.0, 1.0, 0.0, 1.0],
                    ]
                ),
                "w1": np.array([[0.0, 1.0, 0.0], [1.0, -1.0, 0.5], [0.0, 0.5, 0.0]]),
                "w2": np.array([[0.5, 0.0, -1.0], [0.0, 1.0, 0.0], [-0.5, 0.0, 1.0]]),
            },
            cotangents={
                "z": np.array(
                    [
                        [0.0, 1.0, 0.0, -1.0],
                        [1.0, 0.0, 2.0, 0.0],
                        [0.0, -1.0, 0.0, 1.0],
                        [2.0, 0.0, 1.0, 0.0],
                    ]
                )
            },
        ),
    ),
)
