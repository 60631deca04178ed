"""ReLU: a mask."""

from collections.abc import Mapping
from typing import Any

import numpy as np

import allbps.functional as F
from allbps.lecture.symbolic import letters
from allbps.lecture.system import Example, Numbers, Prose, System
from allbps.worked import Worked


def relu(x: Any) -> Any:
    y = F.relu(x)
    return y


def in_symbols(worked: Worked) -> Mapping[str, Any]:
    """Each δy stands for itself where x > 0."""
    deltas = letters("δy", worked["y"].value.shape)
    return {"δy": deltas, "δx": np.where(worked["x"].value > 0, deltas, "0")}


SYSTEM = System(
    name="relu",
    title="Backpropagation for a ReLU layer",
    slides="BP for a ReLU layer",
    sections=(
        Prose(
            "$y = max(x, 0)$, element by element. Where $x > 0$ the slope is 1 and the δ passes; "
            "where $x < 0$ it is 0 and the δ stops. At $x = 0$ there is no derivative; by "
            "convention we take 0. The mask depends on the sign of $x$, not of $δy$."
        ),
        Example(
            relu,
            {"x": np.array([[-2.0, 3.0], [0.0, 1.0]])},
            cotangents={"y": np.array([[1.0, 3.0], [2.0, 4.0]])},
        ),
        Numbers("In symbols: what passes and what stops", in_symbols),
    ),
)
