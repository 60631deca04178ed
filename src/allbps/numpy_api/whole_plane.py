"""Which functions mean on complex numbers what they are composed of; the others refuse them.

An operation says so itself. What is composed may use that numbers are real without a sign of it,
as a variance does, so that each function is named here.
"""

from __future__ import annotations

import numpy as np

from allbps.ir import COMPLEX, NUMPY, OPERATORS
from allbps.numpy_api import fourier, linalg, making, products, shapes  # noqa: F401  (fill it first)

COMPLEX.update(OPERATORS[sign] for sign in ("[]", "[]=", "**"))
COMPLEX.update(
    NUMPY[function]
    for function in (
        # parts, powers, sums
        np.real, np.imag, np.conj, np.angle, np.square, np.power, np.positive, np.sum, np.mean,
        np.cumsum, np.diff, np.trapezoid,
        # products
        np.dot, np.vdot, np.inner, np.outer, np.tensordot, np.einsum, np.kron, np.trace,
        np.linalg.trace, np.linalg.solve, np.linalg.eig, np.linalg.eigvals,
        np.linalg.matrix_power, np.linalg.multi_dot,
        np.linalg.tensorsolve, np.linalg.tensorinv, np.linalg.norm, np.linalg.vector_norm,
        np.linalg.matrix_norm,
        # shapes
        np.reshape, np.ravel, np.transpose, np.swapaxes, np.moveaxis, np.rollaxis, np.squeeze,
        np.expand_dims, np.broadcast_to, np.broadcast_arrays, np.flip, np.fliplr, np.flipud,
        np.rot90, np.roll, np.tile, np.repeat, np.atleast_1d, np.atleast_2d, np.atleast_3d,
        np.matrix_transpose, np.linalg.matrix_transpose, np.resize, np.pad, np.astype, np.copy,
        np.fft.fftshift, np.fft.ifftshift,
        # together and apart
        np.concatenate, np.stack, np.hstack, np.vstack, np.dstack, np.column_stack, np.split,
        np.array_split, np.hsplit, np.vsplit, np.dsplit, np.unstack, np.append, np.block,
        # choosing and making
        np.where, np.take, np.take_along_axis, np.diagonal, np.linalg.diagonal, np.diag,
        np.diagflat, np.tril, np.triu, np.compress, np.extract, np.array, np.asarray,
        np.asanyarray, np.zeros_like, np.ones_like, np.empty_like, np.full_like, np.shape, np.ndim,
        np.size, np.iscomplexobj, np.isrealobj, np.iscomplex, np.isreal, np.result_type,
        # transforms
        np.fft.fft, np.fft.ifft, np.fft.irfft, np.fft.hfft, np.fft.fftn, np.fft.ifftn,
        np.fft.irfftn, np.fft.fft2, np.fft.ifft2, np.fft.irfft2,
    )
)  # fmt: skip
