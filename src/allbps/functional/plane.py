"""Complex numbers from two real ones, and back."""
# ruff: noqa: A001, A002  (``complex``, ``input`` and ``abs`` are PyTorch's names)

from __future__ import annotations

from functools import partial
from typing import Any

import numpy

from allbps.functional.common import misfit, works_on_arrays
from allbps.ir import Node, lift
from allbps.ops.complexes import from_parts, imag
from allbps.ops.complexes import real as real_part
from allbps.ops.function import cos, sin

np: Any = numpy  # its functions, given nodes, give nodes


@works_on_arrays
def complex(real: Any, imag: Any) -> Node:
    """Real + i imag, broadcast.

    >>> complex(np.array([1.0]), np.array([2.0]))
    array([1.+2.j])
    """
    return from_parts(real, imag)


@works_on_arrays
def polar(abs: Any, angle: Any) -> Node:
    """The complex number of that size and angle, abs (cos angle + i sin angle).

    >>> polar(np.array([2.0]), np.array([0.0]))
    array([2.+0.j])
    """
    return from_parts(lift(abs) * cos(angle), lift(abs) * sin(angle))


@works_on_arrays
def view_as_complex(input: Any) -> Node:
    """Pairs (real, imaginary) of the last axis as complex numbers: (…, 2) -> (…).

    Raises:
        ShapeError: the last axis does not hold pairs.

    >>> view_as_complex(np.array([[1.0, 2.0]]))
    array([1.+2.j])
    """
    node = lift(input)
    if not node.ndim or node.shape[-1] != 2:
        raise misfit("view_as_complex takes pairs", "(…, 2)", str(node.shape))
    return from_parts(node[..., 0], node[..., 1])


@partial(works_on_arrays, whole_plane=True)
def view_as_real(input: Any) -> Node:
    """Complex numbers as pairs (real, imaginary) along a new last axis: (…) -> (…, 2).

    >>> view_as_real(np.array([1.0 + 2.0j]))
    array([[1., 2.]])
    """
    made: Node = np.stack([real_part(input), imag(input)], axis=-1)
    return made
