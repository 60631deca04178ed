"""Polynomials by their coefficients, the highest power first."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.errors import ArgumentError, NoRuleError, ShapeError
from allbps.ir import Node, label, lift, numpy_function, user_site
from allbps.numpy_api.arguments import refuse
from allbps.numpy_api.joining import stack, unstack
from allbps.numpy_api.questions import allclose, holds
from allbps.numpy_api.statistics import convolve
from allbps.ops.factorise import lstsq
from allbps.ops.function import astype, sqrt
from allbps.ops.index import getitem_by
from allbps.ops.join import joined
from allbps.ops.reduce import sum_
from allbps.ops.shape import pad, reshape


@numpy_function(np.polyval)
def polyval(p: Any, x: Any) -> Node:
    """``numpy.polyval``, by Horner's scheme."""
    coefficients, at = lift(p), lift(x if isinstance(x, (Node, list)) else np.asanyarray(x))
    made = lift(np.zeros(at.shape, at.dtype))
    for k in range(coefficients.size):
        made = made * at + getitem_by(coefficients, k)
    return made


@numpy_function(np.polyadd)
def polyadd(a1: Any, a2: Any) -> Node:
    """``numpy.polyadd``."""
    first, second = lift(a1), lift(a2)
    missing = first.size - second.size
    return pad(first, width=((max(-missing, 0), 0),)) + pad(second, width=((max(missing, 0), 0),))


@numpy_function(np.polysub)
def polysub(a1: Any, a2: Any) -> Node:
    """``numpy.polysub``."""
    return polyadd(a1, -lift(a2))


@numpy_function(np.polymul)
def polymul(a1: Any, a2: Any) -> Node:
    """``numpy.polymul``: zeros in front are left out first."""
    return convolve(_without_zeros(a1), _without_zeros(a2))


def _without_zeros(p: Any) -> Node:
    node = _vector("np.polymul", p)
    left = trim_zeros(node, "f")
    return left if left.size else pad(left, width=((0, 1),))


def _vector(name: str, p: Any, least: int = 0) -> Node:
    """Coefficients as a vector.

    Raises:
        ShapeError: they have more axes, or fewer than ``least``.

    """
    node = lift(p)
    if not least <= node.ndim <= 1:
        raise ShapeError(
            f"{name} takes a vector of coefficients",
            where=str(user_site() or ""),
            got=f"shape {node.shape}",
        )
    return node if node.ndim else reshape(node, shape=(1,))


@numpy_function(np.polyder)
def polyder(p: Any, m: int = 1) -> Node:
    """``numpy.polyder``: the coefficients of the derivative."""
    node = lift(p)
    for _ in range(m):
        node = getitem_by(node, slice(0, -1)) * np.arange(node.size - 1, 0, -1)
    return node


@numpy_function(np.polyint)
def polyint(p: Any, m: int = 1, k: Any = None) -> Node:
    """``numpy.polyint``: the coefficients of an antiderivative; ``k`` are its constants."""
    node = _vector("np.polyint", p, 1)
    constants = np.broadcast_to(0.0 if k is None else k, (m,))
    for last in constants:
        node = joined([node / np.arange(node.size, 0, -1), np.reshape(last, (1,))])
    return node


@numpy_function(np.polydiv)
def polydiv(u: Any, v: Any) -> tuple[Node, Node]:
    """``numpy.polydiv``: quotient and remainder, by long division."""
    rest, divisor = (list(unstack(_vector("np.polydiv", x))) for x in (u, v))
    kinds = (x[0].dtype for x in (rest, divisor))
    dtype = np.result_type(*(d if d.kind in "fc" else np.dtype(float) for d in kinds))
    rest = [astype(x, dtype=dtype) for x in rest]
    scale = 1.0 / divisor[0]
    count = max(len(rest) - len(divisor) + 1, 1)
    quotient: list[Any] = [0.0] if len(rest) < len(divisor) else []
    for k in range(count - len(quotient)):
        factor = scale * rest[k]
        quotient.append(factor)
        for j, coefficient in enumerate(divisor):
            rest[k + j] = rest[k + j] - factor * coefficient
    while len(rest) > 1 and allclose(rest[0], 0, rtol=1e-14):
        rest.pop(0)
    return stack(quotient), stack(rest)


@numpy_function(np.poly)
def poly(seq_of_zeros: Any) -> Node:
    """``numpy.poly`` of a list of zeros."""
    zeros = lift(seq_of_zeros)
    if zeros.ndim != 1:
        raise _complex_roots("np.poly", zeros)
    if zeros.dtype.kind not in "fc":
        zeros = astype(zeros, dtype=np.dtype(float))
    one = np.ones((), zeros.dtype)
    made = lift(one[None])
    for zero in unstack(zeros):
        made = convolve(made, stack([one, -zero]))
    return made


@numpy_function(np.polyfit)
def polyfit(
    x: Any,
    y: Any,
    deg: int,
    rcond: Any = None,
    full: bool = False,
    w: Any = None,
    cov: Any = False,
) -> Node:
    """``numpy.polyfit``: least squares with columns of one length."""
    refuse("polyfit", full=full or None, cov=cov or None)
    matrix, heights = vander(x, int(deg) + 1), lift(y)
    if heights.ndim not in (1, 2) or heights.shape[0] != matrix.shape[0]:
        raise ShapeError(
            "np.polyfit takes as many y as x, in a vector or in columns",
            where=str(user_site() or ""),
            expected=f"shape ({matrix.shape[0]},)",
            got=f"shape {heights.shape}",
        )
    if w is not None:
        weights = lift(w)
        matrix = matrix * reshape(weights, shape=(weights.size, 1))
        heights = heights * reshape(weights, shape=(weights.size, *[1] * (heights.ndim - 1)))
    scale = sqrt(sum_(matrix**2, axis=0, keepdims=False))
    precision = float(np.finfo(scale.dtype).eps)
    cutoff = matrix.shape[0] * precision if rcond is None else float(rcond)
    made = lstsq(matrix / scale, heights, rcond=cutoff)  # (k, n) · (n, ...) -> (k, ...)
    return made / reshape(scale, shape=(scale.size, *[1] * (heights.ndim - 1)))


@numpy_function(np.roots)
def roots(p: Any) -> Any:
    """``numpy.roots`` is refused: its values may be complex."""
    raise _complex_roots("np.roots", p)


def _complex_roots(name: str, p: Any) -> NoRuleError:
    return NoRuleError(
        f"allbps has no rule for {name}: its values may be complex",
        where=str(user_site() or ""),
        got=f"{name} of {label(p)}",
        todo="by the implicit function theorem: dx = −dp(x) / p′(x) at a real root x",
    )


@numpy_function(np.trim_zeros)
def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Node:
    """``numpy.trim_zeros`` of a vector."""
    return getitem_by(lift(filt), without_zeros(filt, trim, axis))


def without_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> slice:
    """What ``numpy.trim_zeros`` keeps of a vector."""
    node = lift(filt)
    if node.ndim != 1 or axis not in (None, 0, -1):
        raise ArgumentError(
            "np.trim_zeros of a traced array takes a vector",
            where=str(user_site() or ""),
            got=f"shape {node.shape}, axis={axis}",
        )
    found = np.flatnonzero(holds(node, "np.trim_zeros"))
    if not found.size:
        return slice(0, 0)
    start, stop, ends = int(found[0]), int(found[-1]) + 1, trim.lower()
    return slice(start if "f" in ends else 0, stop if "b" in ends else node.size)


@numpy_function(np.vander)
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Node:
    """``numpy.vander``: powers as columns."""
    node = lift(x)
    if node.ndim != 1 or not node.size:
        raise ArgumentError(
            "np.vander takes a vector", where=str(user_site() or ""), got=f"shape {node.shape}"
        )
    node = astype(node, dtype=np.promote_types(node.dtype, int))
    powers = range(node.size if N is None else N)
    if not powers:
        return getitem_by(reshape(node, shape=(node.size, 1)), (slice(None), slice(0, 0)))
    return stack([node**k for k in (powers if increasing else reversed(powers))], axis=1)
