"""What is known of an array without its numbers; printing it."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.ir import Node, lift, numpy_function, written_out
from allbps.ops.complexes import imag

for _printed in (np.array2string, np.array_repr, np.array_str):
    numpy_function(_printed)(
        lambda a, *args, _f=_printed, **how: _f(written_out(lift(a)), *args, **how)
    )


# -- shape and dtype: known without numbers --------------------------------------------------------
numpy_function(np.shape)(lambda a: lift(a).shape)
numpy_function(np.ndim)(lambda a: lift(a).ndim)
numpy_function(np.iscomplexobj)(lambda x: lift(x).is_complex)
numpy_function(np.isrealobj)(lambda x: not lift(x).is_complex)


@numpy_function(np.isreal)
def isreal(x: Any) -> Any:
    """``numpy.isreal``: of real numbers it is known without looking at them."""
    node = lift(x)
    return imag(node) == 0 if node.is_complex else np.ones(node.shape, bool)[()]


@numpy_function(np.iscomplex)
def iscomplex(x: Any) -> Any:
    """``numpy.iscomplex``: where the imaginary part is not 0."""
    node = lift(x)
    return imag(node) != 0 if node.is_complex else np.zeros(node.shape, bool)[()]


numpy_function(np.diag_indices_from)(lambda arr: np.diag_indices(len(arr), lift(arr).ndim))
numpy_function(np.tril_indices_from)(lambda arr, k=0: np.tril_indices(*_sides(arr, k)))
numpy_function(np.triu_indices_from)(lambda arr, k=0: np.triu_indices(*_sides(arr, k)))


def _sides(x: Any, k: int) -> tuple[int, int, int]:
    rows, columns = lift(x).shape
    return rows, k, columns


@numpy_function(np.size)
def size(a: Any, axis: int | None = None) -> int:
    """``numpy.size``."""
    node = lift(a)
    return node.size if axis is None else node.shape[axis]


def _type(x: Any) -> Any:
    return x.dtype if isinstance(x, Node) else x


numpy_function(np.result_type)(lambda *xs: np.result_type(*map(_type, xs)))
numpy_function(np.can_cast)(lambda x, to, casting="safe": np.can_cast(_type(x), to, casting))
numpy_function(np.min_scalar_type)(_type)
numpy_function(np.common_type)(lambda *xs: np.result_type(np.float16, *map(_type, xs)).type)
