"""Losses on numbers."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

import warnings
from typing import Any

from allbps.functional.common import misused, reduced, works_on_arrays
from allbps.ir import Node, lift
from allbps.ops import loss
from allbps.ops.comparison import where
from allbps.ops.function import abs_


@works_on_arrays
def euclidean_loss(prediction: Any, target: Any) -> Node:
    """½ ‖prediction − target‖², a sum (lecture).

    Raises:
        ShapeError: the two have different shapes.

    >>> import numpy as np
    >>> float(euclidean_loss(np.array([3.0, 1.0]), np.array([1.0, 1.0])))
    2.0

    """
    return loss.euclidean_loss(prediction, target)


def _error(input: Any, target: Any) -> Node:
    """The difference; different shapes are broadcast with a warning, as in PyTorch."""
    a, b = lift(input), lift(target)
    if a.shape != b.shape and a.shape and b.shape:
        warnings.warn(
            f"a loss between shapes {a.shape} and {b.shape} broadcasts them, which is seldom meant",
            stacklevel=4,
        )
    return a - b


@works_on_arrays
def mse_loss(input: Any, target: Any, *, reduction: str = "mean") -> Node:
    """(input − target)², the mean over all elements as in PyTorch: any shape.

    Args:
        input: any shape.
        target: of that shape.
        reduction: "mean", "sum" or "none".

    Raises:
        ArgumentError: another reduction.

    >>> import numpy as np
    >>> float(mse_loss(np.array([3.0, 1.0]), np.array([1.0, 1.0])))
    2.0

    """
    return reduced(_error(input, target) ** 2, reduction)


@works_on_arrays
def l1_loss(input: Any, target: Any, *, reduction: str = "mean") -> Node:
    """|input − target|; arguments and errors are those of ``mse_loss``.

    >>> import numpy as np
    >>> float(l1_loss(np.array([3.0, 0.0]), np.array([1.0, 1.0])))
    1.5
    """
    return reduced(abs_(_error(input, target)), reduction)


@works_on_arrays
def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Node:
    """½ e² where |e| < delta, else delta (|e| − ½ delta); otherwise as ``mse_loss``.

    Source: P. J. Huber, "Robust estimation of a location parameter", Ann. Math. Stat. 35 (1964).

    Raises:
        ArgumentError: delta is not positive, or another reduction.

    >>> import numpy as np
    >>> huber_loss(np.array([0.5, 3.0]), np.zeros(2), reduction="none")
    array([0.125, 2.5  ])

    """
    return reduced(_huber(_error(input, target), delta), reduction)


def _huber(error: Node, delta: float) -> Node:
    if delta <= 0:
        raise misused("delta must be positive", got=str(delta))
    size = abs_(error)
    return where(size < delta, 0.5 * error**2, delta * (size - 0.5 * delta))


@works_on_arrays
def smooth_l1_loss(input: Any, target: Any, *, reduction: str = "mean", beta: float = 1.0) -> Node:
    """½ e² / beta where |e| < beta, else |e| − ½ beta; the L1 loss for beta = 0.

    Arguments and errors are those of ``huber_loss`` (arXiv:1504.08083).

    >>> import numpy as np
    >>> smooth_l1_loss(np.array([0.5, 3.0]), np.zeros(2), reduction="none")
    array([0.125, 2.5  ])
    """
    error = _error(input, target)
    return reduced(abs_(error) if beta == 0 else _huber(error, beta) / beta, reduction)
