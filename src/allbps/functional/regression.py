"""Losses on numbers."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from allbps.functional.common import granted, legacy, misfit, misused, reduced, works_on_arrays
from allbps.ir import Node, lift
from allbps.ops import loss
from allbps.ops.comparison import where
from allbps.ops.function import abs_, exp, log
from allbps.ops.questions import all_
from allbps.ops.reduce import sum_
from allbps.ops.shape import detach, reshape


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


def _reduced(each: Node, weight: Any, reduction: str) -> Node:
    """The mean, weighted where there are weights, the sum or none of it.

    Raises:
        ShapeError: the weights do not fit.

    """
    if weight is None:
        return reduced(each, reduction)
    factor = lift(weight)
    if factor.shape != each.shape:
        raise misfit("a weight for each element", expected=str(each.shape), got=str(factor.shape))
    weighted = each * factor
    if reduction != "mean":
        return reduced(weighted, reduction)
    return sum_(weighted, axis=None, keepdims=False) / sum_(factor, axis=None, keepdims=False)


@works_on_arrays
def mse_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Node:
    """(input − target)², the mean over all elements as in PyTorch: any shape.

    Args:
        input: any shape.
        target: of that shape.
        size_average: PyTorch's former word for a reduction.
        reduce: another one.
        reduction: "mean", weighted where there are weights, "sum" or "none".
        weight: a factor for each element.

    Raises:
        ArgumentError: another reduction.
        ShapeError: not one weight for each element.

    >>> import numpy as np
    >>> float(mse_loss(np.array([3.0, 1.0]), np.array([1.0, 1.0])))
    2.0

    """
    each = _error(input, target) ** 2
    return _reduced(each, weight, legacy(reduction, size_average, reduce))


@works_on_arrays
def l1_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Node:
    """|input − target|; arguments and errors are those of ``mse_loss``.

    >>> import numpy as np
    >>> float(l1_loss(np.array([3.0, 0.0]), np.array([1.0, 1.0])))
    1.5
    """
    each = abs_(_error(input, target))
    return _reduced(each, weight, legacy(reduction, size_average, reduce))


@works_on_arrays
def huber_loss(
    input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None
) -> Node:
    """½ e² where |e| < delta, else delta (|e| − ½ delta); otherwise as ``mse_loss``.

    Source: P. J. Huber, "Robust estimation of a location parameter", Ann. Math. Stat. 35 (1964).

    Raises:
        ArgumentError: delta is not positive, or another reduction.

    >>> import numpy as np
    >>> huber_loss(np.array([0.5, 3.0]), np.zeros(2), reduction="none")
    array([0.125, 2.5  ])

    """
    return _reduced(_huber(_error(input, target), delta), weight, reduction)


def _huber(error: Node, delta: float) -> Node:
    if delta <= 0:
        raise misused("delta must be positive", got=str(delta))
    size = abs_(error)
    return where(size < delta, 0.5 * error**2, delta * (size - 0.5 * delta))


@works_on_arrays
def smooth_l1_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Node:
    """½ e² / beta where |e| < beta, else |e| − ½ beta; the L1 loss for beta = 0.

    Arguments and errors are those of ``huber_loss`` (arXiv:1504.08083).

    >>> import numpy as np
    >>> smooth_l1_loss(np.array([0.5, 3.0]), np.zeros(2), reduction="none")
    array([0.125, 2.5  ])
    """
    error = _error(input, target)
    each = abs_(error) if beta == 0 else _huber(error, beta) / beta
    return reduced(each, legacy(reduction, size_average, reduce))


@works_on_arrays
def poisson_nll_loss(
    input: Any,
    target: Any,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Node:
    """exp(input) − target · input: −log of a Poisson probability, less what holds no input.

    Args:
        input: the logarithm of the rate; the rate itself without ``log_input``.
        target: counts; broadcast.
        log_input: is ``input`` a logarithm?
        full: add Stirling's log target! where target > 1.
        size_average: as in ``mse_loss``.
        eps: added to a rate before its logarithm is taken.
        reduce: as in ``mse_loss``.
        reduction: "mean", "sum" or "none".

    Raises:
        ArgumentError: another reduction.

    >>> import numpy as np
    >>> float(poisson_nll_loss(np.zeros(2), np.array([0.0, 3.0])))
    1.0

    """
    x, t = lift(input), lift(target)
    each = exp(x) - t * x if log_input else x - t * log(x + float(eps))
    if full:
        some = where(t > 1, t, 1.0)
        factorial = some * log(some) - some + 0.5 * log(float(2 * np.pi) * some)
        each = each + where(t > 1, factorial, 0.0)
    return reduced(each, legacy(reduction, size_average, reduce))


@works_on_arrays
def gaussian_nll_loss(
    input: Any,
    target: Any,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Node:
    """½ (log var + (input − target)² / var), −log of a normal density, less ½ log 2π.

    Args:
        input: means (…, n).
        target: of that shape, or broadcast to it.
        var: variances of that shape, (…, 1) or (…), or a number; each counts as eps at least, with
            the slope of the variance all the same, as in PyTorch.
        full: add ½ log 2π.
        eps: the least variance.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: the variances do not fit.
        ArgumentError: a variance is negative, or another reduction.

    >>> import numpy as np
    >>> float(gaussian_nll_loss(np.zeros(2), np.array([1.0, 3.0]), np.ones(2)))
    2.5

    """
    mean, goal, spread = lift(input), lift(target), lift(var)
    if not isinstance(var, float) and spread.shape != mean.shape:
        if mean.shape[:-1] == spread.shape and mean.ndim:
            spread = reshape(spread, shape=(*spread.shape, 1))
        elif mean.shape[:-1] != spread.shape[:-1] or spread.shape[-1:] != (1,):
            raise misfit(
                "gaussian_nll_loss: the variances do not fit",
                expected=f"{mean.shape}, {(*mean.shape[:-1], 1)} or {mean.shape[:-1]}",
                got=str(spread.shape),
            )
    if not granted(all_(spread >= 0, axis=None, keepdims=False)):
        raise misused("a variance must not be negative", got=str(np.min(spread.value)))
    bounded = where(spread >= float(eps), spread, float(eps) + (spread - detach(spread)))
    each = 0.5 * (log(bounded) + (mean - goal) ** 2 / bounded)
    return reduced(each + 0.5 * float(np.log(2 * np.pi)) if full else each, reduction)
