"""More activations: with corners and shrinkage, gated, learnt, random."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from typing import Any

from allbps.functional.common import (
    misfit,
    misused,
    not_in_place,
    of_axes,
    works_on_arrays,
)
from allbps.ir import Node, lift
from allbps.ops import activation
from allbps.ops.comparison import isnan, logical_and, where
from allbps.ops.function import abs_, expm1, log
from allbps.ops.function import tanh as tanh_op
from allbps.ops.index import getitem_by
from allbps.ops.reduce import winner
from allbps.ops.shape import detach, reshape
from allbps.random import uniform_node

SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717
"""Fixed by mean 0 and variance 1 being kept (arXiv:1706.02515)."""


# -- with corners ----------------------------------------------------------------------------------
@works_on_arrays
def hardtanh(
    input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Node:
    """The number itself between two bounds, else the bound; the slope at a bound is 0: any shape.

    Raises:
        ArgumentError: the bounds are not in order.

    >>> import numpy as np
    >>> hardtanh(np.array([-3.0, 0.5, 3.0]))
    array([-1. ,  0.5,  1. ])

    """
    not_in_place(inplace)
    if min_val > max_val:
        raise misused("min_val is above max_val", got=f"min_val={min_val!r}, max_val={max_val!r}")
    return _between(lift(input), float(min_val), float(max_val))


def _between(x: Node, low: float, high: float) -> Node:
    return where(x <= low, low, where(x >= high, high, x))


@works_on_arrays
def relu6(input: Any, inplace: bool = False) -> Node:
    """min(max(x, 0), 6): any shape (Howard et al., arXiv:1704.04861).

    >>> import numpy as np
    >>> relu6(np.array([-3.0, 2.0, 7.0]))
    array([0., 2., 6.])
    """
    not_in_place(inplace)
    return _between(lift(input), 0.0, 6.0)


@works_on_arrays
def hardsigmoid(input: Any, inplace: bool = False) -> Node:
    """min(max(x + 3, 0), 6) / 6, a sigmoid of three lines: any shape.

    >>> import numpy as np
    >>> hardsigmoid(np.array([-4.0, 0.0, 3.0]))
    array([0. , 0.5, 1. ])
    """
    not_in_place(inplace)
    return _between(lift(input) + 3.0, 0.0, 6.0) / 6.0


@works_on_arrays
def hardswish(input: Any, inplace: bool = False) -> Node:
    """X min(max(x + 3, 0), 6) / 6: any shape (Howard et al., arXiv:1905.02244).

    >>> import numpy as np
    >>> hardswish(np.array([-4.0, 0.0, 4.0])) + 0.0
    array([0., 0., 4.])
    """
    not_in_place(inplace)
    x = lift(input)
    return x * _between(x + 3.0, 0.0, 6.0) / 6.0


@works_on_arrays
def threshold(input: Any, threshold: float, value: float, inplace: bool = False) -> Node:
    """The number itself where it is above ``threshold``, else ``value``: any shape.

    >>> import numpy as np
    >>> threshold(np.array([0.5, 2.0]), 1.0, -9.0)
    array([-9.,  2.])
    """
    not_in_place(inplace)
    x = lift(input)
    return where(x <= float(threshold), float(value), x)


@works_on_arrays
def hardshrink(input: Any, lambd: float = 0.5) -> Node:
    """0 from −lambd to lambd, else the number itself: any shape.

    >>> import numpy as np
    >>> hardshrink(np.array([-1.0, 0.5, 2.0]))
    array([-1.,  0.,  2.])
    """
    x = lift(input)
    return where(logical_and(x >= -float(lambd), x <= float(lambd)), 0.0, x)


@works_on_arrays
def softshrink(input: Any, lambd: float = 0.5) -> Node:
    """0 from −lambd to lambd, else lambd nearer to 0: any shape.

    Raises:
        ArgumentError: lambd is negative.

    >>> import numpy as np
    >>> softshrink(np.array([-1.0, 0.25, 2.0]))
    array([-0.5,  0. ,  1.5])

    """
    if not lambd >= 0:
        raise misused("lambd must not be negative", got=f"lambd={lambd!r}")
    x, bound = lift(input), float(lambd)
    return where(x > bound, x - bound, where(x < -bound, x + bound, where(isnan(x), x, 0.0)))


@works_on_arrays
def tanhshrink(input: Any) -> Node:
    """The number less its hyperbolic tangent, x − tanh(x): any shape.

    >>> import numpy as np
    >>> float(tanhshrink(np.log(2.0)).round(6))
    0.093147
    """
    x = lift(input)
    return x - tanh_op(x)


@works_on_arrays
def softsign(input: Any) -> Node:
    """X / (1 + |x|), in (−1, 1): any shape.

    >>> import numpy as np
    >>> softsign(np.array([-1.0, 3.0]))
    array([-0.5 ,  0.75])
    """
    x = lift(input)
    return x / (1.0 + abs_(x))


# -- exponential -----------------------------------------------------------------------------------
@works_on_arrays
def logsigmoid(input: Any) -> Node:
    """Log σ(x) = −log(1 + e⁻ˣ), without overflow: any shape.

    >>> import numpy as np
    >>> float(np.exp(logsigmoid(np.log(3.0))).round(9))
    0.75
    """
    return -activation.softplus(-lift(input))


@works_on_arrays
def mish(input: Any, inplace: bool = False) -> Node:
    """X tanh(log(1 + eˣ)): any shape (Misra, arXiv:1908.08681).

    >>> import numpy as np
    >>> float(mish(np.array(0.0)))
    0.0
    """
    not_in_place(inplace)
    x = lift(input)
    return x * tanh_op(activation.softplus(x))


@works_on_arrays
def selu(input: Any, inplace: bool = False) -> Node:
    """λ x where x > 0, else λ α (eˣ − 1) with λ = 1.0507 and α = 1.6733: any shape.

    Source: Klambauer et al., arXiv:1706.02515.

    >>> import numpy as np
    >>> selu(np.array([-100.0, 0.0, 1.0])).round(4)
    array([-1.7581,  0.    ,  1.0507])
    """
    not_in_place(inplace)
    return SELU_SCALE * activation.elu(input, alpha=SELU_ALPHA)


@works_on_arrays
def celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Node:
    """The number itself where it is positive, else alpha (exp(x / alpha) − 1): any shape.

    Source: Barron, arXiv:1704.07483.

    Raises:
        ArgumentError: alpha is 0.

    >>> import numpy as np
    >>> celu(np.array([-2 * np.log(2.0), 3.0]), 2.0)
    array([-1.,  3.])

    """
    not_in_place(inplace)
    if not alpha:
        raise misused("celu divides by alpha", got="alpha=0")
    x, scale = lift(input), float(alpha)
    below = where(x > 0, 0.0, x) / scale  # what is not chosen must not overflow
    return where(x > 0, x, scale * expm1(below))


# -- gated and learnt ------------------------------------------------------------------------------
@works_on_arrays
def glu(input: Any, dim: int = -1) -> Node:
    """A σ(b) of the two halves of the input along ``dim`` (Dauphin et al., arXiv:1612.08083).

    Raises:
        ShapeError: that axis has an odd length.

    >>> import numpy as np
    >>> glu(np.array([2.0, 4.0, 0.0, 0.0]))
    array([1., 2.])

    """
    x = lift(input)
    if x.ndim == 0:
        raise misfit("glu needs an axis to halve", expected="(…, 2 n, …)", got="a number")
    _, axis = of_axes(x, dim)
    if x.shape[axis] % 2:
        raise misfit("glu: the axis cannot be halved", expected="an even length", got=str(x.shape))
    half = x.shape[axis] // 2
    front = (slice(None),) * axis
    value, gate = (getitem_by(x, (*front, part)) for part in (slice(half), slice(half, None)))
    return value * activation.sigmoid_op(gate)


@works_on_arrays
def prelu(input: Any, weight: Any) -> Node:
    """The number itself where it is positive, else weight times it (He et al., arXiv:1502.01852).

    Args:
        input: any shape; the channels are axis 1.
        weight: one number, or one for each channel.

    Raises:
        ShapeError: not as many weights as channels.

    >>> import numpy as np
    >>> prelu(np.array([[-2.0, -2.0]]), np.array([0.5, 0.25]))
    array([[-1. , -0.5]])

    """
    x, slope = lift(input), lift(weight)
    channels = x.shape[1] if x.ndim > 1 else 1
    if slope.ndim > 1 or slope.size not in (1, channels):
        raise misfit(
            "prelu: weight and channels do not fit",
            expected=f"one weight, or {channels}",
            got=f"shape {slope.shape} for an input of shape {x.shape}",
        )
    if slope.shape:
        one_or_all = (slope.size,) if x.ndim else ()
        slope = reshape(slope, shape=one_or_all + (1,) * (x.ndim - 2))
    return where(x > 0, x, slope * x)


@works_on_arrays
def rrelu(
    input: Any,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
    *,
    rng: Any = None,
) -> Node:
    """The number itself where it is positive, else a random slope times it (arXiv:1505.00853).

    Args:
        input: any array.
        lower: the smallest slope.
        upper: the largest slope; outside of training the slope is the mean of both.
        training: draw a slope for each element?
        inplace: must be false.
        rng: as in ``dropout``; required in training.

    Raises:
        ArgumentError: the bounds are not in order, or in training there is no generator.

    >>> import numpy as np
    >>> rrelu(np.array([-24.0, 2.0]))
    array([-5.5,  2. ])

    """
    not_in_place(inplace)
    x = lift(input)
    if lower > upper:
        raise misused("lower is above upper", got=f"lower={lower!r}, upper={upper!r}")
    if not training:
        return activation.leaky_relu(x, negative_slope=(float(lower) + float(upper)) / 2)
    if rng is None:
        raise misused("rrelu needs a random generator in training", todo="pass rng=0")
    share = uniform_node(rng, x.shape, x.dtype)
    return where(x > 0, x, (float(lower) + (float(upper) - float(lower)) * share) * x)


@works_on_arrays
def gumbel_softmax(
    logits: Any,
    tau: float = 1.0,
    hard: bool = False,
    eps: float = 1e-10,
    dim: int = -1,
    *,
    rng: Any = None,
) -> Node:
    """The softmax of (logits + Gumbel noise) / tau along ``dim`` (Jang et al., arXiv:1611.01144).

    Args:
        logits: any array.
        tau: the temperature.
        hard: 1 at the largest and 0 elsewhere, with the δ of the soft one.
        eps: not used, as in PyTorch.
        dim: the axis of the classes.
        rng: as in ``dropout``; required.

    Raises:
        ArgumentError: there is no generator.

    >>> import numpy as np
    >>> sorted(gumbel_softmax(np.zeros(3), hard=True, rng=0).tolist())
    [0.0, 0.0, 1.0]

    """
    x = lift(logits)
    if rng is None:
        raise misused("gumbel_softmax needs a random generator", todo="pass rng=0")
    _, axis = of_axes(x, dim)
    noise = -log(-log(1.0 - uniform_node(rng, x.shape, x.dtype)))
    soft = activation.softmax_op((x + noise) / float(tau), axis=axis)
    if not hard:
        return soft
    return winner(soft, axis=axis, largest=True) + (soft - detach(soft))
