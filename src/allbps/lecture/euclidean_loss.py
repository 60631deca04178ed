"""½‖Yᵖ − Y‖²: its gradient by components, then as one vector."""

from typing import Any

import numpy as np

import allbps.functional as F
from allbps.lecture.system import Example, Prose, System


def by_components(Yp1: Any, Yp2: Any, Yp3: Any, Y1: Any, Y2: Any, Y3: Any) -> Any:
    e1 = Yp1 - Y1
    e2 = Yp2 - Y2
    e3 = Yp3 - Y3
    L = 0.5 * (e1**2 + e2**2 + e3**2)
    return L


def as_a_vector(Yp: Any, Y: Any) -> Any:
    L = F.euclidean_loss(Yp, Y)
    return L


PREDICTION = {"Yp": np.array([3.0, 1.0, -2.0]), "Y": np.array([1.0, 1.0, 2.0])}
SYMBOLS = {"Yp": "Yᵖ"}

SYSTEM = System(
    name="euclidean-loss",
    title="The Euclidean loss",
    slides="Backprop derivation for loss function",
    sections=(
        Prose(
            "$L(Yᵖ, Y) = ½ ‖Yᵖ − Y‖² = ½ Σᵢ (Yᵖᵢ − Yᵢ)²$. In the derivative with respect to one "
            "component only one summand moves: "
            "$δYᵖᵢ = ∂/∂Yᵖᵢ ½ Σₖ (Yᵖₖ − Yₖ)² = Yᵖᵢ − Yᵢ$. The factor ½ cancels the 2."
        ),
        Example(
            by_components,
            {"Yp1": 3.0, "Yp2": 1.0, "Yp3": -2.0, "Y1": 1.0, "Y2": 1.0, "Y3": 2.0},
            wrt=("Yp1", "Yp2", "Yp3"),
            symbols={"Yp1": "Yᵖ₁", "Yp2": "Yᵖ₂", "Yp3": "Yᵖ₃"},
            caption="By components",
            by="line",
        ),
        Prose("All components together, in vector notation: $δYᵖ = Yᵖ − Y$."),
        Example(as_a_vector, PREDICTION, wrt=("Yp",), symbols=SYMBOLS, caption="As a vector"),
    ),
)
