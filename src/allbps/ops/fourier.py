"""Fourier transforms along one axis, as NumPy has them without a norm: sums forward, means back.

The matrix of the transform is symmetric, so that in the convention of ``complexes`` δx = F δy.
"""

from __future__ import annotations

import numpy as np

from allbps.ir import Aval, Node, Notation, Op, Rule, Sample
from allbps.ops.complexes import complex_of, conj, draw, real, real_of
from allbps.ops.index import getitem_by
from allbps.ops.shape import pad
from allbps.ops.shapes import normal_axis


def at(x: Node, axis: int, part: slice) -> Node:
    """A slice of one axis."""
    return getitem_by(x, (slice(None),) * axis + (part,))


def to_length(x: Node, n: int, axis: int) -> Node:
    """The axis cut, or filled with zeros, to length n."""
    missing = n - x.shape[axis]
    if missing < 0:
        return at(x, axis, slice(0, n))
    width = tuple((0, missing if k == axis else 0) for k in range(x.ndim))
    return pad(x, width=width) if missing else x


def whole_shape(x: Node, axis: int) -> Aval:
    normal_axis(axis, x.ndim)
    return x.shape, complex_of(x.dtype)


def d_fft(g: Node, y: Node, x: Node, axis: int) -> Node:
    return fft(g, axis=axis)


def d_ifft(g: Node, y: Node, x: Node, axis: int) -> Node:
    return ifft(g, axis=axis)


SAMPLES = (Sample((draw,), {"axis": 1}), Sample(((4, 3),), {"axis": 0}))
fft = Op(
    name="fft",
    doc="yₖ = Σ xⱼ exp(−2πi jk/n) along an axis.",
    operands="x",
    shape=whole_shape,
    numpy="np.fft.fft({x}, axis={axis})",
    torch="torch.fft.fft({x}, dim={axis})",
    rules=(Rule(d_fft, 'δ{x} = fft(δ{y}), "the matrix of the transform is symmetric"'),),
    notation=Notation("fft({x})"),
    complex=True,
    samples=SAMPLES,
)
ifft = Op(
    name="ifft",
    doc="xⱼ = 1/n Σ yₖ exp(2πi jk/n) along an axis, the inverse of fft.",
    operands="x",
    shape=whole_shape,
    numpy="np.fft.ifft({x}, axis={axis})",
    torch="torch.fft.ifft({x}, dim={axis})",
    rules=(Rule(d_ifft, 'δ{x} = ifft(δ{y}), "the matrix of the transform is symmetric"'),),
    notation=Notation("ifft({x})"),
    complex=True,
    samples=SAMPLES,
)


# -- of real numbers -------------------------------------------------------------------------------
def half_shape(x: Node, axis: int) -> Aval:
    k = normal_axis(axis, x.ndim)
    return (*x.shape[:k], x.shape[k] // 2 + 1, *x.shape[k + 1 :]), complex_of(x.dtype)


def d_rfft(g: Node, y: Node, x: Node, axis: int) -> Node:
    return real(fft(to_length(g, x.shape[axis], axis), axis=axis))


rfft = Op(
    name="rfft",
    doc="The first half, up to k = n // 2, of fft of real numbers.",
    operands="x",
    shape=half_shape,
    numpy="np.fft.rfft({x}, axis={axis})",
    torch="torch.fft.rfft({x}, dim={axis})",
    rules=(Rule(d_rfft, 'δ{x} = Re(fft(δ{y})), "zeros in the half that is left out"'),),
    notation=Notation("rfft({x})"),
    samples=(Sample(((2, 5),), {"axis": 1}), Sample(((4, 3),), {"axis": 0})),
)


def back_shape(x: Node, n: int, axis: int) -> Aval:
    k = normal_axis(axis, x.ndim)
    return (*x.shape[:k], n, *x.shape[k + 1 :]), real_of(complex_of(x.dtype))


def d_irfft(g: Node, y: Node, x: Node, n: int, axis: int) -> Node:
    """Every number of the half but the first, and the last of an even n, counts for two."""
    half = n // 2 + 1
    weights = np.full(half, 2.0 / n)
    weights[0] = 1.0 / n
    if n % 2 == 0:
        weights[-1] = 1.0 / n
    shape = [-1 if k == axis else 1 for k in range(x.ndim)]
    scaled = conj(rfft(g, axis=axis)) * weights.reshape(shape).astype(g.dtype)
    return to_length(scaled, x.shape[axis], axis)


irfft = Op(
    name="irfft",
    doc="The n real numbers whose rfft this is; imaginary parts that must be 0 are not read.",
    operands="x",
    shape=back_shape,
    numpy="np.fft.irfft({x}, n={n}, axis={axis})",
    torch="torch.fft.irfft({x}, n={n}, dim={axis})",
    rules=(
        Rule(
            d_irfft, 'δ{x} = conj(rfft(δ{y})) / {n}, "twice what stands for two conjugate numbers"'
        ),
    ),
    notation=Notation("irfft({x})"),
    complex=True,
    samples=(Sample((draw,), {"n": 4, "axis": 1}), Sample((draw,), {"n": 5, "axis": 1})),
)
