"""numpy.fft on traced arrays: every transform is made of those along one axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.errors import ArgumentError
from allbps.ir import Node, lift, numpy_function, user_site
from allbps.numpy_api.elementwise import conjugate
from allbps.ops import fourier
from allbps.ops.shapes import normal_axis

TURNED = {"backward": "forward", "forward": "backward", "ortho": "ortho"}
"""What a norm is of the transform in the other direction."""


def _norm(norm: Any) -> str:
    """The norm by its name.

    Raises:
        ArgumentError: NumPy has no such norm.

    """
    name = "backward" if norm is None else norm
    if name not in TURNED:
        raise ArgumentError(
            "unknown norm",
            where=str(user_site() or ""),
            expected="'backward', 'ortho' or 'forward'",
            got=repr(norm),
        )
    return str(name)


def _scaled(x: Node, n: int, norm: Any, back: bool) -> Node:
    """A transform whose backward direction has 1/n, in another norm."""
    name = _norm(norm)
    if name == "backward":
        return x
    share: float = n**0.5 if name == "ortho" else float(n)
    return x * (share if back else 1.0 / share)


def _length(x: Node, n: Any, axis: int) -> int:
    length = x.shape[axis] if n is None else int(n)
    if length < 1:
        raise ArgumentError(
            "a Fourier transform needs at least one number",
            where=str(user_site() or ""),
            got=f"n={length}",
        )
    return length


# -- along one axis --------------------------------------------------------------------------------
@numpy_function(np.fft.fft)
def fft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Node:
    """``numpy.fft.fft``."""
    node = lift(a)
    k = normal_axis(axis, node.ndim)
    length = _length(node, n, k)
    return _scaled(fourier.fft(fourier.to_length(node, length, k), axis=k), length, norm, False)


@numpy_function(np.fft.ifft)
def ifft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Node:
    """``numpy.fft.ifft``."""
    node = lift(a)
    k = normal_axis(axis, node.ndim)
    length = _length(node, n, k)
    return _scaled(fourier.ifft(fourier.to_length(node, length, k), axis=k), length, norm, True)


@numpy_function(np.fft.rfft)
def rfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Node:
    """``numpy.fft.rfft``."""
    node = lift(a)
    k = normal_axis(axis, node.ndim)
    length = _length(node, n, k)
    return _scaled(fourier.rfft(fourier.to_length(node, length, k), axis=k), length, norm, False)


@numpy_function(np.fft.irfft)
def irfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Node:
    """``numpy.fft.irfft``."""
    node = lift(a)
    k = normal_axis(axis, node.ndim)
    length = 2 * (node.shape[k] - 1) if n is None else int(n)
    length = _length(node, length, k)
    half = fourier.to_length(node, length // 2 + 1, k)
    return _scaled(fourier.irfft(half, n=length, axis=k), length, norm, True)


@numpy_function(np.fft.hfft)
def hfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Node:
    """``numpy.fft.hfft``: of half of a signal that is its own conjugate, turned round."""
    return irfft(conjugate(a), n, axis, TURNED[_norm(norm)])


@numpy_function(np.fft.ihfft)
def ihfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Node:
    """``numpy.fft.ihfft``: the inverse of hfft."""
    return conjugate(rfft(a, n, axis, TURNED[_norm(norm)]))


# -- along several ---------------------------------------------------------------------------------
def _plan(x: Node, s: Any, axes: Any) -> list[tuple[Any, int]]:
    """Length and axis of each transform, in order."""
    if axes is None:
        chosen = list(range(x.ndim)) if s is None else list(range(x.ndim - len(s), x.ndim))
    else:
        chosen = [int(k) for k in np.atleast_1d(axes)]
    lengths = [None] * len(chosen) if s is None else [None if n == -1 else n for n in s]
    if len(lengths) != len(chosen) or not chosen:
        raise ArgumentError(
            "a Fourier transform needs one length for each axis",
            where=str(user_site() or ""),
            got=f"s={s}, axes={axes}",
        )
    return list(zip(lengths, chosen, strict=True))


@numpy_function(np.fft.fftn)
def fftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Node:
    """``numpy.fft.fftn``."""
    node = lift(a)
    for n, axis in reversed(_plan(node, s, axes)):
        node = fft(node, n, axis, norm)
    return node


@numpy_function(np.fft.ifftn)
def ifftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Node:
    """``numpy.fft.ifftn``."""
    node = lift(a)
    for n, axis in reversed(_plan(node, s, axes)):
        node = ifft(node, n, axis, norm)
    return node


@numpy_function(np.fft.rfftn)
def rfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Node:
    """``numpy.fft.rfftn``: the last axis first, as of real numbers."""
    node = lift(a)
    *others, (n, axis) = _plan(node, s, axes)
    node = rfft(node, n, axis, norm)
    for n, axis in reversed(others):
        node = fft(node, n, axis, norm)
    return node


@numpy_function(np.fft.irfftn)
def irfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Node:
    """``numpy.fft.irfftn``: the last axis last."""
    node = lift(a)
    *others, (n, axis) = _plan(node, s, axes)
    for m, k in others:
        node = ifft(node, m, k, norm)
    return irfft(node, n, axis, norm)


numpy_function(np.fft.fft2)(
    lambda a, s=None, axes=(-2, -1), norm=None, out=None: fftn(a, s, axes, norm)
)
numpy_function(np.fft.ifft2)(
    lambda a, s=None, axes=(-2, -1), norm=None, out=None: ifftn(a, s, axes, norm)
)
numpy_function(np.fft.rfft2)(
    lambda a, s=None, axes=(-2, -1), norm=None, out=None: rfftn(a, s, axes, norm)
)
numpy_function(np.fft.irfft2)(
    lambda a, s=None, axes=(-2, -1), norm=None, out=None: irfftn(a, s, axes, norm)
)
