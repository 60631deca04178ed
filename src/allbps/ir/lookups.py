"""Traced numbers that are looked up by value: keys of a dict, members of a set.

A number without a δ is found as the plain number is, and its value noted as looked at. One with a
δ must not be taken for an equal one that was stored: what stands beside that would be a number, or
a function of another, where a function of this one is meant. So it is refused; but for a function
that remembers its results (``functools.cache``) it counts as itself alone.
"""

from __future__ import annotations

from functools import cache
from types import FrameType
from typing import TYPE_CHECKING

import numpy as np

from allbps.errors import TraceError
from allbps.ir.arraylike import label_of
from allbps.ir.callee import called_in
from allbps.ir.site import user_site

if TYPE_CHECKING:
    from allbps.ir.handle import TracedArray


def hash_of(array: TracedArray, frame: FrameType) -> int:
    """The hash of the plain number that ``array`` holds.

    Args:
        array: what is hashed.
        frame: of whoever looks it up.

    Raises:
        TypeError: it is an array, which NumPy does not hash either.
        TraceError: it is a number with a δ, and looked up by its value.

    """
    if isinstance(array.memory, np.ndarray):
        raise TypeError("unhashable type: 'numpy.ndarray'")
    node = array.node
    if not node.loses_gradient:
        return hash(node.known("a look-up by value"))
    if isinstance(called_in(frame), type(_remembering)):
        return object.__hash__(array)
    raise TraceError(
        f"{label_of(node)} cannot be looked up by its value: what stands in a dict or a set for an"
        " equal number would cut its gradient",
        where=str(user_site() or ""),
        expected="a number without a gradient, or numbers in a tuple or a list",
        got=f"{label_of(node)} = {node.value}",
        todo="x in (0.0, 1.0) compares by value; allbps.stop_gradient(x) is looked up as a number",
    )


@cache
def _remembering() -> None:
    """A function that remembers its results, to know others by."""
