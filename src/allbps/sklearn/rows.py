"""Rows of X as they are computed with; those of a sparse matrix become dense some at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from allbps.errors import ArgumentError

DENSE = 1 << 26
"""Bytes of rows of a sparse matrix that are dense at once."""


def with_a_row_more(rows: Any, dtype: np.dtype[Any]) -> Any:
    """A copy in the dtype, with a row of zeros at the end; a sparse matrix stays one.

    Raises:
        ArgumentError: a number is too large for that dtype.

    """
    if issparse(rows):
        values = np.empty(rows.data.shape, dtype)
        put(values, rows.data)
        more = type(rows)((values, rows.indices.copy(), rows.indptr.copy()), shape=rows.shape)
        more.resize((rows.shape[0] + 1, rows.shape[1]))
        return more
    found: NDArray[Any] = np.empty((len(rows) + 1, *rows.shape[1:]), dtype)
    put(found[:-1], rows)
    found[-1] = 0
    return found


def dense(rows: Any) -> NDArray[Any]:
    """The rows as an array."""
    return np.asarray(rows.toarray() if issparse(rows) else rows)


def put(to: NDArray[Any], rows: NDArray[Any]) -> None:
    """Write rows where they are computed with.

    Raises:
        ArgumentError: they are too large for that kind of number.

    """
    try:
        with np.errstate(over="raise"):
            to[...] = rows
    except FloatingPointError as error:
        raise ArgumentError(
            f"a number is too large for {to.dtype}",
            expected=f"numbers up to {np.finfo(to.dtype).max:.3g}",
            got=f"{np.abs(rows).max():.3g}",
            todo='scale X and y, as StandardScaler does, or precision="float64"',
        ) from error
