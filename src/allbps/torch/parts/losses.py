"""Binary cross-entropies with weights."""

from __future__ import annotations

from typing import Any

import numpy as np

import allbps.functional as F


def binary_cross_entropy(p: Any, target: Any, *, weight: Any, reduction: str = "mean") -> Any:
    """``F.binary_cross_entropy``, each element times its weight."""
    each = F.binary_cross_entropy(p, target, reduction="none") * weight
    return _reduced(each, reduction)


def binary_cross_entropy_with_logits(
    x: Any, target: Any, *, weight: Any = None, pos_weight: Any = None, reduction: str = "mean"
) -> Any:
    """``F.binary_cross_entropy_with_logits`` with weights of elements and of positive answers."""
    if pos_weight is None:
        each = F.binary_cross_entropy_with_logits(x, target, reduction="none")
    else:
        # (1 − t) x + (1 + (w − 1) t) log(1 + e⁻ˣ)
        factor = 1.0 + (pos_weight - 1.0) * target
        each = (1.0 - target) * x + factor * F.softplus(-x)
    return _reduced(each if weight is None else each * weight, reduction)


def _reduced(each: Any, reduction: str) -> Any:
    if reduction == "none":
        return each
    return np.mean(each) if reduction == "mean" else np.sum(each)
