"""Scores of a transformer: sᵢ = softmax(xᵢ·y₁ … xᵢ·y₄), backwards."""

from collections.abc import Mapping
from typing import Any

import numpy as np

import allbps.functional as F
from allbps.lecture.system import Example, Numbers, Prose, System
from allbps.worked import Worked


def attention_scores(x: Any, y: Any) -> Any:
    z = x @ y.T
    s = F.softmax(z)
    return s


X = np.array([[1.0, 0.0], [0.5, -1.0], [0.0, 2.0]])
Y = np.array([[1.0, 1.0], [0.0, 1.0], [-1.0, 0.5], [2.0, 0.0]])
DELTA_S = np.array([[1.0, 0.0, 0.0, -1.0], [0.0, 2.0, 0.0, 1.0], [-1.0, 0.0, 1.0, 0.0]])


def jacobians(worked: Worked) -> Mapping[str, Any]:
    s, delta = worked["s"].value, worked["s"].delta
    shown: dict[str, Any] = {}
    for i in range(3):
        low = "₁₂₃"[i]
        jacobian = np.diag(s[i]) - np.outer(s[i], s[i])
        shown[f"J{'¹²³'[i]}"] = jacobian
        shown[f"δz{low} = J{'¹²³'[i]} δs{low}"] = (jacobian @ delta[i])[:, None]
    return shown


SYSTEM = System(
    name="attention-scores",
    title="Backpropagation in a transformer: the softmax scores",
    slides="BP in transformer",
    sections=(
        Prose(
            "Three vectors $x₁, x₂, x₃$ and four vectors $y₁ … y₄$. $zᵢ = [xᵢ·y₁, xᵢ·y₂, xᵢ·y₃, "
            "xᵢ·y₄]$ and $sᵢ = softmax(zᵢ)$. Given $δsᵢ$: $δzᵢ = Jⁱ δsᵢ$, where $Jⁱ$ has $(sᵢ)ₖ "
            "(1 − (sᵢ)ₖ)$ on the diagonal and $−(sᵢ)ₖ (sᵢ)ₗ$ elsewhere. Each $xᵢ$ meets all four "
            "$yⱼ$, so $δxᵢ = Σⱼ₌₁⁴ yⱼ (δzᵢ)ⱼ$; each $yⱼ$ meets all three $xᵢ$, so $δyⱼ = Σᵢ₌₁³ xᵢ "
            "(δzᵢ)ⱼ$."
        ),
        Prose(
            "With the vectors as rows of matrices, $z = x yᵀ$, and the sums become products: "
            "$δx = δz y$ and $δy = δzᵀ x$."
        ),
        Example(attention_scores, {"x": X, "y": Y}, cotangents={"s": DELTA_S}, by="line"),
        Numbers(
            "Row by row, with the Jacobian matrices written out; a row of δz stands as a column",
            jacobians,
        ),
    ),
)
