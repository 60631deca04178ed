"""Gradients that are too long, shortened."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from allbps.optim.optimizer import like, require
from allbps.tree import leaves, tree_map


def clip_grad_norm(grads: Any, max_norm: float) -> tuple[Any, float]:
    """The gradients, shortened together to ``max_norm`` where they are longer, and their norm.

    As ``torch.nn.utils.clip_grad_norm_``: all arrays count as one vector in the Euclidean norm.

    >>> clipped, norm = clip_grad_norm([np.array([3.0]), np.array([4.0])], 1.0)
    >>> norm
    5.0

    """
    require("max_norm", max_norm, at_least=0.0)
    norm = math.sqrt(sum(float(np.sum(np.square(g))) for g in leaves(grads)))
    factor = max_norm / (norm + 1e-6)
    if factor >= 1:
        return grads, norm
    return tree_map(lambda g: like(g * factor, g), grads), norm
