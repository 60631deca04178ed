"""Dropout."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.functional.common import misused, works_on_arrays
from allbps.ir import Node, lift


@works_on_arrays
def dropout(
    input: Any, p: float = 0.5, training: bool = True, *, rng: np.random.Generator | None = None
) -> Node:
    """Elements set to 0 with probability p, the others divided by 1 − p (arXiv:1207.0580).

    Args:
        input: any array.
        p: in [0, 1].
        training: without it ``input`` is returned as it is.
        rng: where the mask comes from; required, so that nothing random is hidden.

    Raises:
        ArgumentError: p is no probability, or there is no generator.

    >>> sorted(set(dropout(np.ones(100), 0.75, rng=np.random.default_rng(0)).tolist()))
    [0.0, 4.0]

    """
    node = lift(input)
    if not 0 <= p <= 1:
        raise misused("p must be a probability", expected="0 ≤ p ≤ 1", got=f"p={p!r}")
    if not training or p == 0:
        return node
    if rng is None:
        raise misused(
            "dropout needs a random generator", todo="pass rng=np.random.default_rng(seed)"
        )
    kept = rng.random(node.shape) >= p
    factor = 0.0 if p == 1 else 1 / (1 - p)
    return node * lift((kept * factor).astype(node.dtype))
