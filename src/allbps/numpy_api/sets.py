"""Arrays as sets of numbers: the chosen numbers are copies of elements, and order has no slope."""

from __future__ import annotations

from typing import Any

import numpy as np

from allbps.ir import Node, lift, numpy_function
from allbps.numpy_api.arguments import refuse
from allbps.numpy_api.choosing import sort, take
from allbps.numpy_api.joining import concatenate_by
from allbps.ops.comparison import equal
from allbps.ops.function import astype
from allbps.ops.index import getitem_by
from allbps.ops.questions import isin, ranks_op


@numpy_function(np.unique)
def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: Any = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,  # noqa: A002
) -> Any:
    """``numpy.unique``: the first of each group of equal numbers, in rising order."""
    node = lift(ar)
    places = ranks_op(node, axis=axis, equal_nan=bool(equal_nan)).known("np.unique")
    _, index, inverse, counts = np.unique(places, True, True, True)  # of ranks as of numbers
    chosen = take(node, index, axis)
    asked = ((return_index, index), (return_inverse, inverse), (return_counts, counts))
    found = (chosen, *(answer for wanted, answer in asked if wanted))
    return found if len(found) > 1 else chosen


@numpy_function(np.unique_values)
def unique_values(x: Any) -> Node:
    """``numpy.unique_values``."""
    made: Node = unique(x)
    return made


@numpy_function(np.union1d)
def union1d(ar1: Any, ar2: Any) -> Node:
    """``numpy.union1d``: what is in one of two arrays."""
    return unique_values(concatenate_by([ar1, ar2], None))


@numpy_function(np.setdiff1d)
def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Node:
    """``numpy.setdiff1d``: what is in the first array and not in the second."""
    return _among(ar1, ar2, assume_unique, wanted=False)


@numpy_function(np.intersect1d)
def intersect1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False
) -> Node:
    """``numpy.intersect1d``: what is in both arrays, taken from the first."""
    refuse("intersect1d", return_indices=return_indices or None)
    dtype = np.result_type(lift(ar1).dtype, lift(ar2).dtype)
    return astype(unique_values(_among(ar1, ar2, assume_unique, wanted=True)), dtype=dtype)


@numpy_function(np.setxor1d)
def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Node:
    """``numpy.setxor1d``: what is in one of two arrays and not in the other."""
    apart = [_among(a, b, assume_unique, wanted=False) for a, b in ((ar1, ar2), (ar2, ar1))]
    return sort(concatenate_by(apart, None))  # NaN is in neither, and stands twice


def _among(ar1: Any, ar2: Any, assume_unique: bool, wanted: bool) -> Node:
    numbers = take(ar1, np.arange(lift(ar1).size)) if assume_unique else unique_values(ar1)
    return getitem_by(numbers, equal(isin(numbers, lift(ar2)), wanted))
