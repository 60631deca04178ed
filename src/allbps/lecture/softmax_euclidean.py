"""What if L2 followed softmax? It has a gradient, which vanishes just when it is needed."""

from collections.abc import Sequence
from typing import Any

import numpy as np

import allbps.functional as F
from allbps.lecture.system import Example, Prose, System, Table
from allbps.worked import Worked


def softmax_euclidean(logits: Any, y: Any) -> Any:
    yp = F.softmax(logits)
    loss = F.euclidean_loss(yp, y)
    return loss


def confidently_wrong(worked: Worked) -> Sequence[Sequence[float]]:
    """‖δlogits‖ of both losses when the wrong class leads by a margin."""
    rows = []
    for margin in (0.0, 2.0, 5.0, 10.0, 20.0):
        yp: Any = F.softmax(np.array([margin, 0.0]))
        error = yp - np.array([0.0, 1.0])
        euclidean = yp * (error - np.sum(error * yp))
        rows.append([margin, yp[1], float(np.linalg.norm(euclidean)), float(np.linalg.norm(error))])
    return rows


SYSTEM = System(
    name="softmax-euclidean",
    title="What if L2 loss followed softmax?",
    slides="What if, instead of cross-entropy, we used L2 loss along with softmax?",
    sections=(
        Prose(
            "Then $δyᵖ = yᵖ − y$, and the softmax Jacobian does not cancel: "
            "$δlogits = J δyᵖ$ with $J = diag(yᵖ) − yᵖ yᵖᵀ$. The matrix need not be built, since "
            "$J δyᵖ = yᵖ ⊙ (δyᵖ − Σₖ δyᵖₖ yᵖₖ)$: a Jacobian-vector product in linear time."
        ),
        Example(
            softmax_euclidean,
            {"logits": np.log(np.array([1.0, 2.0, 5.0])), "y": np.array([0.0, 1.0, 0.0])},
            wrt=("logits",),
            symbols={"yp": "yᵖ"},
            fixed=("y",),
        ),
        Prose(
            "It trains worse. Every entry of $J$ holds a factor $yᵖᵢ (1 − yᵖᵢ)$ or $yᵖᵢ yᵖₖ$, "
            "which goes to 0 as softmax saturates. Where the net is confidently wrong, the error "
            "is largest and the δ nearly nothing, so it does not learn from its worst mistakes. "
            "Cross-entropy divides by $yᵖ$, which cancels that factor: the entries of its δ stay "
            "near 1."
        ),
        Table(
            "Two classes; the wrong one leads by a margin",
            ("margin", "yᵖ of the right class", "‖δlogits‖, L2", "‖δlogits‖, cross-entropy"),
            confidently_wrong,
        ),
    ),
)
