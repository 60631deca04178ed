"""Softmax and cross-entropy: two clumsy derivatives whose product is yᵖ − y."""

from collections.abc import Mapping
from typing import Any

import numpy as np

import allbps.functional as F
from allbps.lecture.system import Example, Numbers, Prose, System
from allbps.worked import Worked


def in_two_pieces(logits: Any, y: Any) -> Any:
    yp = F.softmax(logits)
    loss = -np.sum(y * np.log(yp))
    return loss


def in_one_piece(logits: Any, y: Any) -> Any:
    loss = F.cross_entropy(logits, y)
    return loss


# softmax gives 1/8, 2/8, 5/8
LOGITS = np.log(np.array([1.0, 2.0, 5.0]))
ONE_HOT = np.array([0.0, 1.0, 0.0])
SYMBOLS = {"yp": "yᵖ"}


def jacobian_and_product(worked: Worked) -> Mapping[str, Any]:
    yp, y, delta = worked["yp"].value, worked["y"].value, worked["yp"].delta
    jacobian = np.diag(yp) - np.outer(yp, yp)
    vectors = {"δyᵖ": delta, "J δyᵖ": jacobian @ delta, "yᵖ − y": yp - y}
    return {"J": jacobian} | {name: vector[:, None] for name, vector in vectors.items()}


SYSTEM = System(
    name="softmax-cross-entropy",
    title="Softmax and the cross-entropy loss",
    slides="Softmax and cross-entropy loss: backprop",
    sections=(
        Prose(
            "A net ends in scores, the logits. Softmax turns them into probabilities, "
            "$yᵖᵢ = exp(logitsᵢ) / Σₖ exp(logitsₖ)$, and cross-entropy compares these with the "
            "ideal ones, $loss = −Σₖ yₖ log(yᵖₖ)$. The loss gives $∂loss/∂yᵖₖ = −yₖ/yᵖₖ$. "
            "Softmax gives a whole matrix, since every probability depends on every logit: "
            "$∂yᵖₖ/∂logitsᵢ = yᵖᵢ (1 − yᵖᵢ)$ if $i = k$, else $−yᵖᵢ yᵖₖ$."
        ),
        Example(
            in_two_pieces,
            {"logits": LOGITS, "y": ONE_HOT},
            wrt=("logits",),
            symbols=SYMBOLS,
            fixed=("y",),
            caption="The two pieces, one after the other",
            by="line",
        ),
        Numbers(
            "The softmax Jacobian and its product with δyᵖ, which stands here as a column",
            jacobian_and_product,
        ),
        Prose(
            "The product collapses. For one logit: "
            "$δlogitsᵢ = Σₖ (∂yᵖₖ/∂logitsᵢ) (−yₖ/yᵖₖ) = −yᵢ (1 − yᵖᵢ) + Σₖ≠ᵢ yₖ yᵖᵢ"
            " = yᵖᵢ Σₖ yₖ − yᵢ = yᵖᵢ − yᵢ$, because the ideal probabilities add up to 1. "
            "So softmax and cross-entropy are best taken as one step, which also never divides "
            "by a probability that is nearly 0."
        ),
        Example(
            in_one_piece,
            {"logits": LOGITS, "y": ONE_HOT},
            wrt=("logits",),
            fixed=("y",),
            caption="The same in one step, from the logits",
        ),
    ),
)
