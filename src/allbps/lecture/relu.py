"""ReLU: a mask."""

from typing import Any

import numpy as np

import allbps.functional as F
from allbps.lecture.system import Example, Prose, System


def relu(x: Any) -> Any:
    y = F.relu(x)
    return y


SYSTEM = System(
    name="relu",
    title="Backpropagation for a ReLU layer",
    slides="BP for a ReLU layer",
    sections=(
        Prose(
            "$y = max(x, 0)$, element by element. Where $x > 0$ the slope is 1 and the δ passes; "
            "where $x < 0$ it is 0 and the δ stops. At $x = 0$ there is no derivative; by "
            "convention we take 0. The mask asks for the sign of $x$, not of $δy$."
        ),
        Example(
            relu,
            {"x": np.array([[-2.0, 3.0], [0.0, 1.0]])},
            cotangents={"y": np.array([[1.0, 3.0], [2.0, 4.0]])},
        ),
    ),
)
